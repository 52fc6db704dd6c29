"""What is counted in a converted data set, and what is said about it."""

import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import findings, records, survey
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from tests import fakes
from tests.datasets.hashed_names import HashedName

COUNTS = {"train": 9, "val": 4}


def surveys(raw, data_dir, *, splits=tuple(COUNTS), **arguments):
    """(the converted info, the survey of each split) of a raw folder."""
    info = records.write_records("folder", raw, data_dir, dataset_name="tiny", **arguments)
    return info, [survey.survey_split("tiny", split, data_dir=data_dir, samples=4) for split in splits]


def relabel(raw, split, change):
    """Rewrites the masks of a split."""
    for path in sorted((raw / "masks" / split).iterdir()):
        fakes.write_palette_mask(path, change(np.asarray(Image.open(path))).astype(np.uint8))


def repaint(raw, split, first=100):
    """Gives the images of a split other contents, of the same sizes."""
    for number, path in enumerate(sorted((raw / "images" / split).iterdir())):
        size = Image.open(path).size[::-1]
        Image.fromarray(fakes.picture(first + number, size)).save(path, quality=90)


@pytest.fixture
def raw(tmp_path):
    """A folder set of which nothing is to be said: the splits differ in pictures and in labels."""
    root = fakes.write_folder(tmp_path / "raw", COUNTS)
    repaint(root, "val")
    relabel(root, "val", lambda mask: mask[::-1])
    return root


@pytest.fixture(scope="module")
def counted(tmp_path_factory):
    place = tmp_path_factory.mktemp("counted")
    root = fakes.write_folder(place / "raw", COUNTS)
    info, found = surveys(root, place)
    return root, info, found[0]


def test_pixels_images_and_sizes_are_those_of_the_files(counted):
    root, info, train = counted
    masks = [np.asarray(Image.open(path)) for path in sorted((root / "masks" / "train").iterdir())]
    values = np.stack([np.bincount(mask.ravel(), minlength=256) for mask in masks])
    np.testing.assert_array_equal(train.pixels, values.sum(axis=0))
    np.testing.assert_array_equal(train.images, (values > 0).sum(axis=0))
    np.testing.assert_allclose(train.frequencies[:3], info.pixel_frequencies["train"], rtol=1e-12)
    assert train.ignored_share == info.ignored_share("train")
    assert train.sizes.total() == 9 and set(train.sizes) == {mask.shape for mask in masks}
    heights, widths = zip(*(mask.shape for mask in masks))
    assert train.size_range() == tuple((min(s), sorted(s)[4], max(s)) for s in (heights, widths))
    assert train.formats == {"jpeg": 9} and train.names == [f"p{i:02d}" for i in range(9)]


def test_samples_come_from_all_over_the_split(counted):
    _, _, train = counted
    names = [
        tf.train.Example.FromString(s).features.feature["image/filename"].bytes_list.value[0] for s in train.samples
    ]
    assert names == [b"p02", b"p04", b"p06", b"p08"]


def test_of_a_sound_data_set_nothing_is_said_but_that_ids_are_used_twice(raw, tmp_path):
    info, found = surveys(raw, tmp_path)
    assert findings.find_warnings(info, found) == []
    assert findings.find_notes(info, found) == [
        "4 ids are in train and in val with different labels: right if each split numbers its own pictures"
    ]


def warned(raw, tmp_path, **arguments):
    info, found = surveys(raw, tmp_path, **arguments)
    return findings.find_warnings(info, found)


def test_masks_of_0_and_255_are_told(raw, tmp_path):
    relabel(raw, "train", lambda mask: np.where(mask == 1, 255, 0))
    (message,) = (text for text in warned(raw, tmp_path) if "255 only" in text)
    assert message.startswith("train: the labels are 0 and 255 only") and "as 1" in message
    assert "--label_map=0:0,255:1" in message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda mask: np.where(mask == 0, 1, mask),
            "label 0 (ground) never occurs and 1…2 all do: are the labels counted",
        ),
        (lambda mask: np.where(mask == 2, 1, mask), "label 2 (thing 2) never occurs and 0…1 all do: is each label"),
        (lambda mask: np.where(mask == 1, 2, mask), "1 of 3 classes never occur: 1 (thing 1)"),
    ],
)
def test_labels_that_never_occur_are_told_with_what_they_look_like(raw, tmp_path, change, words):
    relabel(raw, "train", lambda mask: np.where(mask == 255, 255, change(mask)))
    (message,) = warned(raw, tmp_path)
    assert message.startswith(f"train: {words}")


