"""Picture files decoded inside a served graph, by the rule of `deeplab_ksac.datasets.pixels`."""

import tensorflow as tf

from deeplab_ksac.datasets.encoding import JPEG_TRANSFORM, stored_size
from deeplab_ksac.datasets.pixels import DARKEST
from deeplab_ksac.export import orientation

JPEG, PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"
BIT_DEPTH = 24  # where a PNG's header has it
MAX_PIXELS = 2**25  # of a picture that shares a server's memory with others: 700 MB of scores for 5 classes
UNKNOWN = "neither a JPEG nor a PNG file"
DAMAGED = "it cannot be decoded: damaged, or 16 bits a channel with no value above 4095"


def decode_shown(content: tf.Tensor, *, upright: bool | tf.Tensor = True) -> tf.Tensor:
    """What a JPEG or PNG file shows: a scalar string -> uint8 RGB [H, W, 3], transparency laid on white.

    Args:
        content: of the file.
        upright: whether it is turned as EXIF says.

    Raises:
        tf.errors.InvalidArgumentError: when it runs, for a file of another kind, a damaged one, and 16 bits a channel
            with no value above 4095.
    """
    return _decoded(content, tf.convert_to_tensor(upright))


def decode_or_explain(
    content: tf.Tensor, *, upright: bool | tf.Tensor = True, max_pixels: int = MAX_PIXELS
) -> tuple[tf.Tensor, tf.Tensor]:
    """`decode_shown` of a file that may be broken, where others of the same request are not to be lost for it.

    Args:
        content, upright: as there.
        max_pixels: more are not decoded; the header tells.

    Returns:
        (uint8 RGB [H, W, 3], ""), or (no pixels [0, 0, 3], why: a scalar string).
    """
    nothing = tf.zeros([0, 0, 3], tf.uint8)

    def read(content):
        size = stored_size(content, tf.where(_is_jpeg(content), "jpeg", "png"))
        count = tf.reduce_prod(tf.cast(size, tf.int64))
        is_small = count <= max_pixels
        image = tf.cond(is_small, lambda: decode_shown(content, upright=upright), lambda: nothing)
        error = tf.strings.join([tf.strings.as_string(count), f" pixels, more than the {max_pixels} that are served"])
        return image, tf.where(is_small, "", error)

    def tried():  # a graph cannot catch an error, but a data set in it leaves out what has one
        read_or_not = tf.data.Dataset.from_tensors(content).map(read).ignore_errors()
        otherwise = tf.data.Dataset.from_tensors((nothing, DAMAGED))
        return read_or_not.concatenate(otherwise).take(1).get_single_element()

    is_known = _is_jpeg(content) | _is_png(content)
    image, error = tf.cond(is_known, tried, lambda: (nothing, tf.constant(UNKNOWN)))
    return tf.ensure_shape(image, [None, None, 3]), error


@tf.function(input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.bool)], autograph=False)
def _decoded(content, upright):
    """`decode_shown`, of some hundred operations: traced once, for all signatures of all servers."""
    is_jpeg = _is_jpeg(content)
    known = tf.debugging.Assert(is_jpeg | _is_png(content), [f"image_bytes holds {UNKNOWN}"])
    with tf.control_dependencies([known]):
        image = tf.cond(is_jpeg, lambda: _decode_jpeg(content), lambda: _decode_png(content))
    image = tf.ensure_shape(image, [None, None, 3])
    turned = tf.cond(upright, lambda: orientation.orientation(content), lambda: tf.constant(1))
    return orientation.upright(image, turned)


def _is_jpeg(content):
    return tf.strings.substr(content, 0, len(JPEG)) == JPEG


def _is_png(content):
    return tf.strings.substr(content, 0, len(PNG)) == PNG


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
        (bits < 16) | (tf.reduce_max(colors) >= DARKEST),
        ["image_bytes holds a PNG of 16 bits with no value above 4095"],
    )
    with tf.control_dependencies([seen]):
        return tf.cast((2 * (colors * alpha + 255 * (255 - alpha)) + 255) // 510, tf.uint8)
