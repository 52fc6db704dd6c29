"""Which strategy is made, and when it cannot be."""

import pytest
import tensorflow as tf

from deeplab_ksac.training.strategy import create_strategy
from tests.workers import by_tf_config


def test_workers_that_come_after_a_computation_are_refused_in_words(monkeypatch):
    (cluster,) = by_tf_config(1)
    monkeypatch.setenv("TF_CONFIG", cluster["TF_CONFIG"])
    tf.ones([]).numpy()
    with pytest.raises(ValueError, match="strategy multi_worker comes first, and TensorFlow has already computed"):
        create_strategy("multi_worker")
