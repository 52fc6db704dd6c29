"""The same annotated pictures as each annotation tool lays them out.

A picture is (size, shapes), a shape (class, polygon or mask): a list of [x, y] or bool [H, W] of the whole picture.
"""

import base64
import io
import json
import pathlib
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from tests import fakes
from tests.datasets.sources import layouts

CLASSES = ("car", "person", "road")  # sorted, as Labelme's names are found; the tools number them from 1
COLORS = {"background": (0, 0, 0), "car": (250, 50, 83), "person": (51, 221, 255), "road": (42, 125, 209)}


def box(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def scene():
    """{id: (size, shapes)}; of overlapping shapes the later one is the smaller one."""
    blob = np.zeros((24, 32), bool)
    blob[3:9, 5:9], blob[4:6, 6:8], blob[8, 9:12] = True, False, True
    return {
        "a": ((24, 32), [("road", box(0, 12, 32, 24)), ("car", box(4, 10, 14, 18)), ("person", box(12, 8, 15, 17))]),
        "b": ((24, 32), [("road", [[1, 1], [9, 1], [9, 5], [5, 5], [5, 20], [1, 20]]), ("person", blob)]),
        "c": ((17, 19), [("car", box(-5, -5, 6, 4)), ("car", box(15, 12, 40, 40))]),
        "d": ((17, 19), []),
    }


def labels_of(size, shapes, draw):
    """The label map of a picture: background 0, CLASSES from 1, later shapes on top."""
    labels = np.zeros(size, np.uint8)
    for name, outline in shapes:
        mask = outline if isinstance(outline, np.ndarray) else draw(outline, size)
        labels[mask] = 1 + CLASSES.index(name)
    return labels


def draw_right_angles(corners, size):
    """A polygon of whole corners and no slanted edge: the pixels whose middle an odd number of edges is left of."""
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    inside = np.zeros(size, bool)
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1]):
        assert x0 == x1 or y0 == y1
        inside ^= (x0 == x1) & (columns > x0) & (min(y0, y1) < rows) & (rows < max(y0, y1))
    return inside


def draw_as_pycocotools(corners, size):
    from pycocotools import mask

    return mask.decode(mask.frPyObjects([np.ravel(corners).astype(float).tolist()], *size))[..., 0].astype(bool)


def save_picture(path, name, size):
    """The same bytes wherever it is saved."""
    layouts.save_image(path, sum(map(ord, name)), size)


def runs(flat):
    """Lengths of the runs of a flat mask, beginning outside, found pixel by pixel."""
    lengths, inside = [0], False
    for value in flat.tolist():
        if value != inside:
            lengths.append(0)
            inside = value
        lengths[-1] += 1
    return lengths


def write_folder(root, pictures, draw=draw_right_angles, split="train"):
    root = pathlib.Path(root)
    for name, (size, shapes) in pictures.items():
        save_picture(root / "images" / split / f"{name}.png", name, size)
        layouts.save_mask(root / "masks" / split / f"{name}.png", labels_of(size, shapes, draw))
    (root / "classes.txt").write_text("\n".join(("background", *CLASSES)) + "\n")
    return root


def coco(pictures, file_name="{}.png", outline=None):
    """The content of an instances file; `outline` makes COCO's segmentation of a shape and a size."""
    content = {
        "info": {},
        "licenses": [],
        "images": [],
        "annotations": [],
        "categories": [{"id": 10 * i, "name": name, "supercategory": ""} for i, name in enumerate(CLASSES, start=1)],
    }
    for number, (name, (size, shapes)) in enumerate(pictures.items(), start=1):
        file = file_name.format(name)
        content["images"].append({"id": number, "file_name": file, "height": size[0], "width": size[1]})
        for kind, shape in shapes:
            segmentation = (outline or coco_outline)(shape, size)
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 10 * (1 + CLASSES.index(kind)),
                    "segmentation": segmentation,
                    "area": 1.0,
                    "bbox": [0, 0, 1, 1],
                    "iscrowd": 0,
                }
            )
    return content


def coco_outline(shape, size):
    if isinstance(shape, np.ndarray):
        return {"counts": runs(shape.T.ravel()), "size": list(size)}
    return [np.ravel(shape).astype(float).tolist()]


def write_coco(root, pictures, *, split="train", **arguments):
    root = pathlib.Path(root)
    for name, (size, _) in pictures.items():
        save_picture(root / "images" / split / f"{name}.png", name, size)
    (root / "annotations").mkdir(parents=True, exist_ok=True)
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco(pictures, **arguments)))
    return root


