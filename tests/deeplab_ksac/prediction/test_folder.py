"""Files of every kind through a real model: what is written, what is named, what stops."""

import io
import resource
import threading
import time

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.bands import RGB
from deeplab_ksac.figures import colors as visualization
from deeplab_ksac.figures.legend import with_legend
from deeplab_ksac.prediction import files as kinds
from deeplab_ksac.prediction.folder import predict_files
from deeplab_ksac.prediction.frames import Summary, distinct_names, one_class_warning
from deeplab_ksac.prediction.predictor import OUTPUTS, Predictor
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info, random_images

INFO = fake_info()
HALF_STEP = 2**-12  # of float16 below 1, plus float32's rounding below that


@pytest.fixture(scope="module")
def predictor():
    return Predictor(build_fake_model())


@pytest.fixture(scope="module")
def tiling(predictor):
    """The same model, everything above 200 pixels in tiles."""
    return Predictor(build_fake_model(), max_pixels=200)


def opened(path):
    with Image.open(path) as image:
        return image.mode, np.asarray(image)


def write_images(folder, sizes):
    paths = [folder / f"{number}.png" for number in range(len(sizes))]
    for path, size in zip(paths, sizes):
        Image.fromarray(random_images(1, *size)[0].astype("uint8")).save(path)
    return paths


@pytest.mark.parametrize("kinds_written", [("index",), ("probabilities",)])
@pytest.mark.parametrize("size", [(9, 14), (20, 11)])
def test_a_name_that_is_too_long_fails_alone(tmp_path, tiling, size, kinds_written):
    paths = write_images(tmp_path, [size, size])
    long = paths[0].rename(tmp_path / f"{'x' * 251}.png")  # 255 letters; a film's frames get seven more
    many = tmp_path / f"{'y' * 246}.gif"
    frames = [Image.fromarray(random_images(1, *size, seed=n)[0].astype("uint8")) for n in (3, 4)]
    frames[0].save(many, save_all=True, append_images=frames[1:])
    style = kinds.Style(INFO)
    summary = predict_files(tiling, [many, long, paths[1]], tmp_path / "out", kinds=kinds_written, style=style)
    assert many in summary.failures and "too long" in summary.failures[many]
    written = {path.stem for path in (tmp_path / "out" / kinds_written[0]).iterdir()}
    assert paths[1].stem in written and (long.stem in written) != (long in summary.failures)


def test_what_ends_a_run_also_tells_the_files_that_failed_before(tmp_path, predictor, monkeypatch):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    paths = write_images(tmp_path, [(9, 14)])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kinds, "write_whole", full)
    with pytest.raises(OSError, match=r"No space left on device; before that, not predicted: .*broken.png: cannot id"):
        paths = [tmp_path / "broken.png", *paths]
        predict_files(predictor, paths, tmp_path / "out", kinds=("index",), style=kinds.Style(INFO))


@pytest.mark.parametrize("kind", ["index", "probabilities"])
@pytest.mark.parametrize("used", ["predictor", "tiling"])
def test_a_full_disk_ends_the_run_whole_or_in_tiles(tmp_path, request, used, kind):
    paths = write_images(tmp_path, [(60, 41), (9, 14)])
    used = request.getfixturevalue(used)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # as if the disk were full
    try:
        with pytest.raises(OSError, match=rf"{kind}/0\.(png|npz) cannot be written: File too large$"):
            predict_files(used, paths, tmp_path / "out", kinds=[kind], style=kinds.Style(INFO))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file() and path.stem != "1"]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_each_image_gets_index_color_and_overlay_at_its_own_size(tmp_path, predictor, batch_size):
    sizes = [(9, 14), (20, 11), (9, 14), (9, 14)]
    paths, style = write_images(tmp_path, sizes), kinds.Style(INFO, opacity=0.25)
    summary = predict_files(predictor, paths, tmp_path / "out", style=style, batch_size=batch_size)
    assert summary.failures == {} and summary.count == 4
    for path, size in zip(paths, sizes):
        image = random_images(1, *size)[0]
        classes = predictor(image)
        mode, index = opened(tmp_path / "out" / "index" / path.name)
        assert mode == "P"
        np.testing.assert_array_equal(index, classes)
        _, color = opened(tmp_path / "out" / "color" / path.name)
        np.testing.assert_array_equal(color, visualization.colorize(classes, INFO.colors))
        _, overlay = opened(tmp_path / "out" / "overlay" / path.name)
        np.testing.assert_array_equal(overlay, visualization.overlay(image, classes, INFO.colors, 0.25))


