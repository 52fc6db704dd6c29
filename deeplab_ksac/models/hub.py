"""Models and weights on Hugging Face's hub: "hf://user/name", or "hf://user/name@revision".

A revision is a branch, a tag or a commit.
"""

import os
import pathlib
import re
from collections.abc import Iterable

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.models.files import FILES
from deeplab_ksac.own_files import FOLDER

OF_A_MODEL = (*FILES, f"{FOLDER}/*.py")
SCHEME = "hf://"
ADDRESS = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w.-]+(?:/[\w.-]+)*))?", re.ASCII)


def is_address(source: str) -> bool:
    """Whether a text names a model on the hub, rightly or not."""
    return source.startswith(SCHEME)


def fetched(address: str, files: Iterable[str] = OF_A_MODEL) -> pathlib.Path:
    """The folder on this machine with a model's files; what was fetched once is not fetched again.

    What huggingface_hub reads from the environment holds: HF_TOKEN, HF_HOME, HF_HUB_OFFLINE.

    Args:
        address: "hf://user/name" or "hf://user/name@revision".
        files: those of them that are fetched; those of a saved model.

    Raises:
        ValueError: it is no such address.
        OSError: it cannot be fetched, or huggingface_hub is not installed.
    """
    match = ADDRESS.fullmatch(address)
    if match is None or ".." in address:
        raise ValueError(
            f"{address!r} is no model on the hub, which is written hf://user/name or hf://user/name@revision"
        )
    try:
        import huggingface_hub
    except ImportError:
        raise OSError(
            f"{address} is fetched by huggingface_hub, which is not installed: pip install 'deeplab-ksac[hub]'"
        ) from None
    try:
        folder = huggingface_hub.snapshot_download(
            match["repository"], revision=match["revision"], allow_patterns=list(files)
        )
    except Exception as error:  # its own, its HTTP library's and the system's have no base in common
        raise OSError(f"{address} cannot be fetched: {in_one_line(error)}") from error
    return pathlib.Path(os.fspath(folder))
