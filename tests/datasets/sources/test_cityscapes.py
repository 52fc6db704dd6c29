"""Cityscapes' leftImg8bit and gtFine, generated."""

import json

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import cityscapes
from deeplab_ksac.datasets.sources.cityscapes import draw_polygons
from tests.datasets.sources import layouts

# The ids whose training label is not "ignored", in the order of the labels (Cordts et al., Table 5 of the supplement).
TRAINED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
FRAMES = {
    "train": ["aachen_000000_000019", "aachen_000001_000019", "ulm_000000_000019"],
    "val": ["lindau_000000_000019"],
    "test": ["bonn_000000_000019"],
}


@pytest.fixture
def root(tmp_path):
    return layouts.write_cityscapes(tmp_path, FRAMES)


def test_label_ids_become_training_labels(root):
    assert cityscapes.find_splits(root) == ("train", "val", "test")
    found = cityscapes.examples(root, "train")
    assert [item["id"] for item in found] == FRAMES["train"]
    for item in found:
        values = np.asarray(Image.open(item["mask"]))
        expected = np.full(values.shape, 255)
        for label, value in enumerate(TRAINED):
            expected[values == value] = label
        np.testing.assert_array_equal(item["label"], expected)


def test_test_frames_are_ignored_with_and_without_the_dummy_labels(root):
    (item,) = cityscapes.examples(root, "test")
    assert (item["label"] == 255).all() and item["mask"].name.endswith("labelIds.png")
    item["mask"].unlink()
    (item,) = cityscapes.examples(root, "test")
    assert (item["label"] == 255).all() and item["label"].shape == (24, 32) and item["mask"] == item["image"]


def test_missing_frames_are_told_by_city(root):
    missing = cityscapes.examples(root, "train").missing
    assert missing[0] == "172 of 174 of aachen" and "94 of 95 of ulm" in missing
    assert len(missing) == 18


def test_a_frame_without_labels_is_missing(root):
    path = root / "gtFine" / "train" / "ulm" / "ulm_000000_000019_gtFine_labelIds.png"
    path.unlink()
    found = cityscapes.examples(root, "train")
    assert len(found) == 2 and found.missing[0] == "ulm_000000_000019"
    layouts.save_mask(root / "gtFine" / "val" / "ulm" / path.name, np.zeros((24, 32), np.uint8))
    assert len(cityscapes.examples(root, "train")) == 2


def polygons(*objects, size=(32, 24)):
    content = [{"label": label, "polygon": corners} for label, corners in objects]
    return json.dumps({"imgWidth": size[0], "imgHeight": size[1], "objects": content})


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def test_polygons_stand_in_for_label_ids_and_later_ones_cover_earlier(root):
    labels = root / "gtFine" / "val" / "lindau" / "lindau_000000_000019_gtFine_labelIds.png"
    labels.unlink()
    labels.with_name("lindau_000000_000019_gtFine_polygons.json").write_text(
        polygons(
            ("road", box(0, 10, 31, 23)),
            ("cargroup", box(4, 8, 9, 12)),
            ("license plate", box(5, 9, 6, 10)),
            ("polegroup", box(20, 0, 21, 23)),
            ("sky", [[0, 0]]),
        )
    )
    expected = np.full((24, 32), 255)
    expected[10:23] = 0  # the makers' rule: a row is covered where its middle is, so the lower edge is not
    expected[8:12, 4:10] = 13
    expected[:23, 20:22] = 255  # a group of poles has a number of its own, which is not trained on
    (item,) = cityscapes.examples(root, "val")
    np.testing.assert_array_equal(item["label"], expected)


def test_polygons_without_objects_are_unlabeled(tmp_path):
    (tmp_path / "x.json").write_text(polygons())
    np.testing.assert_array_equal(draw_polygons(tmp_path / "x.json", cityscapes.NUMBERS), np.zeros((24, 32)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read as polygons"),
        ("[" * 100_000, "cannot be read as polygons of Cityscapes: maximum recursion depth"),
        (polygons((7, box(0, 0, 3, 3))), "an object '7', which is no class"),
        (polygons(size=(10**9, 24)), "must be an integer of at most 65535, not 1000000000"),
        ('{"objects": []}', "cannot be read as polygons of Cityscapes: 'imgWidth'"),
        (polygons(("unicorn", box(0, 0, 3, 3))), "an object 'unicorn', which is no class"),
        (polygons(("car", [1, 2])), "cannot be read as polygons"),
        (polygons(("car", [[1, 2], [float("nan"), 3]])), "a polygon has 1 numbers that are not finite"),
        (polygons(("car", [[1, 2], [1e12, 3], [4, 4]])), "a corner at 1e\\+12, farther than 200000 pixels away"),
        (polygons(("car", [[1, 2], [10**400, 3], [4, 4]])), "a polygon has a number that is too large"),
        (polygons(("car", None)), "cannot be read as polygons of Cityscapes: .*None"),
        (polygons(size=("32", 24)), "cannot be read as polygons"),
    ],
)
def test_wrong_polygons_are_refused(tmp_path, text, words):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DatasetError, match=words) as caught:
        draw_polygons(tmp_path / "x.json", cityscapes.NUMBERS)
    assert "\n" not in str(caught.value)


def test_sixteen_bit_instance_files_in_place_of_label_ids_are_refused(root):
    mask = cityscapes.examples(root, "val")[0]["mask"]
    Image.fromarray(np.full((24, 32), 26001, np.uint16)).save(mask)
    with pytest.raises(DatasetError, match=r"values that the labelIds of Cityscapes .* 26001 \(768 pixels\)"):
        cityscapes.examples(root, "val")[0]


@pytest.mark.parametrize("below", ["gtFine", "leftImg8bit", "nowhere"])
def test_another_folder_is_refused_in_words(root, below):
    with pytest.raises(DatasetError, match="none of the folders leftImg8bit; expected leftImg8bit/<split>/<city>/"):
        cityscapes.find_splits(root / below)


def test_frames_without_annotations_are_refused_in_words(root):
    (root / "gtFine").rename(root / "gtCoarse")
    with pytest.raises(DatasetError, match="has no folder gtFine/train; expected leftImg8bit"):
        cityscapes.examples(root, "train")
    with pytest.raises(DatasetError, match="no split 'extra'"):
        cityscapes.examples(root, "extra")
