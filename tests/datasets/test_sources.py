"""The readers of raw folders, on generated ones and, where they are at hand, on real samples."""

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac import datasets
from deeplab_ksac.datasets import palettes, records
from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError, DatasetInfo
from deeplab_ksac.datasets.sources import camvid, folder, voc2012
from tests import fakes
from tests.datasets.samples import sample


@pytest.mark.parametrize("name", datasets.CATALOG)
def test_every_source_keeps_the_contract(name):
    source = datasets.source(name)
    assert isinstance(source.INFO, DatasetInfo) and source.INFO.name == name
    assert callable(source.examples) and callable(source.find_splits)
    assert source.INFO.class_names or callable(source.read_info)
    assert len(set(source.INFO.colors)) == source.INFO.num_classes


def test_an_unknown_source_is_refused_with_those_there_are():
    known = r"ade20k, camvid, cityscapes, .*, scenes, tfds, ultralytics, voc2012"
    with pytest.raises(DatasetError, match=rf"{known}; did you mean 'voc2012'"):
        datasets.source("voc12")


def test_vocs_palette_has_the_colors_of_its_development_kit():
    palette = palettes.voc_palette(256)
    assert palette[:5] == ((0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128))
    assert palette[20] == (0, 64, 128) and palette[255] == (224, 224, 192)
    assert len(set(palette)) == 256


@pytest.mark.parametrize("below", ["", "VOCdevkit", "VOCdevkit/VOC2012"])
def test_voc_is_found_from_any_of_its_folders(tmp_path, below):
    lists = {"train": ["2007_000001"], "val": ["2007_000003"], "train_aug": ["2007_000001", "2008_000002"]}
    root = fakes.write_voc2012(tmp_path, lists)
    assert voc2012.find_splits(root / below) == ("train", "val", "train_aug")
    found = voc2012.examples(root / below, "train_aug")
    assert [item["id"] for item in found] == ["2007_000001", "2008_000002"]
    assert [item["mask"].parent.name for item in found] == ["SegmentationClass", "SegmentationClassAug"]


def test_voc_elsewhere_is_refused_in_words(tmp_path):
    with pytest.raises(DatasetError, match="is not PASCAL VOC 2012: expected VOCdevkit/VOC2012/ImageSets"):
        voc2012.find_splits(tmp_path)


def test_palette_masks_are_read_as_indices(tmp_path):
    root = fakes.write_voc2012(tmp_path, {"train": ["a"]})
    np.testing.assert_array_equal(voc2012.examples(root, "train")[0]["label"], fakes.labels(0, 21))


def test_examples_are_read_only_when_asked_for(tmp_path):
    root = fakes.write_voc2012(tmp_path, {"train": ["a", "b"]})
    found = voc2012.examples(root, "train")
    found[1]["mask"].write_bytes(b"broken")
    assert len(found) == 2 and found[0]["label"].shape == fakes.SIZE
    with pytest.raises(DatasetError, match=r"b\.png cannot be read"):
        found[1]["label"]


def test_another_number_of_images_than_the_official_one_is_refused_unless_allowed(tmp_path):
    root = fakes.write_voc2012(tmp_path / "raw", {"train": ["a", "b"]})
    with pytest.raises(DatasetError, match=r"split train of .* has 2 images, officially 1464"):
        records.write_records("voc2012", root, tmp_path)
    info = records.write_records("voc2012", root, tmp_path, allow_other_counts=True)
    assert info.num_examples == {"train": 2}


def test_camvids_void_is_ignored_and_its_lists_count_by_file_name(tmp_path):
    root = fakes.write_camvid(tmp_path, {"train": 3, "val": 1})
    assert camvid.find_splits(root) == ("train", "val")
    found = camvid.examples(root, "train")
    assert [item["id"] for item in found] == [f"0001TP_{i:06d}" for i in range(3)]
    for i, item in enumerate(found):
        expected = fakes.labels(i, 11, ignore=False)
        expected[0] = IGNORE_LABEL
        np.testing.assert_array_equal(item["label"], expected)


def test_a_listed_image_that_is_missing_is_named(tmp_path):
    root = fakes.write_camvid(tmp_path, {"train": 3})
    (root / "train" / "0001TP_000001.png").unlink()
    with pytest.raises(DatasetError, match=r"1 of 3 images .* missing, the first .*0001TP_000001\.png"):
        camvid.examples(root, "train")


