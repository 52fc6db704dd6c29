"""CVAT's exports: outlines in XML, and masks with a legend."""

import functools
from xml.etree import ElementTree

import numpy as np
import pytest

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.datasets.sources import cvat
from tests.datasets.sources import tools
from tests.datasets.sources.layouts import refusal_of
from tests.datasets.sources.tools import box

refusal = functools.partial(refusal_of, cvat)


@pytest.fixture
def pictures():
    return {"a": ((24, 32), [("road", box(0, 12, 32, 24))])}


def write(root, pictures, change=lambda content: None, **arguments):
    content = tools.cvat(pictures, arguments.get("subset"))
    change(content)
    return tools.write_cvat(root, pictures, content=content, **arguments)


def add(tag, **given):
    def change(content):
        ElementTree.SubElement(content.find("image"), tag, {"label": "car", "z_order": "0", **given})

    return change


def labels_of(root, split="train", **reading):
    return cvat.examples(root, split, Reading(**reading))[0]["label"]


def test_classes_and_colors_are_the_tasks(tmp_path, pictures):
    info = cvat.read_info(write(tmp_path, pictures))
    assert dict(zip(info.class_names, info.colors)) == tools.COLORS and info.name == "cvat"


def test_parts_of_skeletons_are_no_classes(tmp_path, pictures):
    def change(content):
        label = ElementTree.SubElement(content.find(".//labels"), "label")
        ElementTree.SubElement(label, "name").text = "elbow"
        ElementTree.SubElement(label, "parent").text = "person"

    assert "elbow" not in cvat.read_info(write(tmp_path, pictures, change)).class_names


def test_boxes_may_be_turned_and_ellipses_are_drawn(tmp_path):
    pictures = {"a": ((24, 32), [])}
    write(tmp_path, pictures, add("box", xtl="4", ytl="2", xbr="10", ybr="6"))
    expected = np.zeros((24, 32), np.uint8)
    expected[2:6, 4:10] = 1
    np.testing.assert_array_equal(labels_of(tmp_path), expected)
    write(tmp_path, pictures, add("box", xtl="4", ytl="2", xbr="10", ybr="6", rotation="90.00"))
    expected[:], expected[1:7, 5:9] = 0, 1
    np.testing.assert_array_equal(labels_of(tmp_path), expected)
    write(tmp_path, pictures, add("box", xtl="8", ytl="8", xbr="18", ybr="10", rotation="30"))
    labels = labels_of(tmp_path)  # clockwise as it is seen: the right end goes down
    assert labels[11, 16] == 1 and labels[6, 9] == 1 and labels[6, 16] == labels[11, 9] == 0
    write(tmp_path, pictures, add("ellipse", cx="16", cy="12", rx="10", ry="5", rotation="0"))
    rows, columns = np.mgrid[:24, :32] + 0.5
    distance = np.hypot((columns - 16) / 10, (rows - 12) / 5)
    labels = labels_of(tmp_path)
    assert (labels[distance < 0.9] == 1).all() and (labels[distance > 1.12] == 0).all()


def test_the_z_order_counts_before_the_order_in_the_file(tmp_path, pictures):
    write(tmp_path, pictures, add("box", xtl="0", ytl="0", xbr="9", ybr="20", z_order="-1"))
    labels = labels_of(tmp_path)
    assert labels[15, 3] == 3 and labels[5, 3] == 1
    write(tmp_path, pictures, add("box", xtl="0", ytl="0", xbr="9", ybr="20", z_order="0"))
    assert labels_of(tmp_path)[15, 3] == 1


def test_subsets_are_splits(tmp_path, pictures):
    write(tmp_path, pictures, subset="North")
    assert cvat.find_splits(tmp_path) == ("North",)
    assert len(cvat.examples(tmp_path, "North")) == 1
    write(tmp_path, pictures, subset="default")
    assert cvat.find_splits(tmp_path) == ("train",)
    with pytest.raises(DatasetError, match=r"no split 'val' \(found: train\)"):
        cvat.examples(tmp_path, "val")


@pytest.mark.parametrize(("subset", "split"), [("Train", "train"), ("Validation", "val"), ("Test", "test")])
def test_the_subsets_that_cvat_suggests_are_the_usual_splits(tmp_path, pictures, subset, split):
    root = write(tmp_path, pictures, subset=subset)
    assert cvat.find_splits(root) == (split,)
    assert [item["image"] for item in cvat.examples(root, split)] == [root / "images" / subset / "a.png"]


def test_shapes_without_area_are_told_and_tags_are_not_looked_at(tmp_path, pictures):
    def change(content):
        for _ in range(2):
            add("polyline", points="1,2;3,4")(content)
        add("tag")(content)

    write(tmp_path, pictures, change)
    found = cvat.examples(tmp_path, "train")
    assert found.left_out == (f"2 shapes of type polyline, which cover no area (in {tmp_path / 'annotations.xml'})",)


