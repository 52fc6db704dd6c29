"""What is read from workdirs."""

import pytest

from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.runs.history import describe, read_run, read_runs
from tests.deeplab_ksac.runs.workdirs import write_run


def test_two_paths_of_one_folder_are_one_run(tmp_path, monkeypatch):
    write_run(tmp_path, EXPERIMENTS["scenes_ksac"], name="a")
    write_run(tmp_path, EXPERIMENTS["scenes_ksac"], name="b")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "newest").symlink_to("b")
    assert [run.workdir for run in read_runs(["./a", str(tmp_path / "a"), "*"])] == ["a", "b"]


def test_curves_run_over_all_stages_and_lines_that_say_no_step_are_left_out(tmp_path):
    workdir = write_run(tmp_path, EXPERIMENTS["voc_resnet50_ksac"], steps=200)
    with (workdir / "metrics.jsonl").open("w") as stream:
        stream.write('{"stage": 0, "step": 5, "train/loss": 2.0}\n{"train/loss": 9.0}\n[]\n')
        stream.write('{"stage": 1, "step": 6, "train/loss": NaN}\n')
        stream.write('{"stage": 1, "step": 7, "train/loss": 1.0, "eval/miou": null}\n{"stage": 1, "st')
    run = read_run(workdir)
    assert run.curves == {"train/loss": ((5, 2.0), (300_007, 1.0))} and run.steps == 300_007


@pytest.mark.parametrize(
    "views, words",
    (
        ({"scales": [1.0], "flip": False}, "voc2012/val"),
        ({"scales": [0.5, 1], "flip": True}, "voc2012/val, scales 0.5, 1, with flip"),
        ({"scales": [1.0], "flip": False, "window": [513, 513]}, "voc2012/val, window 513x513"),
        (
            {"scales": [1], "flip": False, "window": None, "pad_to": [1025, 2049], "average": "probabilities"},
            "voc2012/val, padded to 1025x2049, probabilities averaged",
        ),
        ({"scales": [1], "flip": True, "precision": "float32"}, "voc2012/val, with flip"),
        ({"scales": [1], "flip": True, "precision": "bfloat16"}, "voc2012/val, with flip, bfloat16"),
    ),
)
def test_evaluations_that_differ_are_named_differently(views, words):
    assert describe({"dataset": "voc2012", "split": "val", **views}) == words
