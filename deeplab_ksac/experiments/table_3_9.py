"""Table 3.9: CAA with EfficientNet-B7 on COCO-Stuff 10K."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment, with_aux
from deeplab_ksac.experiments.common import multi_scale, table

CAA = with_aux(
    experiment(part("caa"), "efficientnet_b7", 8, dataset="coco_stuff10k", evaluated_on="test"),
)
OPEN = "171 classes; output stride 8 and Aux as Table 4.7 quotes this model (EfficientNet-B7-D8)."

ROWS = {
    "R1": Row(None, "HRNetV2 + OCR", miou_ms_flip=40.5),
    "R2": Row(None, "DRAN", miou_ms_flip=41.2),
    "R3": Row(None, "HRNetV2 + OCR + RMI", miou_ms_flip=45.2),
    "R4": Row(multi_scale(CAA), "CAA (EfficientNet-B7)", miou_ms_flip=45.4, note=OPEN),
}

TABLE = table("3.9", "Any backbone on COCO-Stuff 10K test, MF", ROWS, PROTOCOL)
