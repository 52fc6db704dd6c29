"""Features of a frozen backbone, computed once and trained on: the same step, the same bytes, the same run."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.cached_features import HEADER_FILE, CachedFeatures
from deeplab_ksac.datasets.pipeline import eval_batches, view_batches
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.training import loop
from deeplab_ksac.training.backbone_part import backbone_of, freeze_backbone
from deeplab_ksac.training.cached_backbone import CachedForward, cached_features, levels_read
from deeplab_ksac.training.feature_caching import cache_features
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.training.strategy import create_strategy
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone_known
from tests.deeplab_ksac.training import tiny
from tests.deeplab_ksac.training.test_freezing import stopping
from tests.scripts.damage import FEW
from tests.scripts.test_damaged_json import damaged_object

MODEL = ModelSpec(
    backbone=TINY_BACKBONE,
    head=part("fcn", filters=4),
    decoder=part("low_level", filters=4, low_level_filters=2),
    norm={"momentum": 0.5},
)
DATA = dataclasses.replace(tiny.STAGE.data, brightness=20.0)
STAGE = dataclasses.replace(tiny.STAGE, data=DATA, freeze="c5", features="cached")
EXPERIMENT = dataclasses.replace(tiny.EXPERIMENT, model=MODEL, stages=(STAGE,))
VIEWS = 3


def make(data_dir, name="cached", experiment=EXPERIMENT, **changes):
    return cache_features(
        experiment, **{"data_dir": data_dir, "name": name, "views": VIEWS, "batch_size": 4, **changes}
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    data_dir = tiny.convert(tmp_path_factory.mktemp("cached"))
    with tiny_backbone_known():
        make(data_dir)
        yield data_dir


def frozen_model():
    """The model that the features are cached of: random weights by the experiment's seed."""
    keras.utils.set_random_seed(EXPERIMENT.seed)
    model = build_model(MODEL, 3)
    freeze_backbone(model, "c5")
    return model


def weights_after_a_step(batch, forward=lambda model: None):
    model = frozen_model()
    objective = build_objective((part("cross_entropy"),), 3)
    objective.build(model.output)
    optimizer = build_optimizer(part("sgd", learning_rate=0.5), 5, part("constant"))
    step = TrainStep(model, objective, optimizer, tf.distribute.get_strategy(), l2=1e-3, forward=forward(model))
    step(batch)
    return model.get_weights()


def test_a_step_on_cached_features_is_the_step_of_the_whole_network_to_half_precision(data_dir):
    cached = CachedFeatures(data_dir / "cached", DATA.sources, data_dir)
    fields = {name: value for name, value in vars(DATA).items() if name != "weights"}
    pictures = list(view_batches(**fields, data_dir=data_dir, batch_size=1, seed=0, views=VIEWS).unbatch())
    rows = [2, 17, 25, 9]
    batch = {name: tf.constant(values) for name, values in cached.read(np.array(rows)).items()}
    batch["labels"] = tf.cast(batch["labels"], tf.int32)
    whole = {name: tf.stack([pictures[row][name] for row in rows]) for name in ("image", "labels")}
    np.testing.assert_array_equal(batch["labels"], whole["labels"])

    first, expected = frozen_model().get_weights(), weights_after_a_step(whole)
    unrounded = {**backbone_of(frozen_model())(whole["image"], training=False), "labels": whole["labels"]}
    exact = weights_after_a_step(unrounded, lambda model: CachedForward(model, ("c2", "c3", "c4", "c5")))
    half = weights_after_a_step(batch, lambda model: CachedForward(model, cached.header.levels))
    moved = [np.abs(new - old).max() for new, old in zip(expected, first, strict=True)]
    assert sum(move > 0 for move in moved) > 10
    for ours, rounded, goal, move in zip(exact, half, expected, moved, strict=True):
        np.testing.assert_allclose(ours, goal, rtol=0, atol=1e-5 * move)
        np.testing.assert_allclose(rounded, goal, rtol=0, atol=0.02 * move)


