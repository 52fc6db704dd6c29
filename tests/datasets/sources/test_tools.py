"""Annotation tools' exports: the same pictures in every tool's layout are the same data set."""

import json
import os
import shutil
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets import encoding, records, shards
from deeplab_ksac.datasets.raw_folder import RawFolder
from deeplab_ksac.datasets.reading import Reading
from tests.datasets.sources import tools
from tests.datasets.sources.tools import CLASSES, box

SLANTED = {
    "a": (
        (24, 32),
        [("road", [[0.5, 20.25], [31, 11.5], [40, 30], [-3, 28]]), ("car", [[3, 3], [19.3, 7.7], [6.1, 16]])],
    ),
    "b": ((19, 17), [("person", [[2, 2], [14, 3], [5, 14], [13.5, 12], [2, 9]])]),  # crosses itself
}
WRITERS = {
    "coco": tools.write_coco,
    "labelme": tools.write_labelme,
    "cvat": tools.write_cvat,
    "ultralytics": tools.write_ultralytics,
}


def stored(name, root, data_dir):
    """The records of the split train: [(id, picture, labels)], in bytes."""
    info = records.write_records(name, root, data_dir, dataset_name="same")
    assert info.class_names == ("background", *CLASSES)
    serialized, _ = records.read_records("same", "train", data_dir)
    found = [tf.train.Example.FromString(one).features.feature for one in serialized.as_numpy_iterator()]
    keys = (encoding.FILENAME, encoding.IMAGE, encoding.LABELS)
    return [tuple(features[key].bytes_list.value[0] for key in keys) for features in found]


@pytest.mark.parametrize("pictures", ["right angles and masks", "slanted"])
def test_the_same_pictures_give_the_same_records_through_every_tool(tmp_path, pictures):
    if pictures == "slanted":
        pytest.importorskip("pycocotools")
        pictures, draw = SLANTED, tools.draw_as_pycocotools
    else:
        pictures, draw = tools.scene(), tools.draw_right_angles
    expected = stored("folder", tools.write_folder(tmp_path / "f", pictures, draw), tmp_path / "0")
    for name, write in WRITERS.items():
        if name == "ultralytics":
            continue  # it has no masks
        assert stored(name, write(tmp_path / name, pictures), tmp_path / f"1 {name}") == expected, name
    masks = tools.write_cvat_masks(tmp_path / "masks", pictures, draw)
    assert stored("cvat", masks, tmp_path / "2") == expected
    outlines = {name: found for name, found in pictures.items() if all(isinstance(o, list) for _, o in found[1])}
    some = stored("ultralytics", tools.write_ultralytics(tmp_path / "u", outlines), tmp_path / "3")
    if pictures is SLANTED:  # corners outside of the picture are cut off there, which bends an edge
        some, expected = some[1:], expected[1:]
    assert some == [one for one in expected if one[0].decode() in outlines]


TOOL = "DATUMARO_PYTHON"  # a Python that has Datumaro, the library with which CVAT exports
WITH_DATUMARO = """
import json, sys
import numpy as np
import datumaro as dm
from datumaro.components import annotation as a
from datumaro.components.media import Image
pictures, colors, out = json.loads(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3]
names = list(colors)
items = [
    dm.DatasetItem(
        id=name,
        media=Image.from_numpy(data=np.zeros((*size, 3), np.uint8)),
        annotations=[
            a.Polygon(np.ravel(outline).tolist(), label=names.index(kind), z_order=z, id=z + 1, group=z + 1)
            for z, (kind, outline) in enumerate(shapes)
        ],
    )
    for name, (size, shapes) in pictures.items()
]
categories = {
    a.AnnotationType.label: a.LabelCategories.from_iterable(names),
    a.AnnotationType.mask: a.MaskCategories(dict(enumerate(map(tuple, colors.values())))),
}
found = dm.Dataset.from_iterable(items, categories=categories)
found.export(out + "/cvat", "cvat", save_media=True)
found.export(out + "/coco", "coco_instances", save_media=True)
found.transform("polygons_to_masks")
found.export(out + "/masks", "voc_segmentation", save_media=True, label_map="source")
found.export(out + "/panoptic", "coco_panoptic", save_media=True)
"""


