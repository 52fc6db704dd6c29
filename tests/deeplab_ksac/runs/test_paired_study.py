"""A study of networks on cached features, from pictures to its page."""

import dataclasses
import json
import shutil
import types

import numpy as np
import pytest

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import part
from deeplab_ksac.experiments.claims_on_pictures import (
    CLAIMS_ON_PICTURES,
    STUDIES,
    PairedStudy,
    difference,
)
from deeplab_ksac.metrics.paired import mean_ious
from deeplab_ksac.model import build_model
from deeplab_ksac.runs import paired_comparison, paired_study
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.picture_measures import Measure, by_scale, confusion, objects_by_size, of_sizes
from deeplab_ksac.training.backbone_part import backbone_of
from tests.deeplab_ksac.runs.half_features import with_half_features
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone
from tests.deeplab_ksac.training import tiny


def seeded_backbone(output_stride=16, *, norm=None):
    """The tiny backbone with the same weights for every seed, as a file of weights gives them."""
    backbone, rng = tiny_backbone(output_stride), np.random.default_rng(0)
    backbone.set_weights([rng.normal(size=weight.shape) for weight in backbone.get_weights()])
    return backbone


STAGE = dataclasses.replace(tiny.STAGE, steps=9, freeze="c5", features="cached")
FIRST = dataclasses.replace(tiny.EXPERIMENT, name="first", stages=(STAGE,))
WIDE = dataclasses.replace(FIRST.model, head=part("fcn", filters=6))
MEASURES = {
    "overall": Measure("tiny/val", confusion, by_scale(mean_ious)),
    "half": Measure("tiny/val", confusion, by_scale(mean_ious), (0.5,)),
    "usual": Measure("tiny/val", objects_by_size, of_sizes(usual=1.0)),
}
STUDY = PairedStudy(
    {"narrow": FIRST, "wide": dataclasses.replace(FIRST, name="second", model=WIDE)},
    {"T1": difference("narrow", "wide", primary=True), "T2": difference("narrow", "wide", "half")},
)


def test_a_study_trains_what_is_missing_and_compares_what_evaluation_says(tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES, TINY_BACKBONE.name, seeded_backbone)
    data_dir, workdir = tiny.convert(tmp_path), tmp_path / "study"
    options = {"data_dir": data_dir, "workdir": workdir, "steps": 1, "measures": MEASURES, "sizes_of": "tiny/train"}
    labels = []

    def progress(total, label, **options):
        labels.append(label)
        return types.SimpleNamespace(update=lambda n=1, **shown: None, close=lambda: None)

    one = paired_study.run_study(STUDY.pilot, seeds=(0,), name="pilot", **options, progress=progress)
    assert labels[0] == "cache features" and "2 of 2: second_seed0, stage 1/1" in labels
    assert len(one["seconds"]) == 2 and list(one["comparisons"]) == ["T1"]
    assert one["comparisons"]["T1"]["deviation"] is None and one["comparisons"]["T1"]["seeds_needed"] is None
    both = paired_study.run_study(STUDY, seeds=(0, 1), name="tried", **options)
    assert len(both["seconds"]) == 2  # of the second seed; of the first, only what was not measured yet is counted
    first, second = both["comparisons"].values()
    assert first["differences"][0] == one["comparisons"]["T1"]["differences"][0]
    assert (first["pictures"], first["primary"], second["primary"]) == (3, True, False)
    assert json.loads((workdir / "tried.json").read_text()) == both
    text = (workdir / "tried.md").read_text()
    assert "| T1 (primary) | narrow − wide | overall | 3 |" in text and (workdir / "pilot.md").exists()
    model = load_model(workdir / "second_seed1").model
    figures = evaluate(with_half_features(model), eval_batches("tiny", "val", data_dir=data_dir), num_classes=3)
    np.testing.assert_allclose(both["figures"]["overall"]["wide"][1], 100 * figures["miou"], rtol=1e-12)
    again = paired_comparison.compare_recorded(STUDY, workdir / "tried_counts.npz", MEASURES)
    assert {**again, "seconds": both["seconds"]} == both
    shutil.rmtree(data_dir / "cached")  # what was trained needs it no more
    described = dataclasses.replace(STUDY, described=("usual",))
    described = paired_study.run_study(described, seeds=(0, 1), name="tried", **options)
    assert not described["seconds"] and not (data_dir / "cached").exists()
    assert set(described["figures"]["usual"]) == {"narrow", "wide"}
    assert list(json.loads((workdir / paired_study.SIZES_FILE).read_text())) == ["tiny/train"]
    with pytest.raises(
        ValueError, match=r"first_seed0 holds another run than this study's: stages\[0\]\.steps: 1 -> 2"
    ):
        paired_study.run_study(STUDY, seeds=(0,), name="tried", **{**options, "steps": 2})


def test_each_study_has_one_primary_comparison_of_its_variants():
    for study in STUDIES.values():
        assert [each.primary for each in study.comparisons.values()].count(True) == 1
        for comparison in study.comparisons.values():
            assert set(comparison.variants) <= set(study.variants) and sum(comparison.variants.values()) == 0
        assert set(study.pilot.variants) == set(study.comparisons[study.primary].variants)
    names = [experiment.name for study in STUDIES.values() for experiment in study.variants.values()]
    shared, in_figures_only = 2, 2  # the rates' studies have a variant of the first
    assert len(CLAIMS_ON_PICTURES) == len(names) - shared + in_figures_only


@pytest.mark.parametrize("study", ("ksac", "learned_rates", "dynamic_rates"))
def test_the_variants_of_a_study_differ_in_their_heads_alone(study):
    first, *others = STUDIES[study].variants.values()
    for other in others:
        same_head = dataclasses.replace(other.model, head=first.model.head)
        assert dataclasses.replace(other, name=first.name, model=same_head) == first


def test_regularized_variants_differ_in_their_losses_alone():
    for regularized, plain in (("attention_car", "attention"), ("deeplabv3_car", "deeplabv3")):
        one, other = (STUDIES["car"].variants[name] for name in (regularized, plain))
        assert dataclasses.replace(one, name=other.name, losses=one.losses[:1]) == other
        assert one.losses[1].name == "class_aware"


def test_the_attentions_have_as_many_parameters():
    """Table 3.2 is about what is attended to; within 2 % none has more to do it with."""
    counts = []
    for experiment in STUDIES["caa"].variants.values():
        model = build_model(experiment.model, 7)
        counts.append(model.count_params() - backbone_of(model).count_params())
    assert max(counts) / min(counts) < 1.02


def test_a_seed_that_is_given_twice_is_no_second_training(tmp_path):
    with pytest.raises(ValueError, match="seeds must be one or more, each once, not 0, 0, 1"):
        paired_study.run_study(STUDY, data_dir=tmp_path, workdir=tmp_path / "study", seeds=(0, 0, 1), name="tried")
    assert not list(tmp_path.iterdir())
