"""Where an exported model goes: it is there whole or not at all, and its class names are beside it."""

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets.info import DatasetInfo, bands_fields
from deeplab_ksac.literal_paths import PATTERN, temporary_folder
from deeplab_ksac.storage import Place, absolute, is_remote, place
from deeplab_ksac.storage.copies import upload, upload_folder
from deeplab_ksac.whole_files import (
    check_file_writable,
    partial_path,
    recover_replaced,
    remove,
    remove_partial,
    replaced_path,
    unwritable,
    write_whole,
)

FILE_SUFFIXES = (".tflite", ".onnx")
SAVED_MODEL = ("saved_model.pb",)  # by which of its files a folder is known
PAGE = ("index.html", "model.onnx", "classes.json")


@dataclasses.dataclass(frozen=True)
class Target:
    """Where a model goes, `path`, and where on this machine it is written before that, `partial`."""

    path: Place
    partial: Path


@contextlib.contextmanager
def export_target(
    path: str | os.PathLike, *, info: DatasetInfo, model: keras.Model, overwrite: bool = False
) -> Iterator[Target]:
    """Yields a `Target`: what is written to its `partial` becomes `path` when all went well and vanishes otherwise.

    Args:
        path: a file, or the folder of a SavedModel or a page. Folders above it are made. In an object store the
            file by which the folder is known is put last, and a folder that is there is not replaced.
        info: the `DatasetInfo` that the model was trained on.
        model: what is exported.
        overwrite: whether an exported model at `path` may be replaced.

    Raises:
        FileExistsError: `path` exists, or beside it the list of another model's classes, without `overwrite`; or with
            it, if `path` is nothing that was exported.
        OSError: something cannot be written; the message names `path`.
        ValueError: the model and `info` differ in the number of classes.
    """
    path = absolute(path)
    recover_replaced(path)
    check_free(path, overwrite)
    num_classes = model.output["logits"].shape[-1]
    if num_classes != info.num_classes:
        raise ValueError(f"the model has {num_classes} classes, but {info.name} has {info.num_classes}")
    if path.suffix in FILE_SUFFIXES:
        check_file_writable(classes_file(path))
        if not overwrite:
            _check_classes_stay(path, info)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_partial(path.parent, [path.name, classes_file(path).name])
    with contextlib.ExitStack() as stack:
        if is_remote(path):
            partial = Path(stack.enter_context(temporary_folder("export_")), path.name)
        else:
            partial = partial_path(path, path.suffix)
        stack.callback(remove, partial)
        try:
            yield Target(path, partial)
            if partial.is_dir():
                _write_classes(classes_file(partial), info)
            else:  # first, so that no model is there without its list
                _write_classes(classes_file(path), info)
            if not is_remote(path):
                replace(path, partial)
            elif partial.is_dir():
                upload_folder(partial, path, last=(*PAGE[:1], *SAVED_MODEL))
            else:
                upload(partial, path)
        except OSError as error:
            raise unwritable(path, error) from error


def check_free(path: str | os.PathLike, overwrite: bool) -> None:
    """Raises FileExistsError if `path` exists, unless it may be overwritten and is an exported model."""
    path = place(path)
    if not (path.is_symlink() or path.exists()):
        return
    if not overwrite:
        raise FileExistsError(f"{path} exists; choose another output, or allow overwriting (--overwrite)")
    if is_remote(path) and path.is_dir():
        raise FileExistsError(
            f"{path} exists, and in an object store no folder can be replaced at once; remove it first, or choose "
            "another output"
        )
    if not (path.is_file() if path.suffix in FILE_SUFFIXES else _holds(path, SAVED_MODEL) or _holds(path, PAGE)):
        raise FileExistsError(
            f"{path} exists and is not a SavedModel or a page that was exported, so it is not overwritten; choose "
            "another output"
        )


def _check_classes_stay(path, info):
    """Raises FileExistsError if the list of classes is another model's: of `net.onnx`, where `net.tflite` is to be."""
    listed = classes_file(path)
    if listed.exists() and listed.read_bytes() != _encoded_classes(info):
        raise FileExistsError(
            f"{listed} exists and does not say what it would say of {path.name}, so it is another model's; choose "
            "another output, or allow overwriting (--overwrite)"
        )


def _holds(folder, names):
    return all((folder / name).is_file() for name in names)


def check_loadable(path: str | os.PathLike) -> None:
    """Raises ValueError if the path of a SavedModel has what TensorFlow takes for a pattern."""
    path = str(absolute(path))
    if found := PATTERN.search(path):
        raise ValueError(
            f"{path} has {found[0]!r} in it, which TensorFlow takes for a pattern, so it could load no SavedModel from "
            "there; choose another output"
        )


def require_suffix(path: str | os.PathLike, suffix: str) -> None:
    """Raises ValueError unless `path` ends in `suffix`."""
    if place(path).suffix != suffix:
        raise ValueError(f"{path} must end in {suffix}")


def refuse_suffixes(path: str | os.PathLike, what: str = "a SavedModel") -> None:
    """Raises ValueError if the folder of `what` would have the name of a file of another form."""
    suffix = place(path).suffix.lower()
    if suffix in FILE_SUFFIXES:
        raise ValueError(f"{path} would be the folder of {what}; for a file, --format={suffix[1:]}")


def classes_file(path: Place) -> Place:
    """The JSON file with names and colors of an exported model's classes; SavedModels keep it with their extras."""
    if not path.is_dir():
        return path.with_suffix(".classes.json")
    return path / "assets.extra" / "classes.json" if _holds(path, SAVED_MODEL) else path / "classes.json"


def class_list(info: DatasetInfo) -> dict:
    """What an exported model says of its classes: name, number, names and colors, as JSON takes them."""
    return {
        "name": info.name,
        "num_classes": int(info.num_classes),
        "class_names": list(info.class_names),
        "colors": [[int(value) for value in color] for color in info.colors],
        **bands_fields(info.bands),
    }


def _write_classes(path, info):
    path.parent.mkdir(exist_ok=True)
    write_whole(path, _encoded_classes(info))


def _encoded_classes(info):
    return f"{json.dumps(class_list(info), indent=1, ensure_ascii=False)}\n".encode()


def replace(path: Path, new: Path) -> None:
    """Puts the file or folder `new` at `path`; what was there is moved aside first and removed last."""
    old = replaced_path(path)
    with contextlib.suppress(FileNotFoundError):
        path.rename(old)
    try:
        new.rename(path)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            old.rename(path)
        raise
    remove(old)
