"""The figures of real runs, as a Python user makes them."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import Views
from deeplab_ksac.figures.drawing import predictions
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.prediction.scores import predict_classes
from deeplab_ksac.runs import figures
from deeplab_ksac.runs.evaluation import RunEvaluation
from tests.deeplab_ksac.runs.untrained import HEADS, untrained_run, untrained_runs
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert
from tests.literal import confusion


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    with untrained_runs(tmp_path_factory.mktemp("figures")) as place:
        yield place


def draw(place, figure, *runs, count=2, images=None, **options):
    """Draws a figure and returns {name: (picture, arrays)} of what was written."""
    output = place / "out" / f"{figure}{len(list(place.glob('out/*')))}"
    models = figures.load_models([place / run for run in runs])
    whole = figure in ("class_dependency", "confusion")
    examples = figures.SplitExamples("tiny/val", place / "data", count=None if whole else count)
    if images is not None:
        examples = figures.ImageExamples(images)
    written = {}
    for drawing in figures.figure(figure, models, examples, figures.Options(**{"channels": 4, **options})):
        path = drawing.write(output)
        with Image.open(path) as picture, np.load(path.with_suffix(".npz")) as arrays:
            written[path.stem] = np.asarray(picture), dict(arrays)
    return written


def test_predictions_of_two_runs(place):
    written = draw(place, "predictions", "ksac", "caa")
    assert list(written) == ["predictions_00000", "predictions_00001"]
    for picture, arrays in written.values():
        assert picture.ndim == 3
        assert arrays["ksac"].shape == arrays["caa"].shape == arrays["truth"].shape


def test_predictions_of_loose_images_have_no_truth(place):
    images = str(place / "tiny" / "images" / "val" / "000.jpg")
    written = draw(place, "predictions", "ksac", images=images)
    assert set(written["predictions_000"][1]) == {"ksac"}


@pytest.mark.parametrize(
    ("figure", "run"),
    [
        ("predictions", "ksac"),
        ("branch_features", "ksac"),
        ("attention_conflict", "danet"),
        ("attention", "caa"),
        ("pixel_relation", "ksac"),
    ],
)
def test_without_originals_a_figure_is_smaller_and_its_arrays_hold_no_truth(place, figure, run):
    ((whole, _),) = draw(place, figure, run, count=1).values()
    ((without, arrays),) = draw(place, figure, run, count=1, originals=False).values()
    assert without.size < whole.size and arrays and "truth" not in arrays


def test_branch_features_hold_every_rate(place):
    ((_, arrays),) = draw(place, "branch_features", "ksac", count=1).values()
    assert set(arrays) == {"ksac_rate_1", "ksac_rate_2"}


def test_attention_knows_where_the_point_lies(place):
    ((_, arrays),) = draw(place, "attention", "caa", count=1, point=(0, 39)).values()
    assert arrays["pixel"].tolist() == [0, arrays["attended"].shape[1] - 1]
    np.testing.assert_allclose(arrays["attended"].sum(), 1, rtol=1e-5)


def test_attention_conflict_shows_both_attentions(place):
    ((_, arrays),) = draw(place, "attention_conflict", "danet", count=1).values()
    assert set(arrays) == {"truth", "spatial attention", "channel attention", "prediction"}


def test_the_relation_is_highest_at_the_point_itself(place):
    ((_, arrays),) = draw(place, "pixel_relation", "ksac", "caa", count=1).values()
    for run in ("ksac", "caa"):
        similarity = arrays[f"{run}_similarity"]
        middle = tuple((n - 1 + 1) // 2 for n in similarity.shape)
        np.testing.assert_allclose(similarity.max(), 1, rtol=1e-5)
        assert similarity[middle] >= similarity.max() - 1e-5 or similarity.shape[0] % 2 == 0


def test_class_dependency_is_symmetric_with_a_diagonal_of_ones(place):
    ((_, arrays),) = draw(place, "class_dependency", "ksac", "caa").values()
    for matrix in arrays.values():
        np.testing.assert_allclose(matrix, matrix.T)
        np.testing.assert_allclose(np.diag(matrix)[~np.isnan(np.diag(matrix))], 1, rtol=1e-6)


def test_the_confusion_matrix_counts_every_labeled_pixel(place):
    ((_, arrays),) = draw(place, "confusion", "ksac").values()
    info = load_info("tiny", place / "data")
    assert arrays["matrix"].sum(axis=1).tolist() == list(info.pixel_counts["val"])


def test_curves_put_the_stages_one_behind_the_other(place):
    ((arrays),) = [
        drawing.arrays for drawing in figures.figure("curves", {run: place / run for run in ("ksac", "caa")})
    ]
    first = EXPERIMENT.stages[0].steps
    for run in ("ksac", "caa"):
        assert arrays[f"train_loss_{run}"].tolist() == [[1, 2, 3, first + 2], [2.0, 1.0, 0.0, 0.5]]
        assert arrays[f"eval_miou_{run}"].tolist() == [[3], [0.25]]


@pytest.mark.parametrize(
    ("figure", "run", "options", "message"),
    [
        ("branch_features", "caa", {}, "ChannelizedAxialHead has no atrous rates"),
        ("attention", "ksac", {}, "KSACHead has no axial attention"),
        ("attention_conflict", "ksac", {}, "KSACHead has no logits of single attentions"),
        ("attention", "caa", {"point": (400, 2)}, r"the point \(400, 2\) lies outside the image of 36 rows"),
        ("predictions", "ksac", {"box": (1, 1, 0, 5)}, r"the box \(1, 1, 0, 5\) of top, .* is not inside the"),
        ("predictions", "ksac", {"box": (1, 1, 36, 5)}, "is not inside the image of 36 rows"),
        ("portrait", "ksac", {}, "unknown figure 'portrait'; the figures are predictions"),
    ],
)
def test_what_cannot_be_drawn_is_said(place, figure, run, options, message):
    with pytest.raises(ValueError, match=message):
        draw(place, figure, run, **options)


@pytest.mark.parametrize("figure", ("class_dependency", "confusion"))
def test_what_is_counted_over_a_split_needs_its_truth(place, figure):
    with pytest.raises(ValueError, match=f"{figure} ksac needs the truth of its pictures; 0 has none"):
        list(figures.figure(figure, figures.load_models([place / "ksac"]), [figures.Example("0", np.zeros((9, 9, 3)))]))


def test_runs_of_other_classes_are_not_shown_side_by_side(place, tmp_path):
    convert(tmp_path, name="other", classes=2)
    untrained_run(tmp_path / "run", HEADS["ksac"], load_info("other", tmp_path / "data"))
    with pytest.raises(ValueError, match=r"run has other classes \(other, 2\) than ksac \(tiny, 3\)"):
        draw(place, "predictions", "ksac", tmp_path / "run")
    with pytest.raises(ValueError, match="other has other classes than the model was trained on"):
        names = load_info("tiny", place / "data").class_names
        figures.SplitExamples("other/val", tmp_path / "data", class_names=names)


def test_examples_are_spread_over_the_split_and_know_their_number(place):
    few, all_of_them = (figures.SplitExamples("tiny/train", place / "data", count=count) for count in (3, None))
    assert (len(few), len(all_of_them)) == (3, 10)
    assert [example.name for example in few] == ["00000", "00003", "00006"]
    for one, other in zip(few, itertools.islice(all_of_them, 0, None, 3)):
        assert one.name == other.name
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.truth, other.truth)


def test_progress_counts_every_picture_of_the_split(place):
    told = []

    class Progress:
        def __init__(self, total, label):
            told.append((total, label))

        def update(self):
            told.append("done")

        def close(self):
            told.append("closed")

    draw(place, "confusion", "ksac", progress=Progress)
    assert told == [(3, "confusion ksac"), "done", "done", "done", "closed"]


def test_names_can_be_told_apart_and_are_parts_of_file_names(tmp_path):
    assert list(figures.distinct_names(["runs/a", "runs/v1.5", "runs/a"])) == ["a", "v1.5"]
    assert list(figures.distinct_names(["/x/run", "y/run"])) == ["x_run", "y_run"]
    assert list(figures.distinct_names([tmp_path / "."])) == [tmp_path.name]
    with pytest.raises(ValueError, match="a_b/c, a/b_c, a/b/c cannot be told apart"):
        figures.distinct_names(["a_b/c", "a/b_c", "a/b/c"])


def test_images_of_the_same_name_do_not_overwrite_each_other(place, tmp_path):
    for folder, color in (("a", 10), ("b", 200)):
        (tmp_path / folder).mkdir()
        Image.fromarray(np.full((33, 33, 3), color, np.uint8)).save(tmp_path / folder / "photo.png")
    examples = figures.ImageExamples(f"{tmp_path}/*/photo.png")
    assert len(examples) == len({example.name for example in examples}) == 2
    assert [example.image.max() for example in examples] == [10, 200]
    assert not any("/" in example.name for example in examples)


def test_predictions_and_the_confusion_matrix_are_of_the_views_that_evaluation_and_prediction_have(place):
    (loaded,) = figures.load_models([place / "ksac"]).values()
    views = Views(scales=(0.3, 2.0), flip=True)
    evaluation = dataclasses.replace(loaded.experiment.evaluation, views=views)
    loaded = dataclasses.replace(loaded, experiment=dataclasses.replace(loaded.experiment, evaluation=evaluation))
    (example,) = figures.SplitExamples("tiny/val", place / "data", count=1)
    expected = predict_classes(loaded.model, example.image[np.newaxis], views)[0].numpy()
    assert (expected != predict_classes(loaded.model, example.image[np.newaxis])[0].numpy()).any()
    (drawn,) = figures.figure("predictions", {"run": loaded}, [example])
    np.testing.assert_array_equal(drawn.arrays["run"], expected)
    (drawn,) = figures.figure("confusion", {"run": loaded}, [example])
    literal = confusion.confusion_matrix(example.truth, expected, loaded.info.num_classes)
    np.testing.assert_array_equal(drawn.arrays["matrix"], literal)


def test_examples_reach_to_the_end_of_the_split_whatever_their_number(place):
    split = figures.SplitExamples("tiny/train", place / "data", count=6)
    assert [example.name for example in split] == ["00000", "00001", "00003", "00005", "00006", "00008"]


def test_the_sheet_of_an_evaluation_shows_pictures_of_all_over_the_split(place):
    (loaded,) = figures.load_models([place / "ksac"]).values()
    evaluation = RunEvaluation(loaded, data_dir=place / "data", split=Split("tiny", "train"))
    with Image.open(io.BytesIO(evaluation.sheet(6))) as sheet:
        shown = np.asarray(sheet)
    stored = list(figures.SplitExamples("tiny/train", place / "data"))
    examples = [stored[number] for number in (0, 1, 3, 5, 6, 8)]
    predictor = Predictor(loaded.model, loaded.experiment.evaluation.views, info=loaded.info)
    answers = {"prediction": [predictor(example.image) for example in examples]}
    images, truths = [example.image for example in examples], [example.truth for example in examples]
    np.testing.assert_array_equal(shown, predictions(images, truths, answers, loaded.info))
