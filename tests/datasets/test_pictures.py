"""Image files of every kind: kept, turned, or refused in a line."""

import io
import pathlib
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from deeplab_ksac.datasets import encoding
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.datasets.pictures import read_picture
from deeplab_ksac.datasets.raw import no_labels, shown_size
from tests import fakes

SIZE = (21, 33)
UNCOMPRESSED, DEFLATE = 1, 8  # of TIFF
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


FILMS = {  # what phones append to a photograph; each looks like a marker of JPEG to a search through the whole file
    "scan": b"\0\0\0\x18ftypmp42" + b"\xff\xda\x12\x34" * 3,
    "end and scan": b"\0\0\0\x18ftypmp42\xff\xd9\xff\xda\0\x0c",
    "another picture": encoded(fakes.picture(4, SIZE), "jpeg")[:-2],
}


@pytest.mark.parametrize("film", FILMS)
@pytest.mark.parametrize("coding", ["baseline", "progressive", "restarts"])
def test_what_follows_a_complete_jpeg_is_not_looked_at(tmp_path, coding, film):
    kind, settings = CODINGS[coding]
    whole = encoded(fakes.picture(3, SIZE), kind, **settings)
    assert is_accepted(tmp_path / "a", whole + FILMS[film])
    np.testing.assert_array_equal(decode(whole + FILMS[film], kind), decode(whole, kind))


@pytest.mark.parametrize("coding", ["baseline", "progressive"])
def test_a_jpeg_with_a_preview_in_it_is_refused_wherever_it_is_cut(tmp_path, coding):
    kind, settings = CODINGS[coding]
    preview = encoded(fakes.picture(4, (9, 13)), "jpeg")
    place = b"Exif\0\0" + bytes(20) + preview
    header = b"\xff\xe1" + (len(place) + 2).to_bytes(2, "big") + place
    whole = encoded(fakes.picture(3, SIZE), kind, **settings)
    whole = whole[:2] + header + whole[2:]
    assert is_accepted(tmp_path / "a", whole) and decode(whole, kind).shape == (*SIZE, 3)
    for length in [*range(len(header), len(whole) - 30, 7), *range(len(whole) - 30, len(whole))]:
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


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_twelve_bits_in_sixteen_are_refused_and_not_read_as_black(tmp_path, kind):
    values = np.random.default_rng(0).integers(0, 4096, SIZE, dtype=np.uint16)
    values[3, 4] = 4095
    path = written(tmp_path / "camera", values, kind)
    words = r"camera has 16 bits a channel and no value above 4095, .* nearly black; scale it to 0…65535 or save 8 bits"
    with pytest.raises(DatasetError, match=words):
        read_picture(path, SIZE)
    content, kind, _ = read_picture(written(path, values << 4, kind), SIZE)
    np.testing.assert_array_equal(decode(content, kind)[..., 0], values >> 4)


