"""Table 4.3: class centers of the batch or of each image."""

from deeplab_ksac.experiment import Row
from deeplab_ksac.experiments.chapter_4 import PROTOCOL, self_attention, upernet
from deeplab_ksac.experiments.common import pointwise, table, with_car

RESNET, SWIN = self_attention(), upernet()

ROWS = {
    "R1": Row(RESNET, "ResNet-50 + self-attention", miou=48.32),
    "R1_image": Row(with_car(pointwise(RESNET), centers="image"), "+ CAR, centers of the image", miou=49.78),
    "R1_batch": Row(with_car(pointwise(RESNET)), "+ CAR, centers of the batch", miou=50.50),
    "R2": Row(SWIN, "Swin-Tiny + UperNet", miou=49.62),
    "R2_image": Row(with_car(pointwise(SWIN), centers="image"), "+ CAR, centers of the image", miou=49.45),
    "R2_batch": Row(with_car(pointwise(SWIN)), "+ CAR, centers of the batch", miou=50.78),
}

TABLE = table("4.3", "Centers of the image or of the batch, PASCAL Context", ROWS, PROTOCOL)
