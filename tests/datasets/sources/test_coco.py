"""COCO's format, as COCO, CVAT, Label Studio and Roboflow export it."""

import functools
import json

import numpy as np
import pytest

from deeplab_ksac.datasets import annotations
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.sources import coco, coco_voc
from tests.datasets.hashed_names import HashedName
from tests.datasets.samples import sample
from tests.datasets.sources import layouts, tools
from tests.datasets.sources.layouts import refusal_of
from tests.datasets.sources.tools import box

refusal = functools.partial(refusal_of, coco)


@pytest.fixture
def root(tmp_path):
    return tools.write_coco(tmp_path, tools.scene())


def expected(name):
    return tools.labels_of(*tools.scene()[name], tools.draw_right_angles)


def edit(root, change, name="instances_train.json"):
    path = root / "annotations" / name
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("form", ["run lengths", "compressed", "polygons and compressed"])
def test_outlines_of_every_form_give_the_same_labels(tmp_path, form):
    mask = pytest.importorskip("pycocotools.mask")

    def outline(shape, size):
        drawn = shape if isinstance(shape, np.ndarray) else tools.draw_right_angles(shape, size)
        if form == "run lengths":
            return {"counts": tools.runs(drawn.T.ravel()), "size": list(size)}
        if form.startswith("polygons") and not isinstance(shape, np.ndarray):
            return tools.coco_outline(shape, size)
        return {"counts": mask.encode(np.asfortranarray(drawn.astype(np.uint8)))["counts"].decode(), "size": list(size)}

    root = tools.write_coco(tmp_path, tools.scene(), outline=outline)
    for item in coco.examples(root, "train"):
        np.testing.assert_array_equal(item["label"], expected(item["id"]))


def test_panoptic_files_are_read_by_the_numbers_in_their_pictures(tmp_path):
    root = tools.write_panoptic(tmp_path, tools.scene())
    assert coco.find_splits(root) == ("val",)
    assert coco.read_info(root).class_names == ("background", *tools.CLASSES)
    found = {item["id"]: item["label"] for item in coco.examples(root, "val")}
    assert list(found) == list(tools.scene())
    for name, labels in found.items():
        np.testing.assert_array_equal(labels, expected(name))


def test_a_missing_panoptic_picture_is_missing(tmp_path):
    root = tools.write_panoptic(tmp_path, tools.scene())
    (root / "annotations" / "panoptic_val2017" / "b.png").unlink()
    found = coco.examples(root, "val")
    assert [item["id"] for item in found] == ["a", "c", "d"] and found.missing == ("b",)


def test_segments_that_are_not_listed_are_refused_by_count(tmp_path):
    root = tools.write_panoptic(tmp_path, tools.scene())
    edit(root, lambda content: content["annotations"][0]["segments_info"].pop(0), "panoptic_val2017.json")
    count = np.count_nonzero(expected("a") == 3)
    with pytest.raises(DatasetError, match=rf"a\.png has segments that .* does not list: 70007 \({count} pixels\)"):
        coco.examples(root, "val")[0]


def test_crowds_are_ignored_where_no_instance_covers_them(root):
    def change(content):
        road, car, _ = content["annotations"][:3]
        road["iscrowd"], car["iscrowd"] = 1, 0

    edit(root, change)
    found = coco.examples(root, "train")
    assert found.left_out[0].startswith("1 annotations with iscrowd=1, whose pixels are ignored")
    labels = found[0]["label"]
    np.testing.assert_array_equal(labels, np.where(expected("a") == 3, 255, expected("a")))


def test_the_smaller_instance_is_on_top_whatever_the_order(root):
    edit(root, lambda content: content["annotations"].reverse())
    np.testing.assert_array_equal(coco.examples(root, "train")[0]["label"], expected("a"))


def test_several_polygons_are_one_instance(tmp_path):
    def outline(shape, size):
        return [*tools.coco_outline(shape, size), np.ravel(box(0, 0, 2, 2)).tolist(), [1, 1, 2, 2]]

    root = tools.write_coco(tmp_path, {"a": ((5, 6), [("car", box(1, 1, 4, 3))])}, outline=outline)
    labels = np.zeros((5, 6), np.uint8)
    labels[1:3, 1:4], labels[:2, :2] = 1, 1
    found = coco.examples(root, "train")
    np.testing.assert_array_equal(found[0]["label"], labels)
    (told,) = found.left_out
    assert told.startswith("1 polygons of fewer than 3 points, which cover no area (in ")


def test_where_the_first_picture_is_missing_the_others_are_found(root):
    (root / "images" / "train" / "a.png").unlink()
    found = coco.examples(root, "train")
    assert found.missing == ("a",) and [item["id"] for item in found] == ["b", "c", "d"]


