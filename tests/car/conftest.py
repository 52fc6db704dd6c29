"""Fixtures of car's tests."""

import pytest

from deeplab_ksac.any_keras import keras


@pytest.fixture(params=["mixed_bfloat16", "mixed_float16"])
def mixed_policy(request):
    """Layers made inside compute in half precision; the name of the policy."""
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")
