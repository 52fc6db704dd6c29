"""Tasks and projects of CVAT, exported as "CVAT for images 1.1" or as "Segmentation mask 1.1", with the images.

annotations.xml and images/…                 the first: outlines; the splits are the subsets, Train and the default one
                                             are train, Validation is val
labelmap.txt, SegmentationClass/….png,       the second: masks of colors; the splits are the lists, default.txt is
ImageSets/Segmentation/….txt, JPEGImages/…   train

Classes are CVAT's labels in the task's order, in their colors, or those of `classes.txt`. Polygons, boxes, ellipses and
masks are drawn by CVAT's z-order, and in the file's order within one; later ones cover earlier ones, by the rule by
which CVAT draws its masks. Lines, points, skeletons and cuboids cover nothing and are told; tags are not looked at.
Pixels in no shape are background (label 0) or, with `unlabeled="ignored"`, 255.
"""

import collections
import os
import pathlib
import re
from xml.etree import ElementTree

from deeplab_ksac.datasets import annotations, polygons
from deeplab_ksac.datasets.color_table import ColorTable
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.legends import colors_by_class, read_legend
from deeplab_ksac.datasets.outlines import Drawing, RunLengths, Shape, polygon_of_box, polygon_of_ellipse
from deeplab_ksac.datasets.raw import IMAGE_SUFFIXES, Examples, find_files, find_stems, read_lines
from deeplab_ksac.datasets.reading import AS_IT_IS, Reading
from deeplab_ksac.errors import in_one_line

INFO = DatasetInfo(name="cvat", class_names=(), colors=(), description="Pictures annotated with CVAT")
READS = ("unlabeled",)

LAYOUT = (
    'annotations.xml and images/ ("CVAT for images 1.1"), or labelmap.txt, SegmentationClass/, ImageSets/Segmentation/ '
    'and JPEGImages/ ("Segmentation mask 1.1")'
)
WHAT = "annotations of CVAT"
XML, LEGEND, MASKS, LISTS = "annotations.xml", "labelmap.txt", "SegmentationClass", "ImageSets/Segmentation"
PICTURES = ("JPEGImages", "images")
DRAWN = ("polygon", "box", "ellipse", "mask")
WITHOUT_AREA = ("polyline", "points", "skeleton", "cuboid")
UNLABELED_COLOR = (0, 0, 0)


