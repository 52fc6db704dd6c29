"""Where a ResNet strides, and which atrous rates take the place of strides."""

import dataclasses
from collections.abc import Sequence


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


def plan_blocks(
    blocks: Sequence[int], output_stride: int, placement: StridePlacement, multi_grid: Sequence[int]
) -> list[list[Block]]:
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
