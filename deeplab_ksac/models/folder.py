"""A trained model as a folder: JSON and safetensors, from which it is loaded without the run that trained it.

`model.json` holds

    format       1
    classes      [{"name": "road", "color": [128, 64, 128]}, …], in the order of the logits
    data         {"name", "description", "source"} of the data set
    bands        {"number", "depth", "mean", "deviation"} of its pictures, where they are no RGB (`deeplab_ksac.bands`)
    experiment   all of the `Experiment`; its `model` is what is built, its evaluation's `views` how it sees images
    stage, step  when the weights were taken
    provenance   what else is known of the training, as `runs.checkpoints.load_model` gives it
    weights      {"sha256": checksum of weights.safetensors}

and `weights.safetensors` the model's weights under the names that Keras gives them, "<layer>/…/kernel", in float32 or
float16. A `README.md` is for people: it is kept, and not read. Where parts of the experiment are of one's own, the
files that they come from are in the folder `code` (`own_files`); as they may do anything, they are run only where the
caller allows it.
"""

import contextlib
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping

import numpy as np
import safetensors.numpy
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones.weights import load_tensors
from deeplab_ksac.datasets.info import COLOR, DatasetError, DatasetInfo, bands_fields, bands_of
from deeplab_ksac.datasets.whole_folders import move_into_place, restore_previous
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.experiment import Experiment, from_dict
from deeplab_ksac.json_files import DamagedFileError, Kind, check_fields, is_list_of, is_text, is_whole, read_object
from deeplab_ksac.model import build_model
from deeplab_ksac.models.files import CARD_FILE, DTYPES, MODEL_FILE, WEIGHTS_FILE, check_free
from deeplab_ksac.own_files import own_parts, packed, unpacked
from deeplab_ksac.runs.checkpoints import LoadedModel
from deeplab_ksac.storage import Place, is_remote, place
from deeplab_ksac.storage.copies import on_this_machine
from deeplab_ksac.whole_files import checksum, partial_path, remove, remove_partial, unwritable, write_whole

FORMAT = 1
OBJECT: Kind = ("an object", lambda value: isinstance(value, dict))
FIELDS: Mapping[str, Kind] = {
    "classes": ("a list of one or more objects", lambda value: is_list_of(value, OBJECT[1]) and len(value) > 0),
    "data": OBJECT,
    "experiment": OBJECT,
    "stage": ("the number of a stage", is_whole),
    "step": ("a number of steps", is_whole),
    "provenance": OBJECT,
    "weights": OBJECT,
}
OF_CLASS: Mapping[str, Kind] = {"name": ("text", is_text), "color": COLOR}
OF_DATA: Mapping[str, Kind] = dict.fromkeys(("name", "description", "source"), ("text", is_text))
OF_WEIGHTS: Mapping[str, Kind] = {"sha256": ("text", is_text)}


def save_model(
    loaded: LoadedModel, folder: str | os.PathLike, *, dtype: str = "float32", overwrite: bool = False
) -> Place:
    """Writes a trained model as a folder, whole or not at all: in an object store model.json is written last.

    Args:
        loaded: the model and what it was trained as; its `card` becomes the README.md.
        folder: is made, with those above it.
        dtype: of the weights in the file, one of `DTYPES`. Loaded, they are float32 again; of float16 each is within
            2⁻¹¹ of its value.
        overwrite: whether a saved model in the folder is replaced; without a new card its README.md stays.

    Returns:
        The folder.

    Raises:
        OSError: it exists (`FileExistsError`), or it cannot be written.
        ValueError: another dtype; a weight that is NaN or infinite, or beyond float16's range; a file of one's own that
            is missing.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, not {dtype!r}")
    folder = place(folder) if is_remote(folder) else pathlib.Path(os.path.realpath(folder))
    restore_previous(folder)
    check_free(folder, overwrite=overwrite)
    weights = safetensors.numpy.save(
        {name: _as_stored(name, np.asarray(weight), dtype) for name, weight in named_weights(loaded.model).items()}
    )
    experiment, own = packed(loaded.experiment)
    description = _description(loaded, experiment, hashlib.sha256(weights).hexdigest())
    files = {WEIGHTS_FILE: weights, MODEL_FILE: description, **own}
    card = _read_card(folder / CARD_FILE) if loaded.card is None else loaded.card
    files |= {} if card is None else {CARD_FILE: card}
    remove_partial(folder.parent, [folder.name])
    partial = folder if is_remote(folder) else partial_path(folder)
    try:
        partial.mkdir(parents=True, exist_ok=is_remote(folder))
        for name in sorted(files, key=lambda name: name == MODEL_FILE):  # by which a model is known: the last
            (partial / name).parent.mkdir(exist_ok=True)
            write_whole(partial / name, files[name])
        move_into_place(partial, folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    finally:
        if partial != folder:
            remove(partial)
    return folder


def read_model(folder: str | os.PathLike, *, allow_code: bool = False) -> LoadedModel:
    """The trained model in a folder that `save_model` has written.

    Args:
        folder: the folder.
        allow_code: whether parts that do not come with this package may be loaded: the code of whoever made the model.

    Raises:
        FileNotFoundError: one of its files is missing.
        DamagedFileError: its model.json or README.md is not what it should be.
        ValueError: its weights are damaged, or not those of its model; it has code of its own, which is not allowed.
    """
    folder = place(folder)
    for name in (MODEL_FILE, WEIGHTS_FILE):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} holds no whole model: {name} is missing")
    path = folder / MODEL_FILE
    content = _read_description(path)
    experiment, info = _experiment_of(path, content["experiment"], allow_code), _info_of(path, content)
    card = _read_card(folder / CARD_FILE)
    weights = folder / WEIGHTS_FILE
    with on_this_machine(weights) as here:
        if checksum(here) != content["weights"]["sha256"]:
            raise ValueError(
                f"{weights} does not have the checksum in {MODEL_FILE}: it is damaged, or of another model"
            )
        with _named(path, Exception):  # of a folder from anywhere: it may ask for a model of any sizes and types
            model = build_model(experiment.model, info.num_classes, info.bands, blank=True)
        tensors = [(name, weight, "same") for name, weight in named_weights(model).items()]
        load_tensors(str(here), tensors, network=f"that in {path}")
    return LoadedModel(
        model, experiment, info, content["step"], content["stage"], provenance=content["provenance"], card=card
    )


def read_experiment(folder: str | os.PathLike, *, allow_code: bool = False) -> Experiment:
    """The experiment by which the trained model in a folder was trained; its weights are not read, and no code is run.

    Args:
        folder: the folder.
        allow_code: as `read_model`, for what is made of the experiment.

    Raises:
        FileNotFoundError: model.json is missing.
        DamagedFileError: it is not what it should be.
        ValueError: it has code of its own, which is not allowed.
    """
    path = place(folder) / MODEL_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no whole model: {MODEL_FILE} is missing")
    return _experiment_of(path, _read_description(path)["experiment"], allow_code)


def named_weights(model: keras.Model) -> dict[str, tf.Variable]:
    """A model's weights by the names that they have in a file: "<layer>/…/<variable>", such as "head/conv/kernel"."""
    named = {weight.name.removesuffix(":0"): weight for weight in model.weights}
    if len(named) < len(model.weights):
        names = [weight.name for weight in model.weights]
        raise ValueError(f"two weights of the model are called {next(name for name in names if names.count(name) > 1)}")
    return named


