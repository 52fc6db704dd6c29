"""Models of pictures of other bands than RGB: trained, evaluated, saved, shown, served."""

import dataclasses
import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.bands import RGB, Bands, MeasuredBands
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.experiment import EvalSpec, Views
from deeplab_ksac.export import export_onnx, export_saved_model, export_tflite, fresh
from deeplab_ksac.figures.bands import as_rgb
from deeplab_ksac.model import build_model
from deeplab_ksac.models.folder import read_model, save_model
from deeplab_ksac.prediction import scores
from deeplab_ksac.prediction.folder import predict_files
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.runs import figures
from deeplab_ksac.runs.checkpoints import load_model
from deeplab_ksac.runs.evaluation import RunEvaluation
from deeplab_ksac.runs.workdir import claim_workdir
from deeplab_ksac.training.initial_weights import initialize
from deeplab_ksac.training.loop import check_data, train
from tests.datasets.test_band_pictures import values, write_folder, write_png
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info
from tests.deeplab_ksac.models.examples import NAMES, trained_model
from tests.deeplab_ksac.tiny_backbone import tiny_backbone_known
from tests.deeplab_ksac.training import tiny

DEEP = MeasuredBands(2, 16, (100.0, 20.0), (50.0, 4.0))
GRAY = MeasuredBands(1, 8, (120.0,), (60.0,))
SIZE = (20, 24)


