"""The command for the studies."""

import types

import pytest

from deeplab_ksac.scripts import study


@pytest.mark.parametrize(
    "flags, message",
    (({"studies": ["large"]}, "unknown study 'large'; the studies are combinations, scales, small"),),
)
def test_wrong_flags_are_said(tmp_path, flags, message):
    given = {"workdir": str(tmp_path), "studies": ["small"], "seeds": (0,), "jobs": 1, "steps": None, **flags}
    with pytest.raises(ValueError, match=message):
        study.run(types.SimpleNamespace(**given))
