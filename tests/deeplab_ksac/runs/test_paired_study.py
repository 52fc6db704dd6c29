"""A study of two heads on cached features, from pictures to its page."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import part
from deeplab_ksac.experiments.claims_on_pictures import CLAIMS_ON_PICTURES, PAIRS
from deeplab_ksac.runs import paired_study
from deeplab_ksac.runs.checkpoints import load_model
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone
from tests.deeplab_ksac.training import tiny
from tests.scripts.damage import FEW, damaged


def seeded_backbone(output_stride=16, *, norm=None):
    """The tiny backbone with the same weights for every seed, as a file of weights gives them."""
    backbone, rng = tiny_backbone(output_stride), np.random.default_rng(0)
    backbone.set_weights([rng.normal(size=weight.shape) for weight in backbone.get_weights()])
    return backbone


STAGE = dataclasses.replace(tiny.STAGE, steps=9, freeze="c5", features="cached")
FIRST = dataclasses.replace(tiny.EXPERIMENT, name="first", stages=(STAGE,))
WIDE = dataclasses.replace(FIRST.model, head=part("fcn", filters=6))
PAIR = {"narrow": FIRST, "wide": dataclasses.replace(FIRST, name="second", model=WIDE)}


def test_a_study_trains_what_is_missing_and_compares_what_evaluation_says(tmp_path, monkeypatch):
    monkeypatch.setitem(BACKBONES, TINY_BACKBONE.name, seeded_backbone)
    data_dir, workdir = tiny.convert(tmp_path), tmp_path / "study"
    options = {"data_dir": data_dir, "workdir": workdir, "steps": 1}
    one = paired_study.run_pair(PAIR, seeds=(0,), **options)
    assert len(one["seconds"]) == 2 and one["deviation"] is None and one["seeds_needed"] is None
    both = paired_study.run_pair(PAIR, seeds=(0, 1), **options)
    assert len(both["seconds"]) == 2 and both["differences"][0] == one["differences"][0]
    assert json.loads((workdir / "paired_study.json").read_text()) == both
    assert "narrow − wide: " in (workdir / "paired_study.md").read_text()
    model = load_model(workdir / "second_seed1").model
    figures = evaluate(model, eval_batches("tiny", "val", data_dir=data_dir), num_classes=3)
    np.testing.assert_allclose(both["miou"]["wide"][1], 100 * figures["miou"], rtol=1e-12)
    with pytest.raises(
        ValueError, match=r"first_seed0 holds another run than this study's: stages\[0\]\.steps: 1 -> 2"
    ):
        paired_study.run_pair(PAIR, seeds=(0,), **{**options, "steps": 2})


@settings(FEW, max_examples=60)
@given(st.data())
def test_damaged_matrices_are_one_line_that_names_them(tmp_path, data):
    paired_study._write_matrices(tmp_path, np.arange(18, dtype=np.int32).reshape(2, 3, 3))
    path = tmp_path / paired_study.MATRICES_FILE
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    try:
        assert paired_study._read_matrices(path).shape[1:] == (3, 3)  # a change of what nobody reads
    except ValueError as error:
        assert str(path) in str(error) and "remove it" in str(error) and "\n" not in str(error)


def test_the_variants_of_a_pair_differ_in_their_heads_alone():
    for variants in PAIRS.values():
        first, second = variants.values()
        same_head = dataclasses.replace(second.model, head=first.model.head)
        assert dataclasses.replace(second, name=first.name, model=same_head) == first
    assert list(CLAIMS_ON_PICTURES) == ["pictures_ksac", "pictures_aspp"]