def experiment(**data):
    options = {"sources": ("mine/train",), "contrast": 0.1, **data}
    stage = dataclasses.replace(tiny.STAGE, data=dataclasses.replace(tiny.STAGE.data, **options), steps=1, batch_size=1)
    return dataclasses.replace(tiny.EXPERIMENT, model=tiny.MODEL, stages=(stage,), evaluation=EvalSpec("mine/val"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A folder with pictures of two bands of 16 bits in `raw` and `data`, and a run of one step, `run`; its figures."""
    place = tmp_path_factory.mktemp("bands")
    pictures = {"train": [values(2, 16, SIZE)], "val": [values(2, 16, SIZE, seed) for seed in (1, 2)]}
    write_folder(place / "raw", pictures)
    write_records("folder", place / "raw", place / "data", dataset_name="mine", reading=Reading(channels=2))
    strategy = tf.distribute.get_strategy()
    return place, train(experiment(), data_dir=place / "data", workdir=place / "run", strategy=strategy)


def test_a_run_is_evaluated_as_it_was_while_it_was_trained(run):
    place, measured = run
    loaded = load_model(place / "run")
    assert loaded.info.bands == load_info("mine", place / "data").bands and loaded.model.input_shape[-1] == 2
    evaluation = RunEvaluation(loaded, data_dir=place / "data")
    assert evaluation().figures["miou"] == measured["miou"]
    assert Image.open(io.BytesIO(evaluation.sheet(2))).mode == "RGB"


def test_files_are_predicted_as_they_are_stored_by_the_run_and_by_what_is_saved_of_it(run, tmp_path):
    place, _ = run
    predictor = Predictor.load(place / "run")
    stored = values(2, 16, SIZE, 1)
    expected = scores.predict_classes(load_model(place / "run").model, np.float32(stored)[np.newaxis] / 257)[0]
    saved = Predictor.load(predictor.save(tmp_path / "model"))
    for predict in (predictor, saved):
        np.testing.assert_array_equal(predict(stored), expected)
        np.testing.assert_array_equal(predict(np.float32(stored) / np.float32(257)), expected)
    paths = [place / "raw" / "images" / "val" / "0.png", write_png(tmp_path / "b.png", values(2, 8))]
    summary = predict_files(saved, paths, tmp_path / "out")
    assert summary.count == 1
    assert summary.failures[paths[1]] == f"image {paths[1]} has 2 bands of 8 bits; expected 2 bands of 16 bits"
    np.testing.assert_array_equal(Image.open(tmp_path / "out" / "index" / "0.png"), expected)
    assert Image.open(tmp_path / "out" / "overlay" / "0.png").mode == "RGB"


def test_figures_are_drawn_of_files_and_of_splits(run):
    place, _ = run
    models = figures.load_models([place / "run"])
    files = figures.ImageExamples(str(place / "raw" / "images" / "val"), models["run"].info.bands)
    split = figures.SplitExamples("mine/val", place / "data", bands=models["run"].info.bands)
    for one, other in zip(files, split, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert next(figures.figure("predictions", models, files)).picture.shape[-1] == 3
    with pytest.raises(ValueError, match="mine has pictures of 2 bands of 16 bits, and the model of 3 bands of 8 bits"):
        figures.SplitExamples("mine/val", place / "data", bands=RGB)


def test_what_does_not_fit_the_bands_is_refused_before_the_first_step(run):
    place, _ = run
    with pytest.raises(
        ValueError, match=r"^stages\[0\]\.data: saturation is 0\.5, but the pictures have 2 bands of 16 bits"
    ):
        check_data(experiment(saturation=0.5), place / "data")
    info = load_info("mine", place / "data")
    for bands, words in (
        (RGB, "data set mine has pictures of 3 bands of 8 bits, and the run"),
        (dataclasses.replace(info.bands, mean=(1.0, 2.0)), "had another mean and deviation than mine has now"),
    ):
        with pytest.raises(ValueError, match=words):
            claim_workdir(place / "run", experiment(), dataclasses.replace(info, bands=bands))
    with pytest.raises(
        ValueError, match=r"^mine has pictures of 2 bands of 16 bits, and the model, .* of 3 bands of 8"
    ):
        RunEvaluation(
            trained_model(tiny.MODEL, ("a", "b")), data_dir=place / "data", split=figures.Split("mine", "val")
        )


@pytest.mark.parametrize(
    "image", (np.zeros([5, 5, 3], np.uint16), np.zeros([5, 5], np.uint16), np.zeros([5, 5, 2], np.uint8))
)
def test_an_image_of_other_bands_is_refused(image):
    info = dataclasses.replace(fake_info(), bands=DEEP)
    with pytest.raises(ValueError, match="an image has"):
        Predictor(build_fake_model(channels=2), info=info)(image)


def test_an_image_out_of_range_and_a_model_of_other_bands_are_refused():
    info = dataclasses.replace(fake_info(), bands=DEEP)
    with pytest.raises(ValueError, match=r"floating-point numbers as the network sees them, 0 … 255; .* in 256 … 256"):
        Predictor(build_fake_model(channels=2), info=info)(np.full([5, 5, 2], 256.0))
    with pytest.raises(ValueError, match="the model takes images of 3 bands, and info is of 2 bands of 16 bits"):
        Predictor(build_fake_model(), info=info)
    with (
        tiny_backbone_known(),
        pytest.raises(ValueError, match="'tiny' takes images of 3 channels, and the data set has"),
    ):
        build_model(tiny.EXPERIMENT.model, 3, DEEP)


def test_a_saved_model_knows_its_bands_and_one_of_rgb_does_not_mention_them(tmp_path):
    folder = save_model(trained_model(tiny.MODEL, bands=DEEP), tmp_path / "deep")
    assert read_model(folder).info.bands == DEEP
    text = (folder / "model.json").read_text()
    (folder / "model.json").write_text(text.replace('"depth": 16', '"depth": 10'))
    with pytest.raises(ValueError, match=r"'bands' of .*model\.json has 10 as 'depth', which must be 8 or 16"):
        read_model(folder)
    assert "bands" not in (save_model(trained_model(tiny.MODEL), tmp_path / "rgb") / "model.json").read_text()


def test_a_model_of_one_band_begins_with_one_of_rgb_and_none_of_others(tmp_path):
    source, told = trained_model(tiny.MODEL), []
    folder = save_model(source, tmp_path / "rgb")
    model = build_model(tiny.MODEL, 3, GRAY)
    initialize(model, tiny.MODEL.backbone, "none", 0, folder, class_names=NAMES, tell=told.append)
    layers = len([layer for layer in model.layers if layer.weights])
    kernel = (
        f"{layers} of {layers} layers have the weights of {folder}, step 7; the first kernel, of RGB, is adapted to 1"
    )
    assert told == [f"{kernel} bands"]
    for ours, theirs in zip(model.weights, source.model.weights, strict=True):
        expected = theirs if ours.shape == theirs.shape else tf.reduce_sum(theirs, axis=2, keepdims=True)
        np.testing.assert_allclose(ours, expected, rtol=1e-6)
    deep = save_model(trained_model(tiny.MODEL, bands=DEEP), tmp_path / "deep")
    with pytest.raises(
        ValueError, match=r"deep was trained on pictures of 2 bands of 16 bits, and the model to be .* takes 1;"
    ):
        initialize(model, tiny.MODEL.backbone, "none", 0, deep, class_names=NAMES)


@pytest.mark.parametrize("bands", (Bands(4, 8), Bands(2, 16)), ids=Bands.describe)
def test_what_is_served_takes_images_as_they_are_stored(bands, tmp_path):
    model = build_fake_model(channels=bands.number)
    info = dataclasses.replace(fake_info(), bands=bands_measured(bands))
    image = values(bands.number, bands.depth, (1, *SIZE))
    expected = scores.predict_probabilities(model, np.float32(image) / np.float32(bands.unit))
    path = export_saved_model(model, tmp_path / "served", info=info, check=False)
    served = tf.saved_model.load(str(path))
    assert set(served.signatures) == {"serving_default", "probabilities"}
    answers = [served.signatures["probabilities"](image=tf.constant(image))]
    answers += fresh.run_onnx(str(export_onnx(model, tmp_path / "a.onnx", info=info, check=False)), [image])
    lite = export_tflite(model, tmp_path / "a.tflite", info=info, check=False)
    answers += fresh.run_tflite(str(lite), [image if bands.depth == 8 else image.astype("int32")])
    for answer in answers:
        np.testing.assert_allclose(answer["probabilities"], expected, atol=1e-5)  # float32 of numbers up to 1
    assert '"depth": ' in (tmp_path / "a.classes.json").read_text()
    with pytest.raises(ValueError, match="the model takes images of 3 bands, and info is of"):
        export_saved_model(build_fake_model(), tmp_path / "other", info=info, check=False)


def test_what_is_served_of_bands_is_checked_in_a_separate_process(tmp_path):
    model, info = build_fake_model(channels=2), dataclasses.replace(fake_info(), bands=DEEP)
    path = export_saved_model(model, tmp_path / "served", info=info, check=True)
    assert (path / "saved_model.pb").is_file()


def bands_measured(bands):
    return MeasuredBands(bands.number, bands.depth, (1.0,) * bands.number, (1.0,) * bands.number)


def test_pictures_are_shown_by_their_first_three_bands_or_in_gray():
    four = values(4, 8)
    np.testing.assert_array_equal(as_rgb(four, Bands(4, 8)), four[..., :3])
    np.testing.assert_array_equal(as_rgb(four[..., :2], Bands(2, 8)), np.repeat(four[..., :1], 3, axis=-1))
    stored = np.array([[[257 * 100, 0], [257 * 200, 0], [257 * 50, 0], [0, 0]]], np.uint16)  # mean, + 2, − 1 deviations
    np.testing.assert_array_equal(as_rgb(stored, DEEP)[0, :, 0], [128, 255, 64, 0])  # 127.5 is rounded to even
    np.testing.assert_array_equal(as_rgb(np.float32(stored) / 257, DEEP), as_rgb(stored, DEEP))
    assert as_rgb(stored, Bands(2, 16)).dtype == np.uint8  # by the picture's own mean and deviation
    assert as_rgb(four, RGB) is four


def test_what_an_image_is_filled_up_with_is_the_mean_of_its_bands():
    def mean_of_what_is_seen(image):
        return tf.reduce_mean(image, axis=[1, 2], keepdims=True) * tf.ones_like(image)

    image = np.float32(values(4, 8))[np.newaxis]
    seen = scores.predict_logits(mean_of_what_is_seen, image, Views(pad_to=(33, 40)))
    # float32 rounds at 6e-8; a mean of 1,320 values below 255
    np.testing.assert_allclose(seen[0, 0, 0], image.mean(axis=(0, 1, 2)), atol=6e-8 * 1320 * 255)
