"""Figures: what stands in them, found in their pixels."""

import warnings

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.figures import drawing as figures
from deeplab_ksac.figures.colors import IGNORE_COLOR
from deeplab_ksac.figures.confusion import confusion_picture
from deeplab_ksac.figures.rendering import rendered
from tests.deeplab_ksac.fake_model import fake_info

INFO = fake_info()
RNG = np.random.default_rng(0)
IMAGE = np.full((40, 60, 3), 100.0)


def colors_in(picture):
    assert picture.dtype == np.uint8 and picture.ndim == 3
    return {tuple(color) for color in picture.reshape(-1, 3).tolist()}


def test_predictions_show_every_run_in_the_colors_of_the_classes_and_frame_what_is_asked():
    truth, one, two = (np.full((40, 60), k) for k in (1, 2, 3))
    picture = figures.predictions([IMAGE], [truth], {"one": [one], "two": [two]}, INFO, boxes=[[(5, 5, 10, 10)]])
    seen = colors_in(picture)
    assert {tuple(INFO.colors[k]) for k in (1, 2, 3)} <= seen and tuple(INFO.colors[4]) not in seen
    assert (255, 0, 0) in seen
    assert not matplotlib._pylab_helpers.Gcf.figs


def test_predictions_without_a_truth_have_a_panel_less():
    answers = {"one": [np.full((40, 60), 2)]}
    with_truth = figures.predictions([IMAGE], [np.full((40, 60), 255)], answers, INFO)
    without = figures.predictions([IMAGE], None, answers, INFO)
    assert without.shape[1] < with_truth.shape[1]


def test_originals_can_be_left_out_of_every_figure_of_a_picture():
    photograph = np.broadcast_to(np.array([12.0, 34.0, 210.0]), (40, 60, 3))
    truth, answer, small = np.full((40, 60), 1), {"one": np.full((40, 60), 2)}, np.full((4, 6), 1 / 24)
    attended = {"columns": np.full((6, 4, 4), 0.25), "rows": np.full((4, 6, 6), 1 / 6)}
    drawn = {
        "predictions": lambda **options: figures.predictions(
            [photograph], [truth], {name: [classes] for name, classes in answer.items()}, INFO, **options
        ),
        "branch_features": lambda **options: figures.branch_features(
            photograph, {"one": {6: RNG.uniform(size=(5, 5, 4))}}, channels=4, **options
        ),
        "attention": lambda **options: figures.attention(photograph, (20, 30), (2, 3), attended, small, **options),
        "pixel_relation": lambda **options: figures.pixel_relation(
            photograph, (20, 30), {"one": small}, answer, INFO, **options
        ),
    }
    for draw in drawn.values():
        assert (12, 34, 210) in colors_in(draw()) and (12, 34, 210) not in colors_in(draw(originals=False))
    seen = colors_in(drawn["predictions"](originals=False))
    assert INFO.colors[2] in seen and INFO.colors[1] not in seen


