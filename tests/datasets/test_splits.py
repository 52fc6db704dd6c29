"""A split's text and its two parts."""

import pytest

from deeplab_ksac.datasets.splits import Split


def test_a_split_reads_what_it_writes():
    split = Split.parse("camvid/test")
    assert (split.dataset, split.name, str(split)) == ("camvid", "test", "camvid/test")


@pytest.mark.parametrize("text", ("", "camvid", "/test", "camvid/", "a/b/c"))
def test_another_text_is_refused_by_its_value(text):
    with pytest.raises(ValueError, match=f"not {text!r}"):
        Split.parse(text)
