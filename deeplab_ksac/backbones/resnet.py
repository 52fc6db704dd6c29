"""ResNet made dense by atrous convolution: DeepLab's stems, stride placements and multi-grid."""

import dataclasses
import functools

from tensorflow import keras

from deeplab_ksac.backbones.contract import image_input, require_output_stride
from deeplab_ksac.layers import AtrousConv2D, BatchNorm

STEMS = ("deep", "7x7")


@dataclasses.dataclass(frozen=True)
class StridePlacement:
    """Where a stage halves its resolution, and which atrous rate that block gets when the halving is taken away.

    Attributes:
        last: the stage's last block strides (so stages 2–4 do, the fifth does not); otherwise the first of stages 3–5.
        conv: which of the bottleneck's three convolutions strides, 1 or 2.
        dilates_itself: whether the block whose stride is taken away already has the doubled rate, or the next one.
        pooled: the strided shortcut averages 2×2 pixels instead of taking every other one.
    """

    last: bool
    conv: int
    dilates_itself: bool
    pooled: bool = False


# "slim" is the author's code (chapter 4): its doubled rate in the striding block breaks the identity between dense and
# strided network, which all others keep. "beta" is the published resnet_v1_beta, "v1.5" what PyTorch's weights have.
VARIANTS = {
    "std": StridePlacement(last=False, conv=1, dilates_itself=True),
    "v1.5": StridePlacement(last=False, conv=2, dilates_itself=False),
    "slim": StridePlacement(last=True, conv=2, dilates_itself=True, pooled=True),
    "beta": StridePlacement(last=True, conv=2, dilates_itself=False),
}


@dataclasses.dataclass(frozen=True)
class Block:
    """One bottleneck's place in the network: its `stage` (2–5), whether it was `striding` in the network of output
    stride 32, the `stride` it has kept and the `rate` of its 3×3 convolution."""

    stage: int
    striding: bool
    stride: int
    rate: int


def plan_blocks(blocks, output_stride, placement, multi_grid):
    """Strides and atrous rates of all bottlenecks: a list of `Block` for each of the stages 2–5.

    A stride that would bring the features below `output_stride` is taken away and doubles the rate of what follows
    (Sect. 2.2.1); `multi_grid` multiplies the rates of the last stage, block by block.
    """
    plan, stride, rate = [], 4, 1
    for stage, count in enumerate(blocks, start=2):
        stage_plan = []
        for index in range(count):
            striding = (stage < 5 and index == count - 1) if placement.last else (stage > 2 and index == 0)
            removed = striding and stride == output_stride
            kept = 2 if striding and not removed else 1
            before, rate = rate, rate * (2 if removed else 1)
            grid = multi_grid[index] if stage == 5 else 1
            own = rate if placement.dilates_itself else before
            stage_plan.append(Block(stage, striding, kept, own * grid))
            stride *= kept
        plan.append(stage_plan)
    return plan


def conv_norm(x, filters, kernel_size, name, *, norm, stride=1, rate=1):
    """Convolution and normalization: [N, h, w, C] -> [N, ⌈h/stride⌉, ⌈w/stride⌉, filters].

    A strided kernel is centered on every `stride`-th pixel from the first one on, at odd and even sizes alike.
    """
    padding = "same"
    if stride > 1 and kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    conv = AtrousConv2D(filters, kernel_size, stride, padding, dilation_rate=rate, use_bias=False, name=f"{name}_conv")
    return norm(name=f"{name}_norm")(conv(x))


def relu(x, name):
    """The activation as a named layer."""
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def stem_layers(x, stem, width, norm):
    """The image to a quarter of its size: [N, H, W, 3] -> [N, H/4, W/4, width or, with the deep stem, 2 · width]."""
    if stem == "7x7":
        x = relu(conv_norm(x, width, 7, "stem1", norm=norm, stride=2), "stem1")
    else:
        x = relu(conv_norm(x, width, 3, "stem1", norm=norm, stride=2), "stem1")
        x = relu(conv_norm(x, width, 3, "stem2", norm=norm), "stem2")
        x = relu(conv_norm(x, 2 * width, 3, "stem3", norm=norm), "stem3")
    x = keras.layers.ZeroPadding2D(1, name="stem_pool_pad")(x)  # after a ReLU zeros never win the maximum
    return keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)


