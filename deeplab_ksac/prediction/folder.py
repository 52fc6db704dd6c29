"""From files to frames to results that are written."""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from deeplab_ksac.prediction import files as written
from deeplab_ksac.prediction import images as image_files
from deeplab_ksac.prediction.frames import Frame, Summary, failing_alone, failures_told, read_frames
from deeplab_ksac.prediction.predictor import Predictor
from deeplab_ksac.prediction.prefetch import AHEAD, WriteBehind, batches_by_size
from deeplab_ksac.storage import Place, place
from deeplab_ksac.whole_files import remove_partial

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
) -> Summary:
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
        ValueError: for kinds that there are not; no style, and a predictor without `info`.
        OSError: the folder cannot be written to.
    """
    paths, output_dir, kinds = list(map(place, paths)), place(output_dir), written.check_kinds(kinds)
    if style is None and predictor.info is None:
        raise ValueError("the predictor has no names and colors of classes; give a style, or make it with info=…")
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


def predict_batch(
    predictor: Predictor,
    batch: Sequence[Frame],
    output_dir: Place,
    kinds: Sequence[str],
    style: written.Style,
    *,
    summary: Summary,
    writer: WriteBehind,
) -> None:
    """Predicts frames of one size and hands their results to the writer; where that fails, one by one.

    Raises:
        OSError: the folder cannot be written to.
    """
    height, width = batch[0].pixels.shape[:2]
    if height * width > predictor.max_pixels:
        (frame,) = batch
        with failing_alone(summary, frame.path):
            summary.add(predict_and_write_tiled(predictor, output_dir, frame.name, frame.pixels, kinds, style))
        return
    try:
        results = predictor.predict(np.stack([frame.pixels for frame in batch]), written.outputs_for(kinds))
    except Exception as error:
        if len(batch) == 1:
            summary.fail(batch[0].path, error)
            return
        for frame in batch:
            predict_batch(predictor, [frame], output_dir, kinds, style, summary=summary, writer=writer)
        return

    def write(frame, result):
        with failing_alone(summary, frame.path):
            if "confidence" in result:
                result["confidence"] = written.as_bytes(result["confidence"])
            written.write_result(output_dir, frame.name, frame.pixels, result, kinds, style)
            summary.add(result["classes"])

    for number, frame in enumerate(batch):
        writer.submit(write, frame, {name: values[number] for name, values in results.items()})


def predict_and_write_tiled(
    predictor: Predictor, folder: Place, name: str, image: np.ndarray, kinds: Iterable[str], style: written.Style
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
