"""`ksac formats`: what it refuses; that its table is right is a test of the library."""

import types

import pytest

from deeplab_ksac.scripts import formats


def test_a_network_that_there_is_not_is_one_line(tmp_path):
    given = {"networks": ["head/ksak"], "results": str(tmp_path / "a.json"), "output": None, "try_one": None}
    with pytest.raises(ValueError, match=r"--networks: there is no 'head/ksak'; there are backbone/convnext, "):
        formats.run(types.SimpleNamespace(**given))
    assert not list(tmp_path.iterdir())
