"""EfficientNet-B0 … B7: Keras' networks, made dense by the output-stride rewrite."""

import functools
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import LONGEST_KERNEL, MOST_CHANNELS, MOST_REPEATS, check_whole_numbers
from deeplab_ksac.backbones.atrous import with_output_stride
from deeplab_ksac.backbones.contract import normalization, require_endpoints, require_output_stride
from deeplab_ksac.backbones.keras_weights import KerasWeights, same_layers
from deeplab_ksac.backbones.weights import CLASSIFIERS, TimmFile, TimmWeights, norm_tensors
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.dropout import DropPath
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.layers.norm import NormFactory

SIZES = {
    "efficientnet_b0": keras.applications.EfficientNetB0,
    "efficientnet_b1": keras.applications.EfficientNetB1,
    "efficientnet_b2": keras.applications.EfficientNetB2,
    "efficientnet_b3": keras.applications.EfficientNetB3,
    "efficientnet_b4": keras.applications.EfficientNetB4,
    "efficientnet_b5": keras.applications.EfficientNetB5,
    "efficientnet_b6": keras.applications.EfficientNetB6,
    "efficientnet_b7": keras.applications.EfficientNetB7,
}
MOST_OF_A_BLOCK = {  # the whole numbers of a stage in Keras' `blocks_args`, and what they may be at most
    **{"kernel_size": LONGEST_KERNEL, "repeats": MOST_REPEATS, "strides": 2, "expand_ratio": 64},
    **{"filters_in": MOST_CHANNELS, "filters_out": MOST_CHANNELS},
}
LAST_BLOCKS = {"c2": 2, "c3": 3, "c4": 5, "c5": 7}  # the stages of the paper after which the resolution halves, or ends


def efficientnet(
    output_stride: int = 16,
    *,
    size: str = "efficientnet_b0",
    norm: NormFactory = BatchNorm(),
    endpoints: str = "narrow",
    drop_path_rate: float = 0.2,
    padding: str = "same",
    epsilon: float = 1e-3,
    preprocessing: str = "tf",
    blocks: Sequence[Mapping[str, Any]] | None = None,
    bands: Bands = RGB,
) -> keras.Model:
    """EfficientNet: image [N, H, W, 3], RGB 0…255 -> {"c2", "c3", "c4", "c5"}, of 24, 40, 112, 320 channels for B0.

    c2, c3, c4 are the outputs of the blocks before the strides; c5 is that of the last block, without the 1×1
    convolution that belongs to the classifier. Squeeze-and-excitation averages the dense map.

    Args:
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        size: a key of SIZES: depth and width.
        norm: factory of the normalization layers.
        endpoints: "narrow", or "expanded" for the activations that the strided kernels read.
        drop_path_rate: largest probability of a block to be left out for an image in training; it grows linearly
            with depth.
        padding: "same", the paper's, or "centered", PyTorch's.
        epsilon: of the normalization: the paper's 1e-3; 1e-5 with weights trained in PyTorch.
        preprocessing: of the image, a key of `contract.PREPROCESSINGS`.
        blocks: other stages than the paper's seven, a sequence of dicts as Keras' `blocks_args`.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: another size, output stride, padding, preprocessing or kind of endpoints.
    """
    require_output_stride(output_stride)
    require_endpoints(endpoints)
    if size not in SIZES:
        raise ValueError(f"size must be one of {', '.join(SIZES)}, not {size!r}")
    if not 0 <= drop_path_rate < 1:
        raise ValueError(f"drop_path_rate must lie in [0, 1), not {drop_path_rate}")
    _check_blocks(blocks)
    strided = _network(size, blocks, bands.number, weights=None, drop_connect_rate=drop_path_rate)
    ends = {stage: _last_layer(strided, f"block{number}") for stage, number in LAST_BLOCKS.items()}
    return with_output_stride(
        strided,
        output_stride,
        endpoints=ends if endpoints == "narrow" else {"c5": ends["c5"]},
        norm=norm,
        epsilon=epsilon,
        padding=padding,
        replacements=_replacements(strided, preprocessing, bands),
    )


