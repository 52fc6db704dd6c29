"""Raw folders -> TFRecords -> batches; needs only TensorFlow and tensorflow-datasets.

A new data set is one module in `datasets.sources` (its contract is written there) and one line here.
"""

if __name__ == "datasets":  # a working directory that is the repository hides Hugging Face's package of that name
    raise ImportError("this folder is the package deeplab_ksac.datasets; for Hugging Face's, run in another folder")

import importlib
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
}


def source(name: str) -> types.ModuleType:
    """The module of `CATALOG` that reads the raw folder of data set `name`, imported when asked for.

    Raises:
        DatasetError: a name that the catalog does not have.
    """
    if name not in CATALOG:
        raise DatasetError.unknown(f"data set {name!r}", name, sorted(CATALOG))
    return importlib.import_module(CATALOG[name])
