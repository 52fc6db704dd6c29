"""The study of the claims: which variants, which figures, and what its table says."""

import json
import math

import pytest

from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.datasets.sources.scenes_studies import STUDIES
from deeplab_ksac.experiments.claims import CLAIMS
from deeplab_ksac.scripts import study


def test_every_claim_belongs_to_a_study_and_trains_on_its_data():
    named = [name for each in STUDIES for name in study.variants(each)]
    assert sorted(named) == sorted(CLAIMS)
    for each in STUDIES:
        for name in study.variants(each):
            assert CLAIMS[name].stages[0].data.sources == (f"scenes_{each}/train",)
            assert CLAIMS[name].evaluation.dataset.partition("/")[2] in study.unseen_splits(each)


def test_variants_of_a_study_differ_in_nothing_but_the_model_and_car():
    for each in STUDIES:
        first, *others = (CLAIMS[name] for name in study.variants(each))
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
    assert math.isclose(study.things_iou(tmp_path / "eval.json"), 100 * (0.1 + 0.2 + 0.4 + 0.5 + 0.6 + 0.6) / 6)


def test_the_table_has_mean_and_sample_deviation():
    iou = {"seen": [10.0, 12.0, 14.0], "unseen": [1.0, 1.0, 1.0]}
    rows = {"a_b": {"iou": iou, "parameters": 12345, "processor_seconds": [60.0, 120.0]}}
    header, _, row = study.table("combinations", rows).splitlines()
    assert header == "| combinations | seen | unseen | parameters | processor minutes |"
    assert row == "| a, b | 12.0 ± 2.0 | 1.0 ± 0.0 | 12,345 | 1.5 ± 0.7 |"


def test_interrupted_trainings_have_no_time():
    rows = {"a": {"iou": {"seen": [1.0], "unseen": [1.0]}, "parameters": 1, "processor_seconds": []}}
    assert study.table("combinations", rows).endswith("| 1 | — |")


def test_a_kernel_shared_by_more_rates_has_no_more_parameters_but_for_its_normalization():
    shared = [study.parameters(f"claim_scales_ksac{wider}") for wider in ("", "_wider")]
    separate = [study.parameters(f"claim_scales_aspp{wider}") for wider in ("", "_wider")]
    filters, channels = 64, 112  # of the pyramid, and of the last block of MobileNetV2 at width 0.35
    assert shared[1] - shared[0] == 4 * filters
    assert separate[1] - separate[0] == 9 * channels * filters + 4 * filters + filters * filters


def test_a_failed_training_is_said_with_its_last_line():
    with pytest.raises(OSError, match=r"train --config=no_such_thing .* ended with 1: train: .*no_such_thing"):
        study.call("train", "--config=no_such_thing", "--workdir=x", "--data_dir=y")
