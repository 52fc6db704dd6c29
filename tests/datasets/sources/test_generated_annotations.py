"""Annotation files with one thing wrong in them that nobody thought of: one line that names the file, or labels."""

import copy
import json

import numpy as np
import pytest

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw_folder import RawFolder
from tests.datasets.sources import tools

JUNK = (
    *(
        None,
        True,
        -1,
        0,
        1,
        2.5,
        1e308,
        float("nan"),
        float("inf"),
        10**30,
        10**400,
        "",
        "x",
        "../..",
        "\ud800",
        "\x1b[2J",
    ),
    *([], [[]], [None], [[1, 2]], [[1, 2], [3, "x"]], {}, {"counts": "", "size": [1, 1]}, {"counts": [1], "size": []}),
)
SEED = 0
TEXTS = ("", "x", "-1", "1e999", "nan", "1,2;3", "1,2,3", "9" * 400, "\u0663", "<", "#12345", "1 2 3")


def nodes(value, path=()):
    """The paths to all values in nested lists and dicts."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from nodes(inner, (*path, key))


def replaced(content, path, value):
    if not path:
        return value
    content = copy.deepcopy(content)
    parent = content
    for key in path[:-1]:
        parent = parent[key]
    parent[path[-1]] = value
    return content


def read_all(name, root):
    """Reads as a conversion does; what is refused is refused in one line."""
    try:
        raw = RawFolder(name, root)
        info = raw.info()
        for items in raw.examples().values():
            for item in items:
                assert item["label"].dtype == np.uint8 and item["label"].ndim == 2
                assert set(np.unique(item["label"]).tolist()) <= {*range(info.num_classes), 255}
    except (DatasetError, OSError) as error:
        assert "\n" not in str(error) and str(root) in str(error)


@pytest.mark.parametrize(
    ("name", "write", "file"),
    [
        ("coco", tools.write_coco, "annotations/instances_train.json"),
        ("coco", tools.write_panoptic, "annotations/panoptic_val2017.json"),
        ("labelme", tools.write_labelme, "b.json"),
    ],
)
def test_a_json_file_with_one_other_value(tmp_path, name, write, file):
    path = write(tmp_path, {key: tools.scene()[key] for key in ("a", "b")}) / file
    content = json.loads(path.read_text())
    rng, paths = np.random.default_rng(SEED), list(nodes(content))
    for i in rng.permutation(len(paths))[:150]:
        junk = JUNK[rng.integers(len(JUNK))]
        path.write_text(json.dumps(replaced(content, paths[i], junk)))
        read_all(name, tmp_path)


def test_an_xml_file_with_one_other_value(tmp_path):
    rng = np.random.default_rng(SEED)
    pictures = {key: tools.scene()[key] for key in ("a", "b")}
    for _ in range(150):
        content = tools.cvat(pictures)
        elements = list(content.iter())
        element, text = elements[rng.integers(len(elements))], TEXTS[rng.integers(len(TEXTS))]
        if element.attrib and rng.random() < 0.8:
            element.set(list(element.attrib)[rng.integers(len(element.attrib))], text)
        elif rng.random() < 0.5:
            element.text = text
        else:
            element.tag = ("image", "polygon", "mask", "label", "parent", "annotations", "track")[rng.integers(7)]
        tools.write_cvat(tmp_path, pictures, content=content)
        read_all("cvat", tmp_path)


@pytest.mark.parametrize("file", ["data.yaml", "labels/train/a.txt", "labelmap.txt"])
def test_a_text_file_with_one_other_word(tmp_path, file):
    if file == "labelmap.txt":
        tools.write_cvat_masks(tmp_path / "raw", tools.scene())
        name, path = "cvat", tmp_path / "raw" / "labelmap.txt"
    else:
        tools.write_ultralytics(tmp_path / "raw", {"a": tools.scene()["a"]})
        name, path = "ultralytics", tmp_path / "raw" / file
    text, rng = path.read_text(), np.random.default_rng(SEED)
    for _ in range(100):
        at, length = rng.integers(len(text)), rng.integers(8)
        path.write_text(text[:at] + TEXTS[rng.integers(len(TEXTS))] + text[at + length :])
        read_all(name, tmp_path / "raw")