def test_confidence_and_probabilities_are_those_of_the_model_whole_or_in_tiles(tmp_path, predictor, tiling):
    (path,), style = write_images(tmp_path, [(30, 41)]), kinds.Style(INFO)
    for name, used in (("whole", predictor), ("tiles", tiling)):
        summary = predict_files(used, [path], tmp_path / name, kinds=kinds.KINDS, style=style)
        assert summary.failures == {}
        expected = used.predict(random_images(1, 30, 41)[0], OUTPUTS)
        np.testing.assert_array_equal(opened(tmp_path / name / "index" / "0.png")[1], expected["classes"])
        mode, confidence = opened(tmp_path / name / "confidence" / "0.png")
        assert mode == "L"
        np.testing.assert_array_equal(confidence, np.rint(255 * expected["confidence"]))
        with np.load(tmp_path / name / "probabilities" / "0.npz") as read:
            assert read["probabilities"].dtype == np.float16
            np.testing.assert_allclose(read["probabilities"], expected["probabilities"], atol=2 * HALF_STEP)
            assert read["class_names"].tolist() == list(INFO.class_names)
        assert sorted(file.name for file in (tmp_path / name).rglob("*") if file.is_file()) == ["0.npz"] + 4 * ["0.png"]
        assert summary.class_pixels.tolist() == np.bincount(expected["classes"].ravel(), minlength=5).tolist()


def test_the_overlay_names_its_classes_below(tmp_path, predictor):
    (path,) = write_images(tmp_path, [(20, 120)])
    style = kinds.Style(INFO, legend=True)
    predict_files(predictor, [path], tmp_path / "out", kinds=("overlay",), style=style)
    image = random_images(1, 20, 120)[0]
    classes = predictor(image)
    occurring = np.unique(classes)
    expected = with_legend(
        visualization.overlay(image, classes, INFO.colors),
        [INFO.class_names[k] for k in occurring],
        [INFO.colors[k] for k in occurring],
    )
    np.testing.assert_array_equal(opened(tmp_path / "out" / "overlay" / "0.png")[1], expected)
    assert expected.shape[0] > 20 and not (tmp_path / "out" / "index").exists()


def test_every_frame_of_an_animation_is_a_picture(tmp_path, predictor):
    frames = [Image.fromarray(np.full((8, 9, 3), 60 * number, np.uint8)) for number in range(4)]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    summary = predict_files(predictor, [tmp_path / "film.gif"], tmp_path / "out", style=kinds.Style(INFO))
    assert summary.count == 4
    for number, frame in enumerate(frames):
        _, index = opened(tmp_path / "out" / "index" / f"film_{number:06d}.png")
        np.testing.assert_array_equal(index, predictor(np.asarray(frame)))


def test_what_is_unreadable_or_odd_among_many_is_named_and_the_rest_is_predicted(tmp_path, predictor):
    paths = write_images(tmp_path, [(8, 8)] * 6)
    rgb = random_images(1, 8, 8)[0].astype("uint8")
    odd = {"gray.png": rgb[..., 0], "deep.png": rgb[..., 0].astype("uint16") << 8, "clear.png": rgb[..., [0, 1, 2, 0]]}
    for name, pixels in odd.items():
        Image.fromarray(pixels).save(tmp_path / name)
    Image.fromarray(rgb[..., [0, 1, 2, 0]], "CMYK").save(tmp_path / "ink.jpg")
    (tmp_path / "half.png").write_bytes(paths[0].read_bytes()[:60])
    (tmp_path / "empty.jpg").touch()
    extra = [tmp_path / name for name in (*odd, "ink.jpg", "half.png", "empty.jpg", "gone.png")]
    summary = predict_files(predictor, [*extra, *paths], tmp_path / "out", style=kinds.Style(INFO), batch_size=3)
    assert {path.name for path in summary.failures} == {"half.png", "empty.jpg", "gone.png"}
    assert all(reason and "\n" not in reason for reason in summary.failures.values())
    assert {what: [path.name for path in files] for what, files in summary.stored_as.items()} == {
        **{"gray": ["gray.png"], "16-bit gray": ["deep.png"], "transparent": ["clear.png"], "CMYK": ["ink.jpg"]},
    }
    lines = "\n".join(summary.lines())
    assert f"read as RGB: 1 CMYK ({tmp_path / 'ink.jpg'})" in lines
    assert f"not predicted: {tmp_path / 'half.png'}: " in lines
    for kind in ("index", "color", "overlay"):
        written = {path.name for path in (tmp_path / "out" / kind).iterdir()}
        assert written == {"gray.png", "deep.png", "clear.png", "ink.png", *(path.name for path in paths)}


