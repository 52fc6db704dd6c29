"""What evaluation prints and writes, from figures that are known."""

import json

import numpy as np
import pytest

from scripts import evaluate
from datasets.info import DatasetInfo
from deeplab_ksac.evaluation import summarize

NAMES = ("sky", "road", "snail")
RESULT = {**summarize(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])), "images": 3}


def test_the_table_has_a_row_for_each_class_and_says_which_are_absent():
    lines = evaluate.table(RESULT, NAMES).split("\n")
    assert lines[1].split() == ["sky", "66.67%", "75.00%", "80.00%"]
    assert lines[3].split() == ["snail", "-", "-", "0.00%"]
    assert lines[4] == "absent, and left out of the mean: snail"
    assert lines[5].startswith("mIoU 45.83%   pixel accuracy 70.00%   mean accuracy 62.50%")


def test_json_is_strict_and_has_null_for_absent_classes():
    def refuse(constant):
        raise AssertionError(constant)

    read = json.loads(evaluate.as_json({**RESULT, "step": 7, "scales": (0.5, 1.0)}, NAMES), parse_constant=refuse)
    assert read["iou"] == [6 / 9, 0.25, None]
    assert read["miou"] == pytest.approx((6 / 9 + 0.25) / 2)
    assert (read["step"], read["scales"], read["class_names"]) == (7, [0.5, 1.0], list(NAMES))


def test_results_of_different_views_have_different_names():
    def name(scales=(1.0,), flip=False, window=None):
        return evaluate.result_name("camvid", "test", scales=scales, flip=flip, window=window)

    assert name() == "eval_camvid_test"
    assert name(scales=(0.5, 1.0), flip=True) == "eval_camvid_test_ms_flip"
    assert name(flip=True) == "eval_camvid_test_flip"
    assert name(window=(512, 1024)) == "eval_camvid_test_window512x1024"


@pytest.mark.parametrize("text", ["camvid", "camvid/", "/test"])
def test_a_dataset_without_split_is_refused_in_words(text):
    with pytest.raises(ValueError, match="--dataset must be name/split"):
        evaluate.dataset_and_split(text)


def test_a_model_of_other_classes_is_refused_with_the_first_difference():
    def info(name, *class_names):
        return DatasetInfo(name, class_names, ((0, 0, 0),) * len(class_names))

    evaluate.check_classes(info("a", "sky", "road"), info("b", "sky", "road"))
    with pytest.raises(ValueError, match="trained on a, does not fit b: class 1 is 'road' in the model and 'sea'"):
        evaluate.check_classes(info("a", "sky", "road"), info("b", "sky", "sea"))
    with pytest.raises(ValueError, match="the model has 1 classes, the data 2"):
        evaluate.check_classes(info("a", "sky"), info("b", "sky", "sea"))
