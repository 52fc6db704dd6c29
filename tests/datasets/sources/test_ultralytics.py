"""Ultralytics' text files of polygons, and its masks."""

import functools
import json
import os
import pathlib
import subprocess

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw_inspection import inspect_raw
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.datasets.sources import coco, ultralytics
from tests import fakes
from tests.datasets.sources import layouts, tools
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


NAMES = ("traffic light, red", "driver's seat", "a #1: [x]")
QUOTED = {
    "inline": """names: ['traffic light, red', "driver's seat", 'a #1: [x]',]  # three\n""",
    "list": "names:  # three\n- traffic light, red\n- driver's seat  # 'it'\n-   'a #1: [x]'  # x\n",
    "lines": """names:\n  0: traffic light, red\n  1: 'driver''s seat'  # '\n  # 2: none\n  2: "a #1: [x]"\n""",
    "dict": r"""names: {0: "traffic light, red", 1: driver's seat, 2: "\u0061 #1: [x]"}""" + "\n",
}


@pytest.mark.parametrize("form", QUOTED)
def test_names_in_quotes_may_hold_commas_and_all_else(root, form):
    others = "train: images/train\nnc: 3\nanchors: [[1, 2], [3]]\nwhere: {a: {b: 'c\ndownload: |\n  names: ['x'  # y\n"
    (root / "data.yaml").write_text(others + QUOTED[form])
    assert ultralytics.read_info(root).class_names == ("background", *NAMES)


@pytest.mark.parametrize(
    "names",
    [
        "['a', 'b",
        "['a' b, c]",
        "[a,, b]",
        "[a, [b]]",
        "[a: b]",
        "{0: a, b}",
        "[a, # b]",
        "[a] b",
        "*a",
        "|\n  a",
        "'a' b",
        "[a,\n  b]",
        r'["\q"]',
        "\n- a\n- b: c",
        "\n- [a]",
        "\n  0: a\n  b",
        "a\n  b",
        "[a]\n- b",
        "\n- - a",
        "\n-\n  - a",
    ],
)
def test_names_of_another_form_are_refused_in_one_line(root, names):
    (root / "data.yaml").write_text(f"train: images/train\nnames: {names}\n")
    assert "data.yaml: line " in (said := refusal(root)) and "cannot be read; quote a name that has" in said


def test_hidden_files_beside_the_description_are_not_looked_at(root):
    (root / "data.yaml").rename(root / "streets.yaml")
    (root / "._streets.yaml").write_bytes(b"\0\5\xff")
    assert ultralytics.find_splits(root) == ("train",)


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


OBJECTS = {  # several polygons of one object, small ones, and corners in tenths of pixels
    "a": ((24, 36), [("car", [box(1, 1, 12, 10), box(18, 3, 30, 12)]), ("person", [box(3, 15, 6, 22)])]),
    "b": ((24, 36), [("road", [box(3, 13, 7, 22), box(13, 16, 19, 21), box(26, 15, 34, 23)])]),
    "c": ((37, 53), [("car", [[[3.2, 3.1], [4.4, 3.3], [3.7, 4.6]]]), ("person", [box(20, 20, 20.4, 20.4)])]),
    "d": ((37, 53), [("road", [[[0.5, 20.25], [31, 11.5], [50, 30], [3, 36]]])]),
    "e": ((9, 9), []),
}
# What convert_coco(use_segments=True) of Ultralytics 8.4.190 wrote of them.
CONVERTED = {
    "a": """\
0 0.333333 0.0416667 0.333333 0.416667 0.0277778 0.416667 0.0277778 0.0416667 0.333333 0.0416667 0.5 0.125 \
0.833333 0.125 0.833333 0.5 0.5 0.5 0.5 0.125
1 0.0833333 0.625 0.166667 0.625 0.166667 0.916667 0.0833333 0.916667
""",
    "b": """\
2 0.194444 0.916667 0.0833333 0.916667 0.0833333 0.541667 0.194444 0.541667 0.194444 0.916667 0.361111 0.875 \
0.527778 0.875 0.527778 0.666667 0.722222 0.625 0.944444 0.625 0.944444 0.958333 0.722222 0.958333 0.722222 \
0.625 0.527778 0.666667 0.361111 0.666667 0.361111 0.875
""",
    "c": """\
0 0.0603774 0.0837838 0.0830189 0.0891892 0.0698113 0.124324
1 0.377358 0.540541 0.384906 0.540541 0.384906 0.551351 0.377358 0.551351
""",
    "d": """\
2 0.00943396 0.547297 0.584906 0.310811 0.943396 0.810811 0.0566038 0.972973
""",
}


