"""Dropout as Keras has it, with a state that a checkpoint holds."""

import numpy as np
import tensorflow as tf

from deeplab_ksac.dropout import Dropout
from tests.replicas import two_replicas

INPUTS = tf.ones([4, 50, 50, 3])


def built(rate=0.25):
    layer = Dropout(rate, name="dropout")
    layer.build(INPUTS.shape)
    return layer


def test_values_are_dropped_with_the_rate_and_the_rest_is_scaled():
    dropped = built()(INPUTS, training=True).numpy()
    share = np.mean(dropped == 0)
    assert abs(share - 0.25) < 5 * np.sqrt(0.25 * 0.75 / dropped.size)  # five standard deviations of a binomial share
    np.testing.assert_allclose(dropped[dropped != 0], 1 / 0.75)


def test_nothing_is_dropped_without_training_or_rate_and_the_state_is_no_weight():
    layer = built()
    np.testing.assert_array_equal(layer(INPUTS, training=False), INPUTS)
    np.testing.assert_array_equal(built(0)(INPUTS, training=True), INPUTS)
    assert layer.weights == []


def test_every_call_and_every_layer_drops_others():
    layer, other = built(), built()
    first, second, third = (one(INPUTS, training=True).numpy() for one in (layer, layer, other))
    assert (first != second).any() and (first != third).any()


def test_a_restored_layer_drops_what_the_saved_one_drops_next(tmp_path):
    layer = built()
    layer(INPUTS, training=True)
    path = tf.train.Checkpoint(layer=layer).write(str(tmp_path / "saved"))
    expected = [layer(INPUTS, training=True).numpy() for _ in range(2)]
    restored = built()
    tf.train.Checkpoint(layer=restored).read(path).assert_consumed()
    compiled = tf.function(lambda: restored(INPUTS, training=True))
    for draw in expected:
        np.testing.assert_array_equal(compiled(), draw)


def test_replicas_drop_different_values():
    strategy = two_replicas()
    with strategy.scope():
        layer = built()
    values = strategy.experimental_local_results(strategy.run(lambda: layer(INPUTS, training=True)))
    assert len(values) == 2 and (values[0].numpy() != values[1].numpy()).any()


def test_it_is_rebuilt_from_its_configuration():
    layer = Dropout.from_config(built(0.5).get_config())
    assert (layer.rate, layer.name) == (0.5, "dropout")
