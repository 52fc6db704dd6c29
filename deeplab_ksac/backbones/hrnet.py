"""HRNet (Wang et al., TPAMI 2020): four resolutions side by side that exchange what they see (Table 4.5, Fig. 4.6)."""

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.arguments import MOST_CHANNELS, MOST_REPEATS, check_lists_of_whole_numbers, check_whole_numbers
from deeplab_ksac.backbones.contract import image_input, require_strided
from deeplab_ksac.backbones.weights import TimmWeights, norm_tensors
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.layers import BatchNorm, ResizeLike, spatial_size
from deeplab_ksac.layers.norm import NormFactory

EPSILON = 1e-5  # of the batch normalization
UPSAMPLINGS = ("nearest", "bilinear")


@keras.saving.register_keras_serializable("deeplab_ksac")
class RepeatPixels(keras.layers.Layer):
    """Each pixel `factor` × `factor` times, cut to a finer map's size: ([N, h, w, C], [N, H, W, D]) -> [N, H, W, C].

    Pixel (y, x) comes from (⌊y / factor⌋, ⌊x / factor⌋), so any H of (h − 1) · factor + 1 … h · factor will do.
    """

    def __init__(self, factor: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: Sequence[tf.Tensor]) -> tf.Tensor:
        coarse, fine = inputs
        (height, width), channels = spatial_size(coarse), coarse.shape[-1]
        batch = tf.shape(coarse)[0] if coarse.shape[0] is None else coarse.shape[0]
        # TensorFlow Lite adds an axis by a reshape at any rank, by tf.newaxis only up to rank 5
        apart = tf.reshape(coarse, [batch, height, 1, width, 1, channels])
        repeated = tf.tile(apart, [1, 1, self.factor, 1, self.factor, 1])
        repeated = tf.reshape(repeated, [batch, height * self.factor, width * self.factor, channels])
        size = spatial_size(fine)
        return repeated[:, : size[0], : size[1]]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "factor": self.factor}


class Builder:
    """Layers under the names of timm's modules.

    Attributes:
        norm: factory of the normalization layers.
        upsampling: a key of UPSAMPLINGS.
    """

    def __init__(self, norm: NormFactory, upsampling: str) -> None:
        self.norm, self.upsampling = functools.partial(norm, epsilon=EPSILON), upsampling

    def conv_norm(
        self,
        x: tf.Tensor,
        filters: int,
        kernel_size: int,
        names: tuple[str, str],
        stride: int = 1,
        activate: bool = True,
    ) -> tf.Tensor:
        """Convolution, normalization and, unless it is left, ReLU: [N, h, w, C] -> [N, ⌈h/stride⌉, …, filters].

        A strided kernel is centered on every second pixel from the first one on, at odd and even sizes alike.
        """
        conv, norm = names
        padding = "same"
        if stride > 1:
            x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{conv}.pad")(x)
            padding = "valid"
        x = keras.layers.Conv2D(filters, kernel_size, stride, padding, use_bias=False, name=conv)(x)
        x = self.norm(name=norm)(x)
        return keras.layers.ReLU(name=f"{norm}.relu")(x) if activate else x

    def block(self, x: tf.Tensor, width: int, name: str, kernel_sizes: Sequence[int], expansion: int = 1) -> tf.Tensor:
        """A residual block of convolutions of `width` channels, the last of expansion · width."""
        y, last = x, len(kernel_sizes)
        for number, kernel_size in enumerate(kernel_sizes, start=1):
            filters = width * expansion if number == last else width
            names = (f"{name}.conv{number}", f"{name}.bn{number}")
            y = self.conv_norm(y, filters, kernel_size, names, activate=number < last)
        if x.shape[-1] != width * expansion:
            names = (f"{name}.downsample.0", f"{name}.downsample.1")
            x = self.conv_norm(x, width * expansion, 1, names, activate=False)
        return keras.layers.ReLU(name=f"{name}.relu")(keras.layers.Add(name=f"{name}.add")([y, x]))

    def transition(self, branches: list[tf.Tensor], widths: Sequence[int], name: str) -> list[tf.Tensor]:
        """One branch more, strided from the last one: a list of maps to a list of len(widths) maps."""
        if len(branches) == 1:
            first = self.conv_norm(branches[0], widths[0], 3, (f"{name}.0.0", f"{name}.0.1"))
            kept, names = [first], (f"{name}.1.0.0", f"{name}.1.0.1")
        else:
            kept, names = branches, (f"{name}.{len(branches)}.0.0", f"{name}.{len(branches)}.0.1")
        return [*kept, self.conv_norm(branches[-1], widths[-1], 3, names, stride=2)]

    def module(self, branches: list[tf.Tensor], blocks: int, name: str) -> list[tf.Tensor]:
        """`blocks` basic blocks on every branch, then each resolution's sum of all of them."""
        branches = list(branches)
        for index, x in enumerate(branches):
            for block in range(blocks):
                x = self.block(x, x.shape[-1], f"{name}.branches.{index}.{block}", (3, 3))
            branches[index] = x
        return [self.fuse(branches, index, f"{name}.fuse_layers.{index}") for index in range(len(branches))]

    def fuse(self, branches: list[tf.Tensor], target: int, name: str) -> tf.Tensor:
        """The sum of all branches at the resolution of one, activated."""
        here = branches[target]
        parts = []
        for index, x in enumerate(branches):
            if index < target:
                x = self._down(x, target - index, here.shape[-1], f"{name}.{index}")
            elif index > target:
                names = (f"{name}.{index}.0", f"{name}.{index}.1")
                x = self.conv_norm(x, here.shape[-1], 1, names, activate=False)
                x = self._up(x, here, 2 ** (index - target), f"{name}.{index}.2")
            parts.append(x)
        return keras.layers.ReLU(name=f"{name}.relu")(keras.layers.Add(name=f"{name}.add")(parts))

    def _down(self, x, steps, filters, name):
        """Strided convolutions; all but the last keep the channels and are activated."""
        for step in range(steps):
            last, names = step == steps - 1, (f"{name}.{step}.0", f"{name}.{step}.1")
            x = self.conv_norm(x, filters if last else x.shape[-1], 3, names, stride=2, activate=not last)
        return x

    def _up(self, x, here, factor, name):
        """A coarse map at the size of a finer one."""
        layer = RepeatPixels(factor, name=name) if self.upsampling == "nearest" else ResizeLike(name=name)
        return layer([x, here])


