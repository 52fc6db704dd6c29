"""The command that draws figures: one PNG and one npz each, and what is refused."""

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.runs import figures
from deeplab_ksac.scripts import visualize
from tests.deeplab_ksac.runs.untrained import untrained_runs
from tests.deeplab_ksac.training.tiny import EXPERIMENT
from tests.scripts.parsing import flags_of


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with untrained_runs(tmp_path_factory.mktemp("figures")) as place:
        yield place


def given(place, runs, output, **flags):
    """The command's flags."""
    values = {"workdir": runs, "data_dir": str(place / "data"), "count": 2, "output_dir": str(output)}
    return flags_of(visualize, **{**values, **flags})


def draw(place, figure, *runs, **flags):
    """Draws a figure and returns {name: (picture, arrays)} of what was written."""
    output = place / "out" / f"{figure}{len(list(place.glob('out/*')))}"
    assert visualize.run(figure, given(place, [str(place / run) for run in runs], output, **flags)) == 0
    written = {}
    for path in sorted(output.glob("*.png")):
        with Image.open(path) as picture, np.load(path.with_suffix(".npz")) as arrays:
            written[path.stem] = np.asarray(picture), dict(arrays)
    return written


def test_the_command_knows_the_figures_of_the_library():
    assert sorted(visualize.FIGURES) == sorted(figures.FIGURES)


def test_predictions_of_two_runs(place):
    written = draw(place, "predictions", "ksac", "caa")
    assert list(written) == ["predictions_00000", "predictions_00001"]
    for picture, arrays in written.values():
        assert picture.ndim == 3
        assert arrays["ksac"].shape == arrays["caa"].shape == arrays["truth"].shape


def test_predictions_of_loose_images_have_no_truth(place):
    images = str(place / "tiny" / "images" / "val" / "000.jpg")
    written = draw(place, "predictions", "ksac", images=images, data_dir=None)
    assert set(written["predictions_000"][1]) == {"ksac"}


def test_curves_put_the_stages_one_behind_the_other(place):
    ((_, arrays),) = draw(place, "curves", "ksac", "caa").values()
    first = EXPERIMENT.stages[0].steps
    for run in ("ksac", "caa"):
        assert arrays[f"train_loss_{run}"].tolist() == [[1, 2, 3, first + 2], [2.0, 1.0, 0.0, 0.5]]
        assert arrays[f"eval_miou_{run}"].tolist() == [[3], [0.25]]


def test_a_figure_of_a_whole_split_takes_no_count_and_no_images(place):
    ((_, arrays),) = draw(place, "confusion", "ksac", count=1, images="nothing").values()
    assert arrays["matrix"].sum() == sum(load_info("tiny", place / "data").pixel_counts["val"])


def test_runs_of_the_same_name_are_written_beside_each_other(place, monkeypatch):
    for folder in ("x", "y"):
        (place / folder).mkdir()
        (place / folder / "run").symlink_to(place / "ksac")
    monkeypatch.chdir(place)
    assert visualize.run("confusion", given(place, ["x/run", "y/run"], place / "same")) == 0
    assert sorted(path.name for path in (place / "same").glob("*.png")) == [
        "confusion_x_run.png",
        "confusion_y_run.png",
    ]


@pytest.mark.parametrize(
    ("figure", "run", "flags", "message"),
    [
        ("attention", "caa", {"point": (400, 2)}, r"the point \(400, 2\) lies outside the image of 36 rows"),
        ("predictions", "ksac", {"data_dir": None}, "needs --data_dir"),
        ("predictions", "ksac", {"dataset": "tiny/test"}, "no split 'test'; it has train, val"),
        ("portrait", "ksac", {}, "unknown figure 'portrait'; the figures are predictions"),
    ],
)
def test_what_cannot_be_drawn_is_said(place, figure, run, flags, message):
    with pytest.raises(ValueError, match=message):
        draw(place, figure, run, **flags)