def write_panoptic(root, pictures, draw=draw_right_angles):
    """annotations/panoptic_val2017.json with its PNG files, as COCO publishes them."""
    root = pathlib.Path(root)
    content = coco({name: (size, []) for name, (size, _) in pictures.items()})
    folder = root / "annotations" / "panoptic_val2017"
    for number, (name, (size, shapes)) in enumerate(pictures.items(), start=1):
        save_picture(root / "val2017" / f"{name}.png", name, size)
        colors, infos = np.zeros((*size, 3), np.uint8), []
        for i, (kind, shape) in enumerate(shapes):
            segment = 70_000 * number + 300 * i + 7
            mask = shape if isinstance(shape, np.ndarray) else draw(shape, size)
            colors[mask] = segment % 256, segment // 256 % 256, segment // 65536
            infos.append({"id": segment, "category_id": 10 * (1 + CLASSES.index(kind)), "iscrowd": 0, "area": 1})
        layouts.save_mask(folder / f"{name}.png", colors)
        content["annotations"].append({"image_id": number, "file_name": f"{name}.png", "segments_info": infos})
    (root / "annotations" / "panoptic_val2017.json").write_text(json.dumps(content))
    return root


def labelme_shape(kind, shape):
    found = {"label": kind, "group_id": None, "description": "", "flags": {}, "mask": None}
    if not isinstance(shape, np.ndarray):
        return {**found, "points": [list(map(float, point)) for point in shape], "shape_type": "polygon"}
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    inside = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    buffer = io.BytesIO()
    Image.fromarray(inside.astype(np.uint8)).save(buffer, "png")
    points = [[float(columns[0]), float(rows[0])], [float(columns[-1]), float(rows[-1])]]
    mask = base64.b64encode(buffer.getvalue()).decode()
    return {**found, "points": points, "shape_type": "mask", "mask": mask}


def write_labelme(root, pictures, *, split=""):
    root = pathlib.Path(root)
    for name, (size, shapes) in pictures.items():
        save_picture(root / split / f"{name}.png", name, size)
        content = {
            "version": "5.5.0",
            "flags": {},
            "shapes": [labelme_shape(*shape) for shape in shapes],
            "imagePath": f"{name}.png",
            "imageData": None,
            "imageHeight": size[0],
            "imageWidth": size[1],
        }
        (root / split / f"{name}.json").write_text(json.dumps(content, indent=2))
    return root


def cvat_shape(parent, kind, shape, depth=0):
    given = {"label": kind, "source": "manual", "occluded": "0", "z_order": str(depth)}
    if not isinstance(shape, np.ndarray):
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in shape)
        return ElementTree.SubElement(parent, "polygon", {**given, "points": points})
    rows, columns = np.flatnonzero(shape.any(axis=1)), np.flatnonzero(shape.any(axis=0))
    inside = shape[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    place = {"left": columns[0], "top": rows[0], "width": inside.shape[1], "height": inside.shape[0]}
    counts = ", ".join(map(str, runs(inside.ravel())))
    return ElementTree.SubElement(
        parent, "mask", {**given, "rle": counts, **{name: str(value) for name, value in place.items()}}
    )


def cvat(pictures, subset=None):
    """The content of "CVAT for images 1.1", as an XML element."""
    content = ElementTree.Element("annotations")
    ElementTree.SubElement(content, "version").text = "1.1"
    labels = ElementTree.SubElement(ElementTree.SubElement(ElementTree.SubElement(content, "meta"), "task"), "labels")
    for name in CLASSES:
        label = ElementTree.SubElement(labels, "label")
        ElementTree.SubElement(label, "name").text = name
        ElementTree.SubElement(label, "color").text = "#{:02x}{:02x}{:02x}".format(*COLORS[name])
        ElementTree.SubElement(label, "type").text = "any"
        ElementTree.SubElement(label, "attributes")
    for number, (name, (size, shapes)) in enumerate(pictures.items()):
        given = {"id": str(number), "name": f"{name}.png", "width": str(size[1]), "height": str(size[0])}
        if subset is not None:
            given["subset"] = subset
        image = ElementTree.SubElement(content, "image", given)
        for depth, shape in enumerate(shapes):
            cvat_shape(image, *shape, depth)
    return content


def write_cvat(root, pictures, *, subset=None, content=None):
    root = pathlib.Path(root)
    for name, (size, _) in pictures.items():
        save_picture(root / "images" / (subset or "") / f"{name}.png", name, size)
    content = cvat(pictures, subset) if content is None else content
    ElementTree.ElementTree(content).write(root / "annotations.xml", encoding="utf-8", xml_declaration=True)
    return root


def write_cvat_masks(root, pictures, draw=draw_right_angles, *, split="default"):
    """ "Segmentation mask 1.1", with images."""
    root = pathlib.Path(root)
    colors = np.array(list(COLORS.values()), np.uint8)
    for name, (size, shapes) in pictures.items():
        save_picture(root / "JPEGImages" / f"{name}.png", name, size)
        layouts.save_mask(root / "SegmentationClass" / f"{name}.png", colors[labels_of(size, shapes, draw)])
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / f"{split}.txt").write_text("".join(f"{name}\n" for name in pictures))
    lines = ["# label:color_rgb:parts:actions", *(f"{name}:{r},{g},{b}::" for name, (r, g, b) in COLORS.items())]
    (root / "labelmap.txt").write_text("\n".join(lines) + "\n")
    return root


