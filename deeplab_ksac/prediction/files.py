"""What is written of a prediction: index, color, overlay and confidence as PNGs, probabilities as npz."""

import contextlib
import dataclasses
import io
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.figures import colors as visualization
from deeplab_ksac.figures.bands import as_rgb
from deeplab_ksac.figures.legend import with_legend
from deeplab_ksac.storage import Place, is_remote
from deeplab_ksac.storage.copies import upload
from deeplab_ksac.whole_files import partial_path, unwritable, write_whole

STRIP_ROWS = 1024
NUMBERS = "float16"  # of the probabilities: steps of 1/2048 below 1


@dataclasses.dataclass(frozen=True)
class Style:
    """How predictions are shown.

    Attributes:
        info: names and colors of the classes, and the bands of the pictures.
        opacity: of the classes in the overlay.
        legend: whether the classes that occur are named below the overlay.
    """

    info: DatasetInfo
    opacity: float = 0.5
    legend: bool = False


def index(image: np.ndarray, result: Mapping, style: Style) -> Image.Image:
    """The class as pixel value, its color in the palette."""
    return visualization.index_image(result["classes"], style.info.colors)


def color(image: np.ndarray, result: Mapping, style: Style) -> np.ndarray:
    """The classes in their colors."""
    return visualization.colorize(result["classes"], style.info.colors)


def overlay(image: np.ndarray, result: Mapping, style: Style) -> np.ndarray:
    """The classes laid over the image; in strips, since the arithmetic takes 40 bytes a pixel."""
    picture = np.empty([*image.shape[:2], 3], np.uint8)
    for top in range(0, len(image), STRIP_ROWS):
        strip = slice(top, top + STRIP_ROWS)
        classes, shown = result["classes"][strip], as_rgb(image[strip], style.info.bands)
        picture[strip] = visualization.overlay(shown, classes, style.info.colors, style.opacity)
    if not style.legend:
        return picture
    occurring = np.flatnonzero(np.bincount(result["classes"].ravel(), minlength=len(style.info.colors)))
    names, colors = ([values[k] for k in occurring] for values in (style.info.class_names, style.info.colors))
    return with_legend(picture, names, colors)


def confidence(image: np.ndarray, result: Mapping, style: Style) -> np.ndarray:
    """The probability of the most likely class, 0 … 255."""
    return result["confidence"]


PICTURES = {"index": index, "color": color, "overlay": overlay, "confidence": confidence}
KINDS = (*PICTURES, "probabilities")
USUAL_KINDS = ("index", "color", "overlay")
SUFFIXES = {**dict.fromkeys(PICTURES, ".png"), "probabilities": ".npz"}


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """`kinds` as a tuple.

    Raises:
        ValueError: for one that does not exist, or none.
    """
    kinds = tuple(kinds)
    if not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds must be of {', '.join(KINDS)}, not {','.join(kinds)!r}")
    return kinds


def check_output(folder: Place, kinds: Iterable[str], *, overwrite: bool = False) -> None:
    """Raises FileExistsError if `folder` is a file, or already holds predictions that may not be overwritten."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is not a folder; name another place for the predictions")
    held = [kind for kind in kinds if (folder / kind).is_dir() and any((folder / kind).iterdir())]
    if held and not overwrite:
        raise FileExistsError(
            f"{folder} already holds predictions ({', '.join(held)}); name another folder or ask for them to be "
            "overwritten"
        )


def outputs_for(kinds: Iterable[str]) -> tuple[str, ...]:
    """The outputs of a `Predictor` that these kinds need."""
    return ("classes", *(output for output in ("confidence", "probabilities") if output in kinds))


def write_result(
    folder: Place, name: str, image: np.ndarray, result: Mapping, kinds: Iterable[str], style: Style
) -> None:
    """Writes an image's result, {output: array [H, W, …]}, as `<folder>/<kind>/<name><suffix>` of each kind."""
    for kind in kinds:
        if kind in PICTURES:
            picture = PICTURES[kind](image, result, style)
            write_whole(folder / kind / f"{name}{SUFFIXES[kind]}", _png(picture))
        elif kind in result:
            buffer = io.BytesIO()
            np.savez(buffer, **{kind: result[kind].astype(NUMBERS), "class_names": np.array(style.info.class_names)})
            write_whole(folder / kind / f"{name}{SUFFIXES[kind]}", buffer.getbuffer())


def as_bytes(probabilities: np.ndarray) -> np.ndarray:
    """Probabilities as uint8 0 … 255, rounded."""
    return np.rint(255 * probabilities).astype(np.uint8)


class ProbabilitiesFile:
    """An npz of probabilities [H, W, K] that is never completely in memory, and exists only once it is finished."""

    def __init__(self, path: Place, size: tuple[int, int], class_names: Iterable[str]):
        self.path, self.shape, self.class_names = path, (*size, len(class_names)), np.array(class_names)
        self._here = tempfile.TemporaryDirectory(prefix="probabilities_") if is_remote(path) else None
        working = path if self._here is None else Path(self._here.name, path.name)
        self._array, self._archive = partial_path(working, ".npy"), partial_path(working, ".npz")

    def put(self, rows: slice, columns: slice, probabilities: np.ndarray) -> None:
        """Writes a tile, row by row.

        Raises:
            OSError: it cannot be written; the message names the file and the reason.
        """
        values, (_, width, classes) = probabilities.astype(NUMBERS), self.shape
        header = {"descr": np.lib.format.dtype_to_descr(values.dtype), "fortran_order": False, "shape": self.shape}
        with self._errors_named():
            self._array.touch()  # and is not mapped, as a full disk would then end the process and not raise
            with self._array.open("r+b") as file:
                np.lib.format.write_array_header_1_0(file, header)
                begin = file.tell()
                for row, line in zip(range(rows.start, rows.stop), values, strict=True):
                    file.seek(begin + (row * width + columns.start) * classes * values.itemsize)
                    file.write(line.tobytes())

    def finish(self) -> None:
        """Puts the array into its archive, and that into its place. Raises OSError as `put`."""
        with self._errors_named():
            with zipfile.ZipFile(self._archive, "w", allowZip64=True) as archive:
                archive.write(self._array, "probabilities.npy")
                with archive.open("class_names.npy", "w") as stream:
                    np.lib.format.write_array(stream, self.class_names)
            if self._here is None:
                self._archive.replace(self.path)
        if self._here is not None:
            upload(self._archive, self.path)

    def discard(self) -> None:
        """Removes what is not finished."""
        for path in (self._array, self._archive):
            path.unlink(missing_ok=True)
        if self._here is not None:
            self._here.cleanup()

    @contextlib.contextmanager
    def _errors_named(self):
        """Inside, an error of the disk names the file, or the one on this machine that goes to an object store."""
        try:
            yield
        except OSError as error:
            raise unwritable(self.path if self._here is None else self._archive, error) from error


def _png(picture):
    buffer = io.BytesIO()
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(buffer, "PNG", compress_level=1)  # level 3 takes 1.7 times as long
    return buffer.getbuffer()
