"""A model goes into a folder and comes back as it was; what is damaged is one line."""

import dataclasses
import hashlib
import json
import os
import shutil

import numpy as np
import pytest
import safetensors.numpy

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import Views, part
from deeplab_ksac.model import build_model
from deeplab_ksac.models.files import CARD_FILE, FILES, MODEL_FILE, WEIGHTS_FILE
from deeplab_ksac.models.folder import named_weights, read_model, save_model
from deeplab_ksac.prediction.predictor import OUTPUTS, Predictor
from tests.deeplab_ksac.fake_model import build_fake_model, random_images
from tests.deeplab_ksac.heads.heads_under_test import VARIANTS
from tests.deeplab_ksac.models.examples import COLORS, FCN, NAMES, SPECS, trained_model
from tests.deeplab_ksac.runs.trained_run import trained_run

IMAGE = random_images(1, 33, 40)
VIEWS = Views((0.5, 1.0), flip=True)


def outputs(model):
    return {name: value.numpy() for name, value in model(IMAGE).items() if hasattr(value, "numpy")}


@pytest.mark.parametrize("name", SPECS)
def test_a_model_comes_back_bit_for_bit(name, tmp_path):
    before = trained_model(SPECS[name], provenance={"begun": "today", "code": [{"commit": None}]}, card="# Ä\n")
    assert save_model(before, tmp_path / "model") == tmp_path / "model"
    keras.backend.clear_session()  # layers without a name of their own are counted from the beginning again
    after = read_model(tmp_path / "model")
    for value, expected in zip(after.model.get_weights(), before.model.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    expected = outputs(before.model)
    for key, value in outputs(after.model).items():
        np.testing.assert_array_equal(value, expected[key])
    for field in dataclasses.fields(before):
        if field.name != "model":
            assert getattr(after, field.name) == getattr(before, field.name)


@pytest.mark.parametrize("name", ("ksac", "ocr"))
def test_float16_rounds_the_weights_and_nothing_else(name, tmp_path):
    before = trained_model(SPECS[name])
    after = read_model(save_model(before, tmp_path / "model", dtype="float16"))
    for value, exact in zip(after.model.get_weights(), before.model.get_weights(), strict=True):
        assert value.dtype == np.float32
        # 11 bits of mantissa, the first of which is not stored; below 2⁻¹⁴ the steps are 2⁻²⁴
        assert np.all(np.abs(value - exact) <= np.abs(exact) * 2.0**-11 + 2.0**-25)
        assert np.any(value != exact) or not exact.any()
    before.model.set_weights([weight.astype("float16").astype("float32") for weight in before.model.get_weights()])
    expected = outputs(before.model)
    for key, value in outputs(after.model).items():
        np.testing.assert_array_equal(value, expected[key])


def test_a_folder_is_json_and_safetensors_with_readable_names(tmp_path):
    before = trained_model(card="about")
    save_model(before, tmp_path / "model", dtype="float16")
    assert sorted(os.listdir(tmp_path)) == ["model"] and sorted(os.listdir(tmp_path / "model")) == sorted(FILES)
    tensors = safetensors.numpy.load_file(tmp_path / "model" / WEIGHTS_FILE)
    assert {"c5/kernel", "head/context/conv/kernel", "classifier/bias"} < set(tensors)
    assert {value.dtype for value in tensors.values()} == {np.dtype("float16")}
    told = json.loads((tmp_path / "model" / MODEL_FILE).read_text(encoding="utf-8"))
    assert told["classes"] == [{"name": name, "color": list(color)} for name, color in zip(NAMES, COLORS)]
    assert told["data"]["name"] == "tiny" and told["step"] == 7 and told["experiment"]["seed"] == 0
    assert told["weights"] == {"sha256": hashlib.sha256((tmp_path / "model" / WEIGHTS_FILE).read_bytes()).hexdigest()}


def test_the_same_model_gives_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        save_model(trained_model(), tmp_path / name)
    for name in (MODEL_FILE, WEIGHTS_FILE):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_run_is_saved_and_loaded_without_it(tmp_path):
    with trained_run(tmp_path) as place:
        predictor = Predictor.load(place / "workdir", views=VIEWS)
        expected = predictor.predict(IMAGE[0], OUTPUTS)
        predictor.save(tmp_path / "model", card="# Snails\n")
        shutil.rmtree(place / "workdir")
        shutil.rmtree(place / "data")
        again = Predictor.load(str(tmp_path / "model"))
    assert again.views == VIEWS and again.info.class_names == NAMES
    assert again.trained.provenance["examples"] == {"train": 1, "val": 3}
    for name, value in again.predict(IMAGE[0], OUTPUTS).items():
        np.testing.assert_array_equal(value, expected[name])
    again.save(tmp_path / "copy")
    for name in FILES:
        assert (tmp_path / "copy" / name).read_bytes() == (tmp_path / "model" / name).read_bytes()
    assert Predictor.load(tmp_path / "model", views=Views()).views == Views()
    half = Predictor.load(tmp_path / "model", precision="bfloat16")
    assert 0 < np.abs(half.probabilities(IMAGE[0]) - expected["probabilities"]).max() < 0.1
    half.save(tmp_path / "not rounded")
    assert (tmp_path / "not rounded" / WEIGHTS_FILE).read_bytes() == (tmp_path / "model" / WEIGHTS_FILE).read_bytes()


def test_a_predictor_of_a_bare_model_cannot_be_saved(tmp_path):
    with pytest.raises(ValueError, match="of a bare Keras model cannot be saved") as raised:
        Predictor(build_fake_model()).save(tmp_path / "model")
    assert "\n" not in str(raised.value) and not os.listdir(tmp_path)


def test_nothing_is_overwritten_unless_asked_and_never_what_is_no_model(tmp_path):
    save_model(trained_model(card="mine"), tmp_path / "model")
    before = {name: (tmp_path / "model" / name).read_bytes() for name in FILES}
    with pytest.raises(FileExistsError, match=r"model exists; choose another folder, or allow overwriting"):
        save_model(trained_model(seed=1), tmp_path / "model")
    assert {name: (tmp_path / "model" / name).read_bytes() for name in FILES} == before
    save_model(trained_model(seed=1), tmp_path / "model", overwrite=True)
    assert (tmp_path / "model" / WEIGHTS_FILE).read_bytes() != before[WEIGHTS_FILE]
    assert (tmp_path / "model" / CARD_FILE).read_bytes() == before[CARD_FILE]
    (tmp_path / "model" / "notes.txt").touch()
    (tmp_path / "file").touch()
    for name, message in (("model", r"holds more than a saved model \(notes\.txt\)"), ("file", "file is no folder")):
        with pytest.raises(FileExistsError, match=message):
            save_model(trained_model(), tmp_path / name, overwrite=True)
    assert sorted(os.listdir(tmp_path)) == ["file", "model"]


def test_a_replacement_that_was_killed_between_its_two_renames_is_undone(tmp_path):
    save_model(trained_model(), tmp_path / "model")
    (tmp_path / "model").rename(tmp_path / ".model.previous")
    with pytest.raises(FileExistsError, match="model exists"):
        save_model(trained_model(seed=1), tmp_path / "model")
    assert os.listdir(tmp_path) == ["model"] and read_model(tmp_path / "model").step == 7


def test_a_folder_that_cannot_be_written_is_one_line_and_leaves_nothing(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match=r"file/model cannot be written: ") as raised:
        save_model(trained_model(), tmp_path / "file" / "model")
    assert "\n" not in str(raised.value) and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize(
    ("value", "dtype", "message"),
    [
        (np.nan, "float32", "the model cannot be saved; NaN or infinite: c3/bias"),
        (-np.inf, "float16", "the model cannot be saved; NaN or infinite: c3/bias"),
        (7e4, "float16", "c3/bias has values beyond the range of float16; dtype float32 holds them"),
        (0.0, "float64", "dtype must be one of float32, float16, not 'float64'"),
    ],
)
def test_weights_that_the_file_cannot_hold_are_named(value, dtype, message, tmp_path):
    loaded = trained_model()
    loaded.model.get_layer("c3").bias.assign([0, 0, value, 0])
    with pytest.raises(ValueError) as raised:
        save_model(loaded, tmp_path / "model", dtype=dtype)
    assert str(raised.value) == message and not os.listdir(tmp_path)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_names_of_weights_do_not_depend_on_what_was_built_before(variant):
    name, arguments, *_ = VARIANTS[variant]
    arguments = {key: value for key, value in arguments.items() if key not in ("num_classes", "output_stride")}
    spec = dataclasses.replace(FCN, head=part(name, **arguments), bottleneck=None, auxiliary={"filters": 4})
    first, second = (named_weights(build_model(spec, 3)) for _ in range(2))
    assert list(first) == list(second) and [w.shape for w in first.values()] == [w.shape for w in second.values()]


def write(folder, content=None, tensors=None):
    """Replaces a model's files, the checksum as well."""
    path = folder / MODEL_FILE
    content = content or json.loads(path.read_text(encoding="utf-8"))
    if tensors is not None:
        safetensors.numpy.save_file(tensors, folder / WEIGHTS_FILE)
        content["weights"]["sha256"] = hashlib.sha256((folder / WEIGHTS_FILE).read_bytes()).hexdigest()
    path.write_text(json.dumps(content), encoding="utf-8")


def truncated(folder):
    path = folder / WEIGHTS_FILE
    path.write_bytes(path.read_bytes()[:-3])


def with_tensors(**changes):
    def damage(folder):
        tensors = {**safetensors.numpy.load_file(folder / WEIGHTS_FILE), **changes}
        write(folder, tensors={name: value for name, value in tensors.items() if value is not None})

    return damage


def with_field(*path, value):
    def damage(folder):
        content = json.loads((folder / MODEL_FILE).read_text(encoding="utf-8"))
        place = content
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        write(folder, content)

    return damage


def with_bytes(name, content):
    return lambda folder: (folder / name).write_bytes(content)


LAMBDA = {"class_name": "Lambda", "config": {"function": ["4wEAAAA=\n", None, None], "function_type": "lambda"}}
DAMAGES = {
    "no model.json": (lambda folder: (folder / MODEL_FILE).unlink(), "model.json is missing"),
    "no weights": (lambda folder: (folder / WEIGHTS_FILE).unlink(), "holds no whole model: weights.safetensors is mi"),
    "truncated weights": (truncated, r"weights.safetensors does not have the checksum in model\.json: it is damaged"),
    "weights that are none": (with_bytes(WEIGHTS_FILE, b"page not found"), "does not have the checksum"),
    "another checksum": (with_field("weights", "sha256", value="00"), "does not have the checksum"),
    "no checksum": (with_field("weights", value={}), r"'weights' of .*model\.json has no 'sha256'"),
    "no object": (with_bytes(MODEL_FILE, b"[1, 2]"), r"model\.json holds no JSON object, but \[1, 2\]"),
    "no JSON": (with_bytes(MODEL_FILE, b"{"), r"model\.json is not valid JSON"),
    "empty": (with_bytes(MODEL_FILE, b"{}"), r"model\.json has no 'format'"),
    "a later format": (with_field("format", value=2), "is of format 2, and this version reads 1; update deeplab-ksac"),
    "no format": (with_field("format", value="one"), "has 'one' as 'format', which must be 1"),
    "a color": (with_field("classes", 1, "color", value=[1, 2, 256]), r"class 1 of .* has \[1, 2, 256\] as 'color'"),
    "a class twice": (with_field("classes", 1, "name", value="sky"), "class names appear more than once: sky"),
    "no classes": (with_field("classes", value=[]), "which must be a list of one or more objects"),
    "another class": (with_field("classes", value=[{"name": "a", "color": [1, 2, 3]}]), "misshapen: classifier/"),
    "a step": (with_field("step", value=-1), "has -1 as 'step', which must be a number of steps"),
    "a field": (with_field("experiment", "modell", value=1), r"experiment\.modell is not a field of Experiment"),
    "an unknown head": (with_field("experiment", "model", "head", "name", value="fnc"), "did you mean 'fcn'"),
    "other sizes": (
        with_field("experiment", "model", "head", "args", "filters", value=5),
        r"than that in .*model\.json",
    ),
    "a text for a size": (with_field("experiment", "model", "head", "args", "filters", value="x"), "cannot be used: "),
    "views": (with_field("experiment", "evaluation", "views", "scales", value=[-1]), "scales must be"),
    "code": (
        with_field("experiment", "model", "head", "args", "norm", value=LAMBDA),
        r"experiment\.model\.head\.args\.norm names a class to be made",
    ),
    "depth": (
        lambda folder: (
            with_field("experiment", "model", "head", "args", "filters", value="?")(folder)
            or (folder / MODEL_FILE).write_text((folder / MODEL_FILE).read_text().replace('"?"', "[" * 900 + "]" * 900))
        ),
        # how deep JSON is read depends on Python; where it is read, the value is no size
        r"model\.json (cannot be used: (maximum recursion|model\.head: filters must)|is not valid JSON: it is nested)",
    ),
    "NaN": (with_tensors(**{"c3/bias": np.full(4, np.nan, "float32")}), "cannot be used; NaN or infinite: c3/bias"),
    "a missing weight": (with_tensors(**{"c3/bias": None}), r"other than that in .*; missing: c3/bias"),
    "one too many": (with_tensors(extra=np.zeros(3, "float32")), "; unused: extra"),
    "whole numbers": (with_tensors(**{"c3/bias": np.zeros(4, "int32")}), "c3/bias I32"),
    "a card": (with_bytes(CARD_FILE, b"\xff\xfe"), r"README\.md is no UTF-8 text"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_folder_is_one_line(damage, tmp_path):
    save_model(trained_model(), tmp_path / "model")
    break_it, message = DAMAGES[damage]
    break_it(tmp_path / "model")
    with pytest.raises((OSError, ValueError), match=message) as raised:
        read_model(tmp_path / "model")
    assert "\n" not in str(raised.value) and str(tmp_path) in str(raised.value)
    assert len(str(raised.value)) < 3000
