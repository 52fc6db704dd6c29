"""Which way up a picture file is to be seen: EXIF's orientation, read from the file's bytes inside a served graph.

A JPEG has EXIF in an APP1 segment before its pixels, a PNG in a chunk eXIf anywhere. Both are walked through by their
lengths, so that nothing else in the file is taken for it. Inside is a TIFF header, and a directory of entries:

    byte order II or MM · 42 · offset of the directory
    number of entries · for each: tag, type, count, value or where it is
"""

import tensorflow as tf

TAG = 0x0112
SHORT_TYPES, LONG_TYPES = (3, 8), (4, 9)  # with and without sign
APP1, START_OF_PIXELS, END = 0xE1, 0xDA, 0xD9
MARK, FIRST_ALONE, LAST_ALONE, ALONE = 0xFF, 0xD0, 0xD8, 0x01  # a JPEG's markers, and those without a length
MOST_SEGMENTS = 1000  # before a JPEG's pixels, and
MOST_CHUNKS = 20_000  # of a PNG: what a file without sense may cost


def orientation(content: tf.Tensor) -> tf.Tensor:
    """EXIF's orientation 1…8 of a JPEG or PNG file, a scalar string -> int32 []; 1 where there is none.

    As Pillow reads EXIF: the last entry counts, of a type for whole numbers.
    """
    data = tf.io.decode_raw(content, tf.uint8)
    start, length = tf.cond(_are(data[:2], b"\xff\xd8"), lambda: _in_jpeg(data), lambda: _in_png(content, data))
    block = data[start : start + length]
    return _of_tiff(tf.cond(_are(block[:6], b"Exif\x00\x00"), lambda: block[6:], lambda: block))


def upright(image: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """A picture [H, W, C] as an orientation says: 5…8 transposed, then 2, 3, 6, 7 mirrored, 3, 4, 7, 8 upside down."""

    def among(*numbers):
        return tf.reduce_any(orientation == tf.constant(numbers))

    image = tf.cond(orientation >= 5, lambda: tf.transpose(image, [1, 0, 2]), lambda: image)
    image = tf.cond(among(2, 3, 6, 7), lambda: tf.reverse(image, [1]), lambda: image)
    return tf.cond(among(3, 4, 7, 8), lambda: tf.reverse(image, [0]), lambda: image)


def _in_jpeg(data):
    """(start, length) of the APP1 segment with EXIF, int64; of nothing where there is none."""
    size = tf.size(data, tf.int64)

    def is_before_pixels(place, start, length):
        mark, marker = _number(data[place : place + 1]), _number(data[place + 1 : place + 2])
        is_segment = (place + 4 <= size) & (mark == MARK) & (marker != START_OF_PIXELS) & (marker != END)
        return (length == 0) & is_segment

    def step(place, start, length):
        marker, taken = _number(data[place + 1 : place + 2]), _number(data[place + 2 : place + 4])
        is_filling = marker == MARK
        is_alone = (marker == ALONE) | ((marker >= FIRST_ALONE) & (marker <= LAST_ALONE))
        is_exif = (marker == APP1) & _are(data[place + 4 : place + 10], b"Exif\x00\x00") & (taken > 2)
        further = tf.where(is_alone, _long(2), 2 + tf.maximum(taken, 2))
        further = tf.where(is_filling, _long(1), further)
        return place + further, place + 4, tf.where(is_exif, taken - 2, _long(0))

    return _walk(is_before_pixels, step, 2, MOST_SEGMENTS)


def _in_png(content, data):
    """(start, length) of the chunk eXIf, int64; of nothing where there is none."""
    size = tf.size(data, tf.int64)

    def is_inside(place, start, length):
        return (length == 0) & (place + 8 <= size)

    def step(place, start, length):
        taken, is_exif = _number(data[place : place + 4]), _are(data[place + 4 : place + 8], b"eXIf")
        return place + 12 + taken, place + 8, tf.where(is_exif, taken, _long(0))

    nothing = (_long(0), _long(0))
    may_have = tf.strings.regex_full_match(content, rb"(?s)\C*eXIf\C*")  # far quicker than a walk through all chunks
    return tf.cond(may_have, lambda: _walk(is_inside, step, 8, MOST_CHUNKS), lambda: nothing)


def _walk(is_inside, step, first, most):
    """(start, length) of what is found from the byte `first` on, in at most so many steps."""
    state = (_long(first), _long(0), _long(0))
    _, start, length = tf.while_loop(is_inside, step, state, maximum_iterations=most)
    return start, length


def _of_tiff(block):
    """The orientation in EXIF's directory; 1 where there is no header, no directory or no such entry."""
    order = block[:2]
    is_little = _are(order, b"II")

    def read():
        place = _number(block[4:8], is_little)
        count = _number(block[place : place + 2], is_little)
        entries = block[place + 2 : place + 2 + 12 * count]
        entries = tf.reshape(entries[: tf.size(entries) // 12 * 12], [-1, 12])
        tags, types = _number(entries[:, :2], is_little), _number(entries[:, 2:4], is_little)
        short, long = (_number(entries[:, 8:end], is_little) for end in (10, 12))
        is_short, is_long = (
            tf.reduce_any(types[:, tf.newaxis] == kinds, axis=1)
            for kinds in (tf.constant(SHORT_TYPES, tf.int64), tf.constant(LONG_TYPES, tf.int64))
        )
        values = _number(entries[:, 4:8], is_little)  # as many as fit into the entry; the first counts
        has_it = (is_short & (values >= 1) & (values <= 2)) | (is_long & (values == 1))
        is_wanted = (tags == TAG) & has_it
        found = tf.concat([[_long(1)], tf.boolean_mask(tf.where(is_short, short, long), is_wanted)], axis=0)[-1]
        return tf.where((found >= 1) & (found <= 8), tf.cast(found, tf.int32), 1)

    return tf.cond(is_little | _are(order, b"MM"), read, lambda: tf.constant(1))


def _long(number):
    return tf.constant(number, tf.int64)


def _are(data, expected):
    """Whether bytes are the expected ones; fewer are not."""
    return tf.strings.reduce_join(tf.strings.as_string(data), separator=" ") == " ".join(map(str, expected))


def _number(data, is_little=None):
    """The whole number that the last axis's bytes stand for, most significant first or not: int64."""
    if is_little is not None:
        data = tf.cond(is_little, lambda: tf.reverse(data, [-1]), lambda: data)
    digits = tf.cast(data, tf.int64)
    weights = tf.constant([256**3, 256**2, 256, 1], tf.int64)[4 - tf.shape(digits)[-1] :]
    return tf.reduce_sum(digits * weights, axis=-1)
