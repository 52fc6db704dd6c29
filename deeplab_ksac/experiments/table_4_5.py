"""Table 4.5: CAR on every baseline, on PASCAL Context and COCO-Stuff 10K."""

import functools

from deeplab_ksac.experiment import Row, part
from deeplab_ksac.experiments import chapter_4
from deeplab_ksac.experiments.common import WIDE_CONTEXT, table

DATASETS = ("pascal_context", "coco_stuff10k")
LOWER = "§: ε₀ is 0.25."
READ = f"{LOWER} The mark is garbled in the text and read from what is left of it."
# (method, backbone, its function (backbone, dataset) -> experiment, mIoU on both, with CAR, note of COCO-Stuff's)
BASELINES = (
    ("FCN", "resnet50", chapter_4.fcn, (47.72, 34.10), (48.40, 34.91), READ),
    ("FCN", "resnet101", chapter_4.fcn, (50.93, 35.93), (51.39, 36.88), READ),
    ("DeepLabV3", "resnet50", "deeplabv3", (48.59, 34.96), (49.53, 35.13), ""),
    ("DeepLabV3", "resnet101", "deeplabv3", (51.69, 36.92), (52.58, 37.39), ""),
    ("self-attention", "resnet50", "self_attention", (48.32, 34.35), (50.50, 36.58), READ),
    ("self-attention", "resnet101", "self_attention", (51.59, 36.53), (52.49, 38.15), ""),
    ("CCNet", "resnet50", "ccnet", (49.15, 35.10), (49.56, 36.39), ""),
    ("CCNet", "resnet101", "ccnet", (51.41, 36.88), (51.97, 37.56), ""),
    ("DANet", "resnet101", chapter_4.danet, (51.45, 35.80), (52.57, 37.47), ""),
    ("CPNet", "resnet101", chapter_4.cpnet, (51.29, 36.92), (51.98, 37.12), LOWER),
    ("OCR", "hrnet_w48", chapter_4.ocr, (54.37, 38.22), (54.99, 39.53), ""),
    ("UperNet", "swin_tiny", "upernet", (49.62, 36.07), (50.78, 36.63), READ),
    ("UperNet", "swin_large", "upernet", (57.48, 44.25), (58.97, 44.88), ""),
    ("CAA", "efficientnet_b5", chapter_4.caa, (57.79, 43.40), (58.96, 43.93), ""),
)


def _make(head, backbone, dataset):
    return chapter_4.experiment(part(head), backbone, dataset)


def _regularized(make, backbone, dataset, note):
    """The baseline with CAR; a DANet whose 3×3 convolutions after the attention are 1×1."""
    if make is chapter_4.danet:
        make = functools.partial(make, kernel_size=1)
    settings = {"settings": {"c2c_threshold": WIDE_CONTEXT}} if note else {}
    return chapter_4.with_full_car(make(backbone, dataset), **settings)


def _rows():
    rows = {}
    for index, (method, backbone, make, plain, regularized, note) in enumerate(BASELINES):
        make = functools.partial(_make, make) if isinstance(make, str) else make
        for number, dataset in enumerate(DATASETS):
            name, remark = f"{method}, {backbone}, {dataset}", note if number else ""
            rows[f"R{2 * index + 1}_{dataset}"] = Row(make(backbone, dataset), name, miou=plain[number])
            rows[f"R{2 * index + 2}_{dataset}"] = Row(
                _regularized(make, backbone, dataset, remark),
                f"{method} + CAR, {backbone}, {dataset}",
                miou=regularized[number],
                note=remark,
            )
    return rows


TABLE = table("4.5", "CAR on every baseline, single scale", _rows(), chapter_4.PROTOCOL)
