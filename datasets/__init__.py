"""Raw folders -> TFRecords -> batches; stands on TensorFlow and tensorflow-datasets alone.

A new data set is one module in `datasets.sources` (its contract is written there) and one line here.
"""

import importlib

CATALOG = {
    "scenes": "datasets.sources.scenes",
    "camvid": "datasets.sources.camvid",
    "voc2012": "datasets.sources.voc2012",
    "sbd": "datasets.sources.sbd",
    "coco_voc": "datasets.sources.coco_voc",
    "ade20k": "datasets.sources.ade20k",
    "cityscapes": "datasets.sources.cityscapes",
    "pascal_context": "datasets.sources.pascal_context",
    "pascal_context_60": "datasets.sources.pascal_context_60",
    "coco_stuff10k": "datasets.sources.coco_stuff10k",
    "coco_stuff164k": "datasets.sources.coco_stuff164k",
    "folder": "datasets.sources.folder",
}


def source(name):
    """The module of `CATALOG` that reads the raw folder of data set `name`, imported when asked for."""
    if name not in CATALOG:
        raise KeyError(f"{name!r} is no data set of the catalog: {', '.join(sorted(CATALOG))}")
    return importlib.import_module(CATALOG[name])
