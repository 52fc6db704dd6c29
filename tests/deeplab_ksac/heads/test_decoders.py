"""Bottleneck and low-level decoder."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.heads.decoders import Bottleneck, LowLevelDecoder


@pytest.mark.parametrize("separable", (False, True))
def test_the_decoder_meets_the_stage_at_its_size(separable):
    decoder = LowLevelDecoder(6, 2, separable=separable)
    pyramid = {"c2": tf.random.normal([2, 17, 13, 5])}
    assert decoder(tf.random.normal([2, 5, 4, 3]), pyramid).shape == (2, 17, 13, 6)


def test_the_decoder_reads_features_and_stage():
    decoder, pyramid = LowLevelDecoder(6, 2), {"c2": tf.random.normal([1, 9, 9, 5])}
    features = tf.random.normal([1, 3, 3, 3])
    with tf.GradientTape() as tape:
        tape.watch([features, pyramid["c2"]])
        judged = tf.reduce_sum(tf.sin(decoder(features, pyramid)))
    for gradient in tape.gradient(judged, [features, pyramid["c2"]]):
        assert np.any(gradient.numpy() != 0)


def test_dropout_acts_in_training_only():
    layer, features = Bottleneck(64, dropout=0.5), tf.random.normal([1, 8, 8, 4])
    layer(features)
    np.testing.assert_array_equal(layer(features), layer(features))
    dropped = np.mean(layer(features, training=True).numpy() == 0)
    assert dropped > np.mean(layer(features).numpy() == 0) + 0.15


def test_every_setting_survives_the_configuration():
    for layer in (
        Bottleneck(5, 3, dropout=0.2),
        LowLevelDecoder(6, 2, level="c3", separable=True),
    ):
        twin = type(layer).from_config(layer.get_config())
        assert twin.get_config() == layer.get_config()


def test_a_dropout_outside_its_range_is_refused():
    with pytest.raises(ValueError, match=r"dropout must lie in \[0, 1\), not 1"):
        Bottleneck(4, dropout=1)
