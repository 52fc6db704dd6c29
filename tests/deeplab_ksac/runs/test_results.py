"""What an evaluation says and writes, from figures that are known."""

import csv
import io
import json

import numpy as np
import pytest

from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.evaluation import summarize
from deeplab_ksac.experiment import Views
from deeplab_ksac.runs import results
from deeplab_ksac.runs.history import read_run
from deeplab_ksac.runs.workdir import claim_workdir
from tests.deeplab_ksac.fake_model import fake_info
from tests.deeplab_ksac.training.tiny import EXPERIMENT

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
    def name(**views):
        return results.result_name(Split("camvid", "test"), Views(**views))

    assert name() == "eval_camvid_test"
    assert name(scales=(0.5, 1.0), flip=True) == "eval_camvid_test_ms0.5-1_flip"
    assert name(flip=True) == "eval_camvid_test_flip"
    assert name(window=(512, 1024)) == "eval_camvid_test_window512x1024"
    views = Views(pad_to=(3, 5), average="probabilities")
    assert results.result_name(Split("a", "b"), views) == "eval_a_b_pad3x5_probabilities"
    assert results.result_name(Split("a", "b"), views, "float16") == "eval_a_b_pad3x5_probabilities_float16"


def test_results_of_different_scales_have_different_names():
    scales = [(0.5, 1.0), (0.5, 0.75, 1.0), (1 / 3, 1.0), (0.333333, 1.0), (2.0,), tuple(1 + n / 7 for n in range(40))]
    names = [results.result_name(Split("a", "b"), Views(each)) for each in scales]
    assert len(set(names)) == len(names) and max(map(len, names)) < 120


def test_no_cell_of_the_csv_is_a_formula():
    figures = {"iou": [0.5] * 3, "miou": 0.5}
    lines = results.as_csv(figures, ("=1+1", "@x", "road")).decode().splitlines()
    assert [line.split(",")[0] for line in lines] == ["class", "'=1+1", "'@x", "road", "mean"]


@pytest.fixture
def result():
    matrix = np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]])
    views = Views((0.5, 1.0), flip=True, window=9)
    return results.EvaluationResult(Split("tiny", "val"), views, 1, 7, NAMES, RESULT, matrix)


def test_its_json_has_the_views_beside_the_figures_as_it_always_had(result, tmp_path):
    paths = result.write(tmp_path)
    assert [path.name for path in paths] == [
        f"eval_tiny_val_ms0.5-1_flip_window9x9{ending}" for ending in (".json", ".csv", "_confusion.png")
    ]
    read = json.loads(paths[0].read_text(encoding="utf-8"))
    assert list(read)[:10] == [
        *("dataset", "split", "stage", "step", "scales", "flip", "window", "pad_to", "average", "precision"),
    ]
    assert (read["dataset"], read["split"], read["stage"], read["step"]) == ("tiny", "val", 1, 7)
    assert (read["scales"], read["flip"], read["window"], read["pad_to"]) == ([0.5, 1.0], True, [9, 9], None)
    assert (read["average"], read["precision"]) == ("logits", "float32")
    assert read["miou"] == RESULT["miou"] and read["class_names"] == list(NAMES)
    claim_workdir(tmp_path, EXPERIMENT, fake_info())
    (evaluation,) = read_run(tmp_path).evaluations  # as reports read it
    assert evaluation == read


def test_results_of_several_checkpoints_are_lines_of_one_file(result, tmp_path):
    for _ in range(2):
        result.append_line(tmp_path)
    lines = (tmp_path / f"{result.name}.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [7, 7]


def test_a_result_says_its_table_and_warns_of_one_class(result):
    assert result.table() == results.table(RESULT, NAMES)
    assert result.warning() == ""
    one = np.zeros([3, 3], int)
    one[:, 1] = 5
    everywhere = results.EvaluationResult(result.split, result.views, 0, 7, NAMES, summarize(one), one)
    assert everywhere.warning().startswith("warning: 100.0% of all pixels were predicted as 'road'")


def test_a_split_without_labels_is_named_in_place_of_a_share_that_is_no_number(result):
    nothing = np.zeros([3, 3], int)
    unlabeled = results.EvaluationResult(result.split, result.views, 0, 7, NAMES, summarize(nothing), nothing)
    assert unlabeled.warning() == "warning: tiny/val has no labeled pixel: there is nothing to compare with"
