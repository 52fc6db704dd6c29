"""Labelme's JSON files."""

import functools
import json
import math
import os
import pathlib
import re
import subprocess

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw_folder import RawFolder
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.datasets.sources import labelme
from tests.datasets.sources import layouts, tools
from tests.datasets.sources.layouts import refusal_of
from tests.datasets.sources.tools import box

refusal = functools.partial(refusal_of, labelme)

TOOL = "LABELME_PYTHON"  # a Python that has Labelme: the test then reads what Labelme itself writes


def shape(kind, points, label="car", **more):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def write(root, *shapes, size=(9, 12), name="a", **more):
    layouts.save_image(root / f"{name}.png", 1, size)
    content = {"version": "6.3.1", "flags": {}, "shapes": list(shapes), "imagePath": f"{name}.png", "imageData": None}
    content = {**content, "imageHeight": size[0], "imageWidth": size[1], **more}
    (root / f"{name}.json").write_text(json.dumps(content))
    return root


def labels_of(root, **reading):
    (item,) = labelme.examples(root, "train", Reading(**reading))
    return item["label"]


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("polygon", box(2, 1, 6, 4)),
        (None, box(2, 1, 6, 4)),
        ("rectangle", [[2, 1], [6, 4]]),
        ("rectangle", [[6, 1], [2, 4]]),
        ("oriented_rectangle", box(2, 1, 6, 4)),
    ],
)
def test_shapes_of_straight_edges(tmp_path, kind, points):
    expected = np.zeros((9, 12), np.uint8)
    expected[1:4, 2:6] = 1
    np.testing.assert_array_equal(labels_of(write(tmp_path, shape(kind, points))), expected)


def test_a_circle_covers_the_pixels_whose_middles_it_holds(tmp_path):
    write(tmp_path, shape("circle", [[20, 15], [20, 25.3]]), size=(40, 50))
    rows, columns = np.mgrid[:40, :50] + 0.5
    distance = np.hypot(rows - 15, columns - 20)
    labels = labels_of(tmp_path)
    assert (labels[distance < 9.8] == 1).all() and (labels[distance > 10.8] == 0).all()


def test_later_shapes_cover_earlier_ones_and_ignored_ones_count_too(tmp_path):
    write(
        tmp_path,
        shape("rectangle", [[0, 0], [4, 4]], "road"),
        shape("rectangle", [[0, 0], [9, 3]], "car"),
        shape("rectangle", [[1, 1], [2, 9]], "__ignore__"),
    )
    expected = np.zeros((9, 12), np.uint8)
    expected[:4, :4], expected[:3, :9], expected[1:9, 1:2] = 2, 1, 255
    np.testing.assert_array_equal(labels_of(tmp_path), expected)
    assert labelme.read_info(tmp_path).class_names == ("background", "car", "road")
    np.testing.assert_array_equal(labels_of(tmp_path, unlabeled="ignored"), expected - (expected < 255))


def test_the_list_of_labels_gives_the_order(tmp_path):
    write(tmp_path, shape("rectangle", [[0, 0], [4, 4]], "road"))
    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nroad\ncar\n")
    assert labelme.read_info(tmp_path).class_names == ("_background_", "road", "car")
    labels = labels_of(tmp_path)
    assert labels[0, 0] == 1 and labels[8, 8] == 0
    info = labelme.read_info(tmp_path, Reading(unlabeled="ignored"))
    labels = labels_of(tmp_path, unlabeled="ignored")
    assert info.class_names == ("road", "car") and labels[0, 0] == 0 and labels[8, 8] == 255


def test_shapes_without_area_and_pictures_without_annotations_are_told(tmp_path):
    points = [shape("line", [[0, 0], [1, 1]]), shape("point", [[0, 0]]), shape("line", [[0, 0], [2, 2]])]
    write(tmp_path, *points, shape("rectangle", [[0, 0], [1, 1]]))
    layouts.save_image(tmp_path / "more.png", 1)
    found = labelme.examples(tmp_path, "train")
    assert found.left_out == (
        f"2 shapes of type line, which cover no area (the first in {tmp_path / 'a.json'})",
        f"1 shapes of type point, which cover no area (the first in {tmp_path / 'a.json'})",
        f"1 picture without annotations (the first {tmp_path / 'more.png'})",
    )


def test_folders_are_splits_and_annotations_may_be_far_from_the_picture(tmp_path):
    tools.write_labelme(tmp_path, {"a": tools.scene()["a"]}, split="val")
    tools.write_labelme(tmp_path, {"b": tools.scene()["b"]}, split="train/deep")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "train" / "deep" / "b.png").rename(tmp_path / "pictures" / "b.png")
    path = tmp_path / "train" / "deep" / "b.json"
    path.write_text(path.read_text().replace('"b.png"', '"..\\\\..\\\\pictures\\\\b.png"'))
    assert labelme.find_splits(tmp_path) == ("train", "val")
    (item,) = labelme.examples(tmp_path, "train")
    assert item["id"] == "deep/b" and item["image"].resolve() == (tmp_path / "pictures" / "b.png").resolve()
    expected = tools.labels_of(*tools.scene()["b"], tools.draw_right_angles)
    np.testing.assert_array_equal(item["label"], expected)


@pytest.mark.parametrize("said", ["C:\\\\Users\\\\me\\\\a.png", "/home/me/a.png", "../pictures/a.png"])
def test_a_picture_that_is_not_where_the_file_says_is_looked_for_beside_it(tmp_path, said):
    write(tmp_path, shape("polygon", box(2, 1, 6, 4)), imagePath=said)
    (item,) = labelme.examples(tmp_path, "train")
    assert item["image"] == tmp_path / "a.png" and item["label"].sum() == 12


