"""The flags of prediction that are looked at before anything is loaded."""

import types

import pytest

from deeplab_ksac.scripts import predict


def test_unknown_kinds_are_refused_with_the_flag_before_anything_is_loaded(tmp_path):
    given = types.SimpleNamespace(kinds=["index", "colour"], images="", output_dir=tmp_path, workdir=tmp_path)
    with pytest.raises(ValueError, match=r"--kinds must be of index, color, .* not 'index,colour'"):
        predict.run(given)
