"""Table 3.7: CAA with EfficientNet-B7 among methods with any backbone on PASCAL Context."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment, with_aux
from deeplab_ksac.experiments.common import multi_scale, table, with_low_level

CAA = with_aux(experiment(part("caa"), "efficientnet_b7", 8))
OPEN = "Output stride 8 and the auxiliary loss as Table 4.6 quotes this model (EfficientNet-B7-D8)."

ROWS = {
    "R1": Row(None, "CTNet + JPU", miou_ms_flip=55.5),
    "R2": Row(None, "SETR-MLA", miou_ms_flip=55.83),
    "R3": Row(None, "HRNetV2 + OCR", miou_ms_flip=56.2),
    "R4": Row(None, "ResNeSt-269 + DeepLabV3+", miou_ms_flip=58.9),
    "R5": Row(None, "HRNetV2 + OCR + RMI", miou_ms_flip=59.6),
    "R6": Row(None, "DPT-Hybrid", miou_ms_flip=60.46),
    "R7": Row(multi_scale(CAA), "CAA (EfficientNet-B7)", miou_ms_flip=60.12, note=OPEN),
    "R8": Row(multi_scale(with_low_level(CAA)), "CAA (EfficientNet-B7) + D", miou_ms_flip=60.50, note=OPEN),
}

TABLE = table("3.7", "Any backbone on PASCAL Context, MF", ROWS, PROTOCOL)
