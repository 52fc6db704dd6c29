"""Fixtures of the heads' tests."""

import pytest

from deeplab_ksac.keras2 import keras


@pytest.fixture
def float64():
    """Layers made inside have float64 weights and computations."""
    keras.backend.set_floatx("float64")
    keras.mixed_precision.set_global_policy("float64")
    yield
    keras.backend.set_floatx("float32")
    keras.mixed_precision.set_global_policy("float32")


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def mixed_policy(request):
    """Layers made inside compute in half precision; the name of the policy."""
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")
