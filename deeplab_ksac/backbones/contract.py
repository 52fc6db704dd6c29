"""What every backbone shares: the output strides it may have and the image it begins with."""

import numpy as np
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.bands import RGB, Bands, MeasuredBands

OUTPUT_STRIDES = (8, 16, 32)
STAGE_STRIDES = {"c2": 4, "c3": 8, "c4": 16, "c5": 32}
PADDINGS = ("same", "centered")

# name -> (scale, offset): what a network's first convolution sees is image · scale + offset, RGB. The names are those
# of keras.applications: −1…1, ImageNet's mean and standard deviation, ImageNet's mean alone. Networks of Caffe take
# BGR; ours take RGB, their first kernel is turned round when such weights are loaded.
PREPROCESSINGS = {
    "tf": (1 / 127.5, -1.0),
    "torch": (
        [1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)],
        [-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225],
    ),
    "caffe": (1.0, [-123.68, -116.779, -103.939]),
    "none": (1.0, 0.0),
}
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of R, G, B of 0…1


def require_output_stride(output_stride: int) -> None:
    """Raises ValueError unless `output_stride`, the ratio of the image's size to c5's, is 8, 16 or 32."""
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(f"output_stride must be 8, 16 or 32, not {output_stride!r}")


def require_strided(output_stride: int, family: str) -> None:
    """Raises ValueError unless `output_stride` is 32, for a `family` of networks whose strides cannot be taken away."""
    require_output_stride(output_stride)
    if output_stride != 32:
        raise ValueError(
            f"{family} cannot be dilated: its output_stride must be 32, not {output_stride}; "
            "the neck joint_pyramid_upsampling brings c5 to c3's size"
        )


def require_endpoints(endpoints: str) -> None:
    """Raises ValueError unless `endpoints`, which of an inverted bottleneck's tensors are given, is one of the two."""
    if endpoints not in ("expanded", "narrow"):
        raise ValueError(f"endpoints must be 'expanded' or 'narrow', not {endpoints!r}")


def require_padding(padding: str) -> None:
    """Raises ValueError unless `padding`, where strided kernels lie, is "same" (TensorFlow's) or "centered"
    (PyTorch's)."""
    if padding not in PADDINGS:
        raise ValueError(f"padding must be one of {', '.join(PADDINGS)}, not {padding!r}")


def require_preprocessing(preprocessing: str) -> None:
    """Raises ValueError unless `preprocessing` is a key of PREPROCESSINGS."""
    if preprocessing not in PREPROCESSINGS:
        raise ValueError(f"preprocessing must be one of {', '.join(PREPROCESSINGS)}, not {preprocessing!r}")


def image_input(preprocessing: str = "tf", bands: Bands = RGB) -> tuple[tf.Tensor, tf.Tensor]:
    """The network's input and what its first convolution sees: two tensors [N, H, W, C], `image` and its scaling.

    image, RGB 0…255 float32, is normalized in float32 under every precision policy. The default is the author's −1…1,
    where gray padding of 127.5 becomes 0; weights trained with another preprocessing want theirs.

    Args:
        preprocessing: a key of PREPROCESSINGS.
        bands: of the images.

    Raises:
        ValueError: another preprocessing; other bands than RGB without mean and deviation.
    """
    image = keras.Input([None, None, bands.number], name="image", dtype="float32")
    return image, normalization(preprocessing, bands)(image)


def normalization(preprocessing: str, bands: Bands = RGB, name: str = "normalize") -> keras.layers.Layer:
    """The layer that applies a preprocessing, in float32: [N, H, W, C] -> the same.

    Other bands than RGB get the mean and deviation that ImageNet's pictures have behind this preprocessing, those of R,
    G and B averaged: 0 and 1 with "torch". So weights that were trained with it find numbers of their size.

    Raises:
        ValueError: an unknown preprocessing; other bands than RGB without mean and deviation.
    """
    require_preprocessing(preprocessing)
    scale, offset = PREPROCESSINGS[preprocessing]
    if not bands.is_rgb:
        scale, offset = _of_bands(scale, offset, bands)
    return keras.layers.Rescaling(scale, offset, dtype="float32", name=name)


def _of_bands(scale, offset, bands):
    """(scale, offset) of each band, by its own mean and deviation."""
    if not isinstance(bands, MeasuredBands):
        raise ValueError(f"a network of {bands.describe()} wants their mean and deviation, as in MeasuredBands")
    wanted_mean = np.mean(255 * np.array(IMAGENET_MEAN) * scale + offset)
    wanted_deviation = np.mean(255 * np.array(IMAGENET_DEVIATION) * scale)
    scales = wanted_deviation / np.array(bands.deviation)
    return scales.tolist(), (wanted_mean - scales * bands.mean).tolist()