def test_images_of_one_name_in_two_folders_are_both_kept(tmp_path, predictor):
    paths = []
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        paths += write_images(tmp_path / folder, [(8, 8)])
    assert predict_files(predictor, paths, tmp_path / "out", style=kinds.Style(INFO)).failures == {}
    assert sorted(path.name for path in (tmp_path / "out" / "index").iterdir()) == ["x_0.png", "y_0.png"]


class Counter:
    """A progress whose count is wrong if two threads update it at once."""

    def __init__(self, total, label):
        self.total, self.label, self.done, self.shown, self.closed = total, label, 0, {}, False

    def update(self, n=1, **shown):
        before = self.done
        time.sleep(0.002)  # another thread has the time to read what this one read
        self.done, self.shown = before + n, shown

    def close(self):
        self.closed = True


def test_progress_counts_every_failure_and_every_picture_of_all_threads(tmp_path):
    progress = Counter(3, "predict")
    summary = Summary(INFO, progress)

    def fail(number):
        for i in range(20):
            summary.fail(tmp_path / f"{number}_{i}.png", OSError("broken"))

    def add():
        for _ in range(20):
            summary.add(np.zeros([2, 2], np.uint8))

    threads = [threading.Thread(target=fail, args=[n]) for n in range(2)] + [threading.Thread(target=add)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert progress.done == progress.total == 60
    assert len(summary.failures) == 40 and summary.count == 20


def test_progress_is_told_of_every_picture_and_closed(tmp_path, predictor):
    (tmp_path / "broken.png").touch()
    paths, made = [tmp_path / "broken.png", *write_images(tmp_path, [(8, 8)] * 3)], []

    def progress(total, label):
        made.append(Counter(total, label))
        return made[0]

    predict_files(predictor, paths, tmp_path / "out", style=kinds.Style(INFO), progress=progress)
    (shown,) = made
    assert (shown.total, shown.done, shown.shown, shown.closed) == (4, 4, {"failed": 1}, True)


def test_without_a_style_the_colors_are_the_predictors(tmp_path):
    predictor, paths = Predictor(build_fake_model(), info=INFO), write_images(tmp_path, [(8, 9)])
    predict_files(predictor, paths, tmp_path / "out")
    _, color = opened(tmp_path / "out" / "color" / "0.png")
    classes = predictor(random_images(1, 8, 9)[0])
    np.testing.assert_array_equal(color, visualization.colorize(classes, INFO.colors))


def test_without_a_style_a_predictor_that_knows_no_classes_is_refused_before_anything_is_made(tmp_path, predictor):
    with pytest.raises(ValueError, match="the predictor has no names and colors of classes; give a style, or"):
        predict_files(predictor, write_images(tmp_path, [(8, 9)]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


class Failing:
    """A predictor that fails in its own way."""

    max_pixels, bands = 10**6, RGB

    def __init__(self, error, *, only=None):
        self.error, self.only = error, only

    def predict(self, images, outputs):
        if self.only is None or (images == self.only).all(axis=(1, 2, 3)).any():
            raise self.error
        return {"classes": np.zeros(images.shape[:3], np.uint8)}


def test_a_fault_of_the_program_is_not_taken_for_an_unreadable_image(tmp_path):
    paths = write_images(tmp_path, [(8, 8)])
    with pytest.raises(ZeroDivisionError):
        predict_files(Failing(ZeroDivisionError()), paths, tmp_path / "out", style=kinds.Style(INFO))


def test_of_a_batch_that_fails_the_others_are_predicted_one_by_one(tmp_path):
    paths = write_images(tmp_path, [(8, 8)] * 2)
    Image.new("RGB", (8, 8), (7, 7, 7)).save(tmp_path / "heavy.png")
    paths.insert(1, tmp_path / "heavy.png")
    used = Failing(MemoryError("too much"), only=7)
    summary = predict_files(used, paths, tmp_path / "out", style=kinds.Style(INFO), batch_size=3)
    assert summary.failures == {tmp_path / "heavy.png": "too much"} and summary.count == 2


def test_a_folder_that_cannot_be_written_to_ends_the_run(tmp_path, predictor, monkeypatch):
    def full(path, data):
        raise OSError("no space left")

    monkeypatch.setattr(kinds, "write_whole", full)
    with pytest.raises(OSError, match="no space left"):
        predict_files(predictor, write_images(tmp_path, [(8, 8)]), tmp_path / "out", style=kinds.Style(INFO))


def test_an_output_folder_that_holds_predictions_is_refused_unless_told(tmp_path):
    kinds.check_output(tmp_path / "new", kinds.KINDS, overwrite=False)
    (tmp_path / "index").mkdir()
    kinds.check_output(tmp_path, kinds.KINDS, overwrite=False)
    (tmp_path / "index" / "a.png").touch()
    with pytest.raises(FileExistsError, match="already holds predictions"):
        kinds.check_output(tmp_path, kinds.KINDS, overwrite=False)
    kinds.check_output(tmp_path, ("color",), overwrite=False)
    kinds.check_output(tmp_path, kinds.KINDS, overwrite=True)
    with pytest.raises(FileExistsError, match="not a folder"):
        kinds.check_output(tmp_path / "index" / "a.png", kinds.KINDS, overwrite=True)


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match=r"kinds must be of index, color, .* not 'index,colour'"):
        kinds.check_kinds(["index", "colour"])


def test_a_warning_where_over_99_percent_is_one_class():
    assert one_class_warning([1, 99], ("a", "b")) == one_class_warning([0, 0], ("a", "b")) == ""
    assert one_class_warning([1, 100], ("a", "b")).startswith("warning: 99.0% of all pixels were predicted as 'b'")


def test_a_png_is_the_picture(tmp_path):
    picture = random_images(1, 9, 7)[0].astype("uint8")
    with Image.open(io.BytesIO(kinds._png(picture))) as read:
        np.testing.assert_array_equal(np.asarray(read), picture)


def test_names_are_stems_where_those_differ_and_longer_where_not(tmp_path):
    def names(*places):
        return distinct_names([tmp_path / place for place in places])

    assert names("x/a.jpg", "x/b.jpg") == ["a", "b"]
    assert names("x/a.jpg", "y/a.jpg", "y/b.jpg") == ["x_a", "y_a", "b"]
    assert names("x/a.jpg", "x/a.png") == ["x_a_jpg", "x_a_png"]
    assert names("x/a.jpg", "y/A.jpg") == ["x_a", "y_A"]
    assert names("p/x/a.jpg", "q/x/a.jpg") == ["0_a", "1_a"]
    assert len(set(names("x/a.jpg", "y/a.jpg", "z/x_a.jpg", "z/y_a.jpg"))) == 4


def write_animation(path):
    frames = [Image.fromarray(random_images(1, 8, 9, seed=seed)[0].astype("uint8")) for seed in (1, 2)]
    frames[0].save(path, save_all=True, append_images=frames[1:])
    return path


@pytest.mark.parametrize("suffix", ["gif", "png", "tif", "webp"])
def test_no_frame_takes_the_place_of_another_files_result(tmp_path, predictor, suffix):
    animation = write_animation(tmp_path / f"a.{suffix}")
    still = write_images(tmp_path, [(8, 9)])[0].rename(tmp_path / "A_000001.png")
    summary = predict_files(predictor, [animation, still], tmp_path / "out", kinds=["index"], style=kinds.Style(INFO))
    written = {path.stem for path in (tmp_path / "out" / "index").iterdir()}
    folder = tmp_path.name
    assert summary.count == 3 and written == {f"{folder}_a_000000", f"{folder}_a_000001", "A_000001"}
    np.testing.assert_array_equal(
        opened(tmp_path / "out" / "index" / "A_000001.png")[1], predictor(random_images(1, 8, 9)[0])
    )


def test_names_are_distinct_with_the_numbers_of_frames_and_others_stay_as_they_are(tmp_path):
    write_animation(tmp_path / "a.gif")
    write_images(tmp_path, [(8, 9)])[0].rename(tmp_path / "s.png")

    def names(*files):
        return distinct_names([tmp_path / file for file in files])

    folder = tmp_path.name
    assert names("film.mp4", "film_000001.png") == [f"{folder}_film", "film_000001"]
    assert names("film.mp4", f"{folder}_film_1000000.png", "film_000001.png") == [
        f"{folder}_film_mp4",
        f"{folder}_film_1000000",
        "film_000001",
    ]
    last = ["film.mp4", "film_000001.png", f"{folder}_film_000001.jpg", f"{folder}_film_mp4_000001.png"]
    assert names(*last, "0_film_000001.png") == ["0_film", *(name[:-4] for name in last[1:]), f"{folder}_0_film_000001"]
    for ordinary in (
        ("film.mp4", "film_00001.png", "film000001.png", "other_000001.png", "film_0000001.png"),
        ("s.png", "s_000001.png", "missing.gif", "missing_000001.png"),
        ("a.gif", "a_1.png"),
    ):
        assert names(*ordinary) == [name[:-4] for name in ordinary]
