"""Table 2.4: KSAC on ADE20K; the table's body is missing in the text, its KSAC numbers are in Sect. 2.4.5."""

from deeplab_ksac.experiment import Row
from deeplab_ksac.experiments.chapter_2 import PROTOCOL, ade20k
from deeplab_ksac.experiments.common import multi_scale, table, with_low_level

KSAC = with_low_level(ade20k("xception65", "ksac"))
OPEN = "Backbone and steps are not said: Xception-65 + D, the best of Table 2.1, and 150K steps."

ROWS = {
    "R1": Row(KSAC, "KSAC", miou=43.20, note=OPEN),
    "R2": Row(multi_scale(KSAC), "KSAC, MF", miou_ms_flip=45.47, note=OPEN),
}

TABLE = table("2.4", "KSAC on ADE20K val", ROWS, PROTOCOL)
