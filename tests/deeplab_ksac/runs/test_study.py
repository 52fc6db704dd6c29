"""The study of the claims: which variants, which figures, and what its table says."""

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.datasets.sources.scenes_studies import STUDIES
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import to_dict
from deeplab_ksac.experiments import claims
from deeplab_ksac.experiments.claims import CLAIMS
from deeplab_ksac.runs import study
from tests.scripts.damage import FEW
from tests.scripts.test_damaged_json import damaged_object


def names(each):
    """The experiments of a study, by its variants, which are part of their names."""
    found = {f"claim_{each}_{variant}": experiment for variant, experiment in claims.STUDIES[each].items()}
    assert [experiment.name for experiment in found.values()] == list(found)
    return list(found)


def test_every_claim_belongs_to_a_study_and_trains_on_its_data():
    named = [name for each in STUDIES for name in names(each)]
    assert sorted(named) == sorted(CLAIMS)
    for each in STUDIES:
        for name in names(each):
            assert CLAIMS[name].stages[0].data.sources == (f"scenes_{each}/train",)
            assert Split.parse(CLAIMS[name].evaluation.dataset) in study.evaluated_splits(each)


def test_variants_of_a_study_differ_in_nothing_but_the_model_and_car():
    for each in STUDIES:
        first, *others = (CLAIMS[name] for name in names(each))
        for other in others:
            assert (other.stages, other.evaluation, other.seed) == (first.stages, first.evaluation, first.seed)
            assert other.model.backbone == first.model.backbone
            assert other.losses[: len(first.losses)] == first.losses


def write_evaluation(folder, name, iou):
    folder.mkdir(parents=True, exist_ok=True)
    content = {"class_names": list(scenes.INFO.class_names), "iou": iou}
    (folder / name).write_text(json.dumps(content))


def test_the_figure_is_the_mean_over_the_things_that_occur(tmp_path):
    iou = [0.9] * 5 + [0.1, 0.2, None, 0.4, 0.5, 0.6, 0.6]  # grounds, then house … ball
    write_evaluation(tmp_path, "eval.json", iou)
    assert math.isclose(
        study.things_iou(json.loads((tmp_path / "eval.json").read_text())),
        100 * (0.1 + 0.2 + 0.4 + 0.5 + 0.6 + 0.6) / 6,
    )


def test_the_table_has_mean_and_sample_deviation():
    iou = {"seen": [10.0, 12.0, 14.0], "unseen": [1.0, 1.0, 1.0]}
    rows = {"a_b": {"iou": iou, "parameters": 12345, "processor_seconds": [60.0, 120.0]}}
    header, _, row = study.table("combinations", rows).splitlines()
    assert header == "| combinations | seen | unseen | parameters | processor minutes |"
    assert row == "| a, b | 12.0 ± 2.0 | 1.0 ± 0.0 | 12,345 | 1.5 ± 0.7 |"


def test_a_workdir_in_an_object_store_is_refused_in_words():
    with pytest.raises(
        ValueError, match="the folder of a study must be on this machine, not at the address s3://bucket/study"
    ):
        study.run_studies(["combinations"], "s3://bucket/study")


def test_interrupted_trainings_have_no_time():
    rows = {"a": {"iou": {"seen": [1.0], "unseen": [1.0]}, "parameters": 1, "processor_seconds": []}}
    assert study.table("combinations", rows).endswith("| 1 | — |")


def test_a_kernel_shared_by_more_rates_has_no_more_parameters_but_for_its_normalization():
    shared = [study.parameters(CLAIMS[f"claim_scales_ksac{wider}"]) for wider in ("", "_wider")]
    separate = [study.parameters(CLAIMS[f"claim_scales_aspp{wider}"]) for wider in ("", "_wider")]
    filters, channels = 64, 112  # of the pyramid, and of the last block of MobileNetV2 at width 0.35
    assert shared[1] - shared[0] == 4 * filters
    assert separate[1] - separate[0] == 9 * channels * filters + 4 * filters + filters * filters


def test_a_failed_training_is_said_with_its_last_line():
    with pytest.raises(OSError, match=r"train --config=no_such_thing .* ended with 1: train: .*no_such_thing"):
        study.call("train", "--config=no_such_thing", "--workdir=x", "--data_dir=y")


