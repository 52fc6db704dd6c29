"""Picture files decoded inside a served graph, by the rule of `deeplab_ksac.datasets.pixels`."""

import tensorflow as tf

from deeplab_ksac.datasets.encoding import JPEG_TRANSFORM

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
BIT_DEPTH = 24  # where a PNG's header has it
LOOKED_AT = 2**17  # bytes from the beginning of a file, in which its orientation stands if it has one
# EXIF's first directory, at its usual place, up to the tag 0x0112 with one number of 16 bits; \C is a byte.
BEFORE, ENTRIES = rb"(?s)\A\C*?(?:Exif\x00\x00|eXIf)", rb"\C\C(?:\C{12}){0,60}?"
DIRECTORIES = (
    BEFORE + rb"II\*\x00\x08\x00\x00\x00" + ENTRIES + rb"\x12\x01\x03\x00\x01\x00\x00\x00([\x01-\x08])\C*\z",
    BEFORE + rb"MM\x00\*\x00\x00\x00\x08" + ENTRIES + rb"\x01\x12\x00\x03\x00\x00\x00\x01\x00([\x01-\x08])\C*\z",
)


def decode_shown(content: tf.Tensor) -> tf.Tensor:
    """What a JPEG or PNG file shows: a scalar string -> uint8 RGB [H, W, 3], upright, transparency laid on white.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, for a file of another kind, a damaged one, and 16 bits a channel
            of which the upper eight are all zero.
    """
    is_jpeg = tf.strings.substr(content, 0, len(JPEG)) == JPEG
    is_png = tf.strings.substr(content, 0, len(PNG)) == PNG
    known = tf.debugging.Assert(is_jpeg | is_png, ["image_bytes holds a file that is neither JPEG nor PNG"])
    with tf.control_dependencies([known]):
        image = tf.cond(is_jpeg, lambda: _decode_jpeg(content), lambda: _decode_png(content))
    return _upright(tf.ensure_shape(image, [None, None, 3]), _orientation(content))


def _decode_jpeg(content):
    return tf.io.decode_jpeg(content, channels=3, dct_method=JPEG_TRANSFORM)


def _decode_png(content):
    """uint8 [H, W, 3], on white as Pillow's `alpha_composite` rounds it."""
    decoded = tf.cast(tf.io.decode_png(content, channels=4), tf.int32)
    colors, alpha = decoded[..., :3], decoded[..., 3:]
    bits = tf.cast(tf.io.decode_raw(tf.strings.substr(content, BIT_DEPTH, 1), tf.uint8)[0], tf.int32)
    # Where a PNG of fewer than 8 bits has no alpha, TensorFlow fills in the largest number of that many bits.
    alpha = tf.where((bits < 8) & tf.reduce_all(alpha == 2**bits - 1), 255, alpha)
    seen = tf.debugging.Assert(
        (bits < 16) | (tf.reduce_max(colors) > 0), ["image_bytes holds a PNG of 16 bits with no value above 255"]
    )
    with tf.control_dependencies([seen]):
        return tf.cast((2 * (colors * alpha + 255 * (255 - alpha)) + 255) // 510, tf.uint8)


def _orientation(content):
    """EXIF's orientation 1…8 as an integer; 1 where there is none."""
    start = tf.strings.substr(content, 0, LOOKED_AT)
    found = tf.constant(1)
    for directory in DIRECTORIES:
        value = tf.strings.regex_replace(start, directory, rb"\1")
        is_one = tf.strings.length(value) == 1
        number = tf.io.decode_raw(tf.strings.substr(value, 0, 1), tf.uint8)[0]
        found = tf.where(is_one, tf.cast(number, tf.int32), found)
    return found


def _upright(image, orientation):
    """The picture turned by an orientation: 5…8 are transposed, then 2, 3, 6, 7 mirrored, 3, 4, 7, 8 upside down."""

    def among(*numbers):
        return tf.reduce_any(orientation == tf.constant(numbers))

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(among(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(among(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image)