def _check_blocks(blocks):
    """Raises ValueError unless `blocks` is None or a sequence of stages, whose numbers are in range."""
    if blocks is None:
        return
    if not isinstance(blocks, tuple | list) or not all(isinstance(block, Mapping) for block in blocks):
        raise ValueError(f"blocks must be stages, each a mapping of Keras' `blocks_args`, not {blocks!r}")
    for number, block in enumerate(blocks):
        for name in set(MOST_OF_A_BLOCK).intersection(block):
            check_whole_numbers(1, MOST_OF_A_BLOCK[name], **{f"blocks[{number}].{name}": block[name]})
    if len(blocks) != LAST_BLOCKS["c5"]:
        raise ValueError(f"blocks must be {LAST_BLOCKS['c5']} stages, as the paper has, not {len(blocks)}")


def _network(size, blocks, channels=RGB.number, **arguments):
    """Keras' network of a size, without its top, with the paper's stages or others."""
    if blocks is not None:
        arguments["blocks_args"] = [dict(block) for block in blocks]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of images of more bands than three
        return SIZES[size](include_top=False, input_shape=[None, None, channels], **arguments)


def _last_layer(network, block):
    """The name of the last layer whose name begins so."""
    return [layer.name for layer in network.layers if layer.name.startswith(block)][-1]


def _replacements(network, preprocessing, bands):
    """Our preprocessing for Keras' two layers of it, and stochastic depth by name of the layer."""
    replacements = {}
    for layer in network.layers:
        if isinstance(layer, keras.layers.Rescaling):
            replacements[layer.name] = normalization(preprocessing, bands)
        elif isinstance(layer, keras.layers.Normalization):
            replacements[layer.name] = keras.layers.Activation("linear", dtype="float32", name="normalized")
        elif isinstance(layer, keras.layers.Dropout):
            replacements[layer.name] = DropPath(layer.rate, name=layer.name)
    return replacements


LAYER = re.compile(r"block(\d)([a-z])_(expand_conv|expand_bn|dwconv|bn|se_reduce|se_expand|project_conv|project_bn)")
NAMES = {
    "expand_conv": "conv_pw",
    "expand_bn": "bn1",
    "dwconv": "conv_dw",
    "bn": "bn2",
    "se_reduce": "se.conv_reduce",
    "se_expand": "se.conv_expand",
    "project_conv": "conv_pwl",
    "project_bn": "bn3",
}
UNEXPANDED_NAMES = {**NAMES, "bn": "bn1", "project_conv": "conv_pw", "project_bn": "bn2"}


def timm_tensors(model: keras.Model) -> list[tuple[str, tf.Variable, Any]]:
    """timm's names of an EfficientNet's tensors: [(name, variable, layout)]."""
    layers = {layer.name: layer for layer in model.layers}
    tensors = [("conv_stem.weight", layers["stem_conv"].kernel, "conv"), *norm_tensors(layers["stem_bn"], "bn1")]
    for match in filter(None, map(LAYER.fullmatch, layers)):
        layer, (stage, block, part) = layers[match.string], match.groups()
        names = NAMES if f"block{stage}{block}_expand_conv" in layers else UNEXPANDED_NAMES
        name = f"blocks.{int(stage) - 1}.{ord(block) - ord('a')}.{names[part]}"
        if part.endswith("bn"):
            tensors += norm_tensors(layer, name)
        elif part == "dwconv":
            tensors.append((f"{name}.weight", layer.depthwise_kernel, "depthwise"))
        else:
            tensors.append((f"{name}.weight", layer.kernel, "conv"))
        if part.startswith("se_"):
            tensors.append((f"{name}.bias", layer.bias, "same"))
    return tensors


def timm_arguments(file: TimmFile) -> dict[str, Any]:
    """timm's "tf_" networks are the paper's; those without were trained with PyTorch's padding and epsilon."""
    own = file.architecture.startswith("efficientnet")
    return {
        "preprocessing": "torch",
        "padding": "centered" if own else "same",
        "epsilon": 1e-5 if own else 1e-3,
    }


TIMM = TimmWeights(timm_tensors, timm_arguments, ignored=(*CLASSIFIERS, "conv_head.", "bn2."))


def keras_weights(size: str) -> KerasWeights:
    """The `KerasWeights` of a size; the mean and deviation in Keras' files are those of our preprocessing "torch"."""

    def network(weights, arguments):
        return _network(size, arguments.get("blocks"), weights=weights)

    return KerasWeights(network, same_layers, {"preprocessing": "torch", "padding": "same", "epsilon": 1e-3})


EFFICIENTNETS = {size: functools.partial(efficientnet, size=size) for size in SIZES}