def test_a_large_set_takes_time_in_proportion(tmp_path, monkeypatch):
    number = 300
    root = tools.write_coco(tmp_path, {"0": ((2, 2), [])})

    def change(content):
        content["images"] = [{"id": i, "file_name": f"{i}.png", "height": 2, "width": 2} for i in range(number)]

    edit(root, change)
    for i in range(number - 1):
        (root / "images" / "train" / f"{i}.png").touch()
    id_of, before = annotations.id_of, HashedName.hashes
    monkeypatch.setattr(annotations, "id_of", lambda name: HashedName(id_of(name)))
    found = coco.examples(root, "train")
    assert len(found) == number - 1 and found.missing == (str(number - 1),)
    assert HashedName.hashes - before < 20 * number


LAYOUTS = {  # annotation file, folder of the pictures, split
    "COCO": ("annotations/instances_val2017.json", "val2017", "val"),
    "CVAT": ("annotations/instances_default.json", "images/default", "train"),
    "CVAT, a subset": ("annotations/instances_test.json", "images/test", "test"),
    "Label Studio": ("result.json", "images", "train"),
    "Roboflow": ("valid/_annotations.coco.json", "valid", "val"),
    "CVAT with subsets": ("annotations/instances_Validation.json", "images/Validation", "val"),
    "beside the file": ("some.json", "", "train"),
    "FiftyOne": ("labels.json", "data", "train"),
}


@pytest.mark.parametrize("tool", LAYOUTS)
def test_the_layouts_of_the_tools_are_found(tmp_path, tool):
    file, folder, split = LAYOUTS[tool]
    if tool == "FiftyOne":
        pictures = {"a": tools.scene()["a"]}
        content = tools.coco(pictures, file_name="data/{}.png")
    else:
        content = tools.coco({"a": tools.scene()["a"]})
    tools.save_picture(tmp_path / folder / "a.png", "a", (24, 32))
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(json.dumps(content))
    assert coco.find_splits(tmp_path) == (split,)
    (item,) = coco.examples(tmp_path, split)
    assert item["id"] == ("data/a" if tool == "FiftyOne" else "a")
    np.testing.assert_array_equal(item["label"], expected("a"))


@pytest.mark.parametrize("name", ["instances_train.json", "result.json"])
def test_hidden_files_beside_the_annotations_are_not_looked_at(root, name):
    path = root / "annotations" / name
    (root / "annotations" / "instances_train.json").rename(path)
    path.with_name(f"._{name}").write_bytes(b"\0\5\x16\7")
    assert coco.find_splits(root) == ("train",) and not coco.left_out(root)


def test_other_annotation_files_of_coco_are_told(root):
    tools.write_panoptic(root / "other", tools.scene())
    (root / "other" / "annotations" / "panoptic_val2017.json").rename(root / "annotations" / "panoptic_train.json")
    (root / "annotations" / "captions_train.json").write_text("{}")
    assert coco.find_splits(root) == ("train",)
    panoptic, captions = coco.left_out(root)
    assert panoptic.endswith("panoptic_train.json: of the split train, instances_train.json is read")
    assert captions.endswith("captions_train.json: of neither instances nor segments")


def test_pictures_that_no_annotation_is_of_are_told(root):
    layouts.save_image(root / "images" / "train" / "more.png", 1)
    (words,) = coco.examples(root, "train").left_out
    assert words == f"1 picture without annotations (the first {root / 'images' / 'train' / 'more.png'})"


def test_paths_with_backslashes_are_found(root):
    (root / "images" / "train" / "deep").mkdir()
    for path in (root / "images" / "train").glob("*.png"):
        path.rename(path.parent / "deep" / path.name)
    edit(root, lambda content: [i.update(file_name=f"deep\\{i['file_name']}") for i in content["images"]])
    assert [item["id"] for item in coco.examples(root, "train")] == [f"deep/{name}" for name in tools.scene()]


def test_gaps_in_the_numbers_of_the_categories_do_not_count(root):
    info = coco.read_info(root)
    assert info.class_names == ("background", *tools.CLASSES) and info.name == "coco"


