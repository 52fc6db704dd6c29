"""One picture, one reading: prediction, conversion, evaluation, training and a served graph see the same pixels."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.datasets import augment, encoding, pixels
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo
from deeplab_ksac.export.decoding import decode_shown
from deeplab_ksac.prediction.images import read_image
from tests import fakes

SIZE = (19, 33)
INFO = DatasetInfo("tiny", ("a", "b"), ((0, 0, 0), (1, 1, 1)))
RNG = np.random.default_rng(0)
RGB = fakes.picture(0, SIZE)
ALPHA = RNG.integers(0, 256, (*SIZE, 1), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, SIZE, dtype=np.uint16)
REENCODED = 4  # mean difference of a JPEG that conversion turned and wrote again, at quality 95


def exif(orientation):
    tags = Image.Exif()
    tags[pixels.ORIENTATION] = orientation
    return tags


def palette(**options):
    image = Image.fromarray(RGB[..., 0] % 16, "P")
    image.putpalette(list(range(0, 240, 5)))
    return image, "png", options


def with_gray_key(bits):
    """A gray PNG whose tRNS chunk names one of its values, which Pillow cannot write for few bits."""
    buffer = io.BytesIO()
    Image.fromarray(RGB[..., 0] % (2**bits)).save(buffer, "png", bits=bits)
    content = buffer.getvalue()
    chunk = b"tRNS" + (1).to_bytes(2, "big")
    place = content.index(b"IDAT") - 4
    return content[:place] + (2).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big") + content[place:]


KINDS = {
    "rgb png": (Image.fromarray(RGB), "png", {}),
    "gray png": (Image.fromarray(RGB[..., 0]), "png", {}),
    "one bit": (Image.fromarray(RGB[..., 0] > 127), "png", {}),
    "gray of two bits": (Image.fromarray(RGB[..., 0] % 4), "png", {"bits": 2}),
    "gray of four bits": (Image.fromarray(RGB[..., 0] % 16), "png", {"bits": 4}),
    "sixteen bits": (Image.fromarray(DEEP), "png", {}),
    "sixteen bits with a transparent value": (Image.fromarray(DEEP), "png", {"transparency": int(DEEP[3, 4])}),
    "palette": palette(),
    "palette of four bits": palette(bits=4),
    "transparent palette": palette(transparency=bytes(range(0, 240, 16))),
    "alpha": (Image.fromarray(np.concatenate([RGB, ALPHA], -1)), "png", {}),
    "opaque alpha": (Image.fromarray(np.concatenate([RGB, 0 * ALPHA + 255], -1)), "png", {}),
    "gray with alpha": (Image.fromarray(np.concatenate([RGB[..., :1], ALPHA], -1)), "png", {}),
    "a transparent color": (Image.fromarray(RGB), "png", {"transparency": tuple(map(int, RGB[3, 4]))}),
    "a transparent gray": (Image.fromarray(RGB[..., 0]), "png", {"transparency": int(RGB[3, 4, 0])}),
    **{f"a transparent gray of {bits} bits": with_gray_key(bits) for bits in (1, 2, 4)},
    "rgb jpeg": (Image.fromarray(RGB), "jpeg", {"quality": 90}),
    "gray jpeg": (Image.fromarray(RGB[..., 0]), "jpeg", {"quality": 90}),
    "cmyk jpeg": (Image.fromarray(RGB).convert("CMYK"), "jpeg", {"quality": 90}),
    **{f"png of orientation {n}": (Image.fromarray(RGB), "png", {"exif": exif(n)}) for n in range(1, 9)},
    **{f"jpeg of orientation {n}": (Image.fromarray(RGB), "jpeg", {"quality": 95, "exif": exif(n)}) for n in (3, 6)},
    "alpha, turned": (Image.fromarray(np.concatenate([RGB, ALPHA], -1)), "png", {"exif": exif(6)}),
    "tiff": (Image.fromarray(RGB), "tiff", {}),
    "tiff with alpha": (Image.fromarray(np.concatenate([RGB, ALPHA], -1)), "tiff", {}),
    "tiff of sixteen bits": (Image.fromarray(DEEP), "tiff", {}),
    "bmp": (Image.fromarray(RGB), "bmp", {}),
    "webp": (Image.fromarray(np.concatenate([RGB, ALPHA], -1)), "webp", {"lossless": True, "exact": True}),
}
SERVED = [kind for kind in KINDS if not kind.startswith(("tiff", "bmp", "webp"))]


def written(folder, kind):
    path = folder / "picture"
    content = KINDS[kind]
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        image, form, options = content
        image.save(path, form, **options)
    return path


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_in_sees_what_prediction_sees(tmp_path, kind):
    path = written(tmp_path, kind)
    shown = read_image(path)
    labels = np.ones(shown.shape[:2], np.uint8)
    serialized, _ = encoding.encode_example({"id": "a", "image": path, "label": labels}, INFO, rotation="upright")
    parsed = encoding.parse_example(serialized)
    evaluated = encoding.decode_fitting(parsed, 2)["image"].numpy()
    options = {"size": shown.shape[:2], "scales": (1.0,), "flip": False}
    trained = augment.augment(parsed, tf.constant([0, 1]), **options)["image"].numpy()
    is_new = kind.startswith("jpeg of orientation")
    if is_new:
        assert np.abs(evaluated - shown).mean() < REENCODED
    else:
        np.testing.assert_array_equal(evaluated, shown)
    np.testing.assert_allclose(trained, evaluated, atol=1e-3)  # float32 of a sampling at whole positions
    if kind in SERVED:
        np.testing.assert_array_equal(decode_shown(tf.constant(path.read_bytes())), shown)


@pytest.mark.parametrize("subsampling", (0, 1, 2))
def test_a_window_of_a_jpeg_is_that_of_the_whole(tmp_path, subsampling):
    """A crop reads a part of the file; what it shows is what prediction sees there."""
    path = tmp_path / "a.jpg"
    Image.fromarray(fakes.picture(1, (67, 93))).save(path, "jpeg", quality=100, subsampling=subsampling)
    shown = read_image(path)
    example = {"id": "a", "image": path, "label": np.ones(shown.shape[:2], np.uint8)}
    parsed = encoding.parse_example(encoding.encode_example(example, INFO)[0])
    for seed in range(4):
        crop = augment.augment(parsed, tf.constant([0, seed]), size=(21, 30), scales=(1.0,), flip=False)[
            "image"
        ].numpy()
        found = [
            (y, x)
            for y in range(67 - 21 + 1)
            for x in range(93 - 30 + 1)
            if np.abs(shown[y : y + 21, x : x + 30] - crop).max() < 1e-2
        ]
        assert len(found) == 1


def test_transparency_is_laid_on_white():
    """out = (color · α + 255 · (255 − α)) / 255, rounded, for every color and α."""
    color, alpha = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    image = np.stack([color, color, color, alpha], -1).astype(np.uint8)
    expected = np.rint((color * alpha + 255 * (255 - alpha)) / 255)
    np.testing.assert_array_equal(np.asarray(pixels.rgb(Image.fromarray(image)))[..., 0], expected)
    np.testing.assert_array_equal(decode_shown(tf.io.encode_png(image))[..., 0], expected)


@pytest.mark.parametrize(
    ("array", "form", "words"),
    [
        (np.full(SIZE, 255, np.uint16), "png", "16 bits a channel and no value above 255"),
        (np.full(SIZE, 255, np.int32), "tiff", "16 bits a channel and no value above 255"),
        (np.full(SIZE, 70000, np.int32), "tiff", "integers beyond 0…65535"),
        (np.full(SIZE, 0.5, np.float32), "tiff", "floating-point pixels"),
    ],
)
def test_what_has_no_known_range_is_refused_everywhere(tmp_path, array, form, words):
    path = tmp_path / "a"
    Image.fromarray(array).save(path, form)
    with pytest.raises(ValueError, match=words):
        read_image(path)
    with pytest.raises(DatasetError, match=words):
        encoding.encode_example({"id": "a", "image": path, "label": np.ones(SIZE, np.uint8)}, INFO)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_shown(tf.constant(path.read_bytes()))
