"""What evaluation prints and writes, from figures that are known."""

import csv
import io
import json

import numpy as np
import pytest

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.evaluation import summarize
from deeplab_ksac.runs import evaluation as judging
from deeplab_ksac.runs import results

NAMES = ("sky", "road", "snail")
RESULT = {**summarize(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])), "images": 3}
BOUNDARIES = {"boundary_f_scores": [0.5, float("nan"), float("nan")], "boundary_f_score": 0.5}


def test_the_table_has_a_row_for_each_class_and_says_which_are_absent():
    lines = results.table(RESULT, NAMES).split("\n")
    assert lines[1].split() == ["sky", "66.67%", "75.00%", "80.00%"]
    assert lines[3].split() == ["snail", "-", "-", "0.00%"]
    assert lines[4] == "absent, and left out of the mean: snail"
    assert lines[5].startswith("mIoU 45.83%   pixel accuracy 70.00%   mean accuracy 62.50%")


def test_json_is_strict_and_has_null_for_absent_classes():
    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(results.as_json({**RESULT, "step": 7, "scales": (0.5, 1.0)}, NAMES), parse_constant=refuse)
    assert read["iou"] == [6 / 9, 0.25, None]
    assert read["miou"] == pytest.approx((6 / 9 + 0.25) / 2)
    assert (read["step"], read["scales"], read["class_names"]) == (7, [0.5, 1.0], list(NAMES))


def test_csv_has_the_classes_their_mean_and_empty_cells_for_what_is_absent():
    rows = list(csv.reader(io.StringIO(results.as_csv({**RESULT, **BOUNDARIES}, (*NAMES[:2], "a, b")).decode())))
    assert rows[0] == ["class", "IoU", "accuracy", "boundary F", "pixels"]
    assert rows[1] == ["sky", "0.666667", "0.750000", "0.500000", "0.800000"]
    assert rows[3] == ["a, b", "", "", "", "0.000000"]
    assert rows[4] == ["mean", "0.458333", "0.625000", "0.500000", ""]


def test_a_class_without_boundaries_is_said_beside_the_absent_ones():
    lines = results.table({**RESULT, **BOUNDARIES}, NAMES).split("\n")
    assert lines[1].split() == ["sky", "66.67%", "75.00%", "50.00%", "80.00%"]
    assert lines[5] == "without boundaries, and left out of the mean boundary F-score: road"
    assert "boundary F-score 50.00%" in lines[6]


def test_results_of_different_views_have_different_names():
    def name(scales=(1.0,), flip=False, window=None):
        return results.result_name("camvid", "test", scales=scales, flip=flip, window=window)

    assert name() == "eval_camvid_test"
    assert name(scales=(0.5, 1.0), flip=True) == "eval_camvid_test_ms_flip"
    assert name(flip=True) == "eval_camvid_test_flip"
    assert name(window=(512, 1024)) == "eval_camvid_test_window512x1024"
    assert results.result_name(
        "a", "b", scales=(1.0,), flip=False, window=None, pad_to=(3, 5), average="probabilities"
    ) == ("eval_a_b_pad3x5_probabilities")


@pytest.mark.parametrize("text", ["camvid", "camvid/", "/test"])
def test_a_dataset_without_split_is_refused_in_words(text):
    with pytest.raises(ValueError, match="--dataset must be name/split"):
        judging.dataset_and_split(text)


def test_a_model_of_other_classes_is_refused_with_the_first_difference():
    def info(name, *class_names):
        return DatasetInfo(name, class_names, ((0, 0, 0),) * len(class_names))

    judging.check_classes(info("a", "sky", "road"), info("b", "sky", "road"))
    with pytest.raises(ValueError, match="trained on a, does not fit b: class 1 is 'road' in the model and 'sea'"):
        judging.check_classes(info("a", "sky", "road"), info("b", "sky", "sea"))
    with pytest.raises(ValueError, match="the model has 1 classes, the data 2"):
        judging.check_classes(info("a", "sky"), info("b", "sky", "sea"))