def test_masks_of_one_value_and_ignored_ones_are_told(raw, tmp_path):
    relabel(raw, "val", lambda mask: np.where(mask == 255, 255, 2))
    relabel(raw, "train", lambda mask: np.full_like(mask, 255) if mask[0, 0] else mask)
    messages = warned(raw, tmp_path)
    assert "val: 4 of 4 masks have almost only one value, 4 of them 2 (thing 2)" in messages
    assert any("masks are completely ignored" in text and text.startswith("train") for text in messages)


def test_a_split_without_labels_is_noted_and_not_complained_about(raw, tmp_path):
    relabel(raw, "val", lambda mask: np.full_like(mask, 255))
    info, found = surveys(raw, tmp_path)
    assert findings.find_warnings(info, found) == []
    assert "split val has no labels: every pixel is ignored" in findings.find_notes(info, found)


def test_an_image_in_two_splits_under_another_name_is_told(raw, tmp_path):
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        shutil.copy(raw / kind / "train" / f"p05.{suffix}", raw / kind / "val" / f"other.{suffix}")
    assert warned(raw, tmp_path) == ["train and val share 1 image: p05"]


def test_a_picture_encoded_anew_is_found_by_its_id_and_labels(raw, tmp_path):
    shutil.copy(raw / "masks" / "train" / "p07.png", raw / "masks" / "val" / "p07.png")
    Image.open(raw / "images" / "train" / "p07.jpg").save(raw / "images" / "val" / "p07.jpg", quality=50)
    (message,) = warned(raw, tmp_path)
    assert message.startswith("train and val share 1 id with the same labels, though the bytes") and "p07" in message


def test_an_image_that_stands_twice_in_a_split_is_told(raw, tmp_path):
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        shutil.copy(raw / kind / "train" / f"p05.{suffix}", raw / kind / "train" / f"p05_again.{suffix}")
    assert warned(raw, tmp_path) == ["train: 1 image are in it more than once: p05_again"]


@pytest.mark.parametrize(("other", "warnings", "words"), [("trainval", 0, "do not train on one"), ("test", 1, "")])
def test_splits_that_are_made_to_overlap_are_only_noted(raw, tmp_path, other, warnings, words):
    for kind in ("images", "masks"):
        shutil.copytree(raw / kind / "val", raw / kind / other)
    info, found = surveys(raw, tmp_path, splits=("val", other))
    assert len(findings.find_warnings(info, found)) == warnings
    assert words in " ".join(findings.find_notes(info, found))


def test_another_number_than_the_official_one_is_told():
    found = survey.SplitSurvey("train", 10, names=["a"], image_hashes=np.ones(1, np.uint64), unlabeled=1)
    info = DatasetInfo("tiny", ("a",), ((0, 0, 0),), splits={"train": 10, "test": 5})
    assert findings.find_warnings(info, [found]) == ["split train has 1 images, officially 10"]
    assert any("test (5)" in note for note in findings.find_notes(info, [found]))


def test_damaged_records_are_one_line(raw, tmp_path):
    records.write_records("folder", raw, tmp_path, dataset_name="tiny")
    (shard,) = pathlib.Path(tmp_path, "tiny", "1.0.0").glob("*train.tfrecord*")
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(DatasetError, match="split train of tiny cannot be read after") as caught:
        survey.survey_split("tiny", "train", data_dir=tmp_path)
    assert "\n" not in str(caught.value)


def test_the_overlap_of_large_splits_takes_time_in_proportion():
    names, info = [HashedName(i) for i in range(300)], DatasetInfo("tiny", ("a",), ((0, 0, 0),))
    labels = np.arange(300, dtype=np.uint64)
    images, known = (labels, labels + np.uint64(150)), {"names": names, "label_hashes": labels, "unlabeled": 300}
    found = [survey.SplitSurvey(split, image_hashes=images[i], **known) for i, split in enumerate(("train", "val"))]
    before = HashedName.hashes
    warned = findings.find_warnings(info, found)
    assert warned[-2].startswith("train and val share 150 images: 150, 151")
    assert warned[-1].startswith("train and val share 150 ids with the same labels, though")
    assert HashedName.hashes - before < 20 * 300
