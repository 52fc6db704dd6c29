"""Table 4.1: the terms of CAR, with and without column "A", on two networks."""

from deeplab_ksac.experiment import Row
from deeplab_ksac.experiments.chapter_4 import PROTOCOL, self_attention, upernet
from deeplab_ksac.experiments.common import pointwise, table, with_car

INTRA = ("intra_c2p",)
INTRA_C2C = ("intra_c2p", "inter_c2c")
RESNET, SWIN = self_attention(), upernet()

ROWS = {
    "R1": Row(RESNET, "ResNet-50 + self-attention", miou=48.32),
    "R2": Row(pointwise(RESNET), "+ A", miou=48.56),
    "R3": Row(with_car(RESNET, terms=INTRA), "+ CAR: intra-c2p", miou=49.17),
    "R4": Row(with_car(RESNET, terms=INTRA_C2C), "+ CAR: intra-c2p, inter-c2c", miou=49.79),
    "R5": Row(with_car(RESNET), "+ CAR", miou=50.01),
    "R6": Row(with_car(pointwise(RESNET), terms=INTRA), "+ A + CAR: intra-c2p", miou=49.62),
    "R7": Row(with_car(pointwise(RESNET), terms=INTRA_C2C), "+ A + CAR: intra-c2p, inter-c2c", miou=50.00),
    "R8": Row(with_car(pointwise(RESNET)), "+ A + CAR", miou=50.50),
    "S1": Row(SWIN, "Swin-Tiny + UperNet", miou=49.62),
    "S2": Row(pointwise(SWIN), "+ A", miou=49.82),
    "S3": Row(with_car(SWIN, terms=INTRA), "+ CAR: intra-c2p", miou=49.01),
    "S4": Row(with_car(SWIN, terms=INTRA_C2C), "+ CAR: intra-c2p, inter-c2c", miou=50.63),
    "S5": Row(with_car(SWIN), "+ CAR", miou=50.26),
    "S6": Row(with_car(pointwise(SWIN), terms=INTRA), "+ A + CAR: intra-c2p", miou=49.62),
    "S7": Row(with_car(pointwise(SWIN), terms=INTRA_C2C), "+ A + CAR: intra-c2p, inter-c2c", miou=50.58),
    "S8": Row(with_car(pointwise(SWIN)), "+ A + CAR", miou=50.78),
}

TABLE = table("4.1", "The terms of CAR on PASCAL Context, single scale", ROWS, PROTOCOL)
