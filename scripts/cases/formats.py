"""The network of this package as it is deployed, rounded and not: SavedModel, ONNX Runtime, TensorFlow Lite (XNNPACK).

Each side segments one picture at a time. Ranges for int8 are measured on generated pictures, which changes no time;
what int8 costs in mIoU is told by `ksac export`.
"""

import functools
import os
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from deeplab_ksac.export import FORMATS, fresh
from deeplab_ksac.models import SHIPPED
from deeplab_ksac.models.loading import load
from deeplab_ksac.scripts.cases import Bound, Case

HEIGHT, WIDTH = 375, 500
PICTURES = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), np.uint8)
AGAINST = "TFLite float32"
SIDES = {  # name -> format, rounding
    "SavedModel float32": ("saved_model", None),
    "ONNX float32": ("onnx", None),
    "ONNX int8": ("onnx", "int8"),
    "TFLite float32": ("tflite", None),
    "TFLite float16": ("tflite", "float16"),
    "TFLite int8": ("tflite", "int8"),
}
MEGABYTES = {}


@functools.cache
def network():
    """The model that is loaded once for all sides."""
    return load(next(iter(SHIPPED)))


def prepare(name):
    """A callable that segments one picture by what was exported."""
    form, rounding = SIDES[name]
    rounded = {} if rounding is None else {"quantize": rounding}
    if rounding == "int8":
        rounded["representative"] = list(PICTURES)
    with tempfile.TemporaryDirectory(prefix="benchmark_") as folder:
        path = Path(folder, "served" if form == "saved_model" else f"model.{form}")
        FORMATS[form](network().model, path, info=network().info, check=False, **rounded)
        MEGABYTES[name] = sum(file.stat().st_size for file in [path, *path.rglob("*")] if file.is_file()) / 1e6
        return RUNNERS[form](path)


def saved_model(path):
    """By TensorFlow, the default signature."""
    served, image = tf.saved_model.load(str(path)), tf.constant(PICTURES[:1])
    return lambda: (served, served.signatures["serving_default"](image=image))


def onnx(path):
    """By ONNX Runtime, the classes alone."""
    session = fresh.onnx_session(str(path))
    return lambda: session.run(["classes"], {"image": PICTURES[:1]})


def tflite(path):
    """By tf.lite with XNNPACK, on as many threads as the others use."""
    interpreter = tf.lite.Interpreter(model_content=path.read_bytes(), num_threads=len(os.sched_getaffinity(0)))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], PICTURES[:1].shape)
    runner = interpreter.get_signature_runner()
    return lambda: runner(image=PICTURES[:1])


RUNNERS = {"saved_model": saved_model, "onnx": onnx, "tflite": tflite}


def told():
    """Sizes, which no ratio shows."""
    return ["MB: " + ", ".join(f"{name} {size:.1f}" for name, size in MEGABYTES.items())]


CASES = {
    "formats": Case(
        title=f"animals_ksac_lite0, {HEIGHT}×{WIDTH}",
        sides={name: functools.partial(prepare, name) for name in SIDES},
        bounds=tuple(Bound(name, AGAINST, None) for name in SIDES if name != AGAINST),
        told=told,
    ),
}
