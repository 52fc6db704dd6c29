"""VOC 2012 and SBD: the augmented training set is put together from the lists, not trusted."""

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import sbd, sbd_release, voc2012
from tests import fakes
from tests.datasets import samples
from tests.datasets.sources import layouts

VOC = {"train": ["2007_000032", "2007_000039"], "val": ["2007_000033"]}
SBD = {"train": ["2007_000032", "2008_000002"], "val": ["2007_000033", "2008_000003"]}


@pytest.fixture
def root(tmp_path):
    """VOC and SBD side by side; VOC 2012 has the images that SBD labels."""
    fakes.write_voc2012(tmp_path, VOC)
    for name in ("2008_000002", "2008_000003"):
        layouts.save_image(tmp_path / "VOCdevkit" / "VOC2012" / "JPEGImages" / f"{name}.jpg", 1)
    return layouts.write_sbd(tmp_path, SBD)


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_train_aug_is_voc_train_and_what_sbd_adds(root, below):
    assert voc2012.find_splits(root / below) == ("train", "val", "train_aug")
    found = voc2012.examples(root / below, "train_aug")
    assert [item["id"] for item in found] == ["2007_000032", "2007_000039", "2008_000002", "2008_000003"]
    assert [item["mask"].suffix for item in found] == [".png", ".png", ".mat", ".mat"]
    own = {item["id"]: item["label"] for item in voc2012.examples(root, "train")}
    for item in found:
        if item["id"] in own:
            np.testing.assert_array_equal(item["label"], own[item["id"]])
            assert (item["label"] == 255).any()
        else:
            expected = layouts.values_from(range(21), sum(map(ord, item["id"])))
            np.testing.assert_array_equal(item["label"], expected)
        assert item["image"].is_relative_to(root / "VOCdevkit")


@pytest.mark.parametrize("below", ["", "benchmark_RELEASE", "benchmark_RELEASE/dataset"])
def test_sbd_is_what_it_adds_to_voc(root, below):
    assert sbd.find_splits(root / below) == ("train",)
    found = sbd.examples(root / below, "train")
    assert [item["id"] for item in found] == ["2008_000002", "2008_000003"]
    for item in found:
        expected = layouts.values_from(range(21), sum(map(ord, item["id"])))
        np.testing.assert_array_equal(item["label"], expected)
        assert item["image"].parent.name == "img" and item["label"].dtype == np.uint8


def test_voc_train_and_sbd_make_train_aug(root):
    parts = [*voc2012.examples(root, "train"), *sbd.examples(root, "train")]
    merged = voc2012.examples(root, "train_aug")
    assert [item["id"] for item in merged] == [item["id"] for item in parts]
    for one, other in zip(parts, merged):
        np.testing.assert_array_equal(one["label"], other["label"])


def test_the_ready_made_form_gives_way_to_vocs_own_labels(tmp_path):
    fakes.write_voc2012(tmp_path, {**VOC, "train_aug": [*VOC["train"], "2008_000002"]})
    found = voc2012.examples(tmp_path, "train_aug")
    assert [item["mask"].parent.name for item in found] == ["SegmentationClass"] * 2 + ["SegmentationClassAug"]
    assert voc2012.find_splits(tmp_path) == ("train", "val", "train_aug")


def test_a_ready_made_list_with_images_of_val_is_refused(tmp_path):
    fakes.write_voc2012(tmp_path, {**VOC, "train_aug": ["2007_000032", "2007_000033", "2008_000002"]})
    with pytest.raises(DatasetError, match=r"train_aug.txt lists 1 images of VOC val, the first 2007_000033"):
        voc2012.examples(tmp_path, "train_aug")


