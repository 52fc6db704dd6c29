"""COCO's instances drawn as VOC's classes: real images, against an independent filling of their outlines."""

import json

import numpy as np
from matplotlib.path import Path
from PIL import Image
from scipy import ndimage

from deeplab_ksac.datasets.sources import coco_voc
from tests.datasets import samples


def test_real_images_are_selected_by_the_rule():
    root = samples.sample("raw_samples/coco")
    for split in coco_voc.find_splits(root):
        expected = {
            a["image_id"]
            for a in annotations_of(root, split)
            if a["category_id"] in coco_voc.LABELS and not a["iscrowd"] and a["area"] > 1000
        }
        found = coco_voc.examples(root, split)
        assert {int(item["id"]) for item in found} == expected and found.missing == ()


def test_real_outlines_are_filled():
    """Another library's idea of what lies inside an outline differs from pycocotools' along the outline only."""
    root = samples.sample("raw_samples/coco")
    for split in coco_voc.find_splits(root):
        annotations = annotations_of(root, split)
        for item in coco_voc.examples(root, split):
            label, somewhere = item["label"], np.zeros(item["label"].shape, bool)
            assert Image.open(item["image"]).size == label.shape[::-1]
            mine = [a for a in annotations if a["image_id"] == int(item["id"]) and a["category_id"] in coco_voc.LABELS]
            for annotation in mine:
                inside = filled(annotation["segmentation"], label.shape)
                assert (label[ndimage.binary_erosion(inside, iterations=2)] > 0).all()
                somewhere |= inside
            assert (label[~ndimage.binary_dilation(somewhere, iterations=2)] == 0).all()
            assert set(np.unique(label)) <= {0, 255, *(coco_voc.LABELS[a["category_id"]] for a in mine)}
            assert (255 in label) <= any(a["iscrowd"] for a in mine)


def annotations_of(root, split):
    return json.loads((root / "annotations" / f"instances_{split}2017.json").read_text())["annotations"]


def filled(outline, size):
    """The pixels [H, W] whose centers lie inside polygons, or that plain run lengths cover."""
    if isinstance(outline, dict):
        values = np.arange(len(outline["counts"])) % 2 == 1
        return np.repeat(values, outline["counts"]).reshape(size, order="F")
    inside = np.zeros(size, bool)
    for corners in (np.reshape(polygon, (-1, 2)) for polygon in outline):
        (left, top), (right, bottom) = corners.min(axis=0).astype(int), np.ceil(corners.max(axis=0)).astype(int)
        rows, columns = np.mgrid[top : min(bottom, size[0]), left : min(right, size[1])]
        centers = np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5
        inside[rows, columns] |= Path(corners).contains_points(centers).reshape(rows.shape)
    return inside
