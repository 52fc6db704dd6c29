"""The frames of video files, by PyAV (the extra `video`)."""

import contextlib
import os
from collections.abc import Iterator

import numpy as np

VIDEO_SUFFIXES = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm")


def read_video(path: str | os.PathLike) -> Iterator[np.ndarray]:
    """Yields the frames of a video's first picture stream, upright: uint8 RGB [H, W, 3].

    Raises:
        OSError: if the file cannot be read, has no pictures, or PyAV is not installed.
    """
    with _opened(path) as container:
        frame = None
        for frame in container.decode(container.streams.video[0]):
            turns = round(getattr(frame, "rotation", 0) / 90) % 4  # as a telephone held it
            yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))
        if frame is None:
            raise OSError("no frame of the film can be decoded")


def count_video_frames(path: str | os.PathLike) -> int:
    """The number of frames that the file says it has; 1 where it does not say. Raises OSError as `read_video`."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        if stream.frames:
            return stream.frames
        seconds = (container.duration or 0) / 1e6
        return max(round(seconds * float(stream.average_rate or 0)), 1)


@contextlib.contextmanager
def _opened(path):
    try:
        import av
    except ImportError:
        raise OSError("videos are read by PyAV, which is not installed: pip install 'deeplab-ksac[video]'") from None
    try:
        # titles and the like, which are not used, may be of any encoding
        with av.open(str(path), metadata_errors="ignore") as container:
            if not container.streams.video:
                raise OSError("the file has no video stream")
            yield container
    except (av.error.FFmpegError, ValueError) as error:
        raise OSError(f"{error} ({type(error).__name__})") from error