def test_without_vocs_list_of_val_nothing_is_put_together(root):
    (root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation" / "val.txt").unlink()
    for source, split in ((voc2012, "train_aug"), (sbd, "train")):
        with pytest.raises(DatasetError, match=r"the list .*val.txt is missing"):
            source.examples(root, split)


def test_what_is_missing_is_refused_in_words(root, tmp_path):
    with pytest.raises(DatasetError, match="expected SBD's benchmark_RELEASE/dataset"):
        sbd.find_splits(tmp_path.parents[2] / "nowhere")
    (root / "benchmark_RELEASE").rename(root / "VOCdevkit" / "VOC2012" / "other")
    with pytest.raises(DatasetError, match="no split train_aug: expected SBD's benchmark_RELEASE/dataset"):
        voc2012.examples(root, "train_aug")
    (root / "VOCdevkit" / "VOC2012" / "other").rename(root / "benchmark_RELEASE")
    (root / "VOCdevkit").rename(root / "VOC")
    with pytest.raises(DatasetError, match="no VOCdevkit/VOC2012 next to SBD"):
        sbd.examples(root, "train")


def test_no_other_split_of_sbd_is_offered(root):
    with pytest.raises(DatasetError, match="its train and val without VOC's are the split train"):
        sbd.examples(root, "val")


@pytest.mark.parametrize(
    ("struct", "words"),
    [
        ({"CategoriesPresent": 1}, r"no matrix GTcls\.Segmentation"),
        ({"Segmentation": np.full((24, 32), 21, np.uint8)}, r"maps of SBD \(0…20\) do not have: 21 \(768 pixels\)"),
    ],
)
def test_wrong_class_maps_are_refused(root, struct, words):
    path = sbd.examples(root, "train")[0]["mask"]
    layouts.save_matlab(path, GTcls=struct)
    with pytest.raises(DatasetError, match=words):
        sbd_release.read_class_map(path)


def test_images_of_the_test_split_are_ignored_throughout(root):
    voc = root / "VOCdevkit" / "VOC2012"
    layouts.save_image(voc / "JPEGImages" / "2008_000006.jpg", 1, (25, 31))
    (voc / "ImageSets" / "Segmentation" / "test.txt").write_text("2008_000006\n")
    assert voc2012.find_splits(root) == ("train", "val", "train_aug", "test")
    (item,) = voc2012.examples(root, "test")
    assert item["label"].shape == (25, 31) and (item["label"] == 255).all()
    item["image"].write_bytes(b"")
    with pytest.raises(DatasetError, match=r"2008_000006.jpg cannot be read"):
        voc2012.examples(root, "test")[0]


def test_listed_images_without_labels_are_missing_and_named_at_conversion(root):
    (root / "VOCdevkit" / "VOC2012" / "SegmentationClass" / "2007_000039.png").unlink()
    found = voc2012.examples(root, "train")
    assert [item["id"] for item in found] == ["2007_000032"] and found.missing == ("2007_000039",)
    with pytest.raises(DatasetError, match=r"1 images, officially 1464.* 2007_000039"):
        records.write_records("voc2012", root, root / "data", splits=["train"])


def test_real_lists_give_the_official_numbers(tmp_path):
    """With the official lists and empty files: 10,582 and 9,118, and nothing of VOC val."""
    lists = samples.sample("raw_samples/lists")
    extra = (lists / "sbd" / "sbd_only_in_train_aug_9118.txt").read_text().split()
    train, val = ((lists / "voc2012" / f"{split}.txt").read_text().split() for split in ("train", "val"))
    voc, release = tmp_path / "VOCdevkit" / "VOC2012", tmp_path / "benchmark_RELEASE" / "dataset"
    for folder in (voc / "ImageSets" / "Segmentation", voc / "JPEGImages", voc / "SegmentationClass"):
        folder.mkdir(parents=True)
    for folder in ("img", "cls"):
        (release / folder).mkdir(parents=True)
    for split, names in (("train", train), ("val", val)):
        (voc / "ImageSets" / "Segmentation" / f"{split}.txt").write_text("\n".join(names))
    (release / "train.txt").write_text("\n".join(extra[:5000] + val[:700] + train))
    (release / "val.txt").write_text("\n".join(extra[5000:] + val[700:]))
    first = sorted([*train, *extra])[0]
    (voc / "JPEGImages" / f"{first}.jpg").touch()
    (voc / "SegmentationClass" / f"{first}.png").touch()
    merged = voc2012.examples(tmp_path, "train_aug")
    names = {item for item, *_ in merged.entries} | set(merged.missing)
    assert len(names) == voc2012.INFO.splits["train_aug"] and not names & set(val)
    assert names == set((lists / "voc2012" / "train_aug.txt").read_text().split())
    (release / "img" / f"{extra[0]}.jpg").touch()
    (release / "cls" / f"{extra[0]}.mat").touch()
    added = sbd.examples(tmp_path, "train")
    assert len(added) + len(added.missing) == sbd.INFO.splits["train"]


def test_real_train_aug_takes_vocs_labels():
    root = samples.sample("raw_samples/voc2012")
    found = voc2012.examples(root, "train_aug")
    train = {item["id"]: item["label"] for item in voc2012.examples(root, "train")}
    for item in found:
        ready_made = np.asarray(Image.open(item["mask"].parents[1] / "SegmentationClassAug" / f"{item['id']}.png"))
        np.testing.assert_array_equal(item["label"], train.get(item["id"], ready_made))
        np.testing.assert_array_equal(item["label"], ready_made)  # the two forms agree on the samples
        assert (255 in item["label"]) == (item["id"] in train)