@pytest.fixture
def trial(tmp_path):
    """A finished training of four steps with its evaluation."""
    (trial, *_) = study.trials_of("small", tmp_path, [3], steps=4)
    trial.folder.mkdir(parents=True)
    (trial.folder / "experiment.json").write_text(json.dumps(to_dict(trial.experiment)))
    (trial.folder / study.COST).write_text('{"processor_seconds": 60.0}')
    write_result(trial, step=4)
    return trial


def write_result(trial, step):
    where = {"dataset": "scenes_small", "split": "seen", "scales": [1.0], "flip": False, "miou": 0.5}
    classes = {"class_names": list(scenes.INFO.class_names), "iou": [0.25] * 12}
    (trial.folder / "eval_scenes_small_seen.json").write_text(json.dumps({**where, **classes, "step": step}))


def test_what_is_finished_is_not_done_again_and_is_collected(trial):
    trial.check()
    trial.run()  # a training would fail: there are no data
    found = study.collect([trial])["axial"]
    assert (found["iou"], found["processor_seconds"]) == ({"seen": [25.0]}, [60.0])


@pytest.mark.parametrize(
    "steps, seeds, words",
    ((None, [3], r"stages\[0\]\.steps: 4 -> 600"), (5, [0, 3], r"stages\[0\]\.steps: 4 -> 5")),
)
def test_a_run_of_other_steps_is_not_taken_for_done(trial, steps, seeds, words):
    with pytest.raises(ValueError, match=f"claim_small_axial_seed3 holds another run than this study's: {words}; take"):
        study.run_studies(["small"], trial.workdir, seeds=seeds, steps=steps)
    assert sorted(path.name for path in trial.workdir.iterdir()) == ["runs"]


def test_a_run_of_another_configuration_is_not_taken_for_done(trial):
    wider = dataclasses.replace(trial.experiment, model=dataclasses.replace(trial.experiment.model, output_stride=8))
    (trial.folder / "experiment.json").write_text(json.dumps(to_dict(wider)))
    with pytest.raises(ValueError, match=r"model\.output_stride: 8 -> 16"):
        trial.check()


@pytest.mark.parametrize("name", ["cost.json", "eval_scenes_small_seen.json"])
@settings(FEW, max_examples=5)
@given(st.data())
def test_a_damaged_file_of_a_study_is_one_line(trial, name, data):
    path = trial.folder / name
    right = path.read_bytes()
    path.write_bytes(data.draw(damaged_object(json.loads(right))))
    try:
        assert trial.processor_seconds() is None or trial.processor_seconds() < 1e300
        evaluation = trial.evaluation(Split("scenes_small", "seen"))
        assert evaluation is None or 0 <= study.things_iou(evaluation) <= 100
    except (ValueError, OSError) as error:
        assert str(error) and "\n" not in str(error)
        assert name in str(error) or "has no IoU of" in str(error)
    finally:
        path.write_bytes(right)


def test_an_evaluation_of_other_classes_is_named(trial):
    path = trial.folder / "eval_scenes_small_seen.json"
    right = json.loads(path.read_text())
    for wrong in ({"class_names": ["a"], "iou": [0.5]}, {"iou": [None] * 12}):
        path.write_text(json.dumps({**right, **wrong}))
        with pytest.raises(ValueError, match=r"the evaluation on scenes_small/seen has no IoU of .*; remove its file"):
            study.things_iou(trial.evaluation(Split("scenes_small", "seen")))
    path.write_text(json.dumps({key: value for key, value in right.items() if key not in ("iou", "class_names")}))
    with pytest.raises(ValueError, match="has no IoU of"):
        study.things_iou(trial.evaluation(Split("scenes_small", "seen")))


def test_an_evaluation_before_the_last_step_is_done_again(trial):
    write_result(trial, step=2)
    with pytest.raises(OSError, match=r"evaluate .* --dataset=scenes_small/seen ended with 1: evaluate: "):
        trial.run()


def test_another_study_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown study 'large'; the studies are combinations, scales, small"):
        study.run_studies(["large"], tmp_path)


@pytest.mark.parametrize(
    "studies, seeds, words",
    (
        (["small"], [3, 0, 3], r"seeds must be one or more, each once, not 3, 0, 3"),
        (["small"], [], r"seeds must be one or more, each once, not none"),
        (["small", "small"], [3], r"studies must be one or more, each once, not small, small"),
    ),
)
def test_a_seed_that_is_given_twice_is_no_second_training(trial, studies, seeds, words):
    (trial.workdir / "raw").touch()  # where pictures would be painted
    with pytest.raises(ValueError, match=words):
        study.run_studies(studies, trial.workdir, seeds=seeds, steps=4)
