"""Table 3.4: CAA with different testing strategies; the table's body is missing in the text.

The settings are those that its caption and Sect. 3.4.2.3 name. The FLOPs are recollections of the printed paper.
"""

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment, with_aux
from deeplab_ksac.experiments.common import multi_scale, table, with_model

BASELINE_16, BASELINE_8 = (experiment(part("fcn", filters=512), output_stride=stride) for stride in (16, 8))
CAA_16, CAA_8 = (experiment(part("caa"), output_stride=stride) for stride in (16, 8))
DANET_8 = with_model(experiment(part("danet"), output_stride=8), bottleneck=None)
OPEN = "The table's body is not in the text: no mIoU, and the FLOPs are from memory of the paper, not checked."

ROWS = {
    "R1": Row(BASELINE_16, "baseline", gflops=59.85, note=OPEN),
    "R2": Row(CAA_16, "CAA", gflops=68.70, note=OPEN),
    "R3": Row(multi_scale(CAA_16), "CAA, MF", note=OPEN),
    "R4": Row(with_aux(CAA_16), "CAA, Aux", note=OPEN),
    "R5": Row(multi_scale(with_aux(CAA_16)), "CAA, Aux, MF", note=OPEN),
    "R6": Row(BASELINE_8, "baseline, OS 8", gflops=190.70, note=OPEN),
    "R7": Row(DANET_8, "DANet, OS 8", gflops=291.95, note=OPEN),
    "R8": Row(CAA_8, "CAA, OS 8", gflops=225.03, note=OPEN),
    "R9": Row(multi_scale(CAA_8), "CAA, OS 8, MF", note=OPEN),
    "R10": Row(with_aux(CAA_8), "CAA, OS 8, Aux", note=OPEN),
    "R11": Row(multi_scale(with_aux(CAA_8)), "CAA, OS 8, Aux, MF", note=OPEN),
}

TABLE = table("3.4", "CAA with different testing strategies: ResNet-101, PASCAL Context", ROWS, PROTOCOL)
