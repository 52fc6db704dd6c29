"""A trained model as a SavedModel."""

import os
from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.checking import check_written
from deeplab_ksac.export.decoding import MAX_PIXELS
from deeplab_ksac.export.picture_server import PictureServer
from deeplab_ksac.export.server import build_server, require_band_count
from deeplab_ksac.export.target import export_target, refuse_suffixes
from deeplab_ksac.export.warmup import FILE as WARMUP_FILE
from deeplab_ksac.export.warmup import write_warmup_requests


def export_saved_model(
    model: keras.Model,
    path: str | os.PathLike,
    *,
    info: DatasetInfo,
    views: Views = Views(),
    overwrite: bool = False,
    check: bool = True,
    max_pixels: int = MAX_PIXELS,
    warmup: Sequence[tuple[int, int]] = (),
) -> Path:
    """Writes `model` as a SavedModel, with these signatures:

        "serving_default"  image uint8 [N, H, W, 3] -> classes uint8 [N, H, W]
        "probabilities"    image uint8 [N, H, W, 3] -> classes, probabilities float32 [N, H, W, K]
        "serving_bytes"    image_bytes string [N], JPEG or PNG files of one size (`decoding.decode_shown`) -> classes
        "png"              image_bytes string [N], JPEG or PNG files of any sizes -> png_bytes string [N], index PNGs of
                           the pictures' own sizes, and error string [N]: "", or why there is none
        "png_as_stored"    the same without turning the pictures upright by EXIF
        "class_list"       request string [N], any texts -> class_list string [N], each the content of classes.json

    Images of other bands than RGB are uint8 or uint16 [N, H, W, C], as they are stored, and have no "serving_bytes".

    The class names and colors are beside it, in `<path>/assets.extra/classes.json`: {"name", "num_classes",
    "class_names", "colors"}. `path` is never half a model.

    Args:
        model: image [N, H, W, C] float32 -> {"logits", …}.
        path: the folder to write.
        info: of the data set that the model was trained on, with the bands of its pictures.
        views: how the served model sees its images.
        overwrite: whether a SavedModel at `path` may be replaced.
        check: whether it is compared with `model` in a separate process before it is put in place.
        max_pixels: a picture file with more is an error in "png" and "png_as_stored", which names the number.
        warmup: (height, width) of pictures that TensorFlow Serving warms the model up with, in
            `<path>/assets.extra/tf_serving_warmup_requests`.

    Returns:
        The path, as a `Path`.

    Raises:
        FileExistsError: if `path` exists, without `overwrite`; or with it, if it is not a SavedModel.
        ValueError: as `PictureServer`; a path that ends as a file of another form; the model and `info` differ in the
            number of classes or bands; requests of picture files for a model of other bands than RGB; or what was
            written differs from the model.
    """
    refuse_suffixes(path)
    if warmup and not info.bands.is_rgb:
        raise ValueError(f"a model of pictures of {info.bands.describe()} is served no files to warm up with")
    with export_target(path, info=info, model=model, overwrite=overwrite) as target:
        if info.bands.is_rgb:
            require_band_count(model, info.bands)
            server = PictureServer(model, info, views, max_pixels=max_pixels)
        else:
            server = build_server(model, views, info.bands)
        signatures = {"serving_default": server.classes, "probabilities": server.__call__}
        if info.bands.is_rgb:
            signatures |= {
                "serving_bytes": server.classes_of_encoded,
                "png": server.png,
                "png_as_stored": server.png_as_stored,
                "class_list": server.class_list,
            }
        tf.saved_model.save(server, str(target.partial), signatures=signatures)
        if warmup:
            write_warmup_requests(target.partial / "assets.extra" / WARMUP_FILE, warmup)
        if check:
            check_written(target.partial, model, kind="saved_model", views=views, bands=info.bands)
    return target.path
