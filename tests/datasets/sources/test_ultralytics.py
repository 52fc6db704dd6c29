"""Ultralytics' text files of polygons."""

import functools

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.sources import ultralytics
from tests.datasets.sources import tools
from tests.datasets.sources.layouts import refusal_of
from tests.datasets.sources.tools import box

refusal = functools.partial(refusal_of, ultralytics)


@pytest.fixture
def root(tmp_path):
    return tools.write_ultralytics(tmp_path, {"a": tools.scene()["a"], "d": tools.scene()["d"]})


FORMS = {
    "lines": "names:\n  0: car\n  1: person\n  2: road\n",
    "list": "names:\n- car\n- 'person'\n- \"road\"\n",
    "inline": "nc: 3\nnames: ['car', 'person', 'road']\n",
    "dict": "names: {0: car, 1: person, 2: road}\n",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("folder", ["images/train", "../images/train", "./images/train/"])
def test_the_usual_forms_of_the_file_are_read(root, form, folder):
    (root / "data.yaml").write_text(
        f"# data\n---\ntrain: {folder}  # pictures\nval:\n{FORMS[form]}download: |\n  x: y\n"
    )
    assert ultralytics.find_splits(root) == ("train",)
    assert ultralytics.read_info(root).class_names == ("background", *tools.CLASSES)
    found = {item["id"]: item["label"] for item in ultralytics.examples(root, "train")}
    np.testing.assert_array_equal(found["a"], tools.labels_of(*tools.scene()["a"], tools.draw_right_angles))
    assert not found["d"].any()


def test_roboflows_folders_are_found(tmp_path):
    root = tools.write_ultralytics(tmp_path / "raw", {"a": tools.scene()["a"]})
    for kind in ("images", "labels"):
        (root / "valid").mkdir(exist_ok=True)
        (root / kind / "train").rename(root / "valid" / kind)
    (root / "data.yaml").write_text("train: ../train/images\nval: ../valid/images\nnames: [car, person, road]\n")
    said = refusal(root)
    assert "data.yaml: the folder of train, '../train/images', is not in" in said
    (root / "data.yaml").write_text("val: ../valid/images\nnames: [car, person, road]\n")
    (item,) = ultralytics.examples(root, "val")
    np.testing.assert_array_equal(item["label"], tools.labels_of(*tools.scene()["a"], tools.draw_right_angles))


@pytest.mark.parametrize("before", ["", "data/", "./"])
def test_pictures_may_be_listed_in_a_text_file(root, before):
    (root / "data.yaml").write_text("train: train.txt\nnames: [car, person, road]\n")
    (root / "train.txt").write_text(f"{before}images/train/d.png\n{before}images/train/a.png\n")
    found = {item["id"]: item["label"] for item in ultralytics.examples(root, "train")}
    assert list(found) == ["d", "a"]
    np.testing.assert_array_equal(found["a"], tools.labels_of(*tools.scene()["a"], tools.draw_right_angles))
    (root / "train.txt").write_text(f"{before}images/train/none.png\n{before}images/train/a.png\n")
    assert ultralytics.examples(root, "train").missing == ("none",)


def test_shares_are_those_of_the_turned_picture(tmp_path):
    root = tools.write_ultralytics(tmp_path, {"a": ((24, 32), [("car", box(0, 0, 8, 24))])})
    path = root / "images" / "train" / "a.png"
    image = Image.open(path)
    exif = image.getexif()
    exif[0x0112] = 6
    image.convert("RGB").save(path, exif=exif)
    labels = ultralytics.examples(root, "train")[0]["label"]
    assert labels.shape == (32, 24) and (labels[:, :6] == 1).all() and not labels[:, 6:].any()


LINES = {
    "a.txt: line 1 is a box (5 numbers); segmentation needs polygons": "0 0.5 0.5 0.1 0.1",
    "a.txt: line 2 has 7 numbers behind the class": "0 0 0 1 0 1 1\n0 0 0 1 0 1 1 1",
    "a.txt: line 1 has the class 3; data.yaml has 0…2": "3 0 0 1 0 1 1",
    "a.txt: line 1 has the class 0.5": "0.5 0 0 1 0 1 1",
    "a.txt: line 1: could not convert string to float: 'x'": "0 0 0 x 0 1 1",
    "a.txt: line 1: 2 of 6 numbers lie outside 0…1, the first 17": "0 0 0 17 0 17 1",
    "1 of 6 numbers lie outside 0…1, the first nan": "0 0 0 nan 0 1 1",
}


@pytest.mark.parametrize("words", LINES)
def test_wrong_lines_are_refused(root, words):
    (root / "labels" / "train" / "a.txt").write_text(LINES[words])
    assert words in refusal(root)


FILES = {
    "data.yaml has no names of classes": "train: images/train\n",
    "data.yaml names no folder of pictures": "names: [a]\n",
    "data.yaml: train is ['a', 'b']; expected one folder": "train: [a, b]\nnames: [a]\n",
    "data.yaml: the folder of train, 'train.txt', is not in": "train: train.txt\nnames: [a]\n",
    "data.yaml: line 1, 'what', is not 'key: value'": "what\n",
}


@pytest.mark.parametrize("words", FILES)
def test_a_wrong_file_is_refused(root, words):
    (root / "data.yaml").write_text(FILES[words])
    assert words in refusal(root)


def test_a_folder_without_the_file_or_without_any_labels_is_refused(root, tmp_path):
    words = f"none of the 2 pictures of {root / 'images' / 'train'} has a text file with polygons, such as"
    (root / "labels" / "train" / "a.txt").write_text("")  # as exporters of boxes leave it
    assert words in refusal(root)
    (root / "labels" / "train" / "a.txt").unlink()
    assert words in refusal(root)
    (root / "data.yaml").unlink()
    assert "has 0 files *.yaml; expected data.yaml" in refusal(root)
