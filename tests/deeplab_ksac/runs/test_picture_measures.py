"""What is counted of pictures whose features are kept, against evaluation of the pictures themselves."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from car import class_statistics
from car.pixels import labelled_pixels
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.datasets.pipeline import eval_batches
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import Views, part
from deeplab_ksac.experiments.claims_on_pictures import STUDIES
from deeplab_ksac.metrics.objects import find_objects
from deeplab_ksac.model import build_model
from deeplab_ksac.runs import picture_measures
from deeplab_ksac.runs.paired_comparison import measures_of
from deeplab_ksac.runs.picture_features import PictureFeatures
from deeplab_ksac.runs.picture_measures import (
    MEASURES,
    CountingNetwork,
    Measure,
    Seen,
    by_scale,
    confusion,
    feature_moments,
    objects_by_size,
    objects_inside,
)
from tests.deeplab_ksac.runs.half_features import with_half_features
from tests.deeplab_ksac.tiny_backbone import TINY_BACKBONE, tiny_backbone
from tests.deeplab_ksac.training import tiny

K, SCALES = 3, (0.5, 1.0, 2.0)
SPEC = dataclasses.replace(
    tiny.EXPERIMENT.model, head=part("ksac", filters=4, atrous_rates=(1, 2)), projection=part("linear", filters=4)
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tiny.convert(tmp_path_factory.mktemp("pictures"))


@pytest.fixture
def model(monkeypatch):
    """A network with the same weights of the backbone in every test."""

    def seeded(output_stride=16, *, norm=None):
        backbone, rng = tiny_backbone(output_stride), np.random.default_rng(0)
        backbone.set_weights([rng.normal(size=weight.shape) for weight in backbone.get_weights()])
        return backbone

    monkeypatch.setitem(BACKBONES, TINY_BACKBONE.name, seeded)
    return build_model(SPEC, K)


def counting(model, folder, data_dir):
    return CountingNetwork(model, PictureFeatures(folder, model, data_dir), np.full(K, 20.0))


def miou(model, data_dir, scale):
    """In percent, of the pictures themselves."""
    batches = eval_batches("tiny", "val", data_dir=data_dir)
    return 100 * evaluate(with_half_features(model), batches, num_classes=K, views=Views((scale,)))["miou"]


def test_confusion_is_that_of_an_evaluation_at_each_scale(model, data_dir, tmp_path):
    measures = {"all": Measure("tiny/val", confusion, by_scale(picture_measures.mean_ious), SCALES)}
    counts = counting(model, tmp_path, data_dir).counts(measures)["all"]
    assert counts.shape == (3, len(SCALES), K, K)
    expected = [miou(model, data_dir, scale) for scale in SCALES]
    np.testing.assert_allclose(picture_measures.mean_ious(counts.sum(axis=0)), expected, rtol=1e-12)
    np.testing.assert_allclose(measures["all"].points(counts.sum(axis=0)), np.mean(expected), rtol=1e-12)


def test_features_are_kept_and_read_again(model, data_dir, tmp_path, monkeypatch):
    network = counting(model, tmp_path, data_dir)
    measures = {"all": Measure("tiny/val", confusion, by_scale(picture_measures.mean_ious), (1.0, 2.0))}
    first = network.counts(measures)["all"]
    monkeypatch.setattr(network.features, "_compute", None)  # nothing is computed again
    np.testing.assert_array_equal(network.counts(measures)["all"], first)
    files = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.npz"))
    assert files == [f"tiny_val/{scale}/{number:06d}.npz" for scale in (1, 2) for number in range(3)]
    (tmp_path / files[0]).write_bytes(b"PK\3\4")
    with pytest.raises(ValueError, match=f"{files[0]} cannot be read .* remove it"):
        network.counts(measures)


def test_features_of_other_weights_or_pictures_are_refused(model, data_dir, tmp_path):
    network = counting(model, tmp_path / "features", data_dir)
    measures = {"all": Measure("tiny/val", confusion, by_scale(picture_measures.mean_ious))}
    network.counts(measures)
    facts = tmp_path / "features" / "tiny_val" / "pictures.json"
    facts.write_text(facts.read_text().replace("[3, ", "[4, "))
    with pytest.raises(ValueError, match="features of other pictures or weights"):
        network.counts(measures)
    stem = model.get_layer("stem")
    stem.set_weights([1 + weight for weight in stem.get_weights()])
    with pytest.raises(ValueError, match="features of other pictures or weights"):
        counting(model, tmp_path / "features", data_dir)


def test_the_moments_of_features_give_the_statistics_of_car(model, data_dir, tmp_path):
    names = ("intra-class variance", "center similarity")
    measures = {name: dataclasses.replace(MEASURES[name], split="tiny/val") for name in names}
    moments = counting(model, tmp_path, data_dir).counts(measures)
    found = [measures[name].points(moments[name].sum(axis=0)) for name in names]
    pixels, half = [], with_half_features(model)
    for batch in eval_batches("tiny", "val", data_dir=data_dir):
        pixels.append(labelled_pixels(half(batch["image"], training=False)["features"], batch["labels"], K))
    features, labels = (tf.concat(each, axis=1) for each in zip(*pixels, strict=True))
    expected = class_statistics(features, labels, K)
    expected = [expected["intra_class_variance"].numpy(), expected["center_similarity"].numpy()]
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # sums of float32


def seen(labels, classes, median_sizes=(0.0, 20.0, 20.0)):
    return Seen(labels, classes, np.zeros([1, 1, 1, 1], np.float32), K, np.array(median_sizes))


def test_objects_are_counted_by_their_class_and_size():
    labels = np.zeros([100, 200], np.int32)
    labels[:16, :16] = 1  # 16 of 20: usual
    labels[40:100, 100:160] = 2  # 60 of 20: large
    labels[40:60, :20] = 2  # 20 of 20: usual
    classes = labels.copy()
    classes[:8, :16] = 0
    counts = objects_by_size(seen(labels, classes))
    expected = np.zeros([3, K, 2])
    expected[1, 1], expected[1, 2], expected[2, 2] = (0.5, 1), (1, 1), (1, 1)
    np.testing.assert_array_equal(counts, expected)
    np.testing.assert_array_equal(objects_by_size(seen(labels, classes, (0, 33, 9)))[0, 1], (0.5, 1))  # small at 0.48
    points = MEASURES["unusual sizes"].points(counts[np.newaxis])
    assert points == pytest.approx(0.5 * 0 - 75 + 0.5 * 100)
    assert MEASURES["large"].points(counts[np.newaxis]) == 100 and MEASURES["usual"].points(counts[np.newaxis]) == 75


def test_objects_inside_others_are_counted_and_no_others():
    labels = np.zeros([100, 200], np.int32)
    labels[:, :100], labels[40:58, 40:58], labels[40:58, 140:158] = 2, 1, 1
    counts = objects_inside(seen(labels, labels.astype(np.uint8)))
    np.testing.assert_array_equal(counts, [[0, 0], [1, 1], [0, 0]])
    assert MEASURES["inside"].points(counts[np.newaxis]) == 100
    assert len(find_objects(labels, K)) == 3


def test_moments_are_sums_over_the_pixels_of_a_class():
    labels = np.repeat(np.array([[0, 1], [1, 255]], np.int32), 4, axis=0).repeat(4, axis=1)
    features = np.array([[[1, 2], [3, 4]], [[5, 6], [7, 8]]], np.float32)[np.newaxis]
    counts = feature_moments(dataclasses.replace(seen(labels, labels), features=features))
    np.testing.assert_array_equal(counts, [[1, 2, 5, 1], [8, 10, 25 + 61, 2], [0, 0, 0, 0]])


def test_every_measure_that_a_study_names_exists():
    for study in STUDIES.values():
        for variant in study.variants:
            assert set(measures_of(study, variant)) <= set(MEASURES)