def test_a_sheet_shows_the_classes_of_images_of_any_size_without_global_state():
    info, rng = fake_info(), np.random.default_rng(0)
    shapes = [(40, 60), (90, 30)]
    images = [rng.uniform(0, 255, (*shape, 3)) for shape in shapes]
    labels = [np.repeat([[1, 255]], shape[0], axis=0).repeat(shape[1] // 2, axis=1) for shape in shapes]
    predictions = [np.full(shape, 2) for shape in shapes]
    sheet = figures.predictions(images, labels, {"prediction": predictions}, info)
    assert sheet.dtype == np.uint8 and sheet.ndim == 3 and sheet.shape[2] == 3
    seen = {tuple(color) for color in sheet.reshape(-1, 3).tolist()}
    assert {info.colors[1], info.colors[2], IGNORE_COLOR} <= seen
    assert info.colors[3] not in seen
    assert not matplotlib._pylab_helpers.Gcf.figs


def test_a_sheet_without_images_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        figures.predictions([], [], {"prediction": []}, fake_info())


def test_a_tile_holds_every_map_where_it_belongs():
    maps = RNG.uniform(size=(3, 4, 5))
    grid = figures.tile(maps)
    assert grid.shape == (2 * 4 - 1, 3 * 5 - 1)
    for index in range(5):
        top, left = index // 3 * 4, index % 3 * 5
        np.testing.assert_array_equal(grid[top : top + 3, left : left + 4], maps[..., index])


def test_the_busiest_channels_are_those_that_vary_most():
    maps = {6: RNG.normal(size=(5, 5, 4)) * [1, 0, 5, 2], 12: np.zeros((5, 5, 4))}
    assert figures.busiest_channels(maps, 3).tolist() == [2, 3, 0]
    with pytest.raises(ValueError, match="channels must be 1 … 4, not 9"):
        figures.branch_features(IMAGE, {"run": maps}, channels=9)


def test_branch_features_of_two_runs_stand_below_each_other():
    maps = {6: RNG.uniform(size=(5, 5, 4)), 12: RNG.uniform(size=(5, 5, 4))}
    one = figures.branch_features(IMAGE, {"a": maps}, channels=4)
    two = figures.branch_features(IMAGE, {"a": maps, "b": maps}, channels=4)
    assert two.shape[0] > one.shape[0] and two.shape[1] == one.shape[1]


def test_the_chosen_pixel_is_red():
    relation = {"run": np.zeros((4, 6))}
    picture = figures.pixel_relation(IMAGE, (20, 30), relation, {"run": np.ones((40, 60), int)}, INFO)
    assert (255, 0, 0) in colors_in(picture)


def test_gates_are_shown_where_there_are_some():
    maps = {"columns": np.full((6, 4, 4), 0.25), "rows": np.full((4, 6, 6), 1 / 6)}
    gates = {"row_gates": np.ones((4, 8)), "column_gates": np.ones((6, 8))}
    plain = figures.attention(IMAGE, (20, 30), (2, 3), maps, np.full((4, 6), 1 / 24))
    gated = figures.attention(IMAGE, (20, 30), (2, 3), maps | gates, np.full((4, 6), 1 / 24))
    assert gated.shape[0] > plain.shape[0]


def test_two_dependency_maps_are_shown_with_their_difference():
    maps = {"a": np.eye(5), "b": np.full((5, 5), np.nan)}
    one, two = (
        figures.class_dependency({"a": maps["a"]}, INFO.class_names),
        figures.class_dependency(maps, INFO.class_names),
    )
    assert two.shape[1] > 2 * one.shape[1]
    assert {(0, 0, 0), (255, 255, 255)} <= colors_in(one)  # off and on the diagonal


def test_long_names_are_shown_whole():
    names, size = ["a background with a long name", *"bcdefg"], 7
    shown = {name: np.random.default_rng(0).random((size, size)) for name in ("pictures_of_one", "pictures_of_another")}
    matrix = np.arange(size * size).reshape(size, size)
    for picture in (figures.class_dependency(shown, names), confusion_picture(matrix, names)):
        for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]):
            assert np.all(edge == 255)


def test_many_classes_are_not_named():
    names = [f"class {k}" for k in range(171)]
    assert figures.class_dependency({"a": np.eye(171)}, names).size


def test_curves_have_a_plot_for_each_quantity():
    run = {"a": ([1, 2], [3.0, 4.0])}
    assert figures.curves({"loss": run, "miou": run}).shape[1] > figures.curves({"loss": run}).shape[1]
    with pytest.raises(ValueError, match="nothing to plot"):
        figures.curves({})


def longest_white_band(picture):
    """How many pixel rows in a run are white from edge to edge."""
    ends = np.flatnonzero(np.any(picture != 255, axis=(1, 2)))
    return int(np.diff([-1, *ends, len(picture)]).max()) - 1


@pytest.mark.parametrize("title", ("", "a title"))
@pytest.mark.parametrize("shape", ((60, 200), (200, 200), (300, 150)), ids=str)
def test_rows_stand_close_together_whatever_the_shape_of_their_pictures(shape, title):
    """A white band is at most two lines of a title: 8 points are 11 pixels at 100 dots per inch."""
    numbers, picture = np.zeros(shape), np.zeros([*shape, 3], np.uint8)
    with_scale = figures.Panel(numbers, "numbers", limits=(0, 1))
    rows = [[with_scale, with_scale], [None, figures.Panel(picture, "picture")]]
    drawn = figures.panels(rows, title=title, names=("a", "b"), colors=((0, 0, 0), (9, 9, 9)))
    assert longest_white_band(drawn) <= 2 * 11 and drawn.shape[0] > 100


