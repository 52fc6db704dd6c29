"""Image files of every kind: kept, turned, or refused in a line."""

import io
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.pictures import read_picture
from tests import fakes

SIZE = (21, 33)
CODINGS = {
    "baseline": ("jpeg", {"quality": 90}),
    "progressive": ("jpeg", {"quality": 90, "progressive": True}),
    "restarts": ("jpeg", {"quality": 90, "restart_marker_blocks": 1}),
    "png": ("png", {}),
}


def encoded(image, kind, **settings):
    buffer = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


def written(path, *content, **settings):
    pathlib.Path(path).write_bytes(encoded(*content, **settings))
    return path


def decode(content, kind):
    return (tf.io.decode_jpeg if kind == "jpeg" else tf.io.decode_png)(content, channels=3).numpy()


def is_accepted(path, content, shape=SIZE):
    path.write_bytes(content)
    try:
        read_picture(path, shape)
    except DatasetError as error:
        assert path.name in str(error) and "\n" not in str(error)
        return False
    return True


@pytest.mark.parametrize("coding", CODINGS)
def test_a_file_cut_anywhere_is_refused(tmp_path, coding):
    kind, settings = CODINGS[coding]
    whole = encoded(fakes.picture(3, SIZE), kind, **settings)
    for content in (whole, whole + b"what cameras append"):
        assert is_accepted(tmp_path / "a", content) and decode(content, kind).shape == (*SIZE, 3)
    for length in [*range(0, len(whole) - 30, 7), *range(len(whole) - 30, len(whole))]:
        assert not is_accepted(tmp_path / "a", whole[:length]), f"{length} of {len(whole)} bytes"


def test_a_png_with_one_wrong_bit_is_refused_wherever_it_is(tmp_path):
    whole = encoded(fakes.picture(3, SIZE), "png")
    rng = np.random.default_rng(0)
    for place in [*rng.integers(0, len(whole), 60), len(whole) - 1]:
        damaged = bytearray(whole)
        damaged[place] ^= 1 << rng.integers(8)
        assert not is_accepted(tmp_path / "a", bytes(damaged)), f"bit in byte {place}"


@pytest.mark.parametrize(
    ("mode", "kind"), [("L", "jpeg"), ("CMYK", "jpeg"), ("P", "png"), ("RGBA", "png"), ("1", "png")]
)
def test_every_mode_keeps_its_bytes_and_decodes_to_three_channels(tmp_path, mode, kind):
    path = written(tmp_path / "a", Image.fromarray(fakes.picture(1, SIZE)).convert(mode), kind)
    content, found, size = read_picture(path, SIZE)
    assert (content, found, size) == (path.read_bytes(), kind, SIZE)
    assert decode(content, kind).shape == (*SIZE, 3)


def test_sixteen_bits_are_read_by_their_upper_byte(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, SIZE, dtype=np.uint16)
    content, kind, _ = read_picture(written(tmp_path / "a", values, "png"), SIZE)
    np.testing.assert_array_equal(decode(content, kind), np.repeat((values >> 8)[..., np.newaxis], 3, axis=-1))


def test_sixteen_bits_of_which_eight_are_used_are_refused(tmp_path):
    path = written(tmp_path / "dark.png", np.full(SIZE, 255, np.uint16), "png")
    with pytest.raises(DatasetError, match=r"dark.png has 16 bits a channel and no value above 255"):
        read_picture(path, SIZE)


def rotated(path, kind, orientation, **settings):
    """A picture whose EXIF says how it is to be turned; and the form in which it is shown."""
    image = Image.fromarray(fakes.picture(5, SIZE))
    exif = image.getexif()
    exif[0x0112] = orientation
    written(path, image, kind, exif=exif, **settings)
    return path, np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))


@pytest.mark.parametrize("kind", ["jpeg", "png"])
@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_labels_of_the_turned_size_turn_the_picture(tmp_path, kind, orientation):
    path, shown = rotated(tmp_path / "a", kind, orientation, **({"quality": 95} if kind == "jpeg" else {}))
    content, found, size = read_picture(path, SIZE[::-1])
    assert (found, size) == (kind, SIZE[::-1])
    assert Image.open(io.BytesIO(content)).getexif().get(0x0112, 1) == 1
    difference = np.abs(decode(content, kind).astype(int) - shown).mean()
    # Quality 95 quantizes the coefficients of luminance in steps of 1 to 12: pixels move by less than 2 on average.
    assert difference == 0 if kind == "png" else difference < 2
    stored, _, size = read_picture(path, SIZE)
    assert stored == path.read_bytes() and size == SIZE


def test_where_the_sizes_do_not_tell_the_user_has_to(tmp_path):
    path, shown = rotated(tmp_path / "phone.png", "png", 3)
    with pytest.raises(DatasetError, match=r"phone.png has EXIF orientation 3, .* \(--rotation=stored or"):
        read_picture(path, SIZE)
    assert read_picture(path, SIZE, rotation="stored")[0] == path.read_bytes()
    np.testing.assert_array_equal(decode(read_picture(path, SIZE, rotation="upright")[0], "png"), shown)


def test_a_picture_without_labels_is_never_turned(tmp_path):
    path, _ = rotated(tmp_path / "a.png", "png", 3)
    info = DatasetInfo("tiny", ("a",), ((0, 0, 0),))
    serialized, _ = encoding.encode_example({"id": "a", "image": path, "label": np.full(SIZE, 255, np.uint8)}, info)
    assert tf.train.Example.FromString(serialized).features.feature[encoding.IMAGE].bytes_list.value == [
        path.read_bytes()
    ]
