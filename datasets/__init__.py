"""Raw folders -> TFRecords -> batches; stands on TensorFlow and tensorflow-datasets alone.

A new data set is one module in `datasets.sources` (its contract is written there) and one line here.
"""

import importlib

CATALOG = {
    "scenes": "datasets.sources.scenes",
    "camvid": "datasets.sources.camvid",
    "voc2012": "datasets.sources.voc2012",
    "folder": "datasets.sources.folder",
}


def source(name):
    """The module of `CATALOG` that reads the raw folder of data set `name`, imported when asked for."""
    if name not in CATALOG:
        raise KeyError(f"{name!r} is no data set of the catalog: {', '.join(sorted(CATALOG))}")
    return importlib.import_module(CATALOG[name])