def hrnet(
    output_stride: int = 32,
    *,
    norm: NormFactory = BatchNorm(),
    width: int = 48,
    modules: Sequence[int] = (1, 4, 3),
    blocks: Sequence[int] = (4, 4, 4, 4),
    upsampling: str = "nearest",
    preprocessing: str = "torch",
    bands: Bands = RGB,
) -> keras.Model:
    """HRNet: image [N, H, W, 3], RGB 0…255 -> {"c2" … "c5"} of 1, 2, 4, 8 · width channels.

    The four resolutions as the last stage leaves them, at ratios 4, 8, 16, 32 to the image: what HRNetV2 brings to one
    size and joins (OCR with all four as its `levels`). c2 is dense already, so nothing is dilated.

    Args:
        output_stride: ratio of the image's size to c5's: 32.
        norm: factory of the normalization layers; the epsilon is 1e-5, part of the architecture.
        width: channels of the finest resolution.
        modules: exchanges in the stages of two, three and four resolutions.
        blocks: residual blocks in the first stage, and on each branch of every module of the other three.
        upsampling: how coarse maps come to finer ones: "nearest", as the published weights were trained, or "bilinear"
            with corners aligned, as in HRNet's code for segmentation.
        preprocessing: a key of `contract.PREPROCESSINGS`; the default is that of the published weights.
        bands: of the images, where they are no RGB.

    Raises:
        ValueError: another output stride, an unknown upsampling or preprocessing, modules or blocks that are not three
            and four.
    """
    require_strided(output_stride, "hrnet")
    if upsampling not in UPSAMPLINGS:
        raise ValueError(f"upsampling must be one of {', '.join(UPSAMPLINGS)}, not {upsampling!r}")
    if len(modules) != 3 or len(blocks) != 4:
        raise ValueError(f"modules {modules} must be three numbers, blocks {blocks} four")
    check_whole_numbers(1, MOST_CHANNELS // 8, width=width)
    check_lists_of_whole_numbers(1, MOST_REPEATS, modules=modules, blocks=blocks)
    build = Builder(norm, upsampling)
    image, x = image_input(preprocessing, bands)
    for number in (1, 2):
        x = build.conv_norm(x, 64, 3, (f"conv{number}", f"bn{number}"), stride=2)
    for block in range(blocks[0]):
        x = build.block(x, 64, f"layer1.{block}", (1, 3, 1), expansion=4)
    branches = [x]
    for stage, (count, depth) in enumerate(zip(modules, blocks[1:], strict=True), start=2):
        branches = build.transition(branches, [width * 2**i for i in range(stage)], f"transition{stage - 1}")
        for module in range(count):
            branches = build.module(branches, depth, f"stage{stage}.{module}")
    return keras.Model(image, {f"c{i}": x for i, x in enumerate(branches, start=2)}, name="hrnet")


HRNETS = {"hrnet_w32": functools.partial(hrnet, width=32), "hrnet_w48": functools.partial(hrnet, width=48)}


def timm_tensors(model: keras.Model) -> list[tuple[str, tf.Variable, Any]]:
    """Where each tensor of timm's `hrnet_*` goes: (name, variable, layout); layers are named as timm's modules."""
    tensors = []
    for layer in model.layers:
        if not layer.name.startswith(("conv", "bn", "layer1.", "transition", "stage")):
            continue
        if isinstance(layer, keras.layers.Conv2D):
            tensors.append((f"{layer.name}.weight", layer.kernel, "conv"))
        elif isinstance(layer, keras.layers.BatchNormalization):
            tensors += norm_tensors(layer, layer.name)
    return tensors


TIMM = TimmWeights(
    timm_tensors,
    {"preprocessing": "torch"},
    # the classification head, which widens the resolutions and strides them into one
    ignored=("incre_modules.", "downsamp_modules.", "final_layer.", "classifier."),
)
