"""The classes that both forms of COCO-Stuff share: 171 of its 182 ids occur, labeled 0…170 in their order."""

from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.datasets.tables import read_table

_CLASSES = read_table("coco_stuff")

IDS = tuple(int(row["id"]) for row in _CLASSES)
CLASS_NAMES = tuple(row["name"] for row in _CLASSES)
COLORS = voc_palette(172)[1:]  # black is what is unlabeled
