"""Table 3.2: axial attention alone, followed by squeeze-and-excitation, and channelized."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment
from deeplab_ksac.experiments.common import table

ROWS = {
    "R1": Row(experiment(part("axial")), "axial attention", miou=50.27, deviation=0.2),
    "R2": Row(experiment(part("axial_squeeze_excite")), "axial attention + SE", miou=50.37, deviation=0.2),
    "R3": Row(
        experiment(part("caa", gate_depth=5, gate_width=128)),
        "axial attention + channelization",
        miou=51.06,
        deviation=0.2,
    ),
}

TABLE = table("3.2", "Axial attention, + SE, + channelization: ResNet-101, OS 16, PASCAL Context", ROWS, PROTOCOL)
