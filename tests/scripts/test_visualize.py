"""The figures of real runs, through the script: one PNG and one npz each, and what is refused."""

import dataclasses
import json
import types

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow import keras

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.experiment import part
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import StageCheckpoints
from deeplab_ksac.runs.workdir import claim_workdir
from deeplab_ksac.scripts import visualize
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert

ATTENTION = {"filters": 4, "key_filters": 2}
HEADS = {
    "ksac": part("ksac", filters=4, atrous_rates=(1, 2)),
    "caa": part("caa", **ATTENTION, gate_width=3, gate_depth=1),
    "danet": part("danet", **ATTENTION),
}


def untrained_run(workdir, head, info):
    """A run's folder with a checkpoint of the initial weights, and a few lines of metrics."""
    model_spec = dataclasses.replace(EXPERIMENT.model, head=head, bottleneck=None)
    claim_workdir(workdir, dataclasses.replace(EXPERIMENT, model=model_spec), info)
    keras.utils.set_random_seed(1)
    model = build_model(model_spec, info.num_classes)
    optimizer = keras.optimizers.SGD()
    optimizer.build(model.trainable_variables)
    StageCheckpoints(workdir, 0, model, optimizer, strategy=tf.distribute.get_strategy()).save(3)
    lines = [{"stage": 0, "step": step, "train/loss": 3.0 - step} for step in (1, 2, 3)]
    lines += [{"stage": 0, "step": 3, "eval/miou": 0.25}, {"stage": 1, "step": 2, "train/loss": 0.5}]
    (workdir / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with converted pictures in `data` and a run for each of `HEADS`."""
    place = tmp_path_factory.mktemp("figures")
    convert(place)
    with tiny_backbone_known():
        for name, head in HEADS.items():
            untrained_run(place / name, head, load_info("tiny", place / "data"))
        yield place


def draw(place, figure, *runs, **flags):
    """Draws a figure and returns {name: (picture, arrays)} of what was written."""
    output = place / "out" / f"{figure}{len(list(place.glob('out/*')))}"
    given = {
        "workdir": [str(place / run) for run in runs],
        "images": None,
        "data_dir": str(place / "data"),
        "dataset": None,
        "count": 2,
        "point": None,
        "box": None,
        "channels": 4,
        "output_dir": str(output),
    }
    assert visualize.run(figure, types.SimpleNamespace(**{**given, **flags})) == 0
    written = {}
    for path in sorted(output.glob("*.png")):
        with Image.open(path) as picture, np.load(path.with_suffix(".npz")) as arrays:
            written[path.stem] = np.asarray(picture), dict(arrays)
    return written


def test_predictions_of_two_runs(place):
    written = draw(place, "predictions", "ksac", "caa")
    assert list(written) == ["predictions_00000", "predictions_00001"]
    for picture, arrays in written.values():
        assert picture.ndim == 3
        assert arrays["ksac"].shape == arrays["caa"].shape == arrays["truth"].shape


def test_predictions_of_loose_images_have_no_truth(place):
    images = str(place / "tiny" / "images" / "val" / "000.jpg")
    written = draw(place, "predictions", "ksac", images=images, data_dir=None)
    assert set(written["predictions_000"][1]) == {"ksac"}


def test_branch_features_hold_every_rate(place):
    ((_, arrays),) = draw(place, "branch_features", "ksac", count=1).values()
    assert set(arrays) == {"ksac_rate_1", "ksac_rate_2"}


def test_attention_knows_where_the_point_lies(place):
    ((_, arrays),) = draw(place, "attention", "caa", count=1, point=["0", "39"]).values()
    assert arrays["pixel"].tolist() == [0, arrays["attended"].shape[1] - 1]
    np.testing.assert_allclose(arrays["attended"].sum(), 1, rtol=1e-5)


def test_attention_conflict_shows_both_attentions(place):
    ((_, arrays),) = draw(place, "attention_conflict", "danet", count=1).values()
    assert set(arrays) == {"truth", "spatial attention", "channel attention", "prediction"}


def test_the_relation_is_highest_at_the_point_itself(place):
    ((_, arrays),) = draw(place, "pixel_relation", "ksac", "caa", count=1).values()
    for run in ("ksac", "caa"):
        similarity = arrays[f"{run}_similarity"]
        middle = tuple((n - 1 + 1) // 2 for n in similarity.shape)
        np.testing.assert_allclose(similarity.max(), 1, rtol=1e-5)
        assert similarity[middle] >= similarity.max() - 1e-5 or similarity.shape[0] % 2 == 0


def test_class_dependency_is_symmetric_with_a_diagonal_of_ones(place):
    ((_, arrays),) = draw(place, "class_dependency", "ksac", "caa").values()
    for matrix in arrays.values():
        np.testing.assert_allclose(matrix, matrix.T)
        np.testing.assert_allclose(np.diag(matrix)[~np.isnan(np.diag(matrix))], 1, rtol=1e-6)


def test_the_confusion_matrix_counts_every_labeled_pixel(place):
    ((_, arrays),) = draw(place, "confusion", "ksac").values()
    info = load_info("tiny", place / "data")
    assert arrays["matrix"].sum(axis=1).tolist() == list(info.pixel_counts["val"])


def test_curves_put_the_stages_one_behind_the_other(place):
    ((_, arrays),) = draw(place, "curves", "ksac", "caa").values()
    first = EXPERIMENT.stages[0].steps
    for run in ("ksac", "caa"):
        assert arrays[f"train_loss_{run}"].tolist() == [[1, 2, 3, first + 2], [2.0, 1.0, 0.0, 0.5]]
        assert arrays[f"eval_miou_{run}"].tolist() == [[3], [0.25]]


@pytest.mark.parametrize(
    ("figure", "run", "flags", "message"),
    [
        ("branch_features", "caa", {}, "ChannelizedAxialHead has no atrous rates"),
        ("attention", "ksac", {}, "KSACHead has no axial attention"),
        ("attention_conflict", "ksac", {}, "KSACHead has no logits of single attentions"),
        ("attention", "caa", {"point": ["400", "2"]}, r"the point \(400, 2\) lies outside the image of 36 rows"),
        ("attention", "caa", {"point": ["4"]}, "--point takes 2 whole numbers"),
        ("predictions", "ksac", {"box": ["1", "2", "x", "4"]}, "--box takes 4 whole numbers"),
        ("predictions", "ksac", {"data_dir": None}, "needs --data_dir"),
        ("predictions", "ksac", {"dataset": "tiny/test"}, "no split 'test'; it has train, val"),
        ("portrait", "ksac", {}, "no figure 'portrait'; there are predictions"),
    ],
)
def test_what_cannot_be_drawn_is_said(place, figure, run, flags, message):
    with pytest.raises(ValueError, match=message):
        draw(place, figure, run, **flags)


def test_runs_of_other_classes_are_not_shown_side_by_side(place, tmp_path):
    convert(tmp_path, name="other", classes=2)
    untrained_run(tmp_path / "run", HEADS["ksac"], load_info("other", tmp_path / "data"))
    with pytest.raises(ValueError, match=r"run has other classes \(other, 2\) than ksac \(tiny, 3\)"):
        draw(place, "predictions", "ksac", tmp_path / "run")
