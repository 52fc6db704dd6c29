"""Table 3.6: CAA among other methods with ResNet-101 on PASCAL Context."""

from deeplab_ksac.experiment import Experiment, Row, part
from deeplab_ksac.experiments.chapter_3 import PROTOCOL, experiment, with_aux
from deeplab_ksac.experiments.common import multi_scale, table

OPEN = "The best of several runs; with the auxiliary loss, as Sect. 3.4.2.3 says of the comparisons."


def best(output_stride: int) -> Experiment:
    """CAA with "Aux" and "MF"."""
    return multi_scale(with_aux(experiment(part("caa"), output_stride=output_stride)))


ROWS = {
    "R1": Row(None, "ENCNet", miou_ms_flip=51.7),
    "R2": Row(None, "ANNet", miou_ms_flip=52.8),
    "R3": Row(None, "EMANet", miou_ms_flip=53.1),
    "R4": Row(None, "SPYGR", miou_ms_flip=52.8),
    "R5": Row(None, "CPN", miou_ms_flip=53.9),
    "R6": Row(None, "CFNet", miou_ms_flip=54.0),
    "R7": Row(None, "DANet", miou_ms_flip=52.6),
    "R8": Row(best(16), "CAA, OS 16", miou_ms_flip=53.7, note=OPEN),
    "R9": Row(best(8), "CAA, OS 8", miou_ms_flip=55.0, note=OPEN),
}

TABLE = table("3.6", "ResNet-101 and naive upsampling on PASCAL Context, MF", ROWS, PROTOCOL)
