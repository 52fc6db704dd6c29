"""Archives of predictions: what is in them, and that they are whole or not there."""

import dataclasses
import io
import tarfile
import zipfile

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets import submissions
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.prediction.submission_archive import check_output, pack
from tests.datasets.test_submissions import SMALL_CITYSCAPES, write_cityscapes
from tests.deeplab_ksac.fake_model import build_fake_model


@pytest.fixture(scope="module")
def predictor():
    return Predictor(build_fake_model(19))


def contents(path):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive.getmembers()}


@pytest.mark.parametrize("name", ["results.zip", "results.tar.gz"])
def test_every_image_is_in_the_archive_with_its_label_ids(tmp_path, predictor, name):
    images = submissions.find_test_images(SMALL_CITYSCAPES, write_cityscapes(tmp_path / "raw"))
    pack(predictor, SMALL_CITYSCAPES, images, tmp_path / "out" / name)
    files = contents(tmp_path / "out" / name)
    assert list(files) == [name for name, _ in images]
    for inside, path in images:
        with Image.open(path) as image, Image.open(io.BytesIO(files[inside])) as written:
            expected = np.array(SMALL_CITYSCAPES.values)[predictor(np.asarray(image))]
            np.testing.assert_array_equal(np.asarray(written), expected)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [name]


def test_one_unreadable_image_is_named_and_no_archive_is_left(tmp_path, predictor):
    images = submissions.find_test_images(SMALL_CITYSCAPES, write_cityscapes(tmp_path / "raw"))
    images[1][1].write_bytes(images[1][1].read_bytes()[:60])
    with pytest.raises(OSError, match=images[1][1].name):
        pack(predictor, SMALL_CITYSCAPES, images, tmp_path / "out" / "results.zip")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_archive_that_exists_or_is_of_no_known_kind_is_refused(tmp_path):
    check_output(tmp_path / "a.tgz", overwrite=False)
    (tmp_path / "a.tgz").touch()
    with pytest.raises(FileExistsError, match="exists; name another"):
        check_output(tmp_path / "a.tgz", overwrite=False)
    check_output(tmp_path / "a.tgz", overwrite=True)
    with pytest.raises(ValueError, match=r"must end with .zip, .tar.gz or .tgz, not 'a.rar'"):
        check_output(tmp_path / "a.rar", overwrite=False)


def test_vocs_archive_has_the_servers_folders(tmp_path):
    small = dataclasses.replace(submissions.VOC2012, counts={"test": 1})
    Image.new("RGB", (20, 12)).save(tmp_path / "a.jpg")
    inside = "results/VOC2012/Segmentation/comp6_test_cls/a.png"
    pack(Predictor(build_fake_model(21)), small, [(inside, tmp_path / "a.jpg")], tmp_path / "results.tgz")
    assert list(contents(tmp_path / "results.tgz")) == [inside]
