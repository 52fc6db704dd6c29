"""From files to frames to results that are written, and what is to be said of them at the end."""

import collections
import contextlib
import dataclasses
import errno
import itertools
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.errors import in_one_line, is_input_error, printable
from deeplab_ksac.prediction import files as written
from deeplab_ksac.prediction import images as image_files
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.prediction.prefetch import AHEAD, WriteBehind, batches_by_size, read_ahead
from deeplab_ksac.whole_files import remove_partial

ONE_CLASS = 0.99
NAMED_AT_MOST = 5
AHEAD_OF_PROBABILITIES = 2  # results that wait to be written: these are large


def predict_files(
    predictor: Predictor,
    paths: Iterable[str | os.PathLike],
    output_dir: str | os.PathLike,
    *,
    kinds: Sequence[str] = written.USUAL_KINDS,
    style: written.Style | None = None,
    batch_size: int = 1,
    progress: Callable | None = None,
) -> "Summary":
    """Writes the chosen kinds of every picture of the files; reading, predicting and writing overlap.

    A file that cannot be read or predicted does not stop the rest: the summary names it.

    Args:
        predictor: predicts the pictures; larger ones than its `max_pixels` in tiles.
        paths: the image and video files, as `find_images` finds them.
        output_dir: gets a folder for each kind; what is there of the same name is overwritten.
        kinds: of `files.KINDS`.
        style: how the predictions are shown; by default with the colors of `predictor.info`.
        batch_size: pictures of one size that are predicted at a time.
        progress: (total, label) -> an object with `total`, `update(n, **shown)` and `close()`; None shows nothing.

    Raises:
        ValueError: for kinds that there are not.
        OSError: the folder cannot be written to.
    """
    paths, output_dir, kinds = [Path(path) for path in paths], Path(output_dir), written.check_kinds(kinds)
    style = style or written.Style(predictor.info)
    for kind in kinds:
        (output_dir / kind).mkdir(parents=True, exist_ok=True)
        remove_partial(output_dir / kind)
    ahead = AHEAD_OF_PROBABILITIES if "probabilities" in kinds else AHEAD
    with contextlib.ExitStack() as stack:
        total = sum(map(image_files.count_pictures, paths))
        shown = progress and stack.enter_context(contextlib.closing(progress(total, "predict")))
        writer = stack.enter_context(WriteBehind(ahead=ahead))
        summary = Summary(style.info, shown)
        frames = read_frames(paths, summary, max_pixels=predictor.max_pixels, bands=style.info.bands)
        sizes = {"size_of": lambda frame: frame.pixels.shape[:2], "max_pixels": predictor.max_pixels}
        stack.enter_context(failures_told(summary))
        for batch in batches_by_size(frames, batch_size=batch_size, **sizes):
            predict_batch(predictor, batch, output_dir, kinds, style, summary=summary, writer=writer)
        writer.finish()
    return summary


@contextlib.contextmanager
def failures_told(summary: "Summary") -> Iterator[None]:
    """Inside, an `OSError` that ends the run also says which files had failed before."""
    try:
        yield
    except OSError as error:
        if not summary.failures:
            raise
        failed = "; ".join(f"{path}: {reason}" for path, reason in summary.failures.items())
        raise OSError(f"{in_one_line(error)}; before that, not predicted: {failed}") from error


@dataclasses.dataclass(frozen=True)
class Frame:
    """A picture on its way: the file it is from, the name of what is written of it, its pixels [H, W, C]."""

    path: Path
    name: str
    pixels: np.ndarray


class Summary:
    """What happened to the files of a run; told of it by several threads.

    Attributes:
        failures: {path: reason} of the files that could not be read or predicted completely.
        stored_as: {what: paths} of the files that were not RGB and were predicted as RGB.
        count: of the pictures that were predicted.
        class_pixels: how many pixels were predicted as each class, int64 [K].
    """

    def __init__(self, info: DatasetInfo, progress: Any = None):
        self.info, self.progress, self._lock = info, progress, threading.Lock()
        self.failures, self.stored_as, self.count, self._done = {}, {}, 0, 0
        self.class_pixels = np.zeros(len(info.class_names), np.int64)

    def fail(self, path: Path, error: Exception) -> None:
        """A file is left out, or what is left of it; an error that is no input's is raised again."""
        if not (is_input_error(error) or isinstance(error, MemoryError)):
            raise error
        with self._lock:
            self.failures[path] = in_one_line(error)
            self._advance()

    def add(self, classes: np.ndarray) -> None:
        """A picture is predicted."""
        pixels = np.bincount(classes.ravel(), minlength=len(self.class_pixels))
        with self._lock:
            self.class_pixels += pixels
            self.count += 1
            self._advance()

    def lines(self) -> Iterator[str]:
        """What is to be said at the end, line by line."""
        for what, paths in self.stored_as.items():
            names = ", ".join(printable(str(path)) for path in paths[:NAMED_AT_MOST])
            more = f" and {len(paths) - NAMED_AT_MOST} more" if len(paths) > NAMED_AT_MOST else ""
            yield f"read as RGB: {len(paths)} {what} ({names}{more})"
        yield from (f"not predicted: {printable(str(path))}: {reason}" for path, reason in self.failures.items())
        warning = one_class_warning(self.class_pixels, self.info.class_names)
        yield from [warning] if warning else []

    def _advance(self):
        """One more; the lock is held."""
        self._done += 1
        if self.progress is not None:
            self.progress.total = max(self.progress.total, self._done)  # a video may have more than it says
            self.progress.update(1, failed=len(self.failures))