@pytest.mark.skipif(TOOL not in os.environ, reason=f"{TOOL} names no Python that has Datumaro")
def test_what_cvats_library_writes_is_read_alike_and_drawn_as_it_draws(tmp_path):
    pytest.importorskip("pycocotools")
    shapes = [("road", [[0.5, 20.25], [31, 11.5], [32, 24], [0, 24]]), ("car", [[3, 3], [19.5, 8], [6, 16]])]
    pictures = {"a": ((24, 32), shapes), "b": SLANTED["b"]}  # numbers that the tools' rounding keeps
    command = [os.environ[TOOL], "-c", WITH_DATUMARO, json.dumps(pictures), json.dumps(tools.COLORS), str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    (tmp_path / "cvat" / "default.xml").rename(tmp_path / "cvat" / "annotations.xml")  # as CVAT calls it
    for folder, name in {"coco": "coco", "panoptic": "coco", "cvat": "cvat", "masks": "cvat"}.items():
        info, found = labels_of(name, tmp_path / folder)
        assert info.class_names == ("background", *CLASSES) and list(found) == ["a", "b"]
        assert folder != "masks" or dict(zip(info.class_names, info.colors)) == tools.COLORS
        for picture, labels in found.items():
            expected = tools.labels_of(*pictures[picture], tools.draw_as_pycocotools)
            np.testing.assert_array_equal(labels, expected, err_msg=f"{folder}/{picture}")


def labels_of(name, root, split="train", **reading):
    raw = RawFolder(name, root, reading=Reading(**reading))
    return raw.info(), {item["id"]: item["label"] for item in raw.examples()[split]}


@pytest.mark.parametrize("name", WRITERS)
def test_pixels_in_no_outline_are_ignored_if_asked_for(tmp_path, name):
    pictures = {"a": ((9, 9), [("road", box(0, 0, 9, 4)), ("car", box(2, 2, 5, 9)), ("person", box(8, 8, 9, 9))])}
    WRITERS[name](tmp_path, pictures)
    expected = tools.labels_of(*pictures["a"], tools.draw_right_angles)
    info, found = labels_of(name, tmp_path)
    assert info.class_names == ("background", *CLASSES)
    np.testing.assert_array_equal(found["a"], expected)
    info, found = labels_of(name, tmp_path, unlabeled="ignored")
    assert info.class_names == CLASSES
    np.testing.assert_array_equal(found["a"], expected - np.uint8(1))  # 0 − 1 is 255


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "ultralytics"])
def test_a_list_of_classes_gives_their_order(tmp_path, name):
    WRITERS[name](tmp_path, {"a": ((9, 9), [("road", box(0, 0, 9, 4)), ("car", box(2, 5, 5, 9))])})
    (tmp_path / "classes.txt").write_text("road 1 2 3\nperson\ncar\n")
    info, found = labels_of(name, tmp_path)
    assert info.class_names == ("background", "road", "person", "car")
    assert found["a"][0, 0] == 1 and found["a"][6, 3] == 3 and found["a"][8, 8] == 0
    (tmp_path / "classes.txt").write_text("background\nroad\ncar\nperson\n")
    assert labels_of(name, tmp_path)[0].class_names == ("background", "road", "car", "person")


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat"])
def test_shapes_of_classes_that_the_list_lacks_are_refused_by_count(tmp_path, name):
    pictures = {"a": ((9, 9), [("road", box(0, 0, 9, 4)), ("car", box(2, 5, 5, 9)), ("car", box(5, 5, 9, 9))])}
    WRITERS[name](tmp_path, pictures)
    (tmp_path / "classes.txt").write_text("road\nperson\n")
    with pytest.raises(
        records.DatasetError, match=r"shapes of classes that are not listed: 'car' \(2 shapes\)"
    ) as caught:
        labels_of(name, tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "ultralytics"])
def test_a_missing_picture_is_named(tmp_path, name):
    pictures = tools.scene() if name != "ultralytics" else {k: v for k, v in tools.scene().items() if k != "b"}
    WRITERS[name](tmp_path, pictures)
    next(tmp_path.rglob("c.png")).unlink()
    if name == "ultralytics":  # its text files name no pictures
        assert "c" not in labels_of(name, tmp_path)[1]
        return
    with pytest.raises(records.DatasetError, match=r"split train of .* has 3 images, missing: c; allow other counts"):
        records.write_records(name, tmp_path, tmp_path / "data")


@pytest.mark.parametrize("name", ["coco", "labelme", "cvat", "ultralytics"])
def test_options_of_masks_are_refused(tmp_path, name):
    with pytest.raises(
        records.DatasetError, match=rf"--label_map\) is not for the data set {name}, which takes unlabeled"
    ):
        RawFolder(name, tmp_path, reading=Reading(label_map={0: 0}))


def fingerprint(name, root, **reading):
    raw = RawFolder(name, root, reading=Reading(**reading))
    options = {"info": raw.info(), "shards": 1, "rotation": "refuse", "working": root}
    (plan,) = shards.plan_shards(raw.examples()["train"], "train", root, **options)
    return plan.fingerprint


@pytest.mark.parametrize("name", WRITERS)
def test_an_interrupted_conversion_goes_on_with_the_same_annotations_only(tmp_path, name):
    first, second = ({"a": ((9, 9), [("road", box(0, 0, 9, y)), ("car", box(2, 5, 5, 9))])} for y in (4, 5))
    WRITERS[name](tmp_path, first)
    before = fingerprint(name, tmp_path)
    assert before == fingerprint(name, tmp_path) != fingerprint(name, tmp_path, unlabeled="ignored") and before
    shutil.rmtree(tmp_path)
    tmp_path.mkdir()
    WRITERS[name](tmp_path, second)
    assert fingerprint(name, tmp_path) != before


def test_an_interrupted_conversion_goes_on_with_the_same_map_or_legend_only(tmp_path):
    root = tools.write_folder(tmp_path / "raw", {"a": ((9, 9), [("road", box(0, 0, 9, 4))])})
    maps = [fingerprint("folder", root, label_map=found) for found in ({0: 0, 3: 3}, {0: 0, 3: 2}, {0: 0, 3: 3})]
    assert maps[0] == maps[2] != maps[1] and maps[0] != fingerprint("folder", root)
    legends = []
    for color in (1, 2, 1):
        legend = tmp_path / "legend.txt"
        legend.write_text("".join(f"{name} {i} 0 {color}\n" for i, name in enumerate(("background", *CLASSES))))
        legends.append(fingerprint("folder", root, colors=legend))
    assert legends[0] == legends[2] != legends[1]
