"""Streaming evaluation against one confusion matrix of the whole set, counted in NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.evaluation import Evaluator, evaluate, summarize
from deeplab_ksac.experiment import Views
from deeplab_ksac.metrics import boundaries
from deeplab_ksac.prediction import scores
from tests.deeplab_ksac.fake_model import build_fake_model, random_images
from tests.literal import confusion
from tests.replicas import two_replicas

K = 5
SIZES = ((9, 12), (14, 7), (11, 11))


def varied_batches(count, batch_size=1):
    """Batches of several sizes, the last one partial; labels 0 … K and 255."""
    rng = np.random.default_rng(1)
    batches = []
    for index in range(count):
        size = 1 if index == count - 1 else batch_size
        height, width = SIZES[index % len(SIZES)]
        labels = rng.choice([*range(K - 1), K, 255], (size, height, width)).astype("int32")
        batches.append({"image": random_images(size, height, width, seed=index), "labels": labels})
    return batches


def as_dataset(batches):
    signature = {
        "image": tf.TensorSpec([None, None, None, 3], tf.float32),
        "labels": tf.TensorSpec([None, None, None], tf.int32),
    }
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=signature)


def oracle(model, batches, views=Views()):
    pairs = [(batch["labels"], scores.predict_classes(model, batch["image"], views)) for batch in batches]
    labels, classes = (np.concatenate([np.ravel(array) for array in arrays]) for arrays in zip(*pairs))
    return confusion.confusion_matrix(labels, classes, K)


@pytest.fixture(scope="module")
def model():
    return build_fake_model(K)


@pytest.mark.parametrize("views", [Views(), Views((0.5, 1.0), flip=True), Views(window=8)])
def test_streaming_equals_the_whole_set_at_once(model, views):
    batches = varied_batches(4, batch_size=2)
    evaluator = Evaluator(model, num_classes=K, views=views)
    result = evaluator(as_dataset(batches))
    expected = oracle(model, batches, views)
    np.testing.assert_array_equal(evaluator.confusion_matrix(), expected)
    assert result["images"] == 7
    assert result["pixels"] == expected.sum()
    assert result["miou"] == summarize(expected)["miou"]


@pytest.mark.parametrize("count", [1, 4, 5])
def test_two_replicas_count_what_one_does_with_the_last_batches_included(count):
    strategy = two_replicas()
    with strategy.scope():
        model = build_fake_model(K)
    batches = varied_batches(count, batch_size=2)
    evaluator = Evaluator(model, num_classes=K, strategy=strategy)
    result = evaluator(as_dataset(batches))
    np.testing.assert_array_equal(evaluator.confusion_matrix(), oracle(build_fake_model(K), batches))
    assert result["images"] == 2 * count - 1


def test_a_single_device_strategy_counts_the_same():
    strategy = tf.distribute.OneDeviceStrategy("CPU:1")
    with strategy.scope():
        model = build_fake_model(K)
    evaluator, batches = Evaluator(model, num_classes=K, strategy=strategy), varied_batches(3)
    evaluator(as_dataset(batches))
    np.testing.assert_array_equal(evaluator.confusion_matrix(), oracle(model, batches))


def test_a_second_call_starts_from_zero_and_sees_new_weights(model):
    batches, evaluator = varied_batches(3), Evaluator(model, num_classes=K)
    first = evaluator(batches)
    assert evaluator(batches)["pixels"] == first["pixels"]
    kept = [weight.numpy() for weight in model.weights]
    try:
        for weight in model.weights:
            weight.assign(tf.reverse(weight, [-1]))
        evaluator(batches)
        np.testing.assert_array_equal(evaluator.confusion_matrix(), oracle(model, batches))
    finally:
        for weight, value in zip(model.weights, kept):
            weight.assign(value)


def test_progress_hears_of_every_batch(model):
    class Counter:
        seen = 0

        def update(self, n=1):
            self.seen += n

    counter = Counter()
    evaluate(model, varied_batches(3), num_classes=K, progress=counter)
    assert counter.seen == 3


def test_the_summary_names_every_figure_and_absent_classes_are_nan(model):
    result = evaluate(model, varied_batches(2), num_classes=K)
    assert set(result) == {
        *("miou", "iou", "pixel_accuracy", "mean_accuracy", "accuracy", "frequency_weighted_iou", "share"),
        *("predicted_share", "pixels", "images"),
    }
    assert len(result["iou"]) == len(result["share"]) == K
    assert math.isnan(result["accuracy"][K - 1])  # never true in these batches
    assert sum(result["share"]) == pytest.approx(1.0)
    assert sum(result["predicted_share"]) == pytest.approx(1.0)


def test_boundaries_of_the_whole_set_are_summed_before_the_score():
    strategy = two_replicas()
    with strategy.scope():
        model = build_fake_model(K)
    batches = varied_batches(3, batch_size=2)
    result = evaluate(model, batches, num_classes=K, boundary_tolerance=2, strategy=strategy)
    single = build_fake_model(K)
    counts = sum(
        boundaries.boundary_counts(batch["labels"], scores.predict_classes(single, batch["image"]), K, 2).numpy()
        for batch in batches
    )
    expected = boundaries.boundary_f_scores(counts)
    np.testing.assert_array_equal(result["boundary_f_scores"], expected)
    assert result["boundary_f_score"] == pytest.approx(np.nanmean(expected))


def test_cityscapes_is_judged_at_its_full_padded_size(model):
    labels = np.random.default_rng(0).integers(0, K, (1, 1024, 2048)).astype("int32")
    batch = {"image": random_images(1, 1024, 2048), "labels": labels}
    views = Views(pad_to=(1025, 2049))
    result = evaluate(model, [batch], num_classes=K, views=views)
    assert result["pixels"] == 1024 * 2048
    classes = scores.predict_classes(model, batch["image"], views)
    assert result["pixel_accuracy"] == np.mean(labels == classes)


def test_an_empty_split_is_refused(model):
    with pytest.raises(ValueError, match="no batch"):
        evaluate(model, [], num_classes=K)


@pytest.mark.parametrize("options", [{"boundary_tolerance": -1}, {"boundary_tolerance": 0}])
def test_what_makes_no_sense_is_refused_at_construction(model, options):
    with pytest.raises(ValueError, match="must be"):
        Evaluator(model, num_classes=K, **options)


def test_what_cannot_be_counted_is_refused_at_construction(model):
    with pytest.raises(ValueError, match=f"the model predicts {K} classes, not {K - 1}"):
        Evaluator(model, num_classes=K - 1)
    with pytest.raises(ValueError, match="boundaries are counted for at most 254 classes, not 255"):
        Evaluator(build_fake_model(255), num_classes=255, boundary_tolerance=1)