def test_a_figure_without_panels_is_refused():
    with pytest.raises(ValueError, match="at least one panel"):
        figures.panels([])


def edges(picture):
    """The outermost pixels of a picture, which are white where nothing is cut off."""
    return np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])


@pytest.mark.parametrize(
    "name", ("diningtable", "television receiver, television, television set, tv, tv set, idiot box")
)
@pytest.mark.parametrize("columns", (1, 3))
def test_a_legend_is_whole_whatever_its_names_and_the_width_of_the_figure(name, columns):
    colors = [(10 * k, 255 - 10 * k, 9) for k in range(21)]
    black = figures.Panel(np.zeros((40, 60, 3), np.uint8), "picture")
    drawn = figures.panels([[black] * columns], names=[f"{name} {k}" for k in range(21)], colors=colors)
    assert (edges(drawn) == 255).all() and set(colors) <= colors_in(drawn)
    assert (drawn == 0).all(axis=-1).sum() > columns * 150 * 230  # the pictures keep their size


def test_long_titles_do_not_run_into_each_other():
    black, title = np.zeros((40, 60, 3), np.uint8), "home_user_projects_segmentation_runs_2026_camvid_ksac_seed"
    drawn = figures.panels([[figures.Panel(black, f"{title}_{k} (100.0% right)") for k in range(2)]])
    middle = drawn[:, drawn.shape[1] // 2 - 20 : drawn.shape[1] // 2 + 20]
    assert (middle == 255).all(axis=(0, 2)).any() and (edges(drawn) == 255).all()


def test_a_line_and_a_column_of_pixels_leave_their_room_to_pictures_of_usual_shapes():
    strips = [np.zeros((*shape, 3), np.uint8) for shape in ((1, 4000), (4000, 1))]
    rows = [[figures.Panel(picture, "a title")] for picture in (*strips, np.full((40, 60, 3), 30, np.uint8))]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a layout without room
        drawn = figures.panels(rows)
    assert (drawn == 30).all(axis=-1).sum() > 150 * 230


def test_the_maps_of_models_of_different_widths_are_of_channels_that_all_have():
    maps = {"wide": {6: RNG.normal(size=(5, 5, 9)) * np.arange(9)}, "narrow": {6: RNG.normal(size=(5, 5, 4))}}
    assert figures.branch_features(IMAGE, maps, channels=4).ndim == 3
    with pytest.raises(ValueError, match="channels must be 1 … 4, not 5"):
        figures.branch_features(IMAGE, maps, channels=5)


def test_long_names_leave_room_for_the_dependency_maps():
    names = ["television receiver, television, television set, tv, tv set, idiot box, boob tube", "sky"]
    drawn = figures.class_dependency({"a": np.zeros((2, 2))}, names)
    dark = np.abs(drawn.astype(int) - (10, 0, 0)).max(axis=-1) <= 1  # the dark end of matplotlib's hot
    assert (edges(drawn) == 255).all() and dark.sum() > 180**2


def test_names_of_runs_are_shown_as_they_are_and_leave_room_for_their_curves():
    steps = ([1, 2], [3.0, 4.0])
    names = ("b$x_{$", "home_user_projects_segmentation_runs_2026_camvid_ksac_seed0_home_user_projects_2026")
    drawn = figures.curves({"train/loss": dict.fromkeys(names, steps)}, title="$x_{$")
    assert (edges(drawn) == 255).all()
    lines = (np.abs(drawn.astype(int) - (255, 127, 14)).max(axis=-1) <= 1).nonzero()[1]  # of the second run
    assert lines.max() - lines.min() > 250


def test_a_dollar_in_a_name_is_a_dollar_in_every_figure():
    name, classes = "US$ \\frac{ $", [np.zeros((40, 60), int)]
    info = DatasetInfo("fake", (name, "b"), ((1, 2, 3), (4, 5, 6)))
    assert figures.predictions([IMAGE], classes, {name: classes}, info).ndim == 3
    assert figures.class_dependency({name: np.eye(2)}, info.class_names).ndim == 3


def test_a_figure_that_is_longer_than_matplotlib_can_draw_is_drawn_smaller():
    picture = rendered(Figure(figsize=(2, 700), dpi=100))
    assert 60_000 < picture.shape[0] < 2**16 and picture.shape[1] == round(2 * picture.shape[0] / 700)