PLACE = ("left", "top", "width", "height")
FAULTS = {
    "image a.png: a polygon ('car') cannot be read: no 'points'": add("polygon"),
    "image a.png: a polygon ('car') cannot be read: could not convert": add("polygon", points="1,2;x,3"),
    "image a.png: a polygon ('car') cannot be read: a polygon has 1 numbers": add("polygon", points="1,2;3,nan;5,6"),
    "image a.png: a box ('car') cannot be read: no 'xtl'": add("box"),
    "image a.png: a mask ('car') cannot be read: invalid literal": add("mask", rle="1, x"),
    "run lengths cover 3 pixels of 4": add("mask", rle="1, 2", **dict.fromkeys(PLACE, "2")),
    "not listed: 'tram' (1 shapes)": add("polygon", label="tram", points="1,2;3,4;5,6"),
    "annotations.xml has 1 tracks of a video; export it as": lambda content: ElementTree.SubElement(content, "track"),
    "image 'a.png' cannot be read: height must be an integer of at least 1": lambda content: content.find(
        "image"
    ).set("height", "-3"),
    "a polygon ('car') cannot be read: it has 1 points": add("polygon", points="1,2"),
    "a polygon ('car') cannot be read: it has 0 points": add("polygon", points=""),
    "a box ('car') cannot be read: its z_order, 'x', is no whole number": add("box", z_order="x"),
    "an image has no 'width'": lambda content: content.find("image").attrib.pop("width"),
}  # fmt: skip


@pytest.mark.parametrize("words", FAULTS)
def test_faults_are_refused_in_one_line(tmp_path, pictures, words):
    assert words in refusal(write(tmp_path, pictures, FAULTS[words]))


KLINGON = '<?xml version="1.0" encoding="klingon"?><annotations/>'


@pytest.mark.parametrize(
    ("text", "words"),
    [("<a/>", "it begins with <a>"), ("<annotations>", "no element"), ("", ""), (KLINGON, "unknown encoding")],
)
def test_what_is_no_xml_of_cvat_is_refused(tmp_path, text, words):
    (tmp_path / "annotations.xml").write_text(text)
    assert "annotations.xml cannot be read as annotations of CVAT" in (said := refusal(tmp_path)) and words in said


def test_another_folder_is_refused(tmp_path):
    assert 'is no export of CVAT: expected annotations.xml and images/ ("CVAT for images 1.1")' in refusal(tmp_path)


def test_masks_are_read_by_the_legend(tmp_path):
    scene = tools.scene()
    tools.write_cvat_masks(tmp_path, scene)
    assert cvat.find_splits(tmp_path) == ("train",)
    info = cvat.read_info(tmp_path)
    assert dict(zip(info.class_names, info.colors)) == tools.COLORS
    for item in cvat.examples(tmp_path, "train"):
        expected = tools.labels_of(*scene[item["id"]], tools.draw_right_angles)
        np.testing.assert_array_equal(item["label"], expected)
    assert cvat.read_info(tmp_path, Reading(unlabeled="ignored")).class_names == tools.CLASSES
    labels = cvat.examples(tmp_path, "train", Reading(unlabeled="ignored"))[0]["label"]
    expected = tools.labels_of(*scene["a"], tools.draw_right_angles)
    np.testing.assert_array_equal(labels, expected - np.uint8(1))


def test_the_list_of_no_subset_is_joined_with_that_of_train(tmp_path):
    root = tools.write_cvat_masks(tmp_path, tools.scene())
    lists = root / "ImageSets" / "Segmentation"
    for name, pictures in {"default": "d\na\n", "train": "b\n", "test": "c\n"}.items():
        (lists / f"{name}.txt").write_text(pictures)
    assert cvat.find_splits(root) == ("train", "test") and cvat.left_out(root) == ()
    assert [item["id"] for item in cvat.examples(root, "train")] == ["d", "a", "b"]
    assert [item["id"] for item in cvat.examples(root, "test")] == ["c"]
    (lists / "train.txt").write_text("b\na\n")
    with pytest.raises(DatasetError, match="has 1 ids of more than one picture, the first a"):
        cvat.examples(root, "train")


def test_masks_with_a_color_that_the_legend_lacks_and_masks_without_pictures_are_refused(tmp_path):
    tools.write_cvat_masks(tmp_path, {"a": tools.scene()["a"]})
    legend = tmp_path / "labelmap.txt"
    legend.write_text(legend.read_text().replace("car:250,50,83", "car:250,50,84"))
    count = np.count_nonzero(tools.labels_of(*tools.scene()["a"], tools.draw_right_angles) == 1)
    assert f"color of no class: (250, 50, 83) ({count} pixels; the nearest is (250, 50, 84), car)" in refusal(tmp_path)
    (tmp_path / "JPEGImages").rename(tmp_path / "elsewhere")
    assert "has no pictures in JPEGImages or images; export it with 'Save images'" in refusal(tmp_path)


def test_pictures_and_masks_that_the_export_does_not_name_are_told(tmp_path, pictures):
    write(tmp_path / "xml", pictures)
    tools.save_picture(tmp_path / "xml" / "images" / "more.png", "a", (24, 32))
    (words,) = cvat.left_out(tmp_path / "xml")
    assert words == f"1 picture without annotations (the first {tmp_path / 'xml' / 'images' / 'more.png'})"
    root = tools.write_cvat_masks(tmp_path / "masks", pictures)
    assert cvat.left_out(root) == ()
    for folder in ("JPEGImages", "SegmentationClass"):
        tools.save_picture(root / folder / "more.png", "a", (24, 32))
    (words,) = cvat.left_out(root)
    assert words.startswith(f"2 pictures or masks that no list in {root / 'ImageSets' / 'Segmentation'} names")


def test_ids_of_two_pictures_are_refused(tmp_path, pictures):
    root = tools.write_cvat_masks(tmp_path, pictures)
    tools.save_picture(root / "JPEGImages" / "a.bmp", "a", (24, 32))
    assert f"two images are called a in {root / 'JPEGImages'}: a.bmp, a.png" in refusal(root)
    (root / "JPEGImages" / "a.bmp").unlink()
    (root / "ImageSets" / "Segmentation" / "default.txt").write_text("a\na\n")
    assert "has 1 ids of more than one picture, the first a" in refusal(root)
