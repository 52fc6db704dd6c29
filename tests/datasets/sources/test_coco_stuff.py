"""COCO-Stuff 10K and 164K, generated and, where at hand, real."""

import json

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import coco_stuff10k, coco_stuff164k
from tests.datasets import samples
from tests.datasets.sources import layouts

UNUSED = np.array([12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91])
USED = np.setdiff1d(np.arange(1, 183), UNUSED)


def labels_of(ids):
    """Literally: an id less one, less the number of unused ids below it; 0 is unlabeled."""
    return np.array([255] + [i - 1 - sum(unused < i for unused in UNUSED) for i in range(1, 183)])[ids]


@pytest.fixture(params=["generated", "images beside", "real"])
def maps(request, tmp_path):
    """A root of COCO-Stuff 164K."""
    if request.param == "real":
        return samples.sample("raw_samples/coco_stuff164k")
    values = np.append(USED - 1, 255)
    found = {
        split: {f"{number:012d}": layouts.values_from(values, number, (24 + number, 32)) for number in numbers}
        for split, numbers in {"train": (9, 25, 30), "val": (139,)}.items()
    }
    if request.param == "images beside":
        return layouts.write_coco_stuff164k(tmp_path, found, images=".", masks="stuffthingmaps")
    return layouts.write_coco_stuff164k(tmp_path, found)


def test_maps_hold_the_id_less_one(maps):
    assert coco_stuff164k.find_splits(maps) == ("train", "val")
    for split in ("train", "val"):
        found = coco_stuff164k.examples(maps, split)
        assert found.missing == () and [item["id"] for item in found] == sorted(item["id"] for item in found)
        for item in found:
            values = np.asarray(Image.open(item["mask"])).astype(int)
            np.testing.assert_array_equal(item["label"], labels_of(np.where(values == 255, 0, values + 1)))
            assert Image.open(item["image"]).size == item["label"].shape[::-1]


def test_images_without_maps_and_maps_without_images_are_missing(tmp_path):
    found = {"val": {f"{n:012d}": np.zeros((24, 32), np.uint8) for n in (1, 2, 3)}}
    root = layouts.write_coco_stuff164k(tmp_path, found)
    (root / "images" / "val2017" / "000000000001.jpg").unlink()
    (root / "annotations" / "val2017" / "000000000003.png").unlink()
    layouts.save_mask(root / "annotations" / "val2017" / "000000000002_labelTrainIds.png", np.zeros((24, 32), np.uint8))
    found = coco_stuff164k.examples(root, "val")
    assert [item["id"] for item in found] == ["000000000002"]
    assert found.missing == ("000000000001", "000000000003")


@pytest.mark.parametrize("content", ["captions", "broken", None])
def test_cocos_own_list_tells_which_images_are_missing_altogether(tmp_path, content):
    root = layouts.write_coco_stuff164k(tmp_path, {"val": {"000000000139": np.zeros((24, 32), np.uint8)}})
    listed = {"images": [{"file_name": f"{number:012d}.jpg"} for number in (139, 285, 632)]}
    if content:
        text = json.dumps(listed) if content == "captions" else "{"
        (root / "annotations" / "captions_val2017.json").write_text(text)
    missing = coco_stuff164k.examples(root, "val").missing
    assert missing == (("000000000285", "000000000632") if content == "captions" else ())


@pytest.mark.parametrize("value", [11, 90, 182, 254])  # an unused id, toothbrush counted from one, wood likewise
def test_maps_with_other_numbers_are_refused(tmp_path, value):
    root = layouts.write_coco_stuff164k(tmp_path, {"val": {"000000000001": np.full((24, 32), value, np.uint8)}})
    with pytest.raises(DatasetError, match=rf"000001.png has values .* COCO-Stuff 164K .*: {value} \(768 pixels\)"):
        coco_stuff164k.examples(root, "val")[0]


def test_another_folder_is_refused_in_words(tmp_path):
    with pytest.raises(DatasetError, match=r"none of the folders annotations/train2017, .* expected images/"):
        coco_stuff164k.find_splits(tmp_path)
    (tmp_path / "annotations" / "val2017").mkdir(parents=True)
    with pytest.raises(DatasetError, match="none of the folders images/val2017"):
        coco_stuff164k.examples(tmp_path, "val")


@pytest.fixture
def small(tmp_path):
    """A root of COCO-Stuff 10K, with S as whole floats in one file."""
    values = np.append(USED, 0)
    maps = [
        layouts.values_from(values, seed, (25, 31), dtype) for seed, dtype in enumerate((np.uint8, np.float64, int))
    ]
    names = [f"COCO_train2014_{number:012d}" for number in (77, 113, 825)]
    root = layouts.write_coco_stuff10k(
        tmp_path, {"train": {names[0]: maps[0], names[1]: maps[1]}, "test": {names[2]: maps[2]}}
    )
    return root, dict(zip(names, maps))


def test_matlab_files_hold_the_id(small):
    root, maps = small
    assert coco_stuff10k.find_splits(root) == ("train", "test")
    for split, count in {"train": 2, "test": 1}.items():
        found = coco_stuff10k.examples(root, split)
        assert len(found) == count and found.missing == ()
        for item in found:
            assert item["label"].dtype == np.uint8
            np.testing.assert_array_equal(item["label"], labels_of(maps[item["id"]].astype(int)))


def test_version_1_0_is_refused(small):
    root, maps = small
    path = coco_stuff10k.examples(root, "test")[0]["mask"]
    layouts.save_matlab_73(path, S=next(iter(maps.values())))
    with pytest.raises(DatasetError, match=r"000000000825.mat is a MATLAB file of version 7.3"):
        coco_stuff10k.examples(root, "test")[0]


def test_a_listed_image_without_annotation_is_missing(small):
    root, _ = small
    (root / "annotations" / "COCO_train2014_000000000077.mat").unlink()
    found = coco_stuff10k.examples(root, "train")
    assert len(found) == 1 and found.missing == ("COCO_train2014_000000000077",)


def test_the_annotation_tools_files_are_not_annotations():
    things = samples.sample("raw_samples/coco_stuff10k/extra_annotator/things")
    with pytest.raises(DatasetError, match=r"holds no matrix S \(variables: labelMapThings\)"):
        coco_stuff10k.read_labels(next(things.glob("*.mat")))


def test_real_lists_have_their_official_sizes():
    lists = samples.sample("raw_samples/coco_stuff10k/imageLists")
    sizes = {split: len((lists / f"{split}.txt").read_text().split()) for split in ("train", "test")}
    assert sizes == coco_stuff10k.INFO.splits
    with pytest.raises(DatasetError, match="has no folder images, annotations; expected COCO-Stuff 10K: images/"):
        coco_stuff10k.examples(lists.parent, "train")


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="has none of the folders imageLists; expected COCO-Stuff 10K"):
        coco_stuff10k.find_splits(tmp_path)
