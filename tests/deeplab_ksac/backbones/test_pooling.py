"""Atrous pooling against loops over the window."""

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.pooling import AtrousPooling2D


def literal(x, size, rate, reduce):
    """Every output pixel by itself; the window's first tap lies (size − 1) // 2 steps before it."""
    _, height, width, _ = x.shape
    out = np.empty_like(x)
    steps = [(tap - (size - 1) // 2) * rate for tap in range(size)]
    for i in range(height):
        for j in range(width):
            rows = [i + s for s in steps if 0 <= i + s < height]
            columns = [j + s for s in steps if 0 <= j + s < width]
            out[:, i, j] = reduce(x[:, rows][:, :, columns], axis=(1, 2))
    return out


@pytest.mark.parametrize("reduction, reduce", [("max", np.max), ("mean", np.mean)])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("rate", [1, 2, 4])
def test_every_pixel_is_its_windows_maximum_or_mean(reduction, reduce, size, rate):
    x = np.random.default_rng(0).normal(size=[2, 7, 6, 3]) - 5.0  # all negative: zeros from outside would show
    found = AtrousPooling2D(size, rate, reduction=reduction, dtype="float64")(x)
    np.testing.assert_allclose(found, literal(x, size, rate, reduce), rtol=1e-14)


def test_at_rate_1_it_is_pooling_without_a_stride():
    x = np.random.default_rng(0).normal(size=[1, 6, 5, 2]).astype("float32")
    found = AtrousPooling2D(3, reduction="max")(x)
    np.testing.assert_array_equal(found, keras.layers.MaxPooling2D(3, 1, "same")(x))


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_half_precision_stays_itself(dtype):
    x = tf.cast(tf.random.stateless_normal([1, 4, 5, 2], [0, 0]), dtype)
    found = AtrousPooling2D(3, 2, reduction="max", dtype=dtype.name)(x)
    assert found.dtype == dtype and np.isfinite(tf.cast(found, tf.float32)).all()


def test_it_comes_back_from_its_configuration():
    layer = AtrousPooling2D(2, 4, reduction="mean", name="pool")
    again = AtrousPooling2D.from_config(layer.get_config())
    assert (again.pool_size, again.atrous_rate, again.reduction, again.name) == (2, 4, "mean", "pool")


def test_another_reduction_is_refused():
    with pytest.raises(ValueError, match="reduction must be 'max' or 'mean', not 'median'"):
        AtrousPooling2D(2, reduction="median")