def write_objects(root):
    """`OBJECTS` in COCO's format, with numbers of categories from 1, as Ultralytics takes them."""

    def outline(shape, size):
        return [np.ravel(part).tolist() for part in shape]

    content = tools.coco(OBJECTS, outline=outline)
    for one in content["categories"]:
        one["id"] //= 10
    for one in content["annotations"]:
        one["category_id"] //= 10
        one["bbox"] = [1, 1, 5, 5]  # what has no box is left out there
    for name, (size, _) in OBJECTS.items():
        tools.save_picture(root / "images" / "train" / f"{name}.png", name, size)
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return root


def labels_of(source, root, **reading):
    return {item["id"]: item["label"] for item in source.examples(root, "train", Reading(**reading))}


def assert_equal(found, expected):
    assert list(found) == list(expected)
    for name, labels in found.items():
        np.testing.assert_array_equal(labels, expected[name], err_msg=name)


def write_yaml(root, more=""):
    (root / "data.yaml").write_text(f"train: images/train\nnames: [car, person, road]\n{more}")


def test_what_ultralytics_makes_of_coco_gives_the_labels_of_coco(tmp_path):
    write_objects(tmp_path)
    write_yaml(tmp_path)
    (tmp_path / "labels" / "train").mkdir(parents=True)
    for name, lines in CONVERTED.items():
        (tmp_path / "labels" / "train" / f"{name}.txt").write_text(lines)
    assert_equal(labels_of(ultralytics, tmp_path), labels_of(coco, tmp_path))


TOOL = "ULTRALYTICS_PYTHON"  # a Python that has Ultralytics: the tests then read what it writes itself
CONVERT_COCO = """
import pathlib, shutil, sys
from ultralytics.data.converter import convert_coco
from ultralytics.data.split import autosplit
from ultralytics.utils import YAML
root = pathlib.Path(sys.argv[1])
convert_coco(str(root / "annotations"), save_dir=str(root / "yolo"), use_segments=True, cls91to80=False)
shutil.copytree(root / "images" / "train", root / "yolo" / "images" / "train")
autosplit(root / "yolo" / "images", weights=(1.0, 0.0, 0.0))
names = {0: "car", 1: "person", 2: "road"}
YAML.save(root / "yolo" / "data.yaml", {"path": str(root / "yolo"), "train": "images/train", "names": names})
"""
MASKS = """
import pathlib, sys
import numpy as np
from ultralytics.data.converter import convert_segment_masks_to_yolo_seg
from ultralytics.data.dataset import SemanticDataset
from ultralytics.data.utils import check_det_dataset
root = pathlib.Path(sys.argv[1])
convert_segment_masks_to_yolo_seg(str(root / "masks" / "train"), str(root / "labels" / "train"), classes=3)
data = check_det_dataset(str(root / "data.yaml"), autodownload=False)
found = SemanticDataset(img_path=data["train"], data=data, augment=False)
for number, label in enumerate(found.labels):
    np.save(pathlib.Path(label["im_file"]).with_suffix(".npy"), found.load_mask(number))
"""


def run_ultralytics(code, root):
    environment = {**os.environ, "YOLO_CONFIG_DIR": str(root / "settings"), "YOLO_OFFLINE": "1"}
    command = [os.environ[TOOL], "-c", code, str(root)]
    environment.pop("PYTHONPATH", None)  # its packages are others
    subprocess.run(command, check=True, capture_output=True, env=environment)


needs_the_tool = pytest.mark.skipif(TOOL not in os.environ, reason=f"{TOOL} names no Python that has Ultralytics")


