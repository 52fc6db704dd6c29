"""Raw folders -> TFRecords -> batches; needs only TensorFlow and tensorflow-datasets.

A new data set is one module in `datasets.sources` (its contract is written there) and one line here.
"""

if __name__ == "datasets":  # a working directory that is the repository hides Hugging Face's package of that name
    raise ImportError("this folder is the package deeplab_ksac.datasets; for Hugging Face's, run in another folder")

import importlib
import re
import types

from deeplab_ksac.datasets.info import DatasetError

CATALOG = {
    "scenes": "deeplab_ksac.datasets.sources.scenes",
    "camvid": "deeplab_ksac.datasets.sources.camvid",
    "voc2012": "deeplab_ksac.datasets.sources.voc2012",
    "sbd": "deeplab_ksac.datasets.sources.sbd",
    "coco_voc": "deeplab_ksac.datasets.sources.coco_voc",
    "ade20k": "deeplab_ksac.datasets.sources.ade20k",
    "cityscapes": "deeplab_ksac.datasets.sources.cityscapes",
    "pascal_context": "deeplab_ksac.datasets.sources.pascal_context",
    "pascal_context_60": "deeplab_ksac.datasets.sources.pascal_context_60",
    "coco_stuff10k": "deeplab_ksac.datasets.sources.coco_stuff10k",
    "coco_stuff164k": "deeplab_ksac.datasets.sources.coco_stuff164k",
    "folder": "deeplab_ksac.datasets.sources.folder",
    "coco": "deeplab_ksac.datasets.sources.coco",
    "labelme": "deeplab_ksac.datasets.sources.labelme",
    "cvat": "deeplab_ksac.datasets.sources.cvat",
    "ultralytics": "deeplab_ksac.datasets.sources.ultralytics",
    "tfds": "deeplab_ksac.datasets.sources.tfds",
    "hf": "deeplab_ksac.datasets.sources.hf",
}


FOLLOWED_BY_A_PATH = ("tfds", "hf")


def source(name: str) -> types.ModuleType:
    """The module of `CATALOG` that reads the raw folder of data set `name`, imported when asked for.

    Raises:
        DatasetError: a name that the catalog does not have.
    """
    kind, _ = parse_name(name)
    return importlib.import_module(CATALOG[kind])


def parse_name(name: str) -> tuple[str, str]:
    """(key of `CATALOG`, path below the raw folder or "") of the name of a data set: "tfds:oxford_iiit_pet", "camvid".

    Raises:
        DatasetError: a name that the catalog does not have, or a path behind one that takes none.
    """
    kind, colon, path = name.partition(":")
    if kind not in CATALOG:
        raise DatasetError.unknown(f"data set {name!r}", kind, sorted(CATALOG))
    if colon and (kind not in FOLLOWED_BY_A_PATH or not path.strip("/")):
        raise DatasetError(f"data set {name!r}: a path follows {' and '.join(FOLLOWED_BY_A_PATH)}, as in tfds:name")
    return kind, path.strip("/")


def default_name(name: str) -> str:
    """What the converted data set is called: the last part of a path that is no version, else the key of `CATALOG`."""
    kind, path = parse_name(name)
    parts = [part for part in path.split("/") if not re.fullmatch(r"|\.+|\d+\.\d+\.\d+", part)]
    return re.sub(r"[^a-z0-9_]", "_", parts[-1].lower()) if parts else kind
