"""Models with random weights, as if they had been trained."""

import dataclasses

from deeplab_ksac.bands import RGB
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.experiment import part
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import LoadedModel
from tests.deeplab_ksac.training.tiny import EXPERIMENT, MODEL
from tests.random_layers import randomize

NAMES = ("sky", "road", "snail")
COLORS = ((70, 130, 180), (128, 64, 128), (0, 0, 0), (9, 8, 7))
FCN = EXPERIMENT.model
ATTENTION = {"filters": 4, "key_filters": 2}


def with_head(name, **args):
    """The tiny model with another head, and its own bottleneck."""
    return dataclasses.replace(FCN, head=part(name, **args), bottleneck=None)


SPECS = {
    "fcn": FCN,
    "ksac": dataclasses.replace(MODEL, decoder=part("low_level", filters=4, low_level_filters=2)),
    "ocr": dataclasses.replace(with_head("ocr", **ATTENTION), auxiliary={"filters": 4}),
    "danet": with_head("danet", **ATTENTION),
    "sequential": with_head("sequential", **ATTENTION, ratio=2),
    "caa": with_head("caa", **ATTENTION, gate_width=3, gate_depth=1),
    "projected": dataclasses.replace(
        FCN, projection=part("linear", filters=5), neck=part("joint_pyramid_upsampling", filters=3)
    ),
}


def trained_model(spec=FCN, names=NAMES, *, seed=0, bands=RGB, **changes):
    """A `LoadedModel` of a spec with random weights everywhere; the tiny backbone must be known."""
    model = randomize(build_model(spec, len(names), bands), seed)
    described = {"description": "halves", "source": "nowhere", "bands": bands}
    info = DatasetInfo("tiny", tuple(names), COLORS[: len(names)], **described)
    experiment = dataclasses.replace(EXPERIMENT, model=spec)
    return dataclasses.replace(LoadedModel(model, experiment, info, step=7, stage=0), **changes)
