"""What every data set with an official layout does alike: converts, and refuses what is something else."""

import pathlib

import numpy as np
import pytest

from deeplab_ksac import datasets
from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import coco_stuff10k, coco_voc
from tests import fakes
from tests.datasets.sources import layouts, tools

WITHOUT_LAYOUT = ("scenes", "folder")
OFFICIAL = sorted(set(datasets.CATALOG) - set(WITHOUT_LAYOUT))


def write_voc_and_sbd(root):
    fakes.write_voc2012(root, {"train": ["2007_000032"], "val": ["2007_000033"]})
    layouts.save_image(root / "VOCdevkit" / "VOC2012" / "JPEGImages" / "2008_000002.jpg", 1)
    layouts.write_sbd(root, {"train": ["2008_000002"], "val": ["2007_000033"]})


def write_context(root):
    voc = layouts.write_context(root, {"train": ["2008_000008"]})
    layouts.save_matlab(
        voc / "trainval" / "2008_000008.mat", LabelMap=layouts.values_from(range(460), 1, dtype=np.uint16)
    )


def write_coco(root):
    outline = [[0, 0, 32, 0, 32, 20, 0, 20]]
    layouts.write_coco(root, {7: [(18, outline, 1001, 0)]}, coco_voc.NAMES)


WRITERS = {
    "voc2012": write_voc_and_sbd,
    "sbd": write_voc_and_sbd,
    "coco_voc": write_coco,
    "ade20k": lambda root: layouts.write_ade20k(root, {"train": [1], "val": [1]}),
    "cityscapes": lambda root: layouts.write_cityscapes(root, {"train": ["ulm_000000_000019"]}),
    "pascal_context": write_context,
    "pascal_context_60": write_context,
    "coco_stuff10k": lambda root: layouts.write_coco_stuff10k(
        root, {"test": {"COCO_train2014_000000000825": layouts.values_from(coco_stuff10k.IDS, 1)}}
    ),
    "coco_stuff164k": lambda root: layouts.write_coco_stuff164k(
        root, {"val": {"000000000139": layouts.values_from(np.array(coco_stuff10k.IDS) - 1, 1)}}
    ),
    "camvid": lambda root: fakes.write_camvid(root, {"val": 1}),
    "coco": lambda root: tools.write_coco(root, tools.scene()),
    "labelme": lambda root: (root.mkdir(exist_ok=True), tools.write_labelme(root, tools.scene())),
    "cvat": lambda root: tools.write_cvat(root, tools.scene()),
    "ultralytics": lambda root: tools.write_ultralytics(root, {"a": tools.scene()["a"]}),
    "tfds": lambda root: tools.write_tfds(root, tools.scene()),
    "hf": lambda root: tools.write_parquet(root, tools.scene()),
}


@pytest.mark.parametrize("name", OFFICIAL)
def test_it_converts_what_its_layout_holds(tmp_path, name):
    WRITERS[name](tmp_path / "raw")
    source = datasets.source(name)
    info = records.write_records(name, tmp_path / "raw", tmp_path, allow_other_counts=True)
    assert tuple(info.num_examples) == source.find_splits(tmp_path / "raw")
    for split, count in info.num_examples.items():
        items = source.examples(tmp_path / "raw", split)
        assert count == len(items)
        counts = sum(np.bincount(item["label"].ravel(), minlength=256) for item in items)
        assert info.pixel_counts[split] == tuple(counts[: info.num_classes])
        assert info.ignored_pixels[split] == counts[255]
        assert sum(info.pixel_counts[split]) > 0


@pytest.mark.parametrize("name", OFFICIAL)
def test_a_folder_of_something_else_is_refused_with_what_was_expected(tmp_path, name):
    root = fakes.write_folder(tmp_path / "a" / "b" / "c", {"training": 1})
    with pytest.raises(DatasetError, match=r"/a/b/c .*expected ") as caught:
        records.write_records(name, root, tmp_path)
    assert "\n" not in str(caught.value)
    assert not list(pathlib.Path(tmp_path).glob(f"{name}/*"))


@pytest.mark.parametrize("name", OFFICIAL)
def test_items_are_read_alike_in_any_order(tmp_path, name):
    WRITERS[name](tmp_path)
    source = datasets.source(name)
    for split in source.find_splits(tmp_path):
        items = source.examples(tmp_path, split)
        for index in (*range(len(items))[::-1], *range(len(items))):
            first, again = items[index], source.examples(tmp_path, split)[index]
            assert (first["id"], first["image"]) == (again["id"], again["image"])
            assert first["label"].dtype == np.uint8 and str(first["mask"]) == str(again["mask"])
            np.testing.assert_array_equal(first["label"], again["label"])
