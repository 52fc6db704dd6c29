"""Which strategy is made, and when it cannot be."""

import pytest
import tensorflow as tf

from deeplab_ksac.training.strategy import create_strategy, split_cpu
from tests.workers import by_tf_config


def test_workers_that_come_after_a_computation_are_refused_in_words(monkeypatch):
    (cluster,) = by_tf_config(1)
    monkeypatch.setenv("TF_CONFIG", cluster["TF_CONFIG"])
    tf.ones([]).numpy()
    with pytest.raises(ValueError, match="strategy multi_worker comes first, and TensorFlow has already computed"):
        create_strategy("multi_worker")


def test_replicas_of_the_cpu_that_come_after_a_computation_are_refused_in_words():
    tf.ones([]).numpy()
    with pytest.raises(ValueError, match="cpu_replicas comes first, and TensorFlow has already computed something"):
        split_cpu(7)
