"""The thesis's tables: what an experiment is counted with, and what is printed beside Table 2.1."""

import types

import pytest

from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.flops import tables


def test_classes_that_the_data_set_leaves_open_are_asked_for():
    experiment = types.SimpleNamespace(evaluation=types.SimpleNamespace(dataset="elsewhere/val"))
    with pytest.raises(ValueError, match="the classes of 'elsewhere' are not known; give --num_classes"):
        tables.num_classes(experiment)


@pytest.mark.parametrize("name, chapter", (("table_4_1:R8", 4), ("table_3_1:R1", 3), ("scenes_ksac", 2)))
def test_an_experiment_is_counted_as_the_chapter_of_its_table(name, chapter):
    assert tables.chapter_of(EXPERIMENTS[name]) == chapter


def test_what_ksac_saves_is_printed_beside_table_2_1():
    header, *lines = tables.shared_kernel(513, 513)
    assert header.split()[-5:] == ["one", "branch", "all", "shared", "saved"]
    values = {line[:39].strip(): [float(value) for value in line[39:].split()] for line in lines}
    for stride, branch, at_least in ((16, 4.785, 9.57), (8, 18.57, 37.1)):
        for rates in ("6 12 18", "1 6 12 18 24", "6 12 18 24 30"):
            one, every, shared, saved = values[f"output stride {stride}, rates {rates}"]
            assert one == pytest.approx(branch, rel=1e-3) and shared <= one
            assert saved >= at_least and every - shared == pytest.approx(saved, abs=2e-3)
        side = 1 + 512 // stride
        mixing, nine = (side * side * 256 * factor / 2**30 for factor in (2048, 9))
        one, every, shared, saved = values[f"output stride {stride}, separable 6 12 18"]
        assert [one, every, shared, saved] == pytest.approx(
            [mixing + nine, 3 * (mixing + nine), mixing + 3 * nine, 2 * mixing], abs=1e-3
        )
