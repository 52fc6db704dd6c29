"""Table 4.5: CAR on every baseline, on PASCAL Context and COCO-Stuff 10K."""

import functools
from collections.abc import Sequence

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments import chapter_4
from deeplab_ksac.experiments.common import WIDE_CONTEXT, table

DATASETS = ("pascal_context", "coco_stuff10k")
MARKED = {"c2c_threshold": WIDE_CONTEXT}
LOWER = f"§: ε₀ is {WIDE_CONTEXT}."
READ = f"{LOWER} The mark is garbled in the text and read from what is left of it."
# (method, backbone, its function (backbone, dataset) -> experiment, mIoU on both, with CAR, CAR's settings on
# COCO-Stuff, note of that row)
BASELINES = (
    ("FCN", "resnet50", chapter_4.fcn, (47.72, 34.10), (48.40, 34.91), MARKED, READ),
    ("FCN", "resnet101", chapter_4.fcn, (50.93, 35.93), (51.39, 36.88), MARKED, READ),
    ("DeepLabV3", "resnet50", "deeplabv3", (48.59, 34.96), (49.53, 35.13), {}, ""),
    ("DeepLabV3", "resnet101", "deeplabv3", (51.69, 36.92), (52.58, 37.39), {}, ""),
    ("self-attention", "resnet50", "self_attention", (48.32, 34.35), (50.50, 36.58), MARKED, READ),
    ("self-attention", "resnet101", "self_attention", (51.59, 36.53), (52.49, 38.15), {}, ""),
    ("CCNet", "resnet50", "ccnet", (49.15, 35.10), (49.56, 36.39), {}, ""),
    ("CCNet", "resnet101", "ccnet", (51.41, 36.88), (51.97, 37.56), {}, ""),
    ("DANet", "resnet101", chapter_4.danet, (51.45, 35.80), (52.57, 37.47), {}, ""),
    ("CPNet", "resnet101", chapter_4.cpnet, (51.29, 36.92), (51.98, 37.12), MARKED, LOWER),
    ("OCR", "hrnet_w48", chapter_4.ocr, (54.37, 38.22), (54.99, 39.53), {}, ""),
    ("UperNet", "swin_tiny", "upernet", (49.62, 36.07), (50.78, 36.63), MARKED, READ),
    ("UperNet", "swin_large", "upernet", (57.48, 44.25), (58.97, 44.88), {}, ""),
    ("CAA", "efficientnet_b5", chapter_4.caa, (57.79, 43.40), (58.96, 43.93), {}, ""),
)


def rows(baselines: Sequence[tuple] = BASELINES) -> dict[str, Row]:
    """Two rows of each baseline and data set: as it is, and with CAR."""
    found = {}
    for index, (method, backbone, make, plain, regularized, settings, note) in enumerate(baselines):
        make = functools.partial(_make, make) if isinstance(make, str) else make
        for number, dataset in enumerate(DATASETS):
            name, marked = f"{backbone}, {dataset}", dataset == "coco_stuff10k"
            found[f"R{2 * index + 1}_{dataset}"] = Row(make(backbone, dataset), f"{method}, {name}", miou=plain[number])
            found[f"R{2 * index + 2}_{dataset}"] = Row(
                _regularized(make, backbone, dataset, settings if marked else {}),
                f"{method} + CAR, {name}",
                miou=regularized[number],
                note=note if marked else "",
            )
    return found


def _make(head, backbone, dataset):
    return chapter_4.experiment(part(head), backbone, dataset)


def _regularized(make, backbone, dataset, settings):
    """The baseline with CAR; a DANet whose 3×3 convolutions after the attention are 1×1."""
    if make is chapter_4.danet:
        make = functools.partial(make, kernel_size=1)
    arguments = {"settings": settings} if settings else {}
    return chapter_4.with_full_car(make(backbone, dataset), **arguments)


TABLE = table("4.5", "CAR on every baseline, single scale", rows(), chapter_4.PROTOCOL)