def test_a_hidden_file_beside_the_folders_does_not_join_the_splits(tmp_path):
    for split in ("train", "val"):
        (tmp_path / split).mkdir()
        write(tmp_path / split, shape("polygon", box(2, 1, 6, 4)))
    (tmp_path / ".settings.json").write_text("{}")
    assert labelme.find_splits(tmp_path) == ("train", "val")


def test_files_that_do_not_state_the_size_get_the_pictures(tmp_path):
    write(tmp_path, shape("rectangle", [[0, 0], [4, 4]]), imageHeight=None, imageWidth=None)
    assert labels_of(tmp_path).shape == (9, 12)


FAULTS = {
    "a.json: shape 1 ('car', polygon) cannot be read: it has 2 points": [shape("polygon", [[0, 0], [1, 1]])],
    "a.json: shape 2 ('car', circle) cannot be read: it has 3 points": [
        shape("rectangle", [[0, 0], [1, 1]]),
        shape("circle", [[0, 0], [1, 1], [2, 2]]),
    ],
    "('car', cuboid) cannot be read: its type is none of polygon": [shape("cuboid", [[0, 0], [1, 1]])],
    "cannot be read: a polygon has 1 numbers that are not finite": [shape("polygon", [[0, 0], [1, 1], [math.nan, 2]])],
    "cannot be read: its mask is no PNG in base64": [shape("mask", [[0, 0], [1, 1]], mask="???")],
    "cannot be read as annotations of Labelme: 1 of its shapes have no label": [{"points": []}],
}  # fmt: skip


@pytest.mark.parametrize("words", FAULTS)
def test_faults_are_refused_in_one_line(tmp_path, words):
    assert words in refusal(write(tmp_path, *FAULTS[words]))


@pytest.mark.parametrize("name", ("", " ", "a\nb", "\x1b[31m", "\ud800"))
def test_names_of_classes_are_plain_text(tmp_path, name):
    raw = RawFolder("labelme", write(tmp_path, shape("polygon", box(0, 0, 2, 2), name)))
    with pytest.raises(DatasetError, match=re.escape(f"{tmp_path} has a class called {name!r}: expected a name in pl")):
        raw.info()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{}", "it has no 'shapes'"),
        ("[1]", "it holds no object"),
        ('{"shapes": []}', "it has no 'imagePath'"),
        ("{", "cannot be read"),
    ],
)
def test_what_is_no_file_of_labelme_is_refused(tmp_path, text, words):
    (tmp_path / "a.json").write_text(text)
    assert "a.json cannot be read as annotations of Labelme" in (said := refusal(tmp_path)) and words in said


def test_two_files_of_one_picture_are_refused(tmp_path):
    write(tmp_path, shape("polygon", box(0, 0, 2, 2)))
    (tmp_path / "deep").mkdir()
    copy = (tmp_path / "a.json").read_text().replace('"a.png"', '"../a.png"')
    (tmp_path / "deep" / "a.json").write_text(copy)
    said = refusal(tmp_path)
    assert "a.json and " in said and "deep/a.json annotate the same picture, " in said and "a.png; keep one" in said


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"has no annotations; expected a \.json file of Labelme"):
        labelme.find_splits(tmp_path)


WITH_LABELME = """
import json, sys
import numpy as np
from labelme import utils
from labelme._label_file import read_label_file, write_label_file
for path in sys.argv[1:]:
    content = json.load(open(path))
    size = content["imageHeight"], content["imageWidth"]
    write_label_file(path, shapes=content["shapes"], image_path=content["imagePath"], image_height=size[0],
                     image_width=size[1])
    names = {"car": 1, "person": 2, "road": 3}
    drawn, _ = utils.shapes_to_label(size, read_label_file(path).shapes, names)
    np.save(path.replace(".json", ".npy"), drawn)
"""


@pytest.mark.skipif(TOOL not in os.environ, reason=f"{TOOL} names no Python that has Labelme")
def test_what_labelme_itself_writes_is_read_and_differs_from_its_own_drawing_along_outlines_only(tmp_path):
    pictures = {**tools.scene(), "b": ((24, 32), tools.scene()["b"][1][1:])}  # its mask, which hides no outline
    tools.write_labelme(tmp_path, pictures)
    write(
        tmp_path,
        shape("circle", [[20, 15], [20, 25.3]], "car"),
        shape("rectangle", [[30.4, 2.2], [45.1, 30.7]], "person"),
        shape("polygon", [[3, 30], [20.5, 22.2], [35, 38.8]], "road"),
        size=(40, 50),
        name="e",
    )
    files = sorted(tmp_path.glob("*.json"))
    subprocess.run([os.environ[TOOL], "-c", WITH_LABELME, *map(str, files)], check=True, capture_output=True)
    assert len({json.loads(path.read_text())["version"] for path in files}) == 1
    found = labelme.examples(tmp_path, "train")
    assert labelme.read_info(tmp_path).class_names == ("background", *tools.CLASSES) and len(found) == 5
    for item in found:
        theirs = np.load(pathlib.Path(item["image"]).with_suffix(".npy"))
        assert item["id"] != "b" or (theirs == item["label"]).all()
        padded = np.pad(item["label"], 1, mode="edge")
        around = [padded[y : y + theirs.shape[0], x : x + theirs.shape[1]] for y in range(3) for x in range(3)]
        assert (np.stack(around) == theirs).any(axis=0).all()  # theirs is the label of a pixel beside it
        assert Image.open(item["image"]).size[::-1] == item["label"].shape
