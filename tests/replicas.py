"""Two replicas in this process."""

import functools

import tensorflow as tf


@functools.cache
def two_replicas():
    """The one `MirroredStrategy` of a test process: the collective operations of several would share their keys."""
    return tf.distribute.MirroredStrategy([device.name for device in tf.config.list_logical_devices("CPU")])
