"""Films: read by PyAV where that is installed, refused in words where not."""

import sys

import numpy as np
import pytest

from deeplab_ksac.prediction import films as video
from deeplab_ksac.prediction import images
from deeplab_ksac.prediction.folder import predict_files
from deeplab_ksac.prediction.predictor import Predictor
from tests.deeplab_ksac.fake_model import build_fake_model, fake_info


def write_film(path, count, *, size=(32, 48), title=None):
    """A film of so many frames, its title in Latin-1."""
    av = pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")
    with av.open(str(path), "w", metadata_encoding="latin-1") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv420p"
        if title is not None:
            container.metadata["title"] = stream.metadata["title"] = title
        container.start_encoding()  # which writes the header, also where there is no frame
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(np.full((*size, 3), 40 * number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def test_the_frames_of_a_film_come_in_order(tmp_path):
    path = write_film(tmp_path / "film.mp4", 5)
    pictures = list(images.read_pictures(path))
    assert [picture.number for picture in pictures] == list(range(5))
    for number, picture in enumerate(pictures):
        assert picture.pixels.shape == (32, 48, 3) and picture.pixels.dtype == np.uint8
        assert abs(picture.pixels.astype(int) - 40 * number).max() <= 8  # the codec's rounding
    assert images.count_pictures(path) == 5


def test_what_is_no_film_is_an_error(tmp_path):
    pytest.importorskip("av", reason="PyAV, the extra `video`, is not installed")
    (tmp_path / "a.mp4").write_bytes(b"no film")
    with pytest.raises(OSError):
        list(video.read_video(tmp_path / "a.mp4"))
    assert images.count_pictures(tmp_path / "a.mp4") == 1


@pytest.mark.parametrize("suffix", ["avi", "mkv", "mp4"])
def test_a_film_whose_title_is_no_utf_8_is_read(tmp_path, suffix):
    path = write_film(tmp_path / f"film.{suffix}", 3, title="Un café")
    assert b"caf\xe9" in path.read_bytes()
    assert len(list(video.read_video(path))) == 3 and images.count_pictures(path) == 3


def test_a_film_without_a_frame_is_named_and_the_rest_is_predicted(tmp_path):
    films = [write_film(tmp_path / "none.avi", 0), write_film(tmp_path / "some.avi", 2)]
    with pytest.raises(OSError, match="no frame of the film can be decoded"):
        list(video.read_video(films[0]))
    summary = predict_files(Predictor(build_fake_model(), info=fake_info()), films, tmp_path / "out", kinds=["index"])
    assert summary.failures == {films[0]: "no frame of the film can be decoded"} and summary.count == 2


def test_without_pyav_a_film_is_refused_in_words(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "a.mp4").touch()
    with pytest.raises(OSError, match=r"not installed: pip install 'deeplab-ksac\[video\]'"):
        next(images.read_pictures(tmp_path / "a.mp4"))
