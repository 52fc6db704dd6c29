"""Raw folders -> TFRecords -> batches; needs only TensorFlow and tensorflow-datasets.

A new data set is one module in `datasets.sources` (its contract is written there) and one line here; or a file of
one's own with that contract, "my_source.py", which stands in place of a name.
"""

if __name__ == "datasets":  # a working directory that is the repository hides Hugging Face's package of that name
    raise ImportError("this folder is the package deeplab_ksac.datasets; for Hugging Face's, run in another folder")

import importlib
import re
import types

from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.import_paths import load_file

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
OF_A_SOURCE = ("INFO", "find_splits", "examples")


def source(name: str) -> types.ModuleType:
    """The module of `CATALOG` that reads the raw folder of data set `name`, imported when asked for; or a file's.

    Raises:
        DatasetError: a name that the catalog does not have, or a file that is no source.
        ValueError: a file that is missing or fails, with the line.
    """
    if is_file(name):
        return _of_file(name)
    kind, _ = parse_name(name)
    return importlib.import_module(CATALOG[kind])


def is_file(name: str) -> bool:
    """Whether a data set is named by a file of one's own that reads it."""
    return name.endswith(".py")


def _of_file(path):
    """The source that a file defines."""
    module = load_file(path)
    missing = [name for name in OF_A_SOURCE if not hasattr(module, name)]
    if missing:
        raise DatasetError(f"{path} defines no {missing[0]}; a source has {', '.join(OF_A_SOURCE)}")
    if not isinstance(module.INFO, DatasetInfo):
        raise DatasetError(f"INFO of {path} must be a DatasetInfo, not {type(module.INFO).__name__}")
    return module


def parse_name(name: str) -> tuple[str, str]:
    """(key of `CATALOG`, path below the raw folder or "") of the name of a data set: "tfds:oxford_iiit_pet", "camvid".

    A file of one's own is its own key.

    Raises:
        DatasetError: a name that the catalog does not have, or a path behind one that takes none.
    """
    if is_file(name):
        return name, ""
    kind, colon, path = name.partition(":")
    if kind not in CATALOG:
        raise DatasetError.unknown(f"data set {name!r}", kind, sorted(CATALOG))
    if colon and (kind not in FOLLOWED_BY_A_PATH or not path.strip("/")):
        raise DatasetError(f"data set {name!r}: a path follows {' and '.join(FOLLOWED_BY_A_PATH)}, as in tfds:name")
    return kind, path.strip("/")


def default_name(name: str) -> str:
    """What the converted data set is called: the last part of a path that is no version, else the key of `CATALOG`.

    Of a file of one's own it is what its INFO says.
    """
    if is_file(name):
        return source(name).INFO.name
    kind, path = parse_name(name)
    parts = [part for part in path.split("/") if not re.fullmatch(r"|\.+|\d+\.\d+\.\d+", part)]
    return re.sub(r"[^a-z0-9_]", "_", parts[-1].lower()) if parts else kind
