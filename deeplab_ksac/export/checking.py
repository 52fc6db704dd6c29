"""Checks that an exported file gives what the model gives, in a process without this project's code."""

import itertools
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.experiment import Views
from deeplab_ksac.export.rounding import of_one_size
from deeplab_ksac.export.server import image_dtype
from deeplab_ksac.prediction import scores

SHAPES = ((2, 49, 65), (1, 33, 41))  # sides that are odd, so that flips and scales meet pixel on pixel
NOISE = {"float32": 2.0**-20, "float16": 2.0**-9, "bfloat16": 2.0**-6, "dynamic_range": 2.0**-6, "int8": 2.0**-6}
SURE = 4  # by how many standard deviations of the noise a pixel's two best logits differ, for its class to be certain
PICTURES = 2  # that a file in 8 bits is checked with
PROGRAM = Path(__file__).with_name("fresh.py")
TIMEOUT = 3600
LITE = ("tflite", "litert")  # what runs TensorFlow Lite files


def check_written(
    path: str | os.PathLike,
    model: keras.Model,
    *,
    kind: str,
    views: Views = Views(),
    noise: str | None = None,
    size: tuple[int, int] | None = None,
    bands: Bands = RGB,
) -> tuple[float, float]:
    """Runs what was exported to `path` in a new process on the CPU and compares it with the model.

    Two batches of two sizes of random pixels. The probabilities may differ, as a root mean square, by `tolerance`.

    Args:
        path: what was written.
        model: image [N, H, W, C] float32 -> {"logits", …}.
        kind: of `fresh.RUNNERS`: "saved_model", "tflite", "litert" (a TensorFlow Lite file by LiteRT) or "onnx".
        views: as exported.
        noise: a key of `NOISE`; by default the precision that the model computes with.
        size: None, or (height, width) of the one image it takes at a time.
        bands: of the images.

    Returns:
        (the largest root mean square that was found, what it may be).

    Raises:
        ValueError: they differ, or what was written cannot be run.
    """
    rng = np.random.default_rng(0)
    shapes = SHAPES if size is None else ((1, *size),)
    values = {"high": 2**bands.depth, "dtype": image_dtype(bands, lite=kind in LITE).as_numpy_dtype}
    images = {f"image_{i}": rng.integers(0, size=(*shape, bands.number), **values) for i, shape in enumerate(shapes)}
    compared = []
    for name, outputs in _run_apart(path, kind, images).items():
        with tf.device("CPU:0"):
            image = tf.cast(images[name], tf.float32) / bands.unit
            logits = scores.predict_logits(model, image).numpy()
            expected = scores.predict_probabilities(model, image, views).numpy()
        found, allowed = rms(outputs["probabilities"] - expected), tolerance(model, logits, noise)
        compared.append((found, allowed))
        chosen = np.take_along_axis(outputs["probabilities"], outputs["classes"][..., np.newaxis].astype(int), -1)
        if not found <= allowed:
            raise ValueError(
                f"the exported file differs from the model by {found:.2g} (root mean square of the probabilities), "
                f"more than the allowed {allowed:.2g}; it was removed"
            )
        if not np.array_equal(chosen[..., 0], outputs["probabilities"].max(axis=-1)):
            raise ValueError("the exported file does not give the most likely classes; it was removed")
    return max(compared)


