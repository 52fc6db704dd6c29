"""Table 4.7: CAR on the strongest networks, COCO-Stuff 10K."""

from deeplab_ksac.experiment import Row
from deeplab_ksac.experiments.chapter_4 import ADAM, PROTOCOL, caa, upernet, with_adam, with_aux, with_full_car
from deeplab_ksac.experiments.common import multi_scale, table
from deeplab_ksac.experiments.table_3_9 import CAA as CAA_B7

UPER = upernet("swin_large", "coco_stuff10k")
SWIN, CONVNEXT = (caa(backbone, "coco_stuff10k") for backbone in ("swin_large", "convnext_large"))
REGULARIZED = with_full_car(CONVNEXT)

ROWS = {
    "R1": Row(
        multi_scale(CAA_B7),
        "CAA, EfficientNet-B7-D8, Aux",
        miou_ms_flip=45.40,
        note="Quoted from chapter 3 (Table 3.9), trained as there.",
    ),
    "R2": Row(UPER, "UperNet, Swin-Large", miou=44.25, miou_ms_flip=46.10),
    "R3": Row(with_full_car(UPER), "UperNet + CAR, Swin-Large", miou=44.88, miou_ms_flip=46.64),
    "R4": Row(SWIN, "CAA, Swin-Large + JPU", miou=44.22, miou_ms_flip=45.31),
    "R5": Row(with_full_car(SWIN), "CAA + CAR, Swin-Large + JPU", miou=45.48, miou_ms_flip=46.99),
    "R6": Row(CONVNEXT, "CAA, ConvNeXt-Large + JPU", miou=46.49, miou_ms_flip=47.23),
    "R7": Row(REGULARIZED, "CAA + CAR, ConvNeXt-Large + JPU", miou=46.70, miou_ms_flip=47.77),
    "R8": Row(
        with_adam(REGULARIZED), "CAA + CAR, ConvNeXt-Large + JPU, Adam", miou=48.20, miou_ms_flip=48.83, note=ADAM
    ),
    "R9": Row(
        with_adam(with_aux(REGULARIZED)),
        "CAA + CAR, ConvNeXt-Large + JPU, Adam, Aux",
        miou=49.03,
        miou_ms_flip=50.01,
        note=ADAM,
    ),
}

TABLE = table("4.7", "CAR on the strongest networks: COCO-Stuff 10K, single scale and MF", ROWS, PROTOCOL)