def write_ultralytics(root, pictures, *, split="train"):
    """Only pictures whose shapes are polygons; one without shapes has no text file."""
    root = pathlib.Path(root)
    (root / "labels" / split).mkdir(parents=True)
    for name, (size, shapes) in pictures.items():
        save_picture(root / "images" / split / f"{name}.png", name, size)
        lines = [
            " ".join(
                [str(CLASSES.index(kind)), *(f"{n:.9f}" for n in (np.clip(shape, 0, size[::-1]) / size[::-1]).ravel())]
            )
            for kind, shape in shapes
        ]
        if lines:
            (root / "labels" / split / f"{name}.txt").write_text("\n".join(lines) + "\n")
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(CLASSES))
    (root / "data.yaml").write_text(f"# a data set\npath: .\n{split}: images/{split}  # pictures\n\nnames:\n{names}")
    return root


def write_ultralytics_masks(root, pictures, draw=draw_right_angles, *, split="train", more="masks_dir: masks\n"):
    """Ultralytics' data set for semantic segmentation."""
    root = write_folder(root, pictures, draw, split=split)
    (root / "classes.txt").unlink()
    names = "".join(f"  {i}: {name}\n" for i, name in enumerate(("background", *CLASSES)))
    (root / "data.yaml").write_text(f"path: .\n{split}: images/{split}\n{more}names:\n{names}")
    return root


def encoded(pictures, draw=draw_right_angles):
    """(picture, label map) of each, as the bytes of PNG files."""
    found = []
    for name, (size, shapes) in pictures.items():
        picture = fakes.picture(sum(map(ord, name)), size)
        buffers = io.BytesIO(), io.BytesIO()
        Image.fromarray(picture).save(buffers[0], "png")
        Image.fromarray(labels_of(size, shapes, draw)).save(buffers[1], "png")
        found.append(tuple(buffer.getvalue() for buffer in buffers))
    return found


def write_tfds(
    root,
    pictures,
    draw=draw_right_angles,
    *,
    name="streets",
    labels=("background", *CLASSES),
    mask="segmentation_mask",
):
    """What tensorflow-datasets prepares, written by itself."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    found, features = encoded(pictures, draw), tfds.features
    kind = (
        features.LabeledImage(shape=(None, None, 1), labels=list(labels))
        if labels
        else features.Image(shape=(None, None, 1), encoding_format="png")
    )
    arrays = [tuple(np.asarray(Image.open(io.BytesIO(part))) for part in pair) for pair in found]

    def generate():
        for number, (picture, mask_) in enumerate(arrays):
            yield {"image": picture, mask: mask_[..., np.newaxis], "file_name": f"{number}.png"}

    signature = {
        "image": tf.TensorSpec((None, None, 3), tf.uint8),
        mask: tf.TensorSpec((None, None, 1), tf.uint8),
        "file_name": tf.TensorSpec((), tf.string),
    }
    tfds.dataset_builders.store_as_tfds_dataset(
        name=name,
        version="1.0.0",
        data_dir=root,
        split_datasets={"train": tf.data.Dataset.from_generator(generate, output_signature=signature)},
        features=features.FeaturesDict(
            {
                "image": features.Image(shape=(None, None, 3), encoding_format="png"),
                mask: kind,
                "file_name": features.Text(),
            }
        ),
        disable_shuffling=True,
    )
    return pathlib.Path(root) / name


def table(pictures, columns=("image", "label"), draw=draw_right_angles):
    """A table of pyarrow with pictures and label maps, as Hugging Face's `datasets` stores them."""
    import pyarrow

    rows = encoded(pictures, draw)
    content = {
        column: [{"bytes": row[i], "path": f"{number}.png"} for number, row in enumerate(rows)]
        for i, column in enumerate(columns)
    }
    return pyarrow.table({**content, "number": list(range(len(rows)))})


def write_parquet(root, pictures, draw=draw_right_angles, *, split="train", columns=("image", "label"), classes=True):
    import pyarrow.parquet

    root = pathlib.Path(root)
    (root / "data").mkdir(parents=True, exist_ok=True)
    path = root / "data" / f"{split}-00000-of-00001.parquet"
    pyarrow.parquet.write_table(table(pictures, columns, draw), path, row_group_size=3)
    if classes:
        (root / "classes.txt").write_text("\n".join(("background", *CLASSES)) + "\n")
    return root
