"""ADE20K in the challenge's layout, generated and, where at hand, real."""

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import ade20k
from tests.datasets import samples
from tests.datasets.sources import layouts


@pytest.fixture(params=["generated", "real"])
def root(request, tmp_path):
    if request.param == "real":
        return samples.sample("raw_samples/ade20k")
    return layouts.write_ade20k(tmp_path, {"train": [1, 2, 4], "val": [1, 2, 3]})


def test_labels_are_one_less_than_the_masks_and_zero_is_ignored(root):
    for item in ade20k.examples(root, "val"):
        values = np.asarray(Image.open(item["mask"])).astype(int)
        np.testing.assert_array_equal(item["label"], np.where(values == 0, 255, values - 1))
        assert item["image"].stem == item["mask"].stem == item["id"]


def test_absent_official_images_are_known(root):
    found = ade20k.examples(root, "val")
    assert [item["id"] for item in found] == [f"ADE_val_{number:08d}" for number in (1, 2, 3)]
    assert found.missing == tuple(f"ADE_val_{number:08d}" for number in range(4, 2001))
    assert "val" in ade20k.find_splits(root)


def test_it_is_found_from_the_folder_of_the_challenge(root):
    inside = root / "ADEChallengeData2016"
    assert ade20k.find_splits(inside) == ade20k.find_splits(root)
    assert ade20k.examples(inside, "val")[0]["image"] == ade20k.examples(root, "val")[0]["image"]


def test_an_image_without_its_mask_is_missing(tmp_path):
    root = layouts.write_ade20k(tmp_path, {"train": [1, 2]})
    (root / "ADEChallengeData2016" / "annotations" / "training" / "ADE_train_00000002.png").unlink()
    found = ade20k.examples(root, "train")
    assert len(found) == 1 and found.missing[0] == "ADE_train_00000002" and len(found.missing) == 20209


def test_conversion_says_what_is_missing(tmp_path):
    root = layouts.write_ade20k(tmp_path / "raw", {"val": [1, 3]})
    with pytest.raises(DatasetError, match=r"2 images, officially 2000.*ADE_val_00000002, ADE_val_00000004") as caught:
        records.write_records("ade20k", root, tmp_path)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    info = records.write_records("ade20k", root, tmp_path, allow_other_counts=True)
    assert info.num_examples == {"val": 2} and info.ignored_pixels["val"] > 0


@pytest.mark.parametrize("below", ["ADEChallengeData2016/images", "nowhere"])
def test_another_folder_is_refused_in_words(tmp_path, below):
    root = layouts.write_ade20k(tmp_path, {"train": [1]})
    with pytest.raises(DatasetError, match="expected ADEChallengeData2016 with images/ and annotations/"):
        ade20k.find_splits(root / below)


def test_masks_of_the_full_ade20k_are_refused(tmp_path):
    root = layouts.write_ade20k(tmp_path, {"train": [1]})
    mask = ade20k.examples(root, "train")[0]["mask"]
    Image.new("RGB", (32, 24), (120, 40, 3)).save(mask)
    with pytest.raises(DatasetError, match=r"ADE_train_00000001.png holds colors \(mode RGB\)"):
        ade20k.examples(root, "train")[0]
    layouts.save_mask(mask, np.full((24, 32), 151, np.uint8))
    with pytest.raises(DatasetError, match=r"values that the masks of the scene parsing challenge .*: 151 \(768 pix"):
        ade20k.examples(root, "train")[0]


def test_an_empty_folder_and_an_unknown_split_are_refused(tmp_path):
    root = layouts.write_ade20k(tmp_path, {"train": [1]})
    with pytest.raises(DatasetError, match="no split 'test'"):
        ade20k.examples(root, "test")
    (root / "ADEChallengeData2016" / "annotations" / "training" / "ADE_train_00000001.png").unlink()
    with pytest.raises(DatasetError, match=r"no image of ADE20K's split train .*ADE_train_00000001.png is missing"):
        ade20k.examples(root, "train")
