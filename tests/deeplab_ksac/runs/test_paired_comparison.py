"""What is said of a study's counts."""

import numpy as np

from deeplab_ksac.experiments.claims_on_pictures import Comparison, PairedStudy, difference
from deeplab_ksac.metrics.paired import mean_ious
from deeplab_ksac.runs import paired_comparison
from deeplab_ksac.runs.picture_measures import Measure, by_scale, confusion
from tests.deeplab_ksac.training.tiny import EXPERIMENT

MEASURES = {"overall": Measure("tiny/val", confusion, by_scale(mean_ious))}


def test_secondary_comparisons_are_corrected_for_their_number_and_a_primary_one_is_not():
    rng = np.random.default_rng(0)
    counts = {name: {"overall": rng.integers(20, 60, [6, 40, 1, 3, 3])} for name in ("a", "b")}
    counts["a"]["overall"] += 2 * np.eye(3, dtype=int)  # right a little more often
    study = PairedStudy(
        {"a": EXPERIMENT, "b": EXPERIMENT},
        {
            "main": difference("a", "b", primary=True),
            "same": difference("a", "b"),
            "opposite": Comparison({"a": -1, "b": 1}, "overall"),
        },
    )
    found = paired_comparison.compare(study, counts, range(6), MEASURES)["comparisons"]
    assert found["same"]["p"] == min(2 * found["main"]["p"], 1.0) == found["opposite"]["p"]
    assert found["opposite"]["difference"] == -found["main"]["difference"] < 0
    assert found["main"]["outcome"] == "supported" and found["main"]["p"] < 0.05
    np.testing.assert_allclose(found["opposite"]["interval"], [-each for each in found["main"]["interval"][::-1]])