def _as_stored(name, value, dtype):
    """A weight as it is written."""
    if not np.isfinite(value).all():
        raise ValueError(f"the model cannot be saved; NaN or infinite: {name}")
    with np.errstate(over="ignore"):  # what float16 cannot hold becomes infinite
        stored = value.astype(dtype)
    if not np.isfinite(stored).all():
        raise ValueError(f"{name} has values beyond the range of {dtype}; dtype float32 holds them")
    return stored


def _description(loaded, experiment, checksum):
    """The text of model.json."""
    info = loaded.info
    classes = [
        {"name": name, "color": [int(part) for part in color]}
        for name, color in zip(info.class_names, info.colors, strict=True)
    ]
    content = {
        "format": FORMAT,
        "classes": classes,
        "data": {name: getattr(info, name) for name in OF_DATA},
        **bands_fields(info.bands),
        "experiment": experiment,
        "stage": int(loaded.stage),
        "step": int(loaded.step),
        "provenance": dict(loaded.provenance),
        "weights": {"sha256": checksum},
    }
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _read_description(path):
    """The fields of a model.json, each of its type."""
    content = read_object(path)
    form = content.get("format")
    if is_whole(form) and form > FORMAT:
        raise DamagedFileError(f"{path} is of format {form}, and this version reads {FORMAT}; update deeplab-ksac")
    check_fields(path, content, {"format": (str(FORMAT), lambda value: value == FORMAT), **FIELDS}, {})
    check_fields(f"'data' of {path}", content["data"], OF_DATA, {})
    check_fields(f"'weights' of {path}", content["weights"], OF_WEIGHTS, {})
    for number, fields in enumerate(content["classes"]):
        check_fields(f"class {number} of {path}", fields, OF_CLASS, {})
    return content


def _experiment_of(path, fields, allow_code):
    with _named(path, (ValueError, RecursionError)):
        _check_plain(fields, "experiment")
        experiment = from_dict(Experiment, fields, "experiment")
        own = own_parts(experiment)
        if own and not allow_code:
            raise ValueError(
                f"it has code of its own, {own[0]}, which may do anything on this machine; if you trust where the "
                "model is from, allow it (--allow_code)"
            )
        return unpacked(experiment, path.parent)


def _check_plain(value, place):
    """Makes sure that nothing in an experiment is what Keras would make an object of: that may run any code."""
    if isinstance(value, dict):
        if "class_name" in value:
            raise ValueError(f"{place} names a class to be made, which no experiment needs")
        for key, item in value.items():
            _check_plain(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_plain(item, f"{place}[{index}]")


def _info_of(path, content):
    classes = content["classes"]
    try:
        return DatasetInfo(
            class_names=tuple(fields["name"] for fields in classes),
            colors=tuple(tuple(fields["color"]) for fields in classes),
            bands=bands_of(path, content),
            **{name: content["data"][name] for name in OF_DATA},
        )
    except DatasetError as error:
        raise DamagedFileError(f"{path}: {error}") from error


def _read_card(path):
    if not path.is_file():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DamagedFileError(f"{path} is no UTF-8 text: {error.reason} at byte {error.start}") from error


@contextlib.contextmanager
def _named(path, kinds):
    """Inside, an error of what a model.json says has its path."""
    try:
        yield
    except kinds as error:
        raise DamagedFileError(f"{path} cannot be used: {in_one_line(error)}") from error
