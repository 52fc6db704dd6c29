"""Which run belongs to which row, and what is said where nothing was measured."""

import dataclasses
import json
import re

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.backbones.pretrained import KERAS, TIMM, weight_argument_names, weight_arguments
from deeplab_ksac.experiment import part
from deeplab_ksac.experiments import TABLES
from deeplab_ksac.experiments.common import MULTI_SCALE
from deeplab_ksac.runs.comparison import Comparison
from deeplab_ksac.runs.history import read_runs
from deeplab_ksac.training.initial_weights import with_backbone_weights
from tests.deeplab_ksac.runs.workdirs import write_run, write_runs


def entry(compared, number, label, kind="single scale"):
    (found,) = [e for e in compared.entries[number] if (e.label, e.kind) == (label, kind)]
    return found


def test_a_number_is_ours_only_where_the_row_was_trained_to_its_end(tmp_path):
    compared = Comparison(TABLES.values(), read_runs([f"{write_runs(tmp_path)}/*"]))
    assert entry(compared, "4.1", "R8").ours == 50.0
    assert entry(compared, "4.2", "R1").ours == entry(compared, "4.8", "R2_seed0").ours == 50.0
    assert entry(compared, "4.8", "R2_seed1").ours is None
    unfinished = entry(compared, "4.1", "R1")
    assert unfinished.ours is None and unfinished.state.startswith("unfinished, 30.00 after step 1,000")
    assert entry(compared, "4.1", "R2").state == "not run"
    assert entry(compared, "3.6", "R1", "MF").state == "quoted from another paper"
    assert entry(compared, "4.4", "R1", "GFLOPs").state == "counted by `ksac flops`"
    repeated = entry(compared, "3.1", "R4")
    assert repeated.ours == pytest.approx(51) and repeated.spread == pytest.approx(2**0.5)
    assert [run.experiment.name for run in compared.others] == ["table_4_1:R2"]


def compare(tmp_path, *numbers):
    return Comparison([TABLES[number] for number in numbers], read_runs([f"{tmp_path}/*"]))


def weights_file(folder):
    """A file that timm could have published, as far as what it asks of a model is concerned."""
    path = folder / "weights" / "model.safetensors"
    path.parent.mkdir()
    safetensors.numpy.save_file({"conv1.weight": np.zeros([64, 3, 7, 7], "float32")}, path)
    return str(path)


@pytest.mark.parametrize("weights", ("imagenet", "a file"))
@pytest.mark.parametrize(
    "number, label",
    (
        *(("2.1", "R1"), ("2.1", "R19"), ("2.1", "R23"), ("3.5", "R6"), ("4.1", "R8"), ("4.1", "S8")),
        *(("4.5", "R21_pascal_context"), ("4.6", "R7")),
    ),
)
def test_a_run_from_published_weights_is_its_rows(number, label, weights, tmp_path):
    row = TABLES[number].rows[label].experiment
    if weights == "imagenet" and row.model.backbone.name not in KERAS:
        pytest.skip(f"Keras publishes no weights of {row.model.backbone.name}")
    path = weights if weights == "imagenet" else weights_file(tmp_path)
    started = with_backbone_weights(row, path, tmp_path / "new")
    assert started.model != row.model
    steps = row.stages[-1].steps
    last = {"stage": len(row.stages) - 1}
    write_run(tmp_path, started, evaluations=[(0.5, steps, [1.0])], name="run", **last)
    if weights != "imagenet":
        (tmp_path / "weights" / "model.safetensors").unlink()  # a report does not need the file
    compared = Comparison([TABLES[number]], read_runs([str(tmp_path / "run")]))
    assert not compared.others and compared.summary.endswith("from 1 runs")
    found = entry(compared, number, label)
    assert found.ours == 50
    assert re.fullmatch(r"measured: .*/run \(weights: .*preprocessing='\w+'.*\)", found.state)


@pytest.mark.parametrize("arguments", ({"stem": "7x7"}, {"width": 32}, {"variant": "v1.5", "preprocessing": "torch"}))
def test_a_backbone_that_no_weights_ask_for_is_another(arguments, tmp_path):
    row = TABLES["2.1"].rows["R1"].experiment
    backbone = part("resnet50", **arguments)
    write_run(tmp_path, dataclasses.replace(row, model=dataclasses.replace(row.model, backbone=backbone)))
    assert len(compare(tmp_path, "2.1").others) == 1


