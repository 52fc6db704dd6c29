"""Table 4.4: what CAR costs; the experiments are R1 to R8 of Table 4.1."""

from deeplab_ksac.experiment import Row
from deeplab_ksac.experiments.chapter_4 import PROTOCOL
from deeplab_ksac.experiments.common import table
from deeplab_ksac.experiments.table_4_1 import ROWS as TRAINED

GFLOPS = {  # of the forward pass: in training, at inference
    "R1": (167.41, 167.21),
    "R2": (159.16, 158.96),
    "R3": (167.65, 167.21),
    "R4": (167.66, 167.21),
    "R5": (167.78, 167.21),
    "R6": (159.40, 158.96),
    "R7": (159.41, 158.96),
    "R8": (159.53, 158.96),
}

ROWS = {
    label: Row(TRAINED[label].experiment, TRAINED[label].method, gflops_training=training, gflops=inference)
    for label, (training, inference) in GFLOPS.items()
}

TABLE = table("4.4", "Cost of CAR at 513×513, output stride 8: ResNet-50 + self-attention", ROWS, PROTOCOL)
