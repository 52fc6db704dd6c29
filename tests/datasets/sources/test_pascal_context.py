"""PASCAL Context in its three forms, generated."""

import numpy as np
import pytest

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import pascal_context, pascal_context_60
from tests.datasets.sources import layouts

IDS = {"train": ["2008_000008", "2008_000015"], "val": ["2008_000002"]}
# Number of 459, alphabetical label 1…59, FCN's label 1…59, of some classes (0: none of the 59).
CLASSES = (
    *((1, 0, 0), (2, 1, 1), (9, 2, 21), (19, 4, 52), (80, 18, 28)),
    *((397, 50, 11), (458, 59, 59), (459, 0, 0), (0, 0, 0)),
)
NUMBERS, ALPHABETICAL, FCN = map(np.array, zip(*CLASSES))


@pytest.fixture
def voc(tmp_path):
    return layouts.write_context(tmp_path, IDS)


def write_labels(voc, form):
    """Labels of every image in one form; returns the expected alphabetical labels by id, 0 for none."""
    expected = {}
    for i, name in enumerate([*IDS["train"], *IDS["val"]]):
        drawn = layouts.values_from(range(len(CLASSES)), i)
        expected[name] = ALPHABETICAL[drawn]
        if form == "mat":
            layouts.save_matlab(voc.parents[1] / "trainval" / f"{name}.mat", LabelMap=NUMBERS[drawn].astype(np.uint16))
        elif form == "fcn":
            layouts.save_mask(voc.parents[1] / "59_context_labels" / f"{name}.png", FCN[drawn].astype(np.uint8))
        else:
            folder = voc / "SegmentationClassContext"
            layouts.save_mask(folder / f"{name}.png", ALPHABETICAL[drawn].astype(np.uint8))
    return expected


@pytest.mark.parametrize("form", ["mat", "fcn", "alphabetical"])
def test_every_form_gives_the_same_labels(voc, tmp_path, form):
    expected = write_labels(voc, form)
    for split, names in IDS.items():
        fewer, more = (source.examples(tmp_path, split) for source in (pascal_context, pascal_context_60))
        assert [item["id"] for item in fewer] == [item["id"] for item in more] == names
        for item, with_background in zip(fewer, more):
            wanted = expected[item["id"]]
            np.testing.assert_array_equal(item["label"], np.where(wanted == 0, 255, wanted - 1))
            np.testing.assert_array_equal(with_background["label"], wanted)


def test_the_labels_of_459_classes_count_before_those_made_of_them(voc, tmp_path):
    write_labels(voc, "alphabetical")
    write_labels(voc, "mat")
    assert pascal_context.examples(tmp_path, "val")[0]["mask"].suffix == ".mat"


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2010"])
def test_it_is_found_from_any_of_its_folders(voc, tmp_path, below):
    write_labels(voc, "mat")
    assert pascal_context.find_splits(tmp_path / below) == ("train", "val")
    assert len(pascal_context.examples(tmp_path / below, "train")) == 2


def test_both_convert_with_their_classes(voc, tmp_path):
    write_labels(voc, "mat")
    with pytest.raises(DatasetError, match=r"split train of .* has 2 images, officially 4998"):
        records.write_records("pascal_context", tmp_path, tmp_path)
    infos = [
        records.write_records(name, tmp_path, tmp_path, allow_other_counts=True)
        for name in ("pascal_context", "pascal_context_60")
    ]
    assert infos[0].ignored_pixels["train"] == infos[1].pixel_counts["train"][0] > 0
    assert infos[0].pixel_counts["train"] == infos[1].pixel_counts["train"][1:]
    assert infos[1].ignored_pixels["train"] == 0


def test_images_that_a_form_leaves_out_are_missing(voc, tmp_path):
    write_labels(voc, "alphabetical")
    (voc / "SegmentationClassContext" / "2008_000015.png").unlink()
    found = pascal_context.examples(tmp_path, "train")
    assert len(found) == 1 and found.missing == ("2008_000015",)


def test_values_beyond_a_form_are_refused(voc, tmp_path):
    write_labels(voc, "mat")
    layouts.save_matlab(tmp_path / "trainval" / "2008_000002.mat", LabelMap=np.full((24, 32), 460, np.uint16))
    with pytest.raises(DatasetError, match=r"2008_000002.mat has values that the labels in trainval .* 460 \(768"):
        pascal_context.examples(tmp_path, "val")[0]


def test_another_folder_is_refused_in_words(voc, tmp_path):
    with pytest.raises(DatasetError, match=r"no labels of PASCAL Context: expected one of trainval/\*.mat, 59_context"):
        pascal_context.examples(tmp_path, "train")
    with pytest.raises(DatasetError, match="expected VOCdevkit/VOC2010 with JPEGImages and ImageSets/Main"):
        pascal_context.find_splits(voc / "JPEGImages")
