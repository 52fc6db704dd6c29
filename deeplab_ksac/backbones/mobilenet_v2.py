"""MobileNetV2 with DeepLab's endpoints, made dense by the output-stride rewrite."""

import re
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import WIDEST, check_numbers
from deeplab_ksac.backbones.atrous import with_output_stride
from deeplab_ksac.backbones.contract import image_input, require_endpoints, require_output_stride
from deeplab_ksac.backbones.keras_weights import KerasWeights, same_layers
from deeplab_ksac.backbones.weights import CLASSIFIERS, TimmWeights, norm_tensors
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.layers.norm import NormFactory

BLOCK_OUTPUTS = {"c2": "block_2_add", "c3": "block_5_add", "c4": "block_12_add"}


def mobilenet_v2(
    output_stride: int = 16,
    *,
    norm: NormFactory = BatchNorm(),
    alpha: float = 1.0,
    endpoints: str = "expanded",
    padding: str = "same",
    epsilon: float = 1e-3,
    preprocessing: str = "tf",
    bands: Bands = RGB,
) -> keras.Model:
    """MobileNetV2: image [N, H, W, 3], RGB 0…255 -> {"c2", "c3", "c4", "c5"} of 144, 192, 576, 320 channels.

    c2, c3, c4 are the expanded activations before the next stride; c5 is the last bottleneck, linear, without the
    1×1 convolution to 1280 channels that belongs to the classifier (DeepLab takes the same).

    Args:
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        norm: factory of the normalization layers.
        alpha: factor of all channel counts, above 0.
        endpoints: "expanded", or "narrow" for the bottlenecks' outputs before the strides, of 24, 32, 96 channels.
        padding: "same", Keras' and the paper's, or "centered", PyTorch's.
        epsilon: of the normalization: Keras' 1e-3; 1e-5 with PyTorch's weights.
        preprocessing: of the image, a key of `contract.PREPROCESSINGS`.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: another output stride, padding, preprocessing or kind of endpoints.
    """
    require_output_stride(output_stride)
    require_endpoints(endpoints)
    check_numbers(WIDEST, alpha=alpha)
    _, normalized = image_input(preprocessing, bands)
    strided = keras.applications.MobileNetV2(input_tensor=normalized, alpha=alpha, include_top=False, weights=None)
    named = {"c5": "block_16_project_BN", **(BLOCK_OUTPUTS if endpoints == "narrow" else {})}
    return with_output_stride(strided, output_stride, endpoints=named, norm=norm, epsilon=epsilon, padding=padding)


REPEATS = (1, 2, 3, 4, 3, 3, 1)
LAYER = re.compile(r"(?:block_(\d+)|expanded_conv)_(expand|depthwise|project)(_BN)?")


def timm_tensors(model: keras.Model) -> list[tuple[str, tf.Variable, Any]]:
    """timm's names of a MobileNetV2's tensors: [(name, variable, layout)]."""
    stem = model.get_layer("Conv1").kernel
    tensors = [("conv_stem.weight", stem, "conv"), *norm_tensors(model.get_layer("bn_Conv1"), "bn1")]
    for layer in model.layers:
        match = LAYER.fullmatch(layer.name)
        if not match:
            continue
        number, part, norm = int(match[1] or 0), match[2], match[3]
        parts = ("depthwise", "project") if number == 0 else ("expand", "depthwise", "project")
        convs = ("conv_dw", "conv_pw") if number == 0 else ("conv_pw", "conv_dw", "conv_pwl")
        place = parts.index(part)
        within = f"{_timm_block(number)}.{f'bn{place + 1}' if norm else convs[place]}"
        if norm:
            tensors += norm_tensors(layer, within)
        elif part == "depthwise":
            tensors.append((f"{within}.weight", layer.depthwise_kernel, "depthwise"))
        else:
            tensors.append((f"{within}.weight", layer.kernel, "conv"))
    return tensors


def _timm_block(number):
    """timm counts blocks within stages: "blocks.2.0" is Keras' block 3."""
    for stage, repeats in enumerate(REPEATS):
        if number < repeats:
            return f"blocks.{stage}.{number}"
        number -= repeats
    raise ValueError(f"MobileNetV2 has {sum(REPEATS)} blocks")


TIMM = TimmWeights(
    timm_tensors,
    {"preprocessing": "torch", "padding": "centered", "epsilon": 1e-5},
    ignored=(*CLASSIFIERS, "conv_head.", "bn2."),
)


def _network(weights, arguments):
    return keras.applications.MobileNetV2(
        [96, 96, 3], alpha=arguments.get("alpha", 1.0), include_top=False, weights=weights
    )


KERAS = KerasWeights(_network, same_layers, {"preprocessing": "tf", "padding": "same", "epsilon": 1e-3})