def shortcut(x, filters, block, placement, name, norm):
    """The residual path: x itself where shapes allow, else strided and projected to `filters` channels."""
    stride = block.stride
    if stride > 1 and placement.pooled:
        x, stride = keras.layers.AveragePooling2D(2, stride, "same", name=f"{name}_shortcut_pool")(x), 1
    if x.shape[-1] != filters or (stride > 1 and not placement.last):
        return conv_norm(x, filters, 1, f"{name}_shortcut", norm=norm, stride=stride)
    if stride > 1:
        return keras.layers.MaxPooling2D(1, stride, name=f"{name}_shortcut_pool")(x)
    return x


def bottleneck(x, width, block, placement, name, norm):
    """1×1, 3×3, 1×1 convolution beside a shortcut: [N, h, w, C] -> [N, h/stride, w/stride, 4 · width]."""
    first, second = (block.stride, 1) if placement.conv == 1 else (1, block.stride)
    y = relu(conv_norm(x, width, 1, f"{name}_1", norm=norm, stride=first), f"{name}_1")
    y = relu(conv_norm(y, width, 3, f"{name}_2", norm=norm, stride=second, rate=block.rate), f"{name}_2")
    y = conv_norm(y, 4 * width, 1, f"{name}_3", norm=norm)
    y = keras.layers.Add(name=f"{name}_add")([shortcut(x, 4 * width, block, placement, name, norm), y])
    return relu(y, name)


def _require_arguments(output_stride, stem, variant, blocks, multi_grid):
    """Refuses wrong arguments of `resnet` in words."""
    require_output_stride(output_stride)
    if stem not in STEMS:
        raise ValueError(f"stem must be one of {', '.join(STEMS)}, not {stem!r}")
    if variant not in VARIANTS:
        raise ValueError(f"variant must be one of {', '.join(VARIANTS)}, not {variant!r}")
    if len(blocks) != 4 or min(blocks) < 1:
        raise ValueError(f"blocks must be four counts of at least 1, not {tuple(blocks)}")
    if len(multi_grid) < blocks[-1]:
        raise ValueError(f"multi_grid {tuple(multi_grid)} is too short for the {blocks[-1]} blocks of the last stage")


def resnet(
    output_stride=16,
    *,
    norm=BatchNorm(),
    blocks=(3, 4, 6, 3),
    width=64,
    stem="deep",
    variant="std",
    multi_grid=(1, 2, 4),
    epsilon=1.001e-5,
):
    """ResNet of bottlenecks: image [N, H, W, 3], RGB 0…255 -> {"c2" … "c5"} of 4, 8, 16, 32 · width channels.

    c2, c3, c4 are what enters the next stride (the end of their stage; with the variants that stride at a stage's end,
    the input of that block), at ratios 4, 8, 16 to the image or `output_stride`, if that is smaller.

    Args:
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        norm: factory of the normalization layers.
        blocks: bottlenecks in each of the four stages; (3, 4, 6, 3) is ResNet-50, (3, 4, 23, 3) ResNet-101.
        width: channels of the first bottlenecks, 64 in the papers.
        stem: "deep" (3×3 convolutions of width, width, 2 · width channels) or "7x7".
        variant: a key of VARIANTS: where strides lie. "std" in chapters 2 and 3, "slim" in chapter 4.
        multi_grid: factors of the atrous rates of the last stage's blocks; a shorter stage takes the first ones.
        epsilon: of the normalization, part of the architecture (its published weights go with it); None takes norm's.

    Raises:
        ValueError: an unknown stem, variant or output stride, or too few stages, blocks or factors.
    """
    _require_arguments(output_stride, stem, variant, blocks, multi_grid)
    make_norm = norm if epsilon is None else functools.partial(norm, epsilon=epsilon)
    placement = VARIANTS[variant]
    image, x = image_input()
    x = stem_layers(x, stem, width, make_norm)
    pyramid = {}
    for stage_plan in plan_blocks(blocks, output_stride, placement, multi_grid):
        for number, block in enumerate(stage_plan, start=1):
            if placement.last and block.striding:
                pyramid[f"c{block.stage}"] = x
            name, bottleneck_width = f"stage{block.stage}_block{number}", width * 2 ** (block.stage - 2)
            x = bottleneck(x, bottleneck_width, block, placement, name, make_norm)
        pyramid.setdefault(f"c{block.stage}", x)
    return keras.Model(image, pyramid, name=f"resnet{3 * sum(blocks) + 2}")


resnet50 = functools.partial(resnet, blocks=(3, 4, 6, 3))
resnet101 = functools.partial(resnet, blocks=(3, 4, 23, 3))
