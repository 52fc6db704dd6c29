"""Table 3.3: channelization of self-attention."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment
from deeplab_ksac.experiments.common import table

ROWS = {
    "R1": Row(experiment(part("axial")), "axial attention", miou=50.27),
    "R2": Row(experiment(part("caa", gate_depth=5, gate_width=128)), "axial attention, channelized", miou=51.06),
    "R3": Row(
        experiment(part("self_attention")),
        "self-attention",
        miou=50.42,
        note="The head of chapter 4, which has a shortcut and a key of its own; chapter 3 describes none.",
    ),
    "R4": Row(experiment(part("channelized_self_attention")), "self-attention, channelized", miou=51.09),
}

TABLE = table("3.3", "Channelized self-attention: ResNet-101, OS 16, PASCAL Context", ROWS, PROTOCOL)
