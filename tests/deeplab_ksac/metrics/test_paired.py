"""Comparisons of networks by seed: differences, bootstrap, corrected p values, seeds needed."""

import math

import numpy as np
import pytest

from deeplab_ksac.metrics import mean_iou, paired

SEEDS, PICTURES, K = 3, 4, 3


def matrices(seed):
    return np.random.default_rng(seed).integers(0, 50, [SEEDS, PICTURES, K, K])


def minus(first, second):
    """The terms of a difference."""
    return [(1, first), (-1, second)]


def differences(first, second):
    return paired.differences(minus(first, second), paired.mean_ious)


def bootstrap(first, second, **options):
    return paired.bootstrap(minus(first, second), paired.mean_ious, **options)


def test_differences_are_those_of_the_summed_matrices():
    first, second = matrices(0), matrices(1)
    expected = [100 * (mean_iou(sum(one)) - mean_iou(sum(other))) for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(differences(first, second), expected, rtol=1e-12)


def test_a_comparison_may_have_more_than_two_terms():
    first, second, third, fourth = map(matrices, range(4))
    terms = [(1, first), (-1, second), (-1, third), (1, fourth)]
    expected = differences(first, second) - differences(third, fourth)
    np.testing.assert_allclose(paired.differences(terms, paired.mean_ious), expected, rtol=1e-12)
    parts = bootstrap(first, second, draws=50) - bootstrap(third, fourth, draws=50)  # of the same draws
    np.testing.assert_allclose(paired.bootstrap(terms, paired.mean_ious, draws=50), parts, rtol=1e-9)


def test_the_mean_iou_of_many_is_that_of_each_and_leaves_out_absent_classes():
    several = matrices(2)
    several[0, 0, 1], several[0, 0, :, 1], several[1, 2] = 0, 0, 0
    found = paired.mean_ious(several.astype(float))
    for index in np.ndindex(SEEDS, PICTURES):
        np.testing.assert_allclose(found[index], 100 * np.nan_to_num(mean_iou(several[index])), rtol=1e-14)


def test_the_mean_iou_of_objects_is_taken_by_class_and_leaves_out_absent_ones():
    sums = np.array([[0.9, 2], [0.0, 0], [0.3, 1]])
    np.testing.assert_allclose(paired.mean_object_ious(np.stack([sums, 2 * sums])), [37.5, 37.5], rtol=1e-14)


def test_a_draw_takes_the_same_seeds_and_pictures_for_both():
    first, second = matrices(0), matrices(1)
    mean = differences(first, second).mean()
    plain = bootstrap(first, second, draws=2, seeds=False, pictures=False)
    np.testing.assert_allclose(plain, [mean, mean], rtol=1e-12)
    np.testing.assert_array_equal(bootstrap(first, first, draws=700), np.zeros(700))
    # of seeds alone: means of three of the three differences, whose variance is known
    drawn = bootstrap(first, second, draws=20_000, pictures=False)
    deviation = np.std(differences(first, second)) / math.sqrt(SEEDS)
    np.testing.assert_allclose([drawn.mean(), drawn.std()], [mean, deviation], atol=4 * deviation / math.sqrt(20_000))
    low, high = paired.interval(drawn)
    assert np.mean((drawn >= low) & (drawn <= high)) >= 0.95


def test_of_pictures_each_counts_as_often_as_it_is_drawn():
    """With one picture for each class of mistakes, a draw's matrix is their weighted sum."""
    first, second = matrices(0)[:1, :2], matrices(1)[:1, :2]
    drawn = set(np.round(bootstrap(first, second, draws=200, seeds=False), 9))
    possible = set()
    for weights in ((2, 0), (1, 1), (0, 2)):
        summed = [np.tensordot(weights, each[0], 1) for each in (first, second)]
        possible.add(round(100 * (mean_iou(summed[0]) - mean_iou(summed[1])), 9))
    assert drawn == possible


def test_a_p_value_is_twice_the_share_of_draws_on_the_rarer_side():
    drawn = np.concatenate([np.full(97, 1.0), np.full(2, -1.0), [0.0]])
    assert paired.p_value(drawn) == paired.p_value(-drawn) == pytest.approx(0.06)
    assert paired.p_value(np.ones(100)) == 0.02 and paired.p_value(np.zeros(100)) == 1.0


def test_holms_method_multiplies_the_smallest_by_their_number_and_keeps_the_order():
    """Three p values by hand: 0.01 · 3, then 0.02 · 2, then 0.035, which may not be below the one before."""
    corrected = paired.holm({"b": 0.02, "a": 0.01, "c": 0.035})
    assert list(corrected) == ["b", "a", "c"]
    assert corrected == {"a": pytest.approx(0.03), "b": pytest.approx(0.04), "c": pytest.approx(0.04)}
    assert paired.holm({"a": 0.6, "b": 0.7}) == {"a": 1.0, "b": 1.0} and paired.holm({}) == {}


@pytest.mark.parametrize(
    "deviation, of_pictures, expected",
    ((0.0, 0.0, 6), (1.0, 0.0, 10), (1.0, 0.3, 20), (2.0, 0.0, 20), (0.5, 0.36, 8), (0.2, 0.36, 6), (3.0, 0.5, 20)),
)
def test_the_seeds_needed_are_those_of_the_formula(deviation, of_pictures, expected):
    """(1.96 + 0.842)² = 7.85: n = 7.85 σ_d² / (1 − 7.85 σ_p²) + 2, from 6 to 20; without an n, 4 σ_d² / σ_p²."""
    assert paired.seeds_needed(deviation, of_pictures) == expected
    if expected == 10:
        assert paired.smallest_found(deviation, 0.0, 8) <= 1 < paired.smallest_found(deviation, 0.0, 7)


@pytest.mark.parametrize(
    "low, high, said",
    (
        (0.1, 3, "supported"),
        (-3, -0.1, "contradicted"),
        (-0.5, 0.9, "no effect of a point"),
        (-0.5, 1.1, "undecided"),
        (-2, 0.5, "undecided"),
    ),
)
def test_what_is_said_follows_from_the_interval(low, high, said):
    assert paired.outcome(low, high) == said


def test_what_does_not_hold_among_several_comparisons_is_undecided():
    assert paired.outcome(0.1, 3, p=0.04) == "supported"
    assert paired.outcome(0.1, 3, p=0.06) == "undecided: supported alone, not among the comparisons of the study"
    assert paired.outcome(-0.5, 0.9, p=0.9) == "no effect of a point"
