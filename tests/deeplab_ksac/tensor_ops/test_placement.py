"""The device of an operation is known where it is made, and whether oneDNN computes it."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

from deeplab_ksac.tensor_ops.placement import device_here
from tests.replicas import two_replicas


def seen_by(place):
    """The index of the logical CPU that `device_here` names where `place` calls it."""
    seen = []
    place(lambda: seen.append(device_here()))
    assert {device.device_type for device in seen} == {"CPU"}
    return [device.device_index for device in seen]


def test_the_device_is_that_of_the_scope_eagerly_and_in_functions():
    def scoped(call):
        with tf.device("CPU:1"):
            call()

    def function_inside_of_a_scope(call):
        with tf.device("CPU:1"):
            tf.function(call)()

    def function_inside_of_a_function(call):
        with tf.device("CPU:1"):
            tf.function(lambda: tf.function(call)())()

    def cond_inside_of_a_function(call):
        def scoped_cond(x):
            with tf.device("CPU:1"):
                return tf.cond(x > 0, lambda: call() or x, lambda: x)

        tf.function(scoped_cond, autograph=False)(tf.constant(1.0))

    assert seen_by(lambda call: call()) == [0]
    assert seen_by(lambda call: tf.function(call)()) == [0]
    for place in (scoped, lambda call: tf.function(lambda: scoped(call))()):
        assert seen_by(place) == [1]
    assert seen_by(function_inside_of_a_scope) == [1]
    assert seen_by(function_inside_of_a_function) == [1]
    assert seen_by(cond_inside_of_a_function) == [1]


@pytest.mark.parametrize("wrap", (lambda f: f, tf.function), ids=("eager", "function"))
def test_the_device_is_that_of_the_replica(wrap):
    def place(call):
        wrap(lambda: two_replicas().run(call))()

    assert sorted(seen_by(place)) == [0, 1]


@pytest.mark.parametrize("options", ({}, {"TF_ENABLE_ONEDNN_OPTS": "0"}), ids=("default", "off"))
def test_onednn_is_said_to_compute_where_it_does(options):
    """Its own log tells."""
    program = (
        "import tensorflow as tf\n"
        "from deeplab_ksac.tensor_ops.placement import by_onednn\n"
        "tf.function(tf.nn.conv2d)(tf.ones([1, 9, 9, 8]), tf.ones([3, 3, 8, 8]), 1, 'SAME')\n"
        "print('said', by_onednn())\n"
    )
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "ONEDNN_VERBOSE": "1", **options}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=True)
    computed = "exec,cpu,convolution" in done.stdout
    assert f"said {computed}" in done.stdout.splitlines()
    assert not (options and computed)