def one_class_warning(class_pixels: Sequence[float], class_names: Sequence[str]) -> str:
    """A sentence where over 99 % of all pixels were predicted as one class, else ""."""
    total = np.sum(class_pixels)
    largest = int(np.argmax(class_pixels))
    if total == 0 or class_pixels[largest] <= ONE_CLASS * total:
        return ""
    return (
        f"warning: {class_pixels[largest] / total:.1%} of all pixels were predicted as {class_names[largest]!r}; "
        "perhaps the model was hardly trained, or on other pictures"
    )


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A name for each file, without suffix, no two the same (nor on a file system that ignores case).

    The stem where it is alone; else with the folder before it, the suffix behind it, or a number, as needed.
    """
    forms = []
    for number, path in enumerate(paths):
        folder = path.resolve().parent.name
        long = f"{folder}_{path.name}".replace(".", "_")
        forms.append((path.stem, f"{folder}_{path.stem}", long, f"{number}_{path.stem}"))
    level = [0] * len(paths)
    while True:
        names = [form[i] for form, i in zip(forms, level, strict=True)]
        count = collections.Counter(name.lower() for name in names)
        twice = [i for i, name in enumerate(names) if count[name.lower()] > 1 and level[i] < 3]
        if not twice:
            return names
        for i in twice:
            level[i] += 1


def read_frames(paths: Sequence[Path], summary: Summary, *, max_pixels: int, bands: Bands = RGB) -> Iterator[Frame]:
    """Yields the `Frame`s of image and video files in order, read ahead; what cannot be read goes to the summary.

    Args:
        paths: of the files.
        summary: collects failures and pictures that were not RGB.
        max_pixels: larger images are not decoded before it is their turn, so that only one is in memory.
        bands: of the pictures; of others than RGB the size is not known before they are decoded.
    """

    def begin(path_and_name):
        path, _ = path_and_name
        pictures = image_files.read_pictures(path, bands)
        if bands.is_rgb and image_files.count_pixels(path) > max_pixels:
            return pictures
        return itertools.chain([next(pictures)], pictures)

    for (path, name), begun in read_ahead(zip(paths, distinct_names(paths), strict=True), begin):
        try:
            for picture in begun.result():
                if picture.stored_as and not picture.number:
                    summary.stored_as.setdefault(picture.stored_as, []).append(path)
                number = "" if picture.number is None else f"_{picture.number:06d}"
                yield Frame(path, name + number, picture.pixels)
        except Exception as error:
            summary.fail(path, error)


def predict_batch(
    predictor: Predictor,
    batch: Sequence[Frame],
    output_dir: Path,
    kinds: Sequence[str],
    style: written.Style,
    *,
    summary: Summary,
    writer: WriteBehind,
) -> None:
    """Predicts frames of one size and hands their results to the writer; where that fails, one by one."""
    height, width = batch[0].pixels.shape[:2]
    try:
        if height * width > predictor.max_pixels:
            (frame,) = batch
            arguments = (output_dir, frame.name, frame.pixels, kinds, style)
            summary.add(predict_and_write_tiled(predictor, *arguments))
            return
        results = predictor.predict(np.stack([frame.pixels for frame in batch]), written.outputs_for(kinds))
    except Exception as error:
        if len(batch) == 1:
            summary.fail(batch[0].path, error)
            return
        for frame in batch:
            predict_batch(predictor, [frame], output_dir, kinds, style, summary=summary, writer=writer)
        return

    def write(frame, result):
        if "confidence" in result:
            result["confidence"] = written.as_bytes(result["confidence"])
        try:
            written.write_result(output_dir, frame.name, frame.pixels, result, kinds, style)
        except OSError as error:
            if not is_about_the_name(error):
                raise
            summary.fail(frame.path, error)
            return
        summary.add(result["classes"])

    for number, frame in enumerate(batch):
        writer.submit(write, frame, {name: values[number] for name, values in results.items()})


def is_about_the_name(error: OSError) -> bool:
    """Whether one file's name is why it cannot be written, and not the folder or the disk, which concern all."""
    return errno.ENAMETOOLONG in (error.errno, getattr(error.__cause__, "errno", None))


def predict_and_write_tiled(
    predictor: Predictor, folder: Path, name: str, image: np.ndarray, kinds: Iterable[str], style: written.Style
) -> np.ndarray:
    """Predicts a large image tile by tile, the probabilities straight into their file; returns the result's classes."""
    height, width = image.shape[:2]
    whole = [output for output in written.outputs_for(kinds) if output != "probabilities"]
    result = {output: np.empty([height, width], np.uint8) for output in whole}
    file = written.ProbabilitiesFile(folder / "probabilities" / f"{name}.npz", (height, width), style.info.class_names)
    try:
        for rows, columns, values in predictor.tiled(image, written.outputs_for(kinds)):
            result["classes"][rows, columns] = values["classes"]
            if "confidence" in values:
                result["confidence"][rows, columns] = written.as_bytes(values["confidence"])
            if "probabilities" in values:
                file.put(rows, columns, values["probabilities"])
        if "probabilities" in kinds:
            file.finish()
    finally:
        file.discard()
    written.write_result(folder, name, image, result, kinds, style)
    return result["classes"]
