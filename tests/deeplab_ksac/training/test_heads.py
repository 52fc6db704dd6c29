"""Every head takes a training step in the real loop: with its own losses, an auxiliary one, and a neck."""

import dataclasses

import numpy as np
import pytest

from deeplab_ksac.experiment import part
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.training import loop
from deeplab_ksac.training.strategy import create_strategy
from tests.deeplab_ksac.heads.heads_under_test import VARIANTS
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert, with_steps

OWN_LOSSES = {
    "cpnet": (part("affinity"),),
    "danet": tuple(part("cross_entropy", output=f"{branch}_logits", weight=0.4) for branch in ("position", "channel")),
    "sequential": (part("cross_entropy", output="channel_logits"),),
    "ocr": (part("cross_entropy", output="coarse_logits", weight=0.4),),
}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    with tiny_backbone_known():
        yield convert(tmp_path_factory.mktemp("data"))


def one_step(data_dir, workdir, losses=(), **changes):
    """Trains, saves and loads a model; that it takes images of any size is held by the heads' contract."""
    model = dataclasses.replace(EXPERIMENT.model, **changes)
    losses = (part("cross_entropy"), *losses)
    experiment = with_steps(dataclasses.replace(EXPERIMENT, model=model, losses=losses), 1)
    place = {"data_dir": data_dir, "workdir": workdir, "strategy": create_strategy("one_device")}
    loop.train(experiment, evaluates=False, **place)
    loaded = load_model(workdir)
    assert loaded.step == 1 and all(np.all(np.isfinite(weight)) for weight in loaded.model.get_weights())


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_head_takes_a_step(variant, data_dir, tmp_path):
    name, arguments, *_ = VARIANTS[variant]
    arguments = {key: value for key, value in arguments.items() if key not in ("num_classes", "output_stride")}
    one_step(data_dir, tmp_path, OWN_LOSSES.get(name, ()), head=part(name, **arguments), bottleneck=None)


def test_a_neck_and_an_auxiliary_loss_take_a_step(data_dir, tmp_path):
    auxiliary = part("cross_entropy", output="aux_logits", weight=0.4)
    one_step(
        data_dir, tmp_path, (auxiliary,), neck=part("joint_pyramid_upsampling", filters=4), auxiliary={"filters": 4}
    )
