"""Table 3.1: depth and width of the channelization."""

from deeplab_ksac.experiment import Experiment, Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment
from deeplab_ksac.experiments.common import table

BASE = 68.7  # GFLOPs of R1, to which the other rows' are additions
AXIAL = experiment(part("axial"))


def channelized(depth: int, width: int) -> Experiment:
    """R1 with a gate of `depth` hidden layers of `width` channels."""
    return experiment(part("caa", gate_depth=depth, gate_width=width))


ROWS = {
    "R1": Row(AXIAL, "no channelization", miou=50.27, deviation=0.2, gflops=BASE),
    "R2": Row(channelized(1, 128), "1 layer, 128", miou=50.75, deviation=0.2, gflops=BASE + 0.00024),
    "R3": Row(channelized(3, 128), "3 layers, 128", miou=50.85, deviation=0.2, gflops=BASE + 0.00027),
    "R4": Row(channelized(5, 128), "5 layers, 128", miou=51.06, deviation=0.2, gflops=BASE + 0.00030),
    "R5": Row(channelized(7, 128), "7 layers, 128", miou=50.40, deviation=0.3, gflops=BASE + 0.00043),
    "R6": Row(channelized(5, 64), "5 layers, 64", miou=50.12, deviation=0.2, gflops=BASE + 0.00015),
    "R7": Row(channelized(5, 256), "5 layers, 256", miou=50.35, deviation=0.4, gflops=BASE + 0.00098),
}

TABLE = table("3.1", "Channelization by layers and channels: ResNet-101, OS 16, PASCAL Context", ROWS, PROTOCOL)
