"""Table 3.8: CAA among other methods with ResNet-101 on COCO-Stuff 10K."""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment, with_aux
from deeplab_ksac.experiments.common import multi_scale, table

CAA = with_aux(experiment(part("caa"), output_stride=8, dataset="coco_stuff10k", evaluated_on="test"))
OPEN = "171 classes, as in the data and in chapter 4; Sect. 3.4.3 says 172. Output stride 8 and Aux as in Table 3.6."

ROWS = {
    "R1": Row(None, "DSSPN", miou_ms_flip=38.9),
    "R2": Row(None, "SVCNet", miou_ms_flip=39.6),
    "R3": Row(None, "EMANet", miou_ms_flip=39.9),
    "R4": Row(None, "SPYGR", miou_ms_flip=39.9),
    "R5": Row(None, "OCR", miou_ms_flip=39.5),
    "R6": Row(None, "DANet", miou_ms_flip=39.7),
    "R7": Row(multi_scale(CAA), "CAA", miou_ms_flip=41.2, note=OPEN),
}

TABLE = table("3.8", "ResNet-101 and naive upsampling on COCO-Stuff 10K test, MF", ROWS, PROTOCOL)
