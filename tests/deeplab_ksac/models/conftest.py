"""What the tests of saved models share: the tiny backbone is known."""

import pytest

from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known


@pytest.fixture(scope="package", autouse=True)
def backbone():
    with tiny_backbone_known():
        yield
