"""Where the operations run that are made here, and whose kernels compute them."""

import tensorflow as tf
from tensorflow.python.util import _pywrap_util_port


def device_here() -> tf.DeviceSpec:
    """The device of an operation that is made here: a `tf.DeviceSpec`.

    That of the innermost `tf.device`, which is also where a replica of `tf.distribute` runs. Inside a `tf.function`
    without one, it is that of the function's caller; and without any, the one that TensorFlow chooses for itself, a GPU
    if it may use one.
    """
    device = tf.zeros([]).device
    if not device:  # a function's body: the caller's device is seen from outside of it
        with tf.init_scope():
            device = tf.zeros([]).device
    return tf.DeviceSpec.from_string(device)


def on_gpu() -> bool:
    """Whether an operation that is made here runs on a GPU."""
    return bool(tf.config.list_logical_devices("GPU")) and device_here().device_type == "GPU"


def by_onednn() -> bool:
    """Whether an operation in float32 or bfloat16 that is made here is computed by oneDNN.

    On a CPU for which TensorFlow switches its kernels on: with Linux, AVX-512 VNNI and later. What runs on a TPU is
    made on its host.
    """
    return bool(_pywrap_util_port.IsMklEnabled()) and not tf.config.list_logical_devices("TPU") and not on_gpu()
