"""The files of a saved model, and where they may be written."""

import os
import pathlib

from deeplab_ksac.own_files import FOLDER

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
    folder = pathlib.Path(folder)
    if not os.path.lexists(folder):
        return
    if not overwrite:
        raise FileExistsError(f"{folder} exists; choose another folder, or allow overwriting (--overwrite)")
    if not folder.is_dir():
        raise FileExistsError(f"{folder} is no folder; choose another place")
    others = sorted({path.name for path in folder.iterdir()} - {*FILES, FOLDER})
    if others:
        raise FileExistsError(f"{folder} holds more than a saved model ({others[0]}); choose another folder")
