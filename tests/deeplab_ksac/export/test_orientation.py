"""EXIF's orientation inside a graph against Pillow's reading of the same files."""

import io
import struct
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import pixels
from deeplab_ksac.export.decoding import decode_shown
from deeplab_ksac.export.orientation import orientation
from tests import fakes

PICTURE = Image.fromarray(fakes.picture(0, (19, 33)))
ORIENTATION, SHORT, LONG, TEXT = 0x0112, 3, 4, 2
ENDS = {"II": "<", "MM": ">"}


def tiff(order, entries, *, at=8, count=None):
    """A TIFF header and a directory of (tag, type, count, value), `at` bytes from the beginning."""
    end = ENDS[order]
    number = {SHORT: f"{end}H2x", LONG: f"{end}I", TEXT: f"{end}I"}
    directory = struct.pack(f"{end}H", len(entries) if count is None else count)
    for tag, kind, values, value in entries:
        directory += struct.pack(f"{end}HHI", tag, kind, values) + struct.pack(number[kind], value)
    return order.encode() + struct.pack(f"{end}HI", 42, at) + bytes(at - 8) + directory + bytes(4)


def jpeg(*segments):
    """A JPEG with segments (marker, content) before its own."""
    buffer = io.BytesIO()
    PICTURE.save(buffer, "jpeg", quality=90)
    content = buffer.getvalue()
    added = b"".join(b"\xff" + bytes([marker]) + struct.pack(">H", len(s) + 2) + s for marker, s in segments)
    return content[:2] + added + content[2:]


def png(block, *, last=False):
    """A PNG with a chunk eXIf, behind its header or behind its pixels."""
    buffer = io.BytesIO()
    PICTURE.save(buffer, "png")
    content = buffer.getvalue()
    chunk = struct.pack(">I", len(block)) + b"eXIf" + block + struct.pack(">I", zlib.crc32(b"eXIf" + block))
    place = len(content) - 12 if last else 33
    return content[:place] + chunk + content[place:]


def exif(block):
    return 0xE1, b"Exif\0\0" + block


def turned(number, order="II", kind=SHORT, values=1, **options):
    return tiff(order, [(0x010F, TEXT, 3, 0), (ORIENTATION, kind, values, number)], **options)


MANY = [(tag, LONG, 1, tag) for tag in range(1, 200)]
FILES = {
    **{f"jpeg {order} {n}": jpeg(exif(turned(n, order))) for order in ENDS for n in range(1, 9)},
    **{f"png {order} {n}": png(turned(n, order)) for order in ENDS for n in range(1, 9)},
    **{f"jpeg, {n} is no orientation": jpeg(exif(turned(n))) for n in (0, 9, 300)},
    **{f"a long number, {order}": jpeg(exif(turned(6, order, LONG))) for order in ENDS},
    "two values": jpeg(exif(turned(6, values=2))),
    "a directory further on": jpeg(exif(turned(6, "MM", at=40))),
    "many entries": jpeg(exif(tiff("MM", [*MANY, (ORIENTATION, SHORT, 1, 5)]))),
    "behind other segments": jpeg((0xE1, b"http://ns.adobe.com/xap/1.0/\0x"), (0xFE, b"hello"), exif(turned(7))),
    "filling bytes": jpeg(exif(turned(3))).replace(b"\xff\xe1", b"\xff\xff\xff\xe1", 1),
    "a comment that looks so": jpeg((0xFE, b"Exif\0\0" + turned(6))),
    "another application's that has it inside": jpeg((0xE2, b"x" + b"Exif\0\0" + turned(6)), exif(turned(8))),
    "no such entry": jpeg(exif(tiff("II", MANY[:3]))),
    "a directory that ends early": jpeg(exif(turned(6, count=9))),
    "a directory that ends before": jpeg(exif(turned(6, count=9)[:-16])),
    "a directory beyond the end": jpeg(exif(struct.pack("<2sHI", b"II", 42, 4000))),
    "no header": jpeg(exif(b"nonsense")),
    "nothing": jpeg(exif(b"")),
    "png, behind the pixels": png(turned(6), last=True),
    "png, with the jpeg's prefix": png(b"Exif\0\0" + turned(6)),
    "jpeg without": jpeg(),
}


@pytest.fixture(scope="module")
def in_graph():
    return tf.function(orientation, [tf.TensorSpec([], tf.string)], autograph=False)


def of_pillow(content):
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        return pixels.orientation(image)


@pytest.mark.filterwarnings("ignore:.*EXIF", "ignore:Metadata")  # Pillow's, of what is cut off
def test_it_is_the_one_that_pillow_finds(in_graph):
    found = {name: (int(in_graph(content)), of_pillow(content)) for name, content in FILES.items()}
    assert {name: pair for name, pair in found.items() if pair[0] != pair[1]} == {}
    assert [found[f"{form} {order} {n}"][0] for form in ("jpeg", "png") for order in ENDS for n in range(1, 9)] == [
        *range(1, 9)
    ] * 4


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xd8\xff", b"\xff" * 3000, b"\xff\xd8\xff\xe1\x00", FILES["png II 6"][:45]]
)
def test_what_is_cut_off_turns_nothing(content, in_graph):
    assert int(in_graph(content)) == 1


@pytest.mark.parametrize("n", range(1, 9))
def test_a_picture_is_turned_as_pillow_turns_it_or_not_at_all(n):
    content = FILES[f"png MM {n}"]
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        np.testing.assert_array_equal(decode_shown(tf.constant(content)), np.asarray(pixels.upright(image)))
        np.testing.assert_array_equal(decode_shown(tf.constant(content), upright=False), np.asarray(image))