def tiff_of_twelve_bits(path, values, compression):
    """A gray TIFF of twelve bits a pixel, which nothing here writes: two pixels are three bytes."""
    pairs = values.reshape(-1, 2).tolist()
    pixels = b"".join((a << 12 | b).to_bytes(3, "big") for a, b in pairs)
    pixels = zlib.compress(pixels) if compression == DEFLATE else pixels
    tags = {256: values.shape[1], 257: values.shape[0], 258: 12, 259: compression, 262: 1, 273: 8, 277: 1}
    tags |= {278: values.shape[0], 279: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    path.write_bytes(b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + struct.pack("<H", len(tags)) + entries)
    with path.open("ab") as file:
        file.write(bytes(4))  # there is no further page
    return path


@pytest.mark.parametrize("compression", [UNCOMPRESSED, DEFLATE])
def test_a_tiff_that_states_twelve_bits_is_read_by_the_upper_eight_of_them(tmp_path, compression):
    values = np.random.default_rng(0).integers(0, 4096, (9, 14), dtype=np.uint16)
    path = tiff_of_twelve_bits(tmp_path / "a.tif", values, compression)
    content, kind, size = read_picture(path, values.shape)
    np.testing.assert_array_equal(decode(content, kind), np.repeat((values >> 4)[..., np.newaxis], 3, axis=-1))
    assert size == values.shape
    with pytest.raises(DatasetError, match=r"has 12 bits a channel and no value above 255, .*; scale it to 0…4095"):
        read_picture(tiff_of_twelve_bits(path, values >> 4, compression), values.shape)


def test_sixteen_bits_of_which_0_is_white_are_refused_and_not_read_as_a_negative(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, SIZE, dtype=np.uint16)
    path = deep_tiff(tmp_path / "scan.tif", values, photometric="miniswhite")
    with pytest.raises(DatasetError, match=r"scan.tif has 16 bits a channel of which 0 is white.*; save it with 0 as"):
        read_picture(path, SIZE)
    content, kind, _ = read_picture(deep_tiff(path, (values >> 8).astype(np.uint8), photometric="miniswhite"), SIZE)
    np.testing.assert_array_equal(decode(content, kind)[..., 0], 255 - (values >> 8))


def test_tiffs_of_other_bands_and_large_ones_are_refused_with_the_way_out(tmp_path):
    bands = np.random.default_rng(0).integers(0, 65536, (*SIZE, 4), dtype=np.uint16)
    path = deep_tiff(tmp_path / "satellite.tif", bands, photometric="minisblack", planarconfig="contig")
    with pytest.raises(DatasetError, match=r"do not decode as TIFF, or a TIFF of other bands than RGB, which --chan"):
        read_picture(path, SIZE)
    with pytest.raises(DatasetError, match=r"satellite.tif .* it is a BigTIFF; save it as a plain TIFF"):
        read_picture(deep_tiff(path, bands[..., :3], photometric="rgb", bigtiff=True), SIZE)


def deep_tiff(path, values, **settings):
    """A TIFF of 16 bits a channel, which Pillow cannot write but of gray; the test is skipped without tifffile."""
    pytest.importorskip("tifffile").imwrite(path, values, **settings)
    return path


DARK, OPAQUE = np.full((*SIZE, 3), 255, np.uint16), np.full((*SIZE, 1), 65535, np.uint16)
DARK_TIFFS = {
    "rgb": (DARK, {"photometric": "rgb"}),
    "big-endian": (DARK, {"photometric": "rgb", "byteorder": ">"}),
    "alpha": (np.concatenate([DARK, OPAQUE], -1), {"photometric": "rgb", "extrasamples": ["unassalpha"]}),
    "cmyk": (np.concatenate([DARK, DARK[..., :1]], -1), {"photometric": "separated"}),
}


@pytest.mark.parametrize("kind", DARK_TIFFS)
def test_a_tiff_of_several_channels_of_sixteen_bits_of_which_eight_are_used_is_refused(tmp_path, kind):
    values, settings = DARK_TIFFS[kind]
    path = deep_tiff(tmp_path / "dark.tif", values, **settings)
    with pytest.raises(DatasetError, match=r"dark.tif has 16 bits a channel and no value above 255"):
        read_picture(path, SIZE)
    values = values.copy()
    values[3, 4, 0] = 4096
    content, kind, _ = read_picture(deep_tiff(path, values, **settings), SIZE)
    assert decode(content, kind).shape == (*SIZE, 3)


def test_a_tiff_whose_channels_lie_apart_is_read_rightly_or_refused(tmp_path):
    values = np.random.default_rng(0).integers(0, 65536, (*SIZE, 3), dtype=np.uint16)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    settings = {"photometric": "rgb", "planarconfig": "separate"}
    path = deep_tiff(tmp_path / "planes.tif", planes, **settings)
    with pytest.raises(DatasetError, match=r"planes.tif has 16 bits a channel and each channel by itself.*; save it w"):
        read_picture(path, SIZE)
    shallow = (planes >> 8).astype(np.uint8)
    content, kind, _ = read_picture(deep_tiff(path, shallow, **settings), SIZE)
    np.testing.assert_array_equal(decode(content, kind), values >> 8)


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


TURNS = {  # EXIF: the first row and column of what is stored are these sides of what is seen
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}


def turned_tiff(path, orientation, size=SIZE, **settings):
    """A TIFF, which Pillow turns when it loads it; what it stores, and what it shows."""
    stored = fakes.picture(5, size)
    return written(path, stored, "tiff", tiffinfo={0x0112: orientation}, **settings), stored, TURNS[orientation](stored)


@pytest.mark.parametrize("settings", [{}, {"compression": "tiff_lzw"}], ids=["raw", "compressed"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_tiff_is_turned_or_kept_as_any_other_picture(tmp_path, orientation, settings):
    path, stored, shown = turned_tiff(tmp_path / "a.tif", orientation, **settings)
    if orientation < 5:
        with pytest.raises(DatasetError, match=rf"a.tif has EXIF orientation {orientation}, .* \(--rotation=stored or"):
            read_picture(path, SIZE)
    for expected, rotation in ((stored, "stored"), (shown, "upright")):
        rotation = rotation if orientation < 5 else "refuse"  # the labels' size tells
        content, kind, size = read_picture(path, expected.shape[:2], rotation=rotation)
        assert (kind, size) == ("png", expected.shape[:2])
        np.testing.assert_array_equal(decode(content, kind), expected)


def test_a_square_tiff_that_is_to_be_turned_is_refused(tmp_path):
    path, *_ = turned_tiff(tmp_path / "square.tif", 6, (21, 21))
    with pytest.raises(DatasetError, match=r"square.tif has EXIF orientation 6, .* \(--rotation=stored or"):
        read_picture(path, (21, 21))


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_tools_draw_on_the_shown_size_and_a_picture_without_labels_has_the_stored_one(tmp_path, kind, orientation):
    if kind == "tiff":
        path, *_ = turned_tiff(tmp_path / "a", orientation)
    else:
        path, _ = rotated(tmp_path / "a", kind, orientation)
    assert shown_size(path) == (SIZE if orientation == 3 else SIZE[::-1])
    assert no_labels(path).shape == SIZE


def test_a_tiff_of_several_pages_is_refused_turned_or_not(tmp_path):
    pages = [Image.fromarray(fakes.picture(seed, SIZE)) for seed in range(2)]
    for orientation in (1, 6):
        settings = {"save_all": True, "append_images": pages[1:], "tiffinfo": {0x0112: orientation}}
        with pytest.raises(DatasetError, match=r"pages.tif holds 2 pictures"):
            read_picture(written(tmp_path / "pages.tif", pages[0], "tiff", **settings), SIZE, rotation="stored")


def test_a_picture_without_labels_is_never_turned(tmp_path):
    path, _ = rotated(tmp_path / "a.png", "png", 3)
    info = DatasetInfo("tiny", ("a",), ((0, 0, 0),))
    serialized, _ = encoding.encode_example({"id": "a", "image": path, "label": np.full(SIZE, 255, np.uint8)}, info)
    assert tf.train.Example.FromString(serialized).features.feature[encoding.IMAGE].bytes_list.value == [
        path.read_bytes()
    ]
