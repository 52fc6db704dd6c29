"""Folders of runs that an earlier version began."""

import dataclasses
import json

import pytest

from deeplab_ksac.experiment import EvalSpec, Views, to_dict
from deeplab_ksac.runs.history import read_run
from deeplab_ksac.runs.workdir import claim_workdir, read_workdir
from tests.deeplab_ksac.fake_model import fake_info
from tests.deeplab_ksac.training.tiny import EXPERIMENT

MULTI_SCALE = dataclasses.replace(EXPERIMENT, evaluation=EvalSpec("tiny/val", Views((0.5, 1.0), flip=True)))


@pytest.fixture
def old_run(tmp_path):
    """A folder whose experiment has its views as fields of the evaluation, as all had before `Views`."""
    claim_workdir(tmp_path, MULTI_SCALE, fake_info())
    fields = to_dict(MULTI_SCALE)
    fields["evaluation"] = {"dataset": "tiny/val", "scales": [0.5, 1.0], "flip": True, "window": None, "pad_to": None}
    (tmp_path / "experiment.json").write_text(json.dumps(fields, indent=1))
    return tmp_path


def test_an_old_run_is_read_with_its_views(old_run):
    assert read_workdir(old_run)[0] == MULTI_SCALE
    assert read_run(old_run).experiment == MULTI_SCALE


def test_an_old_run_is_resumed_and_other_views_are_refused(old_run):
    claim_workdir(old_run, MULTI_SCALE, fake_info())
    with pytest.raises(ValueError, match=r"evaluation\.views\.flip: True -> False"):
        claim_workdir(
            old_run, dataclasses.replace(EXPERIMENT, evaluation=EvalSpec("tiny/val", Views((0.5, 1.0)))), fake_info()
        )
