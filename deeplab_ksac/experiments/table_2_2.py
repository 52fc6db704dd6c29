"""Table 2.2: KSAC's atrous rates."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_2 import PROTOCOL
from deeplab_ksac.experiments.common import multi_scale, table, with_model
from deeplab_ksac.experiments.table_2_1 import xception

THREE = xception("ksac")
FIVE = with_model(THREE, head=part("ksac", atrous_rates=(1, 6, 12, 18, 24)))

ROWS = {
    "R1": Row(THREE, "rates 6 12 18", miou=83.92),
    "R2": Row(multi_scale(THREE), "rates 6 12 18, MF", miou_ms_flip=85.96),
    "R3": Row(FIVE, "rates 1 6 12 18 24", miou=84.50),
    "R4": Row(multi_scale(FIVE), "rates 1 6 12 18 24, MF", miou_ms_flip=87.01),
}

TABLE = table("2.2", "KSAC's atrous rates on VOC 2012 val: Xception-65 + D, OS 16, COCO", ROWS, PROTOCOL)
