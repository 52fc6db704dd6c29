"""A trained model as a SavedModel that needs none of this project's code."""

import contextlib
import dataclasses
import functools
import json
import os
import shutil
from pathlib import Path

import tensorflow as tf

from deeplab_ksac import inference
from deeplab_ksac.model import build_model
from deeplab_ksac.projection import fold_into_bottleneck

CLASSES_FILE = "assets.extra/classes.json"
MAX_CLASSES = 256  # what fits the uint8 of "classes"


class SegmentationServer(tf.Module):
    """What is served: uint8 RGB [N, H, W, 3] of any N, H, W -> {"classes": uint8 [N, H, W], "probabilities":
    float32 [N, H, W, K]} at the image's size.

    Tracks the model's variables, not its layers: nothing of Keras or of this project is left in what is
    saved.

    Args:
        model: image [N, H, W, 3] float32 -> {"logits", …}.
        scales, flip, average: as `inference.predict_probabilities`.

    Raises:
        ValueError: for scales or an average that `inference` refuses, or more than 256 classes.
    """

    def __init__(self, model, *, scales=(1.0,), flip=False, average="logits"):
        super().__init__(name="segmentation_server")
        inference.check_views(scales, None)
        inference.check_average(average)
        forward = inference.logits_model(model)
        if forward.output_shape[-1] > MAX_CLASSES:
            raise ValueError(f"{forward.output_shape[-1]} classes do not fit uint8 (at most {MAX_CLASSES})")
        self.served_variables = list(forward.weights)
        # In a partial, into which tf.Module does not look: the layers stay out of the SavedModel.
        self._probabilities = functools.partial(
            inference.predict_probabilities,
            inference.logits_function(model),
            scales=scales,
            flip=flip,
            average=average,
        )

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8, name="image")], autograph=False)
    def __call__(self, image):
        """The signature "serving_default"."""
        probabilities = self._probabilities(tf.cast(image, tf.float32))
        return {"classes": inference.most_likely(probabilities), "probabilities": probabilities}


def export_saved_model(model, path, *, info, overwrite=False, **options):
    """Writes `model` as a SavedModel with the signature "serving_default" of `SegmentationServer`.

    The class names and colors lie beside it, in `<path>/assets.extra/classes.json`: {"name", "num_classes",
    "class_names", "colors"}. Everything is written to a temporary sibling first and then renamed, so that
    `path` is never half a model.

    Args:
        model: image [N, H, W, 3] float32 -> {"logits", …}.
        path: the directory to write.
        info: the `DatasetInfo` the model was trained on.
        overwrite: whether a SavedModel at `path` may be replaced.
        **options: scales, flip, average, of `SegmentationServer`.

    Returns:
        The path, as a `Path`.

    Raises:
        FileExistsError: if `path` exists, without `overwrite`; or with it, if it is not a SavedModel.
        ValueError: as `SegmentationServer`, or if the model and `info` differ in the number of classes.
    """
    path = Path(os.path.abspath(path))
    _check_free(path, overwrite)
    server = SegmentationServer(model, **options)
    num_classes = model.output["logits"].shape[-1]
    if num_classes != info.num_classes:
        raise ValueError(f"the model has {num_classes} classes, but {info.name} has {info.num_classes}")
    partial = path.with_name(f".{path.name}.partial-{os.getpid()}")
    try:
        tf.saved_model.save(server, str(partial), signatures={"serving_default": server.__call__})
        _write_classes(partial / CLASSES_FILE, info)
        _replace_directory(path, partial)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def fold_projection(model, spec):
    """The same outputs without CAR's projection: the model as it is served and as its FLOPs are counted.

    The kernels are multiplied in float64, so that the logits differ by float32's rounding alone.

    Args:
        model: what `build_model(spec, …)` built.
        spec: its `ModelSpec`.

    Returns:
        A new model, or `model` where there is no projection.
    """
    if spec.projection is None:
        return model
    folded = build_model(dataclasses.replace(spec, projection=None), model.output["logits"].shape[-1])
    for layer in folded.layers:
        original = model.get_layer(layer.name) if layer.weights else None
        if layer.name.startswith("bottleneck_"):
            projection = model.get_layer(layer.name.replace("bottleneck", "projection"))
            fold_into_bottleneck(projection, original, layer)
        elif layer.weights:
            layer.set_weights(original.get_weights())
    return folded


def _check_free(path, overwrite):
    if not os.path.lexists(path):
        return
    if not overwrite:
        raise FileExistsError(f"{path} exists; name another place or ask for it to be overwritten")
    if not (path / "saved_model.pb").is_file():
        raise FileExistsError(f"{path} exists and is not a SavedModel: it is not overwritten; name another place")


def _write_classes(path, info):
    path.parent.mkdir(parents=True)
    content = {
        "name": info.name,
        "num_classes": int(info.num_classes),
        "class_names": list(info.class_names),
        "colors": [[int(value) for value in color] for color in info.colors],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _replace_directory(path, new):
    """Puts the directory `new` at `path`; what was there is moved aside first and removed last."""
    old = path.with_name(f".{path.name}.replaced-{os.getpid()}")
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