def check_classes(
    path: str | os.PathLike,
    model: keras.Model,
    *,
    kind: str,
    views: Views = Views(),
    pictures: Iterable[np.ndarray],
    size: tuple[int, int] | None = None,
    bands: Bands = RGB,
) -> tuple[float, float]:
    """Runs a file in 8 bits in a new process on the CPU and compares its classes with the model's.

    Counted are the pixels whose two best logits differ by 4 standard deviations of the noise of such a difference,
    √2 · √L · ε · max(1, rms(logits)) with L and ε of `tolerance`. Of these, by Chebyshev's inequality, at most one in
    16 may have another class, however the noise is distributed. That finds gross errors; what the rounding costs is
    known from an evaluation. Of a model that is sure nowhere, as one at random, nothing is compared.

    Args:
        path, model, kind, views, bands: as `check_written`.
        pictures: representative ones, uint8 or uint16 [H, W, C], of which the first two are run.
        size: None, or (height, width) of the pictures that it takes.

    Returns:
        (the largest share that was found, what it may be).

    Raises:
        ValueError: they differ, what was written cannot be run, or the model's logits are not finite.
    """
    dtype = image_dtype(bands, lite=kind in LITE).as_numpy_dtype
    chosen = of_one_size(itertools.islice(iter(pictures), PICTURES), size, bands)
    images = {f"image_{i}": picture.astype(dtype) for i, picture in enumerate(chosen)}
    shares, allowed = [], 1 / SURE**2
    for name, outputs in _run_apart(path, kind, images).items():
        with tf.device("CPU:0"):
            logits = scores.predict_logits(model, tf.cast(images[name], tf.float32) / bands.unit, views).numpy()
        if not np.isfinite(logits).all():
            raise ValueError(
                "the model's logits are not finite, so that no file can be compared with it; it was removed"
            )
        second, first = np.moveaxis(np.sort(logits, axis=-1)[..., -2:], -1, 0)
        deviation = math.sqrt(2) * 2 * tolerance(model, logits, "int8")
        sure = first - second > SURE * deviation
        differ = logits.argmax(axis=-1) != outputs["classes"]
        shares.append(float(np.mean(differ[sure])) if sure.any() else 0.0)
    if not max(shares) <= allowed:
        raise ValueError(
            f"the exported file differs from the model in the classes of {max(shares):.1%} of the pixels of which the "
            f"model is sure, more than the allowed {allowed:.1%}; it was removed"
        )
    return max(shares), allowed


def tolerance(model: keras.Model, logits: np.ndarray, noise: str | None = None) -> float:
    """What the probabilities may differ by, as a root mean square: ½ · √L · ε · max(1, rms(logits)).

    Each of the L layers with a kernel adds an independent relative error ε; softmax at most halves a difference (the
    norm of its Jacobian). ε is 16 rounding units in float32, whose sums are taken in another order, 4 in half
    precision, whose sums are taken in float32 and rounded once, and 4 of the 2⁻⁸ by which numbers rounded to 8 bits
    are off where their range is some eight times their root mean square.
    """
    layers = sum(len(weight.shape) > 1 for weight in model.weights)
    precision = noise or tf.as_dtype(_compute_dtype(model)).name
    return 0.5 * math.sqrt(max(layers, 1)) * NOISE[precision] * max(1.0, rms(logits))


def rms(values: np.ndarray) -> float:
    """Root of the mean of the squares."""
    return float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))


def _compute_dtype(model):
    """The narrowest type that a kernel of the model has."""
    return min((weight.dtype for weight in model.weights if len(weight.shape) > 1), key=lambda dtype: dtype.size)


def _run_apart(path, kind, images):
    """{name of an image: {"classes", "probabilities"}}, from a new process."""
    with tempfile.TemporaryDirectory(prefix="check_") as folder:
        np.savez(Path(folder) / "images.npz", **images)
        ended = subprocess.run(
            [sys.executable, "-I", str(PROGRAM), kind, str(path), folder, *_places()],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            cwd=folder,
            timeout=TIMEOUT,
            check=False,
        )
        if ended.returncode:
            reason = next((line for line in reversed(ended.stderr.splitlines()) if line.strip()), "no reason given")
            raise ValueError(f"the exported file cannot be run in a separate process and was removed: {reason}")
        return {name: _arrays(Path(folder) / f"{name}.npz") for name in images}


def _places():
    """The folders in which this process finds packages, in their order.

    Those of PYTHONPATH and of `pip install --user` are among them, into which an isolated process does not look.
    """
    return [os.path.abspath(place) for place in sys.path if place]


def _arrays(path):
    with np.load(path) as arrays:
        return dict(arrays)
