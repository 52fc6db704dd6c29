"""The tables of classes: whole, and as the official lists have them where those are at hand."""

import collections

import numpy as np
import pytest
from scipy import io

from deeplab_ksac import datasets
from deeplab_ksac.datasets import palettes
from deeplab_ksac.datasets.sources import (
    ade20k,
    cityscapes,
    coco_stuff10k,
    coco_voc,
    pascal_context,
    pascal_context_60,
    voc2012,
)
from deeplab_ksac.datasets.tables import read_table
from tests.datasets import samples

# Sect. 2.3.1, 3.4.2, 3.4.4, 3.4.5, 4.4.2, 4.4.3.
CLASSES = {
    "voc2012": 21,
    "sbd": 21,
    "coco_voc": 21,
    "ade20k": 150,
    "cityscapes": 19,
    "pascal_context": 59,
    "pascal_context_60": 60,
    "coco_stuff10k": 171,
    "coco_stuff164k": 171,
    "camvid": 11,
}
SPLITS = {
    "voc2012": {"train": 1464, "val": 1449, "trainval": 2913, "train_aug": 10582, "test": 1456},
    "sbd": {"train": 10582 - 1464},
    "coco_voc": {},
    "ade20k": {"train": 20210, "val": 2000},
    "cityscapes": {"train": 2975, "val": 500, "test": 1525},
    "pascal_context": {"train": 4998, "val": 5105},
    "pascal_context_60": {"train": 4998, "val": 5105},
    "coco_stuff10k": {"train": 9000, "test": 1000},
    "coco_stuff164k": {"train": 118287, "val": 5000},
    "camvid": {"train": 367, "val": 101, "test": 233},
}


@pytest.mark.parametrize("name", CLASSES)
def test_numbers_of_classes_and_images_are_those_of_the_thesis(name):
    info = datasets.source(name).INFO
    assert (info.num_classes, info.splits) == (CLASSES[name], SPLITS[name])


def test_cityscapes_cities_add_up_to_its_splits():
    frames = collections.Counter()
    for row in read_table("cityscapes_cities"):
        frames[row["split"]] += int(row["frames"])
    assert frames == cityscapes.INFO.splits


def test_coco_leaves_out_eleven_ids():
    assert set(range(1, 183)) - set(coco_stuff10k.IDS) == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
    assert sorted(coco_stuff10k.IDS) == list(coco_stuff10k.IDS)


def test_every_voc_class_has_one_category_of_coco():
    assert sorted(coco_voc.LABELS.values()) == list(range(1, 21))
    for row in read_table("coco_voc"):
        assert row["voc_name"] == voc2012.INFO.class_names[int(row["label"])].replace(" ", "")


def test_both_orders_of_pascal_context_are_known():
    names = pascal_context.INFO.class_names
    assert names == tuple(sorted(names)) and set(names) == set(pascal_context_60.INFO.class_names[1:])
    first = [name.replace(" ", "") for name in voc2012.INFO.class_names[1:]]
    assert list(pascal_context.FCN_CLASS_NAMES[:20]) == first
    assert sorted(form.numbers for form in pascal_context.FORMS[1:]) == sorted(
        [tuple(range(1, 60)), tuple(pascal_context.FCN_CLASS_NAMES.index(fcn) + 1 for fcn in _fcn_spelling(names))]
    )


def _fcn_spelling(names):
    return [{"bedclothes": "bedcloth", "cloth": "clothes", "table": "diningtable"}.get(name, name) for name in names]


def test_official_voc():
    names = samples.sample("raw_samples/lists/voc2012/classes.txt").read_text().splitlines()[:21]
    assert [name.replace(" ", "") for name in voc2012.INFO.class_names] == names
    colors = io.loadmat(samples.sample("raw_samples/lists/voc2012/colormapvoc.mat"))["colormapvoc"]
    colors = np.rint(colors * 255) if colors.max() <= 1 else colors
    np.testing.assert_array_equal(colors, palettes.voc_palette(256))


def test_official_ade20k():
    rows = samples.rows("lists/ade20k/ade150_names.csv")
    assert [row["name"].split(",")[0] for row in rows] == list(ade20k.INFO.class_names)
    colors = io.loadmat(samples.sample("raw_samples/lists/ade20k/color150.mat"))["colors"]
    different = np.flatnonzero((colors != np.array(ade20k.INFO.colors)).any(axis=1))
    assert [ade20k.INFO.class_names[i] for i in different] == ["skyscraper"]
    objects = samples.sample("raw_samples/ade20k/ADEChallengeData2016/objectInfo150.txt").read_text().splitlines()[1:]
    assert [line.split("\t")[-1].split(",")[0].strip() for line in objects] == list(ade20k.INFO.class_names)


def test_official_cityscapes():
    rows = {int(row["id"]): row for row in samples.rows("lists/cityscapes/labels.csv")}
    for row in read_table("cityscapes"):
        official = rows.pop(int(row["value"]))
        assert row["name"] == official["name"]
        assert int(row["label"] or 255) == (int(official["trainId"]) if int(official["trainId"]) >= 0 else 255)
        assert [row[c] for c in ("red", "green", "blue")] == [official[c] for c in "rgb"]
    assert not rows


def test_official_frames_of_cityscapes():
    for split in cityscapes.INFO.splits:
        lines = samples.sample(f"raw_samples/lists/cityscapes/{split}.lst").read_text().splitlines()
        official = collections.Counter(line.split("/")[2] for line in lines)
        ours = {r["city"]: int(r["frames"]) for r in read_table("cityscapes_cities") if r["split"] == split}
        assert official == ours


@pytest.mark.parametrize("path", ["coco_stuff164k/labels.txt", "coco_stuff10k/cocostuff-labels.txt"])
def test_official_coco_stuff(path):
    names = samples.names(path)
    assert tuple(names[number] for number in coco_stuff10k.IDS) == coco_stuff10k.INFO.class_names
    rows = samples.rows("lists/coco_stuff_171.csv")
    assert [int(row["original_id"]) for row in rows] == list(coco_stuff10k.IDS)


def test_official_coco_categories():
    rows = samples.rows("lists/coco_to_voc.csv")
    assert {int(row["coco_category_id"]): int(row["voc_index"]) for row in rows} == coco_voc.LABELS
    assert {int(row["coco_category_id"]): row["coco_name"] for row in rows} == coco_voc.NAMES


def test_official_pascal_context():
    names = samples.names("pascal_context/classes-459.txt")
    assert tuple(names[number].replace(" ", "") for number in pascal_context.NUMBERS_OF_459) == tuple(
        name.replace(" ", "") for name in pascal_context.INFO.class_names
    )
    fcn = samples.names("pascal_context/classes-59.txt")
    assert tuple(fcn[number] for number in range(1, 60)) == pascal_context.FCN_CLASS_NAMES