def test_views_are_drawn_alike_wherever_the_stream_begins_and_by_any_number_of_replicas(data_dir):
    cached = CachedFeatures(data_dir / "cached", DATA.sources, data_dir)
    whole = list(cached.batches(batch_size=4, seed=5).take(6))
    tail = list(cached.batches(batch_size=4, seed=5, first_step=4).take(2))
    for ours, expected in zip(tail, whole[4:], strict=True):
        for name, values in expected.items():
            np.testing.assert_array_equal(ours[name], values)
    context = tf.distribute.InputContext(num_input_pipelines=2, input_pipeline_id=1, num_replicas_in_sync=2)
    second = next(iter(cached.batches(batch_size=4, seed=5, input_context=context)))
    np.testing.assert_array_equal(second["c5"], whole[0]["c5"][2:])
    assert {cached.view(5, position) for position in range(24)} == set(range(VIEWS))


def test_a_cache_that_was_stopped_is_continued_to_the_same_bytes(data_dir):
    class Stops:
        def __init__(self, total, label, start=0):
            self.calls = 0

        def update(self, number):
            self.calls += 1
            if self.calls == 3:
                raise StopIteration

        def close(self):
            pass

    with pytest.raises(StopIteration):
        make(data_dir, "again", progress=Stops)
    (data_dir / "again" / "c5.float16").open("ab").write(b"cut off in the middle")
    with pytest.raises(ValueError, match=r"again holds 12 of its 30 views; the command that made them continues"):
        CachedFeatures(data_dir / "again", DATA.sources, data_dir)
    make(data_dir, "again")
    make(data_dir, "again")
    files = sorted(path.name for path in (data_dir / "cached").iterdir() if not path.name.startswith("."))
    assert files == ["c2.float16", "c5.float16", HEADER_FILE, "labels.uint8"]
    for name in files:
        assert (data_dir / "again" / name).read_bytes() == (data_dir / "cached" / name).read_bytes()


def test_a_run_on_features_is_evaluated_on_pictures_and_continues_bit_for_bit(data_dir, tmp_path):
    options = {"data_dir": data_dir, "strategy": create_strategy("one_device")}
    figures = loop.train(EXPERIMENT, workdir=tmp_path / "straight", **options)
    with pytest.raises(StopIteration):
        loop.train(EXPERIMENT, workdir=tmp_path / "broken", progress=stopping(3), **options)
    loop.train(EXPERIMENT, workdir=tmp_path / "broken", evaluates=False, **options)
    straight, broken = (load_model(tmp_path / name).model for name in ("straight", "broken"))
    for ours, expected in zip(broken.get_weights(), straight.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    first = frozen_model()
    for ours, expected in zip(backbone_of(straight).get_weights(), backbone_of(first).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)
    assert not np.array_equal(straight.get_layer("classifier").kernel, first.get_layer("classifier").kernel)
    on_pictures = evaluate(straight, eval_batches("tiny", "val", data_dir=data_dir), num_classes=3)
    assert on_pictures["miou"] == figures["miou"]


def test_only_the_levels_that_a_model_reads_are_cached(data_dir):
    assert levels_read(frozen_model()) == ["c2", "c5"]
    assert levels_read(build_model(dataclasses.replace(MODEL, decoder=None), 3)) == ["c5"]
    auxiliary = dataclasses.replace(MODEL, decoder=None, auxiliary={"level": "c4", "filters": 2})
    assert levels_read(build_model(auxiliary, 3)) == ["c4", "c5"]


def staged(**changes):
    return dataclasses.replace(EXPERIMENT, stages=(dataclasses.replace(STAGE, **changes),))


AUXILIARY = dataclasses.replace(EXPERIMENT, model=dataclasses.replace(MODEL, auxiliary={"level": "c4", "filters": 2}))
OTHER_STRIDE = dataclasses.replace(EXPERIMENT, model=dataclasses.replace(MODEL, output_stride=32))


@pytest.mark.parametrize(
    "experiment, words",
    (
        (staged(features="none_such"), r"none_such holds no cached features: features\.json is missing"),
        (
            staged(data=dataclasses.replace(DATA, scales=(1.0,))),
            r"cached holds features of another experiment: data\.scales: \[0\.75, 1\.0, 1\.25\] -> \[1\.0\]; make",
        ),
        (OTHER_STRIDE, r"features of another experiment: output_stride: 16 -> 32"),
        (AUXILIARY, r"cached has the levels c2, c5, and the model reads c4 too; cache the features with --levels"),
        (
            dataclasses.replace(EXPERIMENT, seed=1),
            r"cached holds features of another backbone's weights than the model begins with; theirs are the initial",
        ),
    ),
    ids=("missing", "views", "backbone", "level", "weights"),
)
def test_features_that_do_not_fit_are_refused_in_one_line(data_dir, tmp_path, experiment, words):
    with pytest.raises((ValueError, OSError), match=words) as caught:
        loop.train(experiment, data_dir=data_dir, workdir=tmp_path, strategy=create_strategy("one_device"))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "experiment.json").exists()


