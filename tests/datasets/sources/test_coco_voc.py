"""COCO's instances drawn as VOC's classes, on generated annotations and, where at hand, real ones."""

import sys

import numpy as np
import pytest

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import coco_voc
from tests.datasets.sources import layouts

SIZE = (60, 80)
CATEGORIES = {**coco_voc.NAMES, 13: "stop sign"}
PERSON, BOTTLE, CHAIR, STOP_SIGN = 1, 44, 62, 13


def box(left, top, right, bottom):
    """A rectangle of whole pixels as COCO's polygon: the pixels [top, bottom) × [left, right)."""
    return [[left, top, right, top, right, bottom, left, bottom]]


def runs(mask):
    """Plain run lengths as COCO has them for crowds: down the columns, beginning with what is outside."""
    flat = np.concatenate([[0], mask.ravel(order="F"), [-1]])
    ends = np.flatnonzero(np.diff(flat))
    lengths = np.diff(np.concatenate([[0], ends]))
    return {"size": list(mask.shape), "counts": lengths.tolist()}


def region(left, top, right, bottom):
    mask = np.zeros(SIZE, np.int8)
    mask[top:bottom, left:right] = 1
    return mask


def write(root, annotations, **arguments):
    return layouts.write_coco(root, annotations, CATEGORIES, size=SIZE, **arguments)


def only(root, split="train"):
    (item,) = coco_voc.examples(root, split)
    return item


def test_images_with_a_voc_region_over_a_thousand_pixels_are_taken(tmp_path):
    large, small, crowd = box(0, 0, 40, 40), box(0, 0, 20, 20), runs(region(0, 0, 50, 50))
    annotations = {
        1: [(PERSON, large, 1600, 0)],
        2: [(PERSON, large, 1000, 0)],
        3: [(PERSON, small, 600, 0), (PERSON, small, 600, 0)],
        4: [(STOP_SIGN, large, 1600, 0), (PERSON, small, 400, 0)],
        5: [],
        6: [(PERSON, crowd, 2500, 1)],
        7: [(CHAIR, small, 400, 0), (BOTTLE, large, 1000.5, 0)],
    }
    root = write(tmp_path, annotations)
    assert coco_voc.find_splits(root) == ("train",)
    assert [item["id"] for item in coco_voc.examples(root, "train")] == [f"{image:012d}" for image in (1, 7)]


def test_the_smaller_of_overlapping_instances_is_on_top_and_other_classes_are_background(tmp_path):
    instances = [
        (BOTTLE, box(10, 10, 20, 20), 100, 0),
        (PERSON, box(0, 0, 50, 50), 2500, 0),
        (STOP_SIGN, box(30, 30, 79, 59), 1400, 0),
        (CHAIR, box(40, 40, 70, 60), 600, 0),
    ]
    expected = np.zeros(SIZE)
    expected[:50, :50] = 15
    expected[40:60, 40:70] = 9
    expected[10:20, 10:20] = 5
    for i, order in enumerate((instances, instances[::-1])):
        np.testing.assert_array_equal(only(write(tmp_path / str(i), {1: order}))["label"], expected)


def test_crowds_of_voc_classes_are_ignored_below_what_is_outlined_itself(tmp_path):
    root = write(
        tmp_path,
        {
            1: [
                (PERSON, box(0, 0, 40, 40), 1600, 0),
                (PERSON, runs(region(30, 20, 60, 50)), 900, 1),
                (STOP_SIGN, runs(region(60, 0, 80, 60)), 1200, 1),
            ]
        },
    )
    expected = np.zeros(SIZE)
    expected[20:50, 30:60] = 255
    expected[:40, :40] = 15
    np.testing.assert_array_equal(only(root)["label"], expected)


def test_all_forms_of_outlines_are_drawn(tmp_path):
    tools = pytest.importorskip("pycocotools.mask")
    mask = (np.add.outer(np.arange(SIZE[0]), np.arange(SIZE[1])) % 7 < 4).astype(np.uint8)
    compressed = tools.encode(np.asfortranarray(mask))
    compressed["counts"] = compressed["counts"].decode()
    for i, outline in enumerate((compressed, runs(mask.astype(np.int8)))):
        label = only(write(tmp_path / str(i), {1: [(PERSON, outline, 2000, 0)]}))["label"]
        np.testing.assert_array_equal(label, 15 * mask)
    parts = [*box(0, 0, 30, 30), *box(50, 40, 80, 60), [1, 1, 5, 5], [2, 2]]  # a line and a point cover nothing
    label = only(write(tmp_path / "parts", {1: [(PERSON, parts, 1500, 0)]}))["label"]
    np.testing.assert_array_equal(label, 15 * (region(0, 0, 30, 30) | region(50, 40, 80, 60)))


def test_a_polygon_of_four_numbers_is_not_taken_for_a_box(tmp_path):
    outlines = [[1, 1, 30, 30], *box(0, 0, 10, 10)]
    label = only(write(tmp_path, {1: [(PERSON, outlines, 2000, 0)]}))["label"]
    np.testing.assert_array_equal(label, 15 * region(0, 0, 10, 10))


def test_it_converts_without_an_official_size(tmp_path):
    root = write(tmp_path / "raw", {1: [(PERSON, box(0, 0, 40, 40), 1600, 0)], 2: []})
    info = records.write_records("coco_voc", root, tmp_path)
    assert info.num_examples == {"train": 1} and info.pixel_counts["train"][15] == 1600
    (root / "train2017" / "000000000001.jpg").rename(root / "train2017" / "1.jpg")
    with pytest.raises(DatasetError, match=r"no image of COCO's train2017 is there .*000000000001.jpg is missing"):
        coco_voc.examples(root, "train")


@pytest.mark.parametrize(
    ("outline", "words"),
    [
        ({"size": [10, 10], "counts": [0, 100]}, "run lengths are for .10, 10., the image is .60, 80."),
        ({"size": list(SIZE), "counts": [0, 100]}, "run lengths cover 100 pixels, the image has 4800"),
        ([["x"]], "cannot be read as COCO's instances"),
        (7, "cannot be read as COCO's instances"),
    ],
)
def test_wrong_outlines_are_refused_with_the_place(tmp_path, outline, words):
    root = write(tmp_path, {1: [(PERSON, outline, 2000, 0)]})
    with pytest.raises(DatasetError, match=words) as caught:
        only(root)
    assert "instances_train2017.json" in str(caught.value) and "\n" not in str(caught.value)


def test_other_categories_are_refused(tmp_path):
    root = layouts.write_coco(tmp_path, {}, {**CATEGORIES, 5: "kite"})
    with pytest.raises(DatasetError, match="other categories than COCO 2017: 5 is 'kite', not 'airplane'"):
        coco_voc.examples(root, "train")


def test_broken_files_and_other_folders_are_refused(tmp_path):
    with pytest.raises(DatasetError, match="none of the folders annotations; expected annotations/instances_"):
        coco_voc.find_splits(tmp_path)
    root = write(tmp_path, {})
    (root / "annotations" / "instances_train2017.json").write_text('{"images": [')
    with pytest.raises(DatasetError, match=r"instances_train2017.json cannot be read as COCO's instances"):
        coco_voc.examples(root, "train")
    (root / "annotations" / "instances_train2017.json").unlink()
    with pytest.raises(DatasetError, match="has no instances of COCO 2017"):
        coco_voc.find_splits(root)


def test_without_pycocotools_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    with pytest.raises(DatasetError, match=r"pip install 'deeplab-ksac\[coco\]'"):
        coco_voc.examples(write(tmp_path, {}), "train")