@needs_the_tool
def test_what_ultralytics_itself_makes_of_coco_gives_the_labels_of_coco(tmp_path):
    run_ultralytics(CONVERT_COCO, write_objects(tmp_path))
    written = {path.stem: path.read_text() for path in sorted((tmp_path / "yolo" / "labels" / "train").glob("*.txt"))}
    assert written == CONVERTED
    expected = labels_of(coco, tmp_path)
    assert_equal(labels_of(ultralytics, tmp_path / "yolo"), expected)
    write_yaml(tmp_path / "yolo")
    path = tmp_path / "yolo" / "data.yaml"
    path.write_text(path.read_text().replace("images/train", "autosplit_train.txt"))
    assert_equal(labels_of(ultralytics, tmp_path / "yolo"), {f"train/{name}": one for name, one in expected.items()})


@needs_the_tool
def test_masks_are_read_as_ultralytics_itself_reads_them_and_differ_from_its_polygons_along_outlines_only(tmp_path):
    root = tools.write_ultralytics_masks(tmp_path, tools.scene(), more="val: images/train\nmasks_dir: masks\n")
    (root / "data.yaml").write_text((root / "data.yaml").read_text().replace("path: .", f"path: {root}"))
    run_ultralytics(MASKS, root)
    found = labels_of(ultralytics, root)
    assert len(found) == 4
    for name, labels in found.items():
        np.testing.assert_array_equal(np.load(root / "images" / "train" / f"{name}.npy"), labels)
        np.testing.assert_array_equal(tools.labels_of(*tools.scene()[name], tools.draw_right_angles), labels)
    write_yaml(root)
    (root / "masks").rename(root / "elsewhere")
    for name, drawn in labels_of(ultralytics, root).items():
        padded = np.pad(found[name], 1, constant_values=9)
        around = [padded[y : y + drawn.shape[0], x : x + drawn.shape[1]] for y in range(3) for x in range(3)]
        inside = (np.stack(around) == found[name]).all(axis=0)
        holes = drawn == 2 if name == "b" else False  # it keeps none
        assert ((drawn == found[name]) | ~inside | holes).all()


MAPPINGS = {
    "": lambda labels: labels,
    "label_mapping: {0: ignore_label, 1: 0, 2: 3}\n": lambda labels: np.array([255, 0, 3, 3])[labels],
    "label_mapping:\n  -1: ignore_label\n  3: 255\n  0: 2\n": lambda labels: np.array([2, 1, 2, 255])[labels],
}


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("folder", ["", "masks_dir: masks\n", "masks_dir: annotations\n"])
def test_masks_hold_the_numbers_of_classes_or_what_is_mapped_to_them(tmp_path, mapping, folder):
    root = tools.write_ultralytics_masks(tmp_path, tools.scene(), more=folder + mapping)
    if "annotations" in folder:
        (root / "masks").rename(root / "annotations")
    info = ultralytics.read_info(root)
    assert info.class_names == ("background", *tools.CLASSES) and ultralytics.find_splits(root) == ("train",)
    labels = {name: tools.labels_of(*found, tools.draw_right_angles) for name, found in tools.scene().items()}
    expected = {name: MAPPINGS[mapping](found) for name, found in labels.items()}
    assert_equal(labels_of(ultralytics, root), expected)
    (root / "classes.txt").write_text("road\ncar\nbackground\nperson\n")
    assert ultralytics.read_info(root).class_names[0] == "road"
    order = np.array([2, 1, 3, 0, *[255] * 252])
    assert_equal(labels_of(ultralytics, root), {name: order[found] for name, found in expected.items()})


def test_masks_of_one_class_hold_0_and_1(tmp_path):
    root = layouts_of_one_class(tmp_path)
    assert ultralytics.read_info(root).class_names == ("background", "cell")
    assert_equal(labels_of(ultralytics, root), {"a": fakes.labels(1, 2, (9, 13), ignore=True)})


def layouts_of_one_class(root):
    layouts.save_image(root / "images" / "a.jpg", 1, (9, 13))
    layouts.save_mask(root / "masks" / "a.png", fakes.labels(1, 2, (9, 13), ignore=True))
    (root / "data.yaml").write_text("train: images\nnames: [cell]\n")
    return root