def test_a_folder_names_its_classes_and_colors_itself(tmp_path):
    root = fakes.write_folder(tmp_path / "raw", {"val": 1, "train": 1})
    (root / "classes.txt").write_text("road sign 1 2 3\n\nlamp 7\n")
    info = folder.read_info(root)
    assert info.class_names == ("road sign", "lamp 7")
    assert info.colors == ((1, 2, 3), palettes.voc_palette(2)[1])
    assert folder.find_splits(root) == ("train", "val")


@pytest.mark.parametrize(
    ("text", "words"), [("", "lists 0 classes"), ("a 1 2 300", "a value above 255"), ("a\na", "more than once: a")]
)
def test_a_wrong_class_list_is_refused(tmp_path, text, words):
    root = fakes.write_folder(tmp_path / "raw", {"train": 1})
    (root / "classes.txt").write_text(text)
    with pytest.raises(DatasetError, match=words):
        folder.read_info(root)


@pytest.mark.parametrize("text", [b"\xef\xbb\xbfroad\r\nsky\r\n", "straße\nsky".encode()])
def test_a_class_list_may_have_a_byte_order_mark_and_any_letters(tmp_path, text):
    root = fakes.write_folder(tmp_path / "raw", {"train": 1})
    (root / "classes.txt").write_bytes(text)
    first = "road" if b"road" in text else "straße"
    assert folder.read_info(root).class_names == (first, "sky")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sky\nstraße".encode("latin-1"), r"classes.txt is not UTF-8: line 2 has the byte 0xdf"),
        ("road\nsky".encode("utf-16"), r"classes.txt is not UTF-8: line 1 has the byte 0xff"),
        ("\n".join(f"class {i}" for i in range(300)).encode(), r"classes.txt lists 300 classes; expected 1 to 255"),
        (b"road\nsky\nroad\n", r"classes.txt lists classes more than once: road"),
    ],
)
def test_a_class_list_that_cannot_be_read_is_named(tmp_path, text, words):
    root = fakes.write_folder(tmp_path / "raw", {"train": 1})
    (root / "classes.txt").write_bytes(text)
    with pytest.raises(DatasetError, match=words):
        folder.read_info(root)


def test_hidden_files_and_folders_are_left_out(tmp_path):
    root = fakes.write_folder(tmp_path / "raw", {"train": 2})
    for kind in ("images", "masks"):
        (root / kind / ".ipynb_checkpoints").mkdir()
        (root / kind / "train" / ".ipynb_checkpoints").mkdir()
    for name in ("._p00.jpg", ".ipynb_checkpoints/p01.jpg"):
        (root / "images" / "train" / name).write_bytes(b"hidden")
    assert folder.find_splits(root) == ("train",)
    assert [item["id"] for item in folder.examples(root, "train")] == ["p00", "p01"]


def test_folders_inside_a_split_are_part_of_the_id(tmp_path):
    root = fakes.write_folder(tmp_path, {"train": 1})
    for kind, suffix in (("images", ".jpg"), ("masks", ".png")):
        (root / kind / "train" / "deep").mkdir()
        (root / kind / "train" / f"p00{suffix}").rename(root / kind / "train" / "deep" / f"x{suffix}")
    assert [item["id"] for item in folder.examples(root, "train")] == ["deep/x"]


def test_two_images_of_one_name_are_refused(tmp_path):
    root = fakes.write_folder(tmp_path, {"train": 1})
    Image.fromarray(fakes.picture(0)).save(root / "images" / "train" / "p00.png")
    with pytest.raises(DatasetError, match=r"two images are called p00 .*: p00\.jpg, p00\.png"):
        folder.examples(root, "train")


def test_real_voc_samples_convert(tmp_path):
    root = sample("raw_samples/voc2012")
    info = records.write_records("voc2012", root, tmp_path, allow_other_counts=True)
    lists = root / "VOCdevkit" / "VOC2012" / "ImageSets" / "Segmentation"
    assert info.num_examples == {s: len((lists / f"{s}.txt").read_text().split()) for s in info.num_examples}
    assert info.ignored_share("train") > 0  # every VOC label has a void border


def test_real_camvid_has_its_official_sizes():
    root = sample("camvid")
    assert {split: len(camvid.examples(root, split)) for split in camvid.find_splits(root)} == camvid.INFO.splits
    values = np.unique(camvid.examples(root, "val")[0]["label"])
    assert set(values) <= {*range(11), IGNORE_LABEL}
