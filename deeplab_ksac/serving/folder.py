"""Files segmented by a server: read here, sent several at a time, and written as predictions are."""

import contextlib
import io
import os
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from PIL import Image

from deeplab_ksac.datasets.pixels import opened, orientation
from deeplab_ksac.prediction import files as written
from deeplab_ksac.prediction.frames import Frame, Summary, failing_alone, failures_told, read_frames
from deeplab_ksac.prediction.images import count_pictures
from deeplab_ksac.prediction.prefetch import WriteBehind
from deeplab_ksac.serving.client import Client
from deeplab_ksac.serving.failures import PictureError
from deeplab_ksac.storage import place
from deeplab_ksac.whole_files import remove_partial

CONCURRENCY = 4
KINDS = ("index", "color", "overlay")
READ_WHEN_NEEDED = 2**24  # pixels of a picture that is not read ahead
SENT_AS_THEY_ARE = ("JPEG", "MPO", "PNG")


def check_kinds(kinds: Iterable[str]) -> tuple[str, ...]:
    """`kinds` as a tuple.

    Raises:
        ValueError: for one that a server's classes do not give, or none.
    """
    kinds = tuple(kinds)
    if not kinds or not set(kinds) <= set(KINDS):
        raise ValueError(f"kinds must be of {', '.join(KINDS)}, not {','.join(kinds)!r}")
    return kinds


def segment_files(
    client: Client,
    paths: Iterable[str | os.PathLike],
    output_dir: str | os.PathLike,
    *,
    kinds: Sequence[str] = written.USUAL_KINDS,
    style: written.Style | None = None,
    upright: bool = True,
    concurrency: int = CONCURRENCY,
    progress: Callable | None = None,
) -> Summary:
    """Writes the chosen kinds of every picture of the files, under the names that `predict_files` gives them.

    A file that cannot be read or segmented does not stop the rest: the summary names it. A server that is gone does.

    Args:
        client: of the server.
        paths: the image and video files, as `find_images` finds them.
        output_dir: gets a folder for each kind; what is there of the same name is overwritten.
        kinds: of `KINDS`.
        style: how the classes are shown; by default with the colors of the server's model.
        upright: whether photographs are turned by their EXIF orientation.
        concurrency: requests that are under way at a time.
        progress: (total, label) -> an object with `total`, `update(n, **shown)` and `close()`; None shows nothing.

    Raises:
        ValueError: for kinds that there are not.
        ServerError: the server or the model cannot be used.
        OSError: the folder cannot be written to.
    """
    paths, output_dir, kinds = list(map(place, paths)), place(output_dir), check_kinds(kinds)
    style = style or written.Style(client.info)
    for kind in kinds:
        (output_dir / kind).mkdir(parents=True, exist_ok=True)
        remove_partial(output_dir / kind)

    def segment(frame):
        try:
            content = encoded(frame, upright=upright)
        except Exception as error:  # the file, which has been read once, is gone
            summary.fail(frame.path, error)
            return
        with failing_alone(summary, frame.path):
            classes = client.segment(content, upright=upright)
            _check(classes, frame, style.info)
            written.write_result(output_dir, frame.name, frame.pixels, {"classes": classes}, kinds, style)
            summary.add(classes)

    with contextlib.ExitStack() as stack:
        total = sum(map(count_pictures, paths))
        shown = progress and stack.enter_context(contextlib.closing(progress(total, "segment")))
        summary = Summary(style.info, shown)
        stack.enter_context(failures_told(summary))
        sender = stack.enter_context(WriteBehind(threads=concurrency, ahead=2 * concurrency))
        for frame in read_frames(paths, summary, max_pixels=READ_WHEN_NEEDED, upright=upright):
            sender.submit(segment, frame)
        sender.finish()
    return summary


def _check(classes, frame, info):
    """Raises PictureError for classes that are not of the picture, or not of the model's list."""
    if classes.shape != frame.pixels.shape[:2]:
        sizes = ("×".join(map(str, shape[1::-1])) for shape in (classes.shape, frame.pixels.shape))
        raise PictureError("the server's answer is of {} pixels, the picture of {}".format(*sizes))
    if (largest := classes.max()) >= info.num_classes:
        raise PictureError(f"the server's answer has the class {largest}, its list only {info.num_classes} classes")


def encoded(frame: Frame, *, upright: bool) -> bytes:
    """What is sent of a picture: its file where the server reads that to the same pixels, else a PNG of the pixels."""
    if frame.number is None:
        with opened(frame.path) as image:
            # Pillow also heeds an orientation that is in XMP alone
            if image.format in SENT_AS_THEY_ARE and (not upright or orientation(image) == _in_exif(image)):
                return frame.path.read_bytes()
    buffer = io.BytesIO()
    Image.fromarray(np.asarray(frame.pixels)).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _in_exif(image):
    """The orientation in an open picture's EXIF block; 1 where there is none."""
    tags = Image.Exif()
    try:
        tags.load(image.info.get("exif", b""))
    except Exception:  # what cannot be parsed turns nothing
        return 1
    found = tags.get(0x0112, 1)
    return found if found in range(2, 9) else 1