FAULTS = {
    "has no list 'categories'": lambda content: content.pop("categories"),
    "1 of 7 annotations are of images that are not listed, the first is annotation 2": lambda content: content[
        "annotations"
    ][1].update(image_id=99),
    "1 of 7 annotations are of categories that are not listed, the first of category 15": lambda content: content[
        "annotations"
    ][0].update(category_id=15),
    "2 of 7 annotations have no outline, only a box (the first is annotation 1); export the data "
    "set for segmentation, or take them out": lambda content: [
        a.update(segmentation=[]) for a in content["annotations"][:2]
    ],
    "annotation 1: ": lambda content: content["annotations"][0].update(segmentation=[[1, 2, 3]]),
    "annotation 1: int too large to convert to float": lambda content: content["annotations"][0].update(
        segmentation=[[0, 0, 10**400, 0, 0, 9]]
    ),
    "annotation 3: a polygon has 1 numbers that are not finite": lambda content: content["annotations"][2].update(
        segmentation=[[1, 2, float("nan"), 4, 5, 6]]
    ),
    "annotations of a.png in {file} cannot be drawn: run lengths cover 700 pixels of 768": lambda content: content[
        "annotations"
    ][0].update(segmentation={"counts": [700], "size": [24, 32]}),
    "cannot be drawn: run lengths are for 24×32, the image is 32×24 (width×height)": lambda content: content[
        "annotations"
    ][0].update(segmentation={"counts": [768], "size": [32, 24]}),
    "something in it has no 'file_name'": lambda content: content["images"][1].pop("file_name"),
    "something in it has no 'category_id'": lambda content: content["annotations"][1].pop("category_id"),
    "height must be an integer of at least 1, not 0": lambda content: content["images"][0].update(height=0),
    "width must be an integer of at most 65535, not 1000000": lambda content: content["images"][0].update(width=10**6),
    "a polygon has a corner at 1e+12, farther than": lambda content: content["annotations"][0].update(
        segmentation=[[0, 0, 1e12, 0, 0, 9]]
    ),
    "annotations in COCO's format: ": lambda content: content["images"][0].update(file_name=3),
    "has 2 classes called 'car'; rename one there": lambda content: content["categories"][1].update(name="car"),
    "2 categories have the id 10, 'car' and": lambda content: content["categories"][1].update(id=10),
    "two images have the id 1: a.png and d.png": lambda content: content["images"][3].update(id=1),
    "annotation 1: iscrowd is 'no', not 0 or 1": lambda content: content["annotations"][0].update(iscrowd="no"),
    "has 1 ids of more than one picture, the first a": lambda content: content["images"][1].update(file_name="a.jpg"),
}


@pytest.mark.parametrize("words", FAULTS)
def test_faults_are_refused_in_one_line(root, words):
    edit(root, FAULTS[words])
    assert words.format(file=root / "annotations" / "instances_train.json") in refusal(root)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"images": 3}', "\xff"])
def test_what_is_no_annotation_file_is_refused(root, text):
    (root / "annotations" / "instances_train.json").write_text(text, encoding="latin-1")
    assert "instances_train.json cannot be read as annotations in COCO's format" in refusal(root)


def test_two_files_of_one_split_and_other_categories_are_refused(root):
    content = json.loads((root / "annotations" / "instances_train.json").read_text())
    (root / "annotations" / "instances_train2017.json").write_text(json.dumps(content))
    assert "has two annotation files of the split train: " in refusal(root)
    (root / "annotations" / "instances_train2017.json").rename(root / "annotations" / "instances_val2017.json")
    edit(root, lambda content: content["categories"][0].update(name="tram"), "instances_val2017.json")
    assert "have different categories: 10 is 'tram' and 'car'" in refusal(root)


def test_a_folder_without_annotations_is_refused(tmp_path):
    with pytest.raises(DatasetError, match=r"has no annotation file; expected annotations/\*\.json"):
        coco.find_splits(tmp_path)


def test_real_samples_are_drawn_as_pycocotools_draws_them():
    tool = pytest.importorskip("pycocotools.mask")
    root = sample("raw_samples/coco")
    assert len(coco.read_info(root).class_names) == 81
    content = json.loads((root / "annotations" / "instances_val2017.json").read_bytes())
    labels = {number: i for i, number in enumerate(sorted(c["id"] for c in content["categories"]), start=1)}
    sizes = {image["file_name"]: (image["height"], image["width"], image["id"]) for image in content["images"]}
    found = coco.examples(root, "val")
    assert len(found) > 3 and coco_voc.find_splits(root)
    for item in found:
        height, width, number = sizes[item["image"].name]
        drawn = []
        for annotation in content["annotations"]:
            if annotation["image_id"] == number:
                outline = annotation["segmentation"]
                runs = tool.frPyObjects(outline, height, width)
                mask = tool.decode(tool.merge(runs) if isinstance(outline, list) else runs).astype(bool)
                drawn.append((not annotation["iscrowd"], -mask.sum(), labels[annotation["category_id"]], mask))
        expected = np.zeros((height, width), np.uint8)
        for once, _, label, mask in sorted(drawn, key=lambda one: one[:2]):
            expected[mask] = label if once else 255
        np.testing.assert_array_equal(item["label"], expected)
