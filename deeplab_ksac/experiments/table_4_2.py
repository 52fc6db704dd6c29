"""Table 4.2: CAR with a moving average of the class centers."""

from deeplab_ksac.experiment import Row
from deeplab_ksac.experiments.chapter_4 import PROTOCOL, self_attention, upernet
from deeplab_ksac.experiments.common import pointwise, table, with_car

RESNET, SWIN = pointwise(self_attention()), pointwise(upernet())

ROWS = {
    "R1": Row(with_car(RESNET), "ResNet-50 + self-attention + CAR", miou=50.50),
    "R1_0.8": Row(with_car(RESNET, moving_average=0.8), "moving average 0.8", miou=49.80),
    "R1_0.9": Row(with_car(RESNET, moving_average=0.9), "moving average 0.9", miou=50.26),
    "R1_0.99": Row(with_car(RESNET, moving_average=0.99), "moving average 0.99", miou=49.96),
    "R2": Row(with_car(SWIN), "Swin-Tiny + UperNet + CAR", miou=50.78),
    "R2_0.8": Row(with_car(SWIN, moving_average=0.8), "moving average 0.8", miou=49.56),
    "R2_0.9": Row(with_car(SWIN, moving_average=0.9), "moving average 0.9", miou=50.03),
    "R2_0.99": Row(with_car(SWIN, moving_average=0.99), "moving average 0.99", miou=48.93),
}

TABLE = table("4.2", "CAR with moving averages of the centers, PASCAL Context", ROWS, PROTOCOL)
