"""Table 3.10: CAA among other methods with ResNet-101 on Cityscapes."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment, with_aux
from deeplab_ksac.experiments.common import multi_scale, table, with_views

CAA = with_aux(
    experiment(
        part("caa"), output_stride=8, dataset="cityscapes", evaluated_on="test", steps=80_000, crop=769, batch_size=8
    )
)
PADDED = with_views(multi_scale(CAA), pad_to=(1025, 2049))
OPEN = "Evaluated by the test server; trained on the fine train split, Aux as in Table 3.6."

ROWS = {
    "R1": Row(None, "CFNet", miou_ms_flip=79.6),
    "R2": Row(None, "ANNet", miou_ms_flip=81.3),
    "R3": Row(None, "CCNet", miou_ms_flip=81.4),
    "R4": Row(None, "CPN", miou_ms_flip=81.3),
    "R5": Row(None, "SPYGR", miou_ms_flip=81.6),
    "R6": Row(None, "OCR", miou_ms_flip=81.8),
    "R7": Row(None, "DANet", miou_ms_flip=81.5),
    "R8": Row(PADDED, "CAA", miou_ms_flip=82.6, note=OPEN),
}

TABLE = table("3.10", "ResNet-101 and naive upsampling on Cityscapes test, MF", ROWS, PROTOCOL)
