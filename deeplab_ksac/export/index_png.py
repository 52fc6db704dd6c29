"""Label maps as palette PNGs, encoded inside a served graph: what `prediction.files` writes as `index`.

TensorFlow writes gray PNGs alone. A gray one of 8 bits becomes one with a palette by another color type in its header
and a chunk PLTE behind it. Checksums are linear: where one byte of the header changes, its checksum changes by a
constant, whatever the picture's size.
"""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

HEADER_END = 33  # signature, length, name, 13 bytes, checksum
COLOR_TYPE, GRAY, INDEXED = 25, 0, 3
NAMED = slice(12, 29)  # the part of the header that its checksum is of
BYTES = [bytes([value]) for value in range(256)]


def encode_index(classes: tf.Tensor, colors: Sequence[tuple[int, int, int]]) -> tf.Tensor:
    """Classes uint8 [H, W] -> a PNG as a scalar string, the class as pixel value, its color in the palette.

    Args:
        classes: below the number of colors.
        colors: (red, green, blue) of each class, 0…255; at most 256.
    """
    gray = tf.io.encode_png(classes[..., tf.newaxis])
    header = tf.io.decode_raw(tf.strings.substr(gray, 0, HEADER_END), tf.uint8)
    indexed = tf.gather(tf.constant(BYTES), tf.cast(tf.bitwise.bitwise_xor(header, _difference()), tf.int32))
    palette = _chunk(b"PLTE", np.asarray(colors, np.uint8).tobytes())
    pixels = tf.strings.substr(gray, HEADER_END, tf.strings.length(gray) - HEADER_END)
    return tf.strings.join([tf.strings.reduce_join(indexed), tf.constant(palette), pixels])


def _difference():
    """What a gray header and that of a palette picture differ by, uint8 [33]."""
    gray = np.zeros(HEADER_END, np.uint8)
    gray[COLOR_TYPE] = GRAY
    indexed = gray.copy()
    indexed[COLOR_TYPE] = INDEXED
    checksums = (zlib.crc32(header[NAMED].tobytes()) for header in (gray, indexed))
    difference = gray ^ indexed
    difference[NAMED.stop :] = list(struct.pack(">I", next(checksums) ^ next(checksums)))
    return difference


def _chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