def test_what_the_row_names_of_its_backbone_stays(tmp_path):
    row = TABLES["4.1"].rows["R8"].experiment  # of variant "slim"
    arguments = {"variant": "std", "stem": "7x7", "epsilon": 1e-5, "preprocessing": "caffe"}
    backbone = part("resnet50", **arguments)
    write_run(tmp_path, dataclasses.replace(row, model=dataclasses.replace(row.model, backbone=backbone)))
    assert len(compare(tmp_path, "4.1").others) == 1


@pytest.mark.parametrize("name", sorted({*KERAS, *TIMM}))
def test_the_names_of_what_weights_determine_are_those_of_what_they_give(name, tmp_path):
    known = weight_argument_names(name)
    if name in KERAS:
        assert set(weight_arguments(name, "imagenet")) in known
    if name in TIMM:
        path = weights_file(tmp_path)
        assert set(weight_arguments(name, path)) in known
        beside = {"architecture": name, "pretrained_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
        (tmp_path / "weights" / "config.json").write_text(json.dumps(beside))
        assert set(weight_arguments(name, path)) in known


def test_steps_that_are_computed_in_one_call_change_no_result(tmp_path):
    row = TABLES["4.1"].rows["R8"].experiment
    stage = dataclasses.replace(row.stages[0], steps_per_call=10)
    write_run(tmp_path, dataclasses.replace(row, stages=(stage,)))
    assert not compare(tmp_path, "4.1").others


def test_a_run_counts_once_by_the_evaluation_of_the_row(tmp_path):
    row = TABLES["4.6"].rows["R3"].experiment
    workdir = write_run(tmp_path, row, evaluations=[(0.5, 30_000, [1.0]), (0.52, 30_000, list(MULTI_SCALE))])
    extra = {
        "eval_2": {"miou": 0.6, "scales": [1.0], "flip": False, "window": [513, 513]},
        "eval_3": {"miou": 0.6, "scales": [1.0], "flip": False, "pad_to": [513, 513]},
        "eval_4": {"miou": 0.6, "scales": [1.0], "flip": False, "average": "probabilities"},
        "eval_5": {"miou": 0.6, "scales": [1.0], "flip": True},
        "eval_5_bfloat16": {"miou": 0.6, "scales": [1.0], "flip": False, "precision": "bfloat16"},
        "eval_6": {"miou": 0.7, "scales": [0.75, 1.0, 1.25], "flip": True},
        "eval_7": {"miou": 0.7, "scales": list(MULTI_SCALE), "flip": True, "window": [513, 513]},
        "eval_8": {"miou": 0.7, "scales": list(MULTI_SCALE), "flip": False},
        "eval_9": {"miou": 0.8, "scales": [1.0], "flip": False, "step": 20_000, "window": None, "pad_to": None},
    }
    for name, views in extra.items():
        content = {"dataset": "pascal_context", "split": "val", "step": 30_000, **views}
        (workdir / f"{name}.json").write_text(json.dumps(content))
    compared = compare(tmp_path, "4.6")
    single, mixed = entry(compared, "4.6", "R3"), entry(compared, "4.6", "R3", "MF")
    assert (single.ours, single.spread, mixed.ours, mixed.spread) == (50, None, 52, None)


def test_a_row_that_pads_takes_a_padded_evaluation_alone(tmp_path):
    row = TABLES["3.10"].rows["R8"].experiment
    padded = {"pad_to": [1025, 2049]}
    write_run(tmp_path, row, evaluations=[(0.8, 80_000, list(MULTI_SCALE))], name="plain")
    assert "not evaluated so" in entry(compare(tmp_path, "3.10"), "3.10", "R8", "MF").state
    write_run(tmp_path, row, evaluations=[(0.7, 80_000, list(MULTI_SCALE))], name="padded", **padded)
    assert entry(compare(tmp_path, "3.10"), "3.10", "R8", "MF").ours == 70


def test_several_runs_of_a_row_have_a_spread(tmp_path):
    row = TABLES["4.1"].rows["R8"].experiment
    for name, miou in (("a", 0.50), ("b", 0.54)):
        write_run(tmp_path, row, evaluations=[(miou, 30_000, [1.0])], name=name)
    found = entry(compare(tmp_path, "4.1"), "4.1", "R8")
    assert found.ours == pytest.approx(52) and found.spread == pytest.approx(8**0.5)
