"""A benchmark's test set predicted and packed as its server takes it."""

import contextlib
import io
import os
import pathlib
import tarfile
import zipfile
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from deeplab_ksac.datasets.submissions import Submission, encode_prediction
from deeplab_ksac.errors import in_one_line
from deeplab_ksac.prediction.images import read_image
from deeplab_ksac.prediction.prefetch import read_ahead
from deeplab_ksac.storage import place
from deeplab_ksac.whole_files import remove_partial, written_here

TAR_SUFFIXES = (".tar.gz", ".tgz")


def check_output(path: str | os.PathLike, *, overwrite: bool = False) -> pathlib.Path:
    """The path of an archive that may be written.

    Raises:
        ValueError: it has no suffix of an archive.
        FileExistsError: it exists and may not be overwritten, or is a folder.
    """
    path = place(path)
    if not path.name.endswith((".zip", *TAR_SUFFIXES)):
        raise ValueError(f"an archive must end with .zip, {' or '.join(TAR_SUFFIXES)}, not {path.name!r}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise FileExistsError(f"{path} exists; name another file or allow to overwrite it (--overwrite)")
    return path


def pack(
    predict: Callable[[np.ndarray], np.ndarray],
    submission: Submission,
    images: Sequence[tuple[str, pathlib.Path]],
    output: str | os.PathLike,
    *,
    progress: Callable[[], None] | None = None,
) -> None:
    """Predicts the images and writes the archive, completely or not at all.

    Args:
        predict: uint8 RGB [H, W, 3] -> classes [H, W], such as a `Predictor`.
        submission: of `datasets.submissions.submission`.
        images: (path in the archive, image path) of each, of `datasets.submissions.find_test_images`.
        output: the archive: .zip, .tar.gz or .tgz.
        progress: called after each image.

    Raises:
        OSError: an image cannot be read.
    """
    output = place(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    remove_partial(output.parent, [output.name])
    with written_here(output) as partial, _opened(partial, output.name) as add:
        for (name, path), pixels in read_ahead(images, lambda image: read_image(image[1], upright=False)):
            try:
                image = pixels.result()
            except (OSError, ValueError) as error:
                raise OSError(f"{path}: {in_one_line(error)}") from error
            add(name, encode_prediction(submission, predict(image)))
            if progress is not None:
                progress()


@contextlib.contextmanager
def _opened(path: pathlib.Path, named: str) -> Iterator[Callable[[str, bytes], None]]:
    """A function (name, bytes) that adds a file to a new archive at `path`, of the kind that `named` ends with."""
    if named.endswith(TAR_SUFFIXES):
        with tarfile.open(path, "w:gz") as archive:

            def add(name, data):
                member = tarfile.TarInfo(name)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))

            yield add
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:  # PNGs are compressed already
            yield archive.writestr
