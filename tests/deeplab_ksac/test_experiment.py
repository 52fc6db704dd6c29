"""Experiments as values: written, read back, overridden, compared."""

import json

import pytest

from deeplab_ksac.experiment import Experiment, differences, from_config_dict, from_dict, to_config_dict, to_dict
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.losses import build_objective
from deeplab_ksac.training.optimizers import build_optimizer
from tests.deeplab_ksac.training.tiny import EXPERIMENT


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_survives_json_and_the_command_lines_form(name):
    experiment = EXPERIMENTS[name]
    assert from_dict(Experiment, json.loads(json.dumps(to_dict(experiment)))) == experiment
    assert from_config_dict(to_config_dict(experiment)) == experiment


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_binds_to_the_parts_it_names(name):
    experiment = EXPERIMENTS[name]
    assert experiment.name == name
    build_objective(experiment.losses, 21)
    for stage in experiment.stages:
        build_optimizer(stage.optimizer, stage.steps)


def test_the_three_stages_of_section_2_3_2():
    stages = EXPERIMENTS["voc_mobilenet_v2_ksac"].stages
    assert [stage.steps for stage in stages[:2]] == [300_000, 40_000]
    assert [stage.optimizer.args["learning_rate"] for stage in stages] == [1e-3, 4e-4, 2e-4]
    assert [len(stage.data.sources) for stage in stages] == [3, 2, 1]
    assert all(stage.batch_size == 32 for stage in stages)


@pytest.mark.parametrize(
    "path, value, error, words",
    (
        (("stages", 0, "step"), 3, ValueError, r"stages\[0\].step is no field of Stage; it has data, steps"),
        (("stages", 0, "steps"), "many", TypeError, r"stages\[0\].steps takes int, not 'many'"),
        (("model", "output_stride"), 8.5, TypeError, "model.output_stride takes int, not 8.5"),
        (("stages", 0, "data", "crop_size"), [33], ValueError, r"crop_size takes 2 values, not 1: \[33\]"),
        (("stages", 0, "data", "crop_size"), ("a", 33), ValueError, r"data.crop_size\[0\] takes int, not 'a'"),
        (("stages", 0, "data", "crop_size"), 33, ValueError, r"data.crop_size takes a list, not 33"),
        (("stages", 0, "data", "scales"), "1.0", ValueError, r"data.scales takes a list, not '1.0'"),
        (("stages", 0, "data", "flip"), 1, ValueError, "data.flip takes bool, not 1"),
        (("stages", 0, "steps"), True, ValueError, r"stages\[0\].steps takes int, not True"),
        (("stages", 0, "l2"), True, ValueError, r"stages\[0\].l2 takes float, not True"),
        (("stages", 0, "optimizer"), "sgd", ValueError, r"stages\[0\].optimizer takes Part, not 'sgd'"),
        (("stages", 0, "optimizer"), {"args": {}}, ValueError, r"stages\[0\].optimizer misses name"),
        (("model", "bottleneck"), 256, ValueError, "model.bottleneck takes arguments by name, not 256"),
        (("losses",), "cross_entropy", ValueError, "losses takes a list, not 'cross_entropy'"),
        (("evaluation", "window"), [33, "b"], ValueError, r"evaluation.window\[1\] takes int, not 'b'"),
        (("evaluation",), [], ValueError, r"evaluation takes EvalSpec, not \[\]"),
    ),
)
def test_a_wrong_field_is_named_by_its_path(path, value, error, words):
    fields = to_dict(EXPERIMENT)
    place = fields
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(error, match=words):
        from_dict(Experiment, fields)


def test_a_missing_field_is_named():
    fields = to_dict(EXPERIMENT)
    del fields["evaluation"]
    with pytest.raises(ValueError, match="evaluation"):
        from_dict(Experiment, fields)


def test_differences_are_listed_by_path():
    old, new = to_dict(EXPERIMENT), to_dict(EXPERIMENT)
    new["stages"][0]["steps"] = 9
    new["model"]["neck"] = {"name": "jpu", "args": {}}
    assert differences(old, old) == []
    assert differences(old, new) == [
        "model.neck: None -> {'name': 'jpu', 'args': {}}",
        f"stages[0].steps: {EXPERIMENT.stages[0].steps} -> 9",
    ]
