"""Submissions: the official names, sizes, values and palette, and what is refused."""

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets import submissions
from deeplab_ksac.datasets.info import DatasetError
from tests import fakes

SMALL_CITYSCAPES = dataclasses.replace(submissions.CITYSCAPES, counts={"berlin": 2, "mainz": 1}, size=(16, 32))
FRAMES = ("berlin/berlin_000000_000019", "berlin/berlin_000001_000019", "mainz/mainz_000000_000110")


def write_cityscapes(root, frames=FRAMES, size=(16, 32)):
    for name in frames:
        path = root / "leftImg8bit" / "test" / f"{name}_leftImg8bit.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(fakes.picture(0, size)).save(path)
    return root


def decoded(png):
    with Image.open(io.BytesIO(png)) as image:
        return image.mode, np.asarray(image), image.getpalette()


def test_cityscapes_test_set_has_1525_frames_of_six_cities():
    assert submissions.CITYSCAPES.counts == {
        **{"berlin": 544, "bielefeld": 181, "bonn": 46},
        **{"leverkusen": 58, "mainz": 298, "munich": 398},
    }
    assert sum(submissions.CITYSCAPES.counts.values()) == 1525


def test_train_ids_become_the_label_ids_of_cityscapes():
    official = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
    mode, values, _ = decoded(submissions.encode_prediction(submissions.CITYSCAPES, np.arange(19).reshape(1, 19)))
    assert mode == "L" and values[0].tolist() == list(official)


def test_cityscapes_predictions_bear_the_names_of_their_frames(tmp_path):
    found = submissions.find_test_images(SMALL_CITYSCAPES, write_cityscapes(tmp_path))
    assert [name for name, _ in found] == [f"{frame.split('/')[1]}_leftImg8bit.png" for frame in FRAMES]
    assert all(path.name == name for name, path in found)


@pytest.mark.parametrize(
    ("frames", "message"),
    [
        (FRAMES[:1] + FRAMES[2:], "has 3 images, .* has 2: 1 of berlin instead of 2"),
        (FRAMES[:2], "0 of mainz instead of 1"),
        ((*FRAMES, "ulm/ulm_000000_000019"), "1 of ulm instead of 0"),
    ],
)
def test_frames_that_are_missing_or_too_many_are_named_in_one_line(tmp_path, frames, message):
    with pytest.raises(DatasetError, match=message) as raised:
        submissions.find_test_images(SMALL_CITYSCAPES, write_cityscapes(tmp_path, frames))
    assert "\n" not in str(raised.value)


def test_frames_of_another_size_or_broken_are_named(tmp_path):
    write_cityscapes(tmp_path)
    wrong = write_cityscapes(tmp_path, FRAMES[2:], size=(8, 16)) / "leftImg8bit" / "test" / "mainz"
    with pytest.raises(DatasetError, match=r"must have 32×16 pixels; .*mainz_000000_000110.* has 16×8 pixels"):
        submissions.find_test_images(SMALL_CITYSCAPES, tmp_path)
    next(wrong.iterdir()).write_bytes(b"broken")
    with pytest.raises(DatasetError, match=r"mainz_000000_000110.* cannot be read"):
        submissions.find_test_images(SMALL_CITYSCAPES, tmp_path)


def write_voc_test(root, ids):
    devkit = root / "VOCdevkit" / "VOC2012"
    (devkit / "ImageSets" / "Segmentation").mkdir(parents=True)
    (devkit / "JPEGImages").mkdir()
    (devkit / "ImageSets" / "Segmentation" / "test.txt").write_text("".join(f"{name}\n" for name in ids))
    for name in ids:
        Image.fromarray(fakes.picture(1)).save(devkit / "JPEGImages" / f"{name}.jpg")
    return root


def test_voc_predictions_lie_in_the_servers_folders_in_vocs_palette(tmp_path):
    assert submissions.VOC2012.counts == {"test": 1456}
    small = dataclasses.replace(submissions.VOC2012, counts={"test": 2})
    root = write_voc_test(tmp_path, ["2008_000006", "2008_000011"])
    for competition in submissions.COMPETITIONS:
        names = [name for name, _ in submissions.find_test_images(small, root, competition=competition)]
        folder = f"results/VOC2012/Segmentation/{competition}_test_cls"
        assert names == [f"{folder}/2008_000006.png", f"{folder}/2008_000011.png"]
    mode, values, palette = decoded(submissions.encode_prediction(small, np.arange(21).reshape(3, 7)))
    assert mode == "P"
    np.testing.assert_array_equal(values, np.arange(21).reshape(3, 7))
    assert palette[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0] and palette[255 * 3 :] == [224, 224, 192]


def test_an_unknown_benchmark_is_refused_with_the_nearest_one():
    with pytest.raises(DatasetError, match="benchmark 'voc12' is none of voc2012, cityscapes; did you mean 'voc2012'"):
        submissions.submission("voc12")


@pytest.mark.parametrize("name", ["../escaped", "a/b", "..a", "a\\b"])
def test_an_id_that_is_a_path_is_refused(tmp_path, name):
    root = write_voc_test(tmp_path, ["2008_000006"])
    voc = root / "VOCdevkit" / "VOC2012"
    (voc / "ImageSets" / "Segmentation" / "test.txt").write_text(f"{name}\n")
    image = voc / "JPEGImages" / f"{name}.jpg"
    image.parent.mkdir(exist_ok=True)
    Image.fromarray(fakes.picture(1)).save(image)
    with pytest.raises(DatasetError, match=r"has the id .*; expected letters, digits"):
        submissions.find_test_images(dataclasses.replace(submissions.VOC2012, counts={"test": 1}), root)


def test_a_part_of_vocs_test_set_and_an_unknown_competition_are_refused(tmp_path):
    root = write_voc_test(tmp_path, ["2008_000006"])
    with pytest.raises(DatasetError, match=r"has 1456 images, .* has 1"):
        submissions.find_test_images(submissions.VOC2012, root)
    with pytest.raises(DatasetError, match="the competition is one of comp5, comp6, not 'comp3'"):
        submissions.find_test_images(submissions.VOC2012, root, competition="comp3")
