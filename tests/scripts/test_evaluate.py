"""The flags of evaluation that are looked at before anything is loaded."""

import pytest

from deeplab_ksac.scripts import evaluate


@pytest.mark.parametrize("text", ["camvid", "camvid/", "/test"])
def test_a_dataset_without_split_is_refused_in_words(text):
    with pytest.raises(ValueError, match="--dataset must be name/split"):
        evaluate.split_of(text)
