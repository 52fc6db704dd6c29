"""Table 3.11: CAA with EfficientNet-B5 on COCO-Stuff 164K."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment
from deeplab_ksac.experiments.common import multi_scale, table

CAA = experiment(part("caa"), "efficientnet_b5", 8, dataset="coco_stuff164k")
OPEN = "Steps and output stride are not said: the chapter's 40K, and 8 as in its other comparisons."

ROWS = {
    "R1": Row(None, "ResNet-50 + DeepLabV3+", miou_ms_flip=38.4),
    "R2": Row(None, "HRNetV2 + OCR", miou_ms_flip=42.3),
    "R3": Row(None, "SETR", miou_ms_flip=45.8),
    "R4": Row(None, "Segformer-B5", miou_ms_flip=46.7),
    "R5": Row(multi_scale(CAA), "CAA (EfficientNet-B5)", miou_ms_flip=47.30, note=OPEN),
}

TABLE = table("3.11", "Any backbone on COCO-Stuff 164K val, MF", ROWS, PROTOCOL)
