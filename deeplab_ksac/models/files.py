"""The files of a saved model, and where they may be written."""

import os

from deeplab_ksac.own_files import FOLDER
from deeplab_ksac.storage import is_remote, place

MODEL_FILE = "model.json"  # what the model is: its experiment, its classes, where it comes from
WEIGHTS_FILE = "weights.safetensors"
CARD_FILE = "README.md"  # what people are told of it, if anything
FILES = (MODEL_FILE, WEIGHTS_FILE, CARD_FILE)
DTYPES = ("float32", "float16")  # of the weights


def check_free(folder: str | os.PathLike, *, overwrite: bool = False) -> None:
    """Makes sure that a model may be written to a folder.

    Raises:
        FileExistsError: it exists, without `overwrite`; or with it, if there is more in it than a saved model.
    """
    folder = place(folder)
    if is_remote(folder):
        _check_free_in_a_store(folder)
        return
    if not (folder.is_symlink() or folder.exists()):
        return
    if not overwrite:
        raise FileExistsError(f"{folder} exists; choose another folder, or allow overwriting (--overwrite)")
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is no folder; choose another place")
    others = sorted({path.name for path in folder.iterdir()} - {*FILES, FOLDER})
    if others:
        raise FileExistsError(f"{folder} holds more than a saved model ({others[0]}); choose another folder")


def _check_free_in_a_store(folder):
    """As `check_free`, where no folder can be replaced at once; what a killed save has left is written anew."""
    names = {path.name for path in folder.iterdir()}
    if MODEL_FILE in names:
        raise FileExistsError(
            f"{folder} exists, and in an object store no folder can be replaced at once; remove it first, or choose "
            "another"
        )
    if others := sorted(names - {*FILES, FOLDER}):
        raise FileExistsError(f"{folder} holds more than a saved model ({others[0]}); choose another folder")
