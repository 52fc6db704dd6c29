"""Numbers as arguments: what is taken and what is not."""

import numpy as np
import pytest

from deeplab_ksac.arguments import check_numbers, check_whole_numbers, in_interval

NAN, INF = float("nan"), float("inf")
NO_NUMBERS = (NAN, True, np.True_, "0.5", None, 0.5j, (0.5,))


@pytest.mark.parametrize(
    ("interval", "inside", "outside"),
    (
        ("[0, 1)", (0, 0.0, 0.999, np.float32(0.5), np.int64(0)), (-1e-9, 1, 1.0, -INF, INF)),
        ("(0, 1]", (1e-9, 1, np.float64(1)), (0, 1.0001)),
        ("[0, inf)", (0, 1e300), (-1, INF)),
    ),
)
def test_an_interval_holds_what_mathematics_says(interval, inside, outside):
    assert all(in_interval(value, interval) for value in inside)
    assert not any(in_interval(value, interval) for value in (*outside, *NO_NUMBERS))


def test_the_first_wrong_value_is_named_with_what_is_allowed():
    check_numbers("[0, 1)", beta_1=0.9, beta_2=0.999)
    with pytest.raises(ValueError, match=r"beta_2 must be a number in \[0, 1\), not 'x'"):
        check_numbers("[0, 1)", beta_1=0.9, beta_2="x")


@pytest.mark.parametrize("value", (0, 1.0, *NO_NUMBERS))
def test_a_whole_number_is_an_integer_that_is_large_enough(value):
    check_whole_numbers(1, patience=1, interval=np.int64(7))
    with pytest.raises(ValueError, match="patience must be an integer of at least 1, not "):
        check_whole_numbers(1, patience=value)
