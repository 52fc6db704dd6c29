"""Pictures of a split for int8, and what a file's rounding costs, beside the raw files."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac import metrics
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.export import export_tflite
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.rounded_files import SplitPictures, cost_of
from tests.deeplab_ksac.fake_model import fake_info
from tests.deeplab_ksac.runs.trained_run import SIZES, literal_matrix, trained_run


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with trained_run(tmp_path_factory.mktemp("run")) as place:
        yield place


@pytest.fixture(scope="module")
def loaded(place):
    return load_model(place / "workdir")


def pictures_of(place, loaded, split, count=0):
    return SplitPictures(loaded, Split.parse(split), data_dir=place / "data", count=count)


def test_the_pictures_are_those_of_the_files(place, loaded):
    pictures = pictures_of(place, loaded, "tiny/val", 100)
    assert len(pictures) == len(SIZES["val"])
    for _ in range(2):  # as often as wanted
        for number, picture in enumerate(pictures):
            with Image.open(place / "raw" / "images" / "val" / f"{number}.png") as image:
                np.testing.assert_array_equal(picture, np.asarray(image))
            assert picture.dtype == np.uint8
    assert len(list(pictures_of(place, loaded, "tiny/val", 2))) == 2


@pytest.mark.parametrize(
    ("split", "message"), [("tiny/test", "tiny has no split 'test' in .*splits: train, val"), ("other/val", "other")]
)
def test_a_split_that_is_not_there_is_one_line(place, loaded, split, message):
    with pytest.raises(ValueError, match=message) as raised:
        pictures_of(place, loaded, split)
    assert "\n" not in str(raised.value)


def test_a_split_of_other_classes_is_one_line(place, loaded):
    others = dataclasses.replace(loaded, info=fake_info(3))
    message = "trained on fake, does not fit tiny: class 0 is 'class 0' in the model and 'sky' in the data"
    with pytest.raises(ValueError, match=message):
        pictures_of(place, others, "tiny/val")


def test_a_file_in_float32_costs_nothing_and_both_figures_are_the_literal_one(place, loaded, tmp_path):
    path = export_tflite(loaded.model, tmp_path / "a.tflite", info=loaded.info, check=False)
    cost = cost_of(path, "tflite", loaded, pictures_of(place, loaded, "tiny/val"))
    expected = metrics.mean_iou(literal_matrix(loaded.model, place))
    np.testing.assert_allclose([cost.model, cost.file], expected)
    told = (
        f"mIoU in % on 3 of the 3 pictures of tiny/val: {100 * expected:.2f} float32, {100 * expected:.2f} int8 (+0.00)"
    )
    assert cost.describe("int8") == told
