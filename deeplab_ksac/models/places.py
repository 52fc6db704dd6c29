"""Where a trained model is: a run's folder, a saved model's, one that comes with this package, or Hugging Face's."""

import dataclasses
import os
import pathlib

from deeplab_ksac import storage
from deeplab_ksac.datasets.info import did_you_mean
from deeplab_ksac.errors import printable
from deeplab_ksac.models import SHIPPED, hub
from deeplab_ksac.models.files import MODEL_FILE
from deeplab_ksac.runs.workdir import EXPERIMENT_FILE


@dataclasses.dataclass(frozen=True)
class Place:
    """A folder with a trained model.

    Attributes:
        source: how it was named.
        folder: its path.
        is_run: whether it is a training run's, with checkpoints, and not a saved model's.
        allow_code: whether code of its own may be run, where a saved model has some; a run's is run in any case.
    """

    source: str
    folder: storage.Place
    is_run: bool = False
    allow_code: bool = False


def find(source: str | os.PathLike | Place) -> Place:
    """Where the model is that a text names; nothing of it is read, and TensorFlow is not loaded.

    Args:
        source: "hf://user/name" or "hf://user/name@revision", which is fetched; the name of a model that comes with
            this package, a key of `SHIPPED`; or the path of a folder, which is a saved model's where it has a
            model.json, and else a run's; it may be an address in an object store. A `pathlib.Path` is always a folder.

    Raises:
        FileNotFoundError: there is no such folder and no such name, or no model in the folder.
        ValueError: a name that is of both a model that comes with this package and a folder with another.
        OSError: it cannot be fetched.
    """
    if isinstance(source, Place):
        return source
    text = os.fspath(source)
    if isinstance(source, str) and hub.is_address(source):
        return Place(source, hub.fetched(source))
    folder = storage.place(source)
    there = [name for name in (MODEL_FILE, EXPERIMENT_FILE) if text and (folder / name).is_file()]
    if isinstance(source, str) and source in SHIPPED:
        shipped = pathlib.Path(__file__).parent / SHIPPED[source]
        if there and not os.path.samefile(folder, shipped):
            raise ValueError(
                f"{source} is a model that comes with this package, and a folder here that holds another; "
                f"{os.path.join('.', source)} is the folder, and from elsewhere the name is the former"
            )
        return Place(source, shipped)
    if there:
        return Place(text, folder, is_run=MODEL_FILE not in there)
    if text and folder.is_dir():
        raise FileNotFoundError(
            f"{text} holds no trained model: neither the {MODEL_FILE} of a saved one nor the {EXPERIMENT_FILE} of a "
            "training run"
        )
    raise FileNotFoundError(
        f"{printable(text) or 'an empty text'} is neither a folder nor the name of a model; those that come with this "
        f"package are {', '.join(SHIPPED)}{did_you_mean(text, SHIPPED)}"
    )