def test_features_of_a_backbone_that_an_earlier_stage_trains_are_refused(data_dir, tmp_path):
    pictures = dataclasses.replace(STAGE, features=None, freeze="c4")
    experiment = dataclasses.replace(EXPERIMENT, stages=(pictures, STAGE))
    with pytest.raises(ValueError, match=r"^stages\[1\]\.features are of a backbone that stages\[0\] trains first"):
        loop.train(experiment, data_dir=data_dir, workdir=tmp_path / "run", strategy=create_strategy("one_device"))
    assert not (tmp_path / "run").exists()


def test_features_in_an_object_store_are_refused_in_one_line():
    words = "the data sets of cached features must be on this machine, not at the address gs://bucket/data; name"
    with pytest.raises(ValueError, match=words):
        make("gs://bucket/data")
    with pytest.raises(ValueError, match=rf"^stages\[0\]\.features: {words}"):
        cached_features(EXPERIMENT, 0, "gs://bucket/data")


@pytest.mark.parametrize(
    "changes, words",
    (
        ({"seed": 1}, r"cached holds features of something else: seed: 0 -> 1; take another name, or remove it"),
        ({"levels": ["c6"]}, r"levels: the backbone has c2, c3, c4, c5, not 'c6'"),
        ({"stage": 1}, r"stage must be below 1, the number of stages, not 1"),
        ({"views": 10**9, "name": "huge"}, r"huge would take [\d.]+ GB more, and [\d.]+ GB are free; take fewer"),
    ),
)
def test_what_cannot_be_cached_is_refused_in_one_line(data_dir, changes, words):
    with pytest.raises((ValueError, OSError), match=words):
        make(data_dir, **changes)


def test_a_damaged_header_is_named(data_dir):
    damaged = shutil.copytree(data_dir / "cached", data_dir / "damaged")
    fields = json.loads((damaged / HEADER_FILE).read_text())
    (damaged / HEADER_FILE).write_text(json.dumps({**fields, "views": "3"}))
    with pytest.raises(ValueError, match=r"features\.json has '3' as 'views', which must be a number above 0"):
        CachedFeatures(damaged, DATA.sources, data_dir)


@settings(FEW, max_examples=60)
@given(st.data())
def test_whatever_a_header_holds_is_one_line_or_fits(data_dir, tmp_path, data):
    right = json.loads((data_dir / "cached" / HEADER_FILE).read_text())
    folder = tmp_path / "cached"
    if not folder.exists():
        shutil.copytree(data_dir / "cached", folder)
    (folder / HEADER_FILE).write_bytes(data.draw(damaged_object(right)))
    try:
        CachedFeatures(folder, DATA.sources, data_dir)
    except (OSError, ValueError) as error:
        assert str(folder) in str(error) and "\n" not in str(error)


def test_features_want_a_backbone_that_is_frozen_whole():
    with pytest.raises(
        ValueError, match=r"features are of a backbone that is not trained; set freeze to 'c5', not 'c3'"
    ):
        staged(freeze="c3")
