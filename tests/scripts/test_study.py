"""The study of the claims: which variants, which figures, and what its table says."""

import json
import math

import pytest

from scripts import study
from datasets.sources import scenes
from datasets.sources.scenes_studies import STUDIES
from deeplab_ksac.experiments.claims import CLAIMS


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
    rows = {"a_b": {"seen": [10.0, 12.0, 14.0], "unseen": [1.0, 1.0, 1.0]}}
    header, _, row = study.table("combinations", rows).splitlines()
    assert header == "| combinations | seen | unseen |"
    assert row == "| a, b | 12.0 ± 2.0 | 1.0 ± 0.0 |"


def test_a_failed_training_is_said_with_its_last_line():
    with pytest.raises(OSError, match=r"train --config=no_such_thing .* ended with 1: train: .*no_such_thing"):
        study.call("train", "--config=no_such_thing", "--workdir=x", "--data_dir=y")