def test_masks_beside_text_files_are_read_where_the_file_names_them(tmp_path):
    pictures = {"a": tools.scene()["a"]}
    tools.write_ultralytics_masks(tmp_path, pictures, more="")
    tools.write_ultralytics(tmp_path, pictures)
    assert isinstance(ultralytics.examples(tmp_path, "train").entries[0][2], ultralytics.Lines)
    with (tmp_path / "data.yaml").open("a") as file:
        file.write("masks_dir: masks\n")
    assert isinstance(ultralytics.examples(tmp_path, "train").entries[0][2], pathlib.Path)


def test_masks_are_looked_through_before_conversion(tmp_path):
    root = tools.write_ultralytics_masks(tmp_path, tools.scene(), more="masks_dir: masks\nlabel_mapping: {2: 255}\n")
    found = inspect_raw("ultralytics", root, processes=1).found[0]
    assert found.pairs == 4 and set(found.values) == {0, 1, 2, 3} and not found.problems
    found = inspect_raw("ultralytics", tools.write_ultralytics(tmp_path / "u", {"a": tools.scene()["a"]}), processes=1)
    assert found.found[0].pairs == 1 and not found.found[0].values


def test_wrong_masks_are_refused(tmp_path):
    root = tools.write_ultralytics_masks(tmp_path, {"a": tools.scene()["a"], "b": tools.scene()["b"]})
    with pytest.raises(DatasetError, match=r"has masks, which label every pixel; unlabeled \(--unlabeled\) is for pol"):
        ultralytics.read_info(root, Reading(unlabeled="ignored"))
    text = (root / "data.yaml").read_text()
    for mapping, words in WRONG_MAPPINGS.items():
        (root / "data.yaml").write_text(text + mapping)
        assert words in refusal(root)
    (root / "data.yaml").write_text(text)
    labels = tools.labels_of(*tools.scene()["a"], tools.draw_right_angles)
    layouts.save_mask(root / "masks" / "train" / "a.png", np.where(labels == 2, 9, labels).astype(np.uint8))
    count = np.count_nonzero(labels == 2)
    assert f"the names and label_mapping of {root / 'data.yaml'} do not have: 9 ({count} pixels)" in refusal(root)
    (root / "masks" / "train" / "a.png").unlink()
    assert ultralytics.examples(root, "train").missing == ("a",)
    layouts.save_image(root / "images" / "train" / "b.jpg", 1)
    assert "has 1 ids of more than one picture, the first b" in refusal(root)


@pytest.mark.parametrize("write", [tools.write_ultralytics, tools.write_ultralytics_masks])
def test_labels_without_a_picture_are_told(tmp_path, write):
    root = write(tmp_path, {"a": tools.scene()["a"], "c": tools.scene()["c"]})
    (root / "images" / "train" / "c.png").unlink()
    labels = next(path for path in sorted(root.rglob("c.*")))
    assert ultralytics.examples(root, "train").left_out == (
        f"1 files of labels without a picture (the first {labels})",
    )


def test_the_file_may_begin_with_a_byte_order_mark_and_is_utf_8(root):
    content = (root / "data.yaml").read_bytes()
    (root / "data.yaml").write_bytes(b"\xef\xbb\xbf" + content)
    assert ultralytics.read_info(root).class_names == ("background", *tools.CLASSES)
    (root / "data.yaml").write_bytes(content.replace(b"person", b"gar\xe7on"))
    assert f"{root / 'data.yaml'} is not UTF-8: " in refusal(root)


WRONG_MAPPINGS = {
    "label_mapping: {0: 4}\n": "label_mapping has '0: 4'; expected a value and a number of names",
    "label_mapping:\n  x: 1\n": "label_mapping has 'x: 1'; expected",
    "label_mapping: wrong\n": "label_mapping has 'wrong: '; expected",
    "label_mapping: {70000: 1}\n": "values of a mask lie in 0…65535, not in 0…70000",
}


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
    "has no names of classes: a list, or lines": "train: images/train\nnames:\n  -1: a\n",
    "data.yaml names no folder of pictures": "names: [a]\n",
    "data.yaml: train is ['a', 'b']; expected one folder": "train: [a, b]\nnames: [a]\n",
    "data.yaml: the folder of train, 'train.txt', is not in": "train: train.txt\nnames: [a]\n",
    "; put it there, or take out the line": "train: images/train\ntest: ../test/images\nnames: [a]\n",
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
