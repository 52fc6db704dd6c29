"""Table 3.5: CAA on other backbones."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment
from deeplab_ksac.experiments.common import table

AXIAL, CAA = part("axial"), part("caa")

ROWS = {
    "R1": Row(experiment(AXIAL, "resnet50"), "ResNet-50 axial", miou=49.73),
    "R2": Row(experiment(CAA, "resnet50"), "ResNet-50 CAA", miou=50.23),
    "R3": Row(experiment(AXIAL, "xception65"), "Xception-65 axial", miou=52.42),
    "R4": Row(experiment(CAA, "xception65"), "Xception-65 CAA", miou=52.65),
    "R5": Row(experiment(AXIAL, "efficientnet_b7"), "EfficientNet-B7 axial", miou=57.24),
    "R6": Row(experiment(CAA, "efficientnet_b7"), "EfficientNet-B7 CAA", miou=57.93),
    "R7": Row(
        experiment(CAA, "efficientnet_b7", 8),
        "EfficientNet-B7 CAA, OS 8",
        miou=58.40,
        note="The output stride is named for the evaluation; here it is that of the training as well.",
    ),
}

TABLE = table("3.5", "CAA on other backbones, OS 16 unless said: PASCAL Context", ROWS, PROTOCOL)
