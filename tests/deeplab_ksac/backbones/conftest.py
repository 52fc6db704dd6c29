"""What the backbones' tests share: the precision policy is put back after each."""

import pytest

from deeplab_ksac.keras2 import keras


@pytest.fixture(autouse=True)
def float32_again():
    yield
    keras.mixed_precision.set_global_policy("float32")
