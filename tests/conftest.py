"""The Keras of a run of the tests: 2, with all of the product, or 3, with the layers that fit into anybody's model.

KERAS_BACKEND in the environment ("tensorflow", "jax", "torch") asks for Keras 3 on that backend, where Keras 3 is
installed; only the tests that can run so are collected then. TensorFlow's CPU is two devices in either case, and so is
JAX's, since devices can be split only before their first use.
"""

import os
from importlib import metadata

from tests.places import ROOT

BACKEND = os.environ.get("KERAS_BACKEND") if int(metadata.version("keras").split(".")[0]) > 2 else None
ON_EVERY_BACKEND = ("keras3",)
ON_TENSORFLOW = (
    "caa",
    "car",
    "deeplab_ksac/layers/test_conv.py",
    "deeplab_ksac/layers/test_pyramid_pooling.py",
    "deeplab_ksac/layers/test_resize.py",
    "deeplab_ksac/tensor_ops",
    "deeplab_ksac/test_aspp.py",
    "deeplab_ksac/test_ksac.py",
    "test_floors.py",
)

# XLA's optimizing takes longer than what is optimized
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_backend_optimization_level=0"
if BACKEND is None:
    from deeplab_ksac.training.strategy import split_cpu

    split_cpu(2)
elif BACKEND == "tensorflow":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
elif BACKEND == "jax":
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=2"


def pytest_ignore_collect(collection_path, config):
    """With Keras 3 whatever needs Keras 2, or TensorFlow on another backend."""
    if BACKEND is None or not collection_path.is_relative_to(ROOT / "tests"):
        return None
    places = [ROOT / "tests" / name for name in ON_EVERY_BACKEND + (ON_TENSORFLOW if BACKEND == "tensorflow" else ())]
    inside = any(collection_path.is_relative_to(place) for place in places)
    above = any(place.is_relative_to(collection_path) for place in places)
    return None if inside or above else True