def read_info(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> DatasetInfo:
    """The `DatasetInfo` with the labels of the task or project."""
    return annotations.info_of(INFO, _read_classes(pathlib.Path(root), reading))


def find_splits(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """The subsets; train comes first."""
    root = pathlib.Path(root)
    names = _lists(root) if _is_of_masks(root) else {_split_of(image) for image in _read(root / XML).iter("image")}
    return tuple(sorted(names, key=lambda name: (name != annotations.TRAIN, name)))


def examples(root: str | os.PathLike, split: str, reading: Reading = AS_IT_IS) -> Examples:
    """The pictures of a subset, in the order of the task."""
    root = pathlib.Path(root)
    if split not in (found := find_splits(root, reading)):
        raise DatasetError(f"{root} has no split {split!r} (found: {', '.join(found) or 'none'})")
    return (_of_masks if _is_of_masks(root) else _of_xml)(root, split, reading)


def left_out(root: str | os.PathLike, reading: Reading = AS_IT_IS) -> tuple[str, ...]:
    """A sentence on the pictures and masks that no subset names."""
    root = pathlib.Path(root)
    if not _is_of_masks(root):
        known = {_picture(root, image) for image in _read(root / XML).iter("image")}
        return annotations.pictures_without_annotations(root / "images", known)
    names = {name for listed in _lists(root).values() for name in listed}
    found = [path for folder in (*PICTURES, MASKS) for path in find_files(root / folder)]
    alone = [path for path in found if _stem_below(root, path) not in names]
    return (
        (f"{len(alone)} pictures or masks that no list in {root / LISTS} names (the first {alone[0]})",)
        if alone
        else ()
    )


def _stem_below(root, path):
    """The path of a picture behind its folder, without extension."""
    return pathlib.PurePosixPath(*path.relative_to(root).parts[1:]).with_suffix("").as_posix()


def _picture(root, image):
    """The path of a picture of the XML file."""
    name = image.get("name", "")
    folders = (root / "images" / image.get("subset", ""), root / "images", root)
    return next((folder / name for folder in folders if (folder / name).is_file()), root / "images" / name)


def _is_of_masks(root):
    if (root / XML).is_file():
        return False
    if not (root / LEGEND).is_file() or not (root / MASKS).is_dir():
        raise DatasetError(f"{root} is no export of CVAT: expected {LAYOUT}")
    return True


def _read_classes(root, reading):
    if _is_of_masks(root):
        legend = read_legend(root / LEGEND)
        return annotations.find_classes(root, dict(legend), reading, root / LEGEND, colors=dict(legend))
    path = root / XML
    content, colors = _read(path), {}
    for label in content.findall("./meta//labels/label"):
        if label.find("parent") is None and label.findtext("name"):  # the parts of a skeleton have a parent
            colors[label.findtext("name")] = _color(label.findtext("color"))
    found = colors or sorted({shape.get("label", "") for shape in content.iter() if shape.tag in DRAWN})
    return annotations.find_classes(root, found, reading, path, colors=colors)


def _color(text):
    """(red, green, blue) of "#33ddff"; None for anything else."""
    found = re.fullmatch(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})", text or "")
    return found and tuple(int(part, 16) for part in found.groups())


def _read(path):
    """The root of the XML file."""
    try:
        content = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:  # the last of an encoding
        raise DatasetError(f"{path} cannot be read as {WHAT}: {in_one_line(error)}") from error
    if content.tag != "annotations":
        raise DatasetError(f"{path} cannot be read as {WHAT}: it begins with <{content.tag}>, not with <annotations>")
    tracks = len(content.findall("track"))
    if tracks:
        raise DatasetError(f"{path} has {tracks} tracks of a video; export it as 'CVAT for images 1.1', with images")
    return content


def _split_of(image):
    return annotations.split_name(image.get("subset", ""))


def _of_xml(root, split, reading):
    """`Examples` of "CVAT for images"."""
    path, classes = root / XML, _read_classes(root, reading)
    images = [image for image in _read(path).iter("image") if _split_of(image) == split]
    shapes = [shape for image in images for shape in image if shape.tag in (*DRAWN, *WITHOUT_AREA)]
    classes.require(collections.Counter(shape.get("label", "") for shape in shapes), path)
    entries = []
    for image in images:
        try:
            name, sides = image.attrib["name"], (int(image.attrib[side]) for side in ("height", "width"))
            size, number = annotations.checked_size(*sides), annotations.id_of(name)
        except KeyError as error:
            raise DatasetError(f"{path}: an image has no {error}") from error
        except ValueError as error:
            raise DatasetError(f"{path}: image {name!r} cannot be read: {in_one_line(error)}") from error
        drawn = [_shape(shape, classes, f"{path}: image {name}") for shape in image if shape.tag in DRAWN]
        drawn = tuple(shape for _, shape in sorted(drawn, key=lambda found: found[0]))
        entries.append((number, _picture(root, image), Drawing(f"of {name} in {path}", size, drawn, classes.unlabeled)))
    left_out = [
        f"{count} shapes of type {kind}, which cover no area (in {path})"
        for kind, count in collections.Counter(shape.tag for shape in shapes if shape.tag in WITHOUT_AREA).items()
    ]
    return annotations.drawn_examples(entries, f"the split {split} of {path}", left_out=left_out)


def _shape(shape, classes, place):
    """(z-order, `Shape`) of an outline."""
    try:
        depth = shape.get("z_order", "0")
        if not re.fullmatch(r"-?\d{1,9}", depth):
            raise ValueError(f"its z_order, {depth!r}, is no whole number")
        return int(depth), Shape(classes.labels[shape.get("label", "")], (_part(shape.tag, shape.attrib),))
    except (KeyError, ValueError, OverflowError) as error:
        lacks = f"no {error}" if isinstance(error, KeyError) else in_one_line(error)
        raise DatasetError(f"{place}: a {shape.tag} ({shape.get('label')!r}) cannot be read: {lacks}") from error


def _part(kind, given):
    def number(name, default=None):
        return float(given[name] if default is None else given.get(name, default))

    if kind == "polygon":
        points = [[float(part) for part in point.split(",")] for point in given["points"].split(";") if point.strip()]
        if len(points) < 3:
            raise ValueError(f"it has {len(points)} points")
        return polygons.corners_of(points)
    if kind == "box":
        sides = (number(name) for name in ("xtl", "ytl", "xbr", "ybr"))
        return polygons.corners_of(polygon_of_box(*sides, number("rotation", 0)))
    if kind == "ellipse":
        center, radii = (number("cx"), number("cy")), (number("rx"), number("ry"))
        return polygons.corners_of(polygon_of_ellipse(center, radii, number("rotation", 0)))
    counts = tuple(int(part) for part in given["rle"].split(","))
    top, left, height, width = (int(number(name)) for name in ("top", "left", "height", "width"))
    return RunLengths(counts, (height, width), (top, left))


def _lists(root):
    """{split: the pictures that its list names}; those of the default list and of train's are one split."""
    names = find_stems(root / LISTS, ".txt")
    if not names:
        raise DatasetError(f"{root / LISTS} has no list of pictures; expected {LAYOUT}")
    found = {}
    for name in names:
        found.setdefault(annotations.split_name(name), []).extend(read_lines(root / LISTS / f"{name}.txt"))
    return found


def _of_masks(root, split, reading):
    """`Examples` of "Segmentation mask"."""
    classes, legend = _read_classes(root, reading), read_legend(root / LEGEND)
    names = {UNLABELED_COLOR: "background", **colors_by_class(legend, root / LEGEND)}
    labels = {color: classes.labels[name] for color, name in names.items() if name in classes.labels}
    labels.setdefault(UNLABELED_COLOR, classes.unlabeled)
    pictures = {}
    for folder in PICTURES:
        for path in find_files(root / folder):
            name = _stem_below(root, path)
            if path.suffix.lower() not in IMAGE_SUFFIXES:
                continue
            other = pictures.setdefault(name, path)
            if other != path and other.parent == path.parent:
                raise DatasetError(f"two images are called {name} in {root / folder}: {other.name}, {path.name}")
    if not pictures:
        raise DatasetError(f"{root} has no pictures in {' or '.join(PICTURES)}; export it with 'Save images'")
    entries = [
        (name, pictures.get(name, root / PICTURES[0] / name), root / MASKS / f"{name}.png")
        for name in _lists(root)[split]
    ]
    return annotations.drawn_examples(entries, f"the split {split} of {root}", read=ColorTable(labels, names).read)
