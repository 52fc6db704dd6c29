"""Pictures of other bands than RGB: read as they are stored, kept without loss, measured, refused in a line."""

import io
import json
import struct
import sys
import zlib

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from deeplab_ksac.bands import RGB, Bands, MeasuredBands
from deeplab_ksac.datasets import augment, encoding
from deeplab_ksac.datasets.band_pictures import read_bands
from deeplab_ksac.datasets.distortions import Distortions
from deeplab_ksac.datasets.info import DatasetError, DatasetInfo, load_info, read_info, save_info
from deeplab_ksac.datasets.pipeline import eval_batches, train_batches
from deeplab_ksac.datasets.raw_inspection import inspect_raw
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.datasets.records import write_records
from tests import fakes

SIZE = (9, 7)
INFO = DatasetInfo("mine", ("a", "b"), ((0, 0, 0), (255, 255, 255)))


def values(number, depth, size=SIZE, seed=0):
    return np.random.default_rng(seed).integers(0, 2**depth, (*size, number)).astype(f"uint{depth}")


def write_png(path, pixels):
    path.write_bytes(tf.io.encode_png(pixels).numpy())  # a PNG encoder that is not Pillow's
    return path


def write_folder(root, pictures):
    """A `folder` data set of pictures by split, with random labels."""
    for split, images in pictures.items():
        for folder in ("images", "masks"):
            (root / folder / split).mkdir(parents=True)
        for index, pixels in enumerate(images):
            write_png(root / "images" / split / f"{index}.png", pixels)
            labels = np.random.default_rng(index).integers(0, 2, pixels.shape[:2]).astype("uint8")
            Image.fromarray(labels).save(root / "masks" / split / f"{index}.png")
    (root / "classes.txt").write_text("a\nb\n")
    return root


def filtered(pixels, kind):
    """A PNG of 16 bits and gray and alpha, or RGB and alpha, whose lines all have one of PNG's five filters."""
    height, width, number = pixels.shape
    lines, step = pixels.astype(">u2").view("uint8").reshape(height, -1).astype(int), 2 * number
    content, above = b"", np.zeros(2 * number * width, int)
    for line in lines:
        left, corner = (np.concatenate([np.zeros(step, int), x[:-step]]) for x in (line, above))
        nearest = left + above - corner
        distances = [abs(nearest - x) for x in (left, above, corner)]
        paeth = np.choose(np.argmin(distances, axis=0), [left, above, corner])
        predicted = (0, left, above, (left + above) // 2, paeth)[kind]
        content += bytes([kind]) + ((line - predicted) % 256).astype("uint8").tobytes()
        above = line
    header = struct.pack(">IIBBBBB", width, height, 16, {2: 4, 3: 2, 4: 6}[number], 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b""))
    packed = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


@pytest.mark.parametrize("depth", (8, 16))
@pytest.mark.parametrize("number", (1, 2, 4))
def test_a_png_comes_into_records_and_out_again_without_loss(tmp_path, number, depth):
    stored, bands = values(number, depth), Bands(number, depth)
    path = write_png(tmp_path / "a.png", stored)
    found = read_bands(path, bands)
    assert found.dtype == stored.dtype
    np.testing.assert_array_equal(found, stored)
    example = {"id": "a", "image": path, "label": np.zeros(SIZE, np.uint8)}
    info = DatasetInfo("mine", INFO.class_names, INFO.colors, bands=bands)
    parsed = encoding.parse_example(encoding.encode_example(example, info)[0])
    shown = encoding.decode_fitting(encoding.of_one_size(parsed, bands), 2, bands)["image"].numpy()
    np.testing.assert_array_equal(shown, np.float32(stored) / np.float32(1 if depth == 8 else 257))  # 0…255


@pytest.mark.parametrize("kind", range(5))
@pytest.mark.parametrize("number", (2, 4))
def test_sixteen_bits_of_several_bands_are_whole_under_each_of_pngs_filters(tmp_path, number, kind):
    (tmp_path / "a.png").write_bytes(filtered(values(number, 16), kind))
    np.testing.assert_array_equal(read_bands(tmp_path / "a.png", Bands(number, 16)), values(number, 16))


def test_gray_of_a_bit_or_in_a_jpeg_is_a_band_of_eight_bits(tmp_path):
    black_and_white = values(1, 8)[..., 0] > 127
    Image.fromarray(black_and_white).save(tmp_path / "a.png")
    Image.fromarray(black_and_white).save(tmp_path / "a.tif")
    for name in ("a.png", "a.tif"):
        np.testing.assert_array_equal(read_bands(tmp_path / name, Bands(1, 8))[..., 0], 255 * black_and_white)
    Image.fromarray(values(1, 8)[..., 0]).save(tmp_path / "b.jpg", quality=100)
    expected = tf.io.decode_jpeg((tmp_path / "b.jpg").read_bytes(), dct_method="INTEGER_ACCURATE")
    np.testing.assert_array_equal(read_bands(tmp_path / "b.jpg", Bands(1, 8)), expected)


@pytest.mark.parametrize("depth", (8, 16))
@pytest.mark.parametrize("number", (1, 2, 4, 7))
@pytest.mark.parametrize("planes", ("contig", "separate"))
def test_a_tiff_of_any_number_of_samples_is_read(tmp_path, number, depth, planes):
    tifffile = pytest.importorskip("tifffile")
    stored = values(number, depth)
    content = {1: stored[..., 0]}.get(number, stored if planes == "contig" else stored.transpose(2, 0, 1))
    options = {} if number == 1 else {"planarconfig": planes}
    tifffile.imwrite(tmp_path / "a.tif", content, photometric="minisblack", compression="zlib", **options)
    found = read_bands(tmp_path / "a.tif", Bands(number, depth))
    assert found.dtype == stored.dtype
    np.testing.assert_array_equal(found, stored)
    with pytest.raises(DatasetError, match=f"a.tif has {number} bands? of {depth} bits; expected 5 bands of 8 bits$"):
        read_bands(tmp_path / "a.tif", Bands(5, 8))


@pytest.mark.parametrize("depth", (8, 16))
def test_gray_tiff_needs_no_other_reader_and_more_bands_say_which(tmp_path, monkeypatch, depth):
    monkeypatch.setitem(sys.modules, "tifffile", None)
    Image.fromarray(values(1, depth)[..., 0]).save(tmp_path / "a.tif")
    np.testing.assert_array_equal(read_bands(tmp_path / "a.tif", Bands(1, depth)), values(1, depth))
    Image.fromarray(values(4, 8)).save(tmp_path / "b.tif")
    with pytest.raises(DatasetError, match=r"b\.tif is a TIFF of several bands, .* pip install 'deeplab-ksac\[tiff\]'"):
        read_bands(tmp_path / "b.tif", Bands(4, 8))


def saved(image, kind, **settings):
    buffer = io.BytesIO()
    image.save(buffer, kind, **settings)
    return buffer.getvalue()


GRAY = Image.fromarray(values(1, 8)[..., 0])
EXIF = Image.Exif()
EXIF[0x0112] = 6
REFUSED = {
    "rgb": (saved(GRAY.convert("RGB"), "png"), "has 3 bands of 8 bits; expected 1 band of 8 bits"),
    "deep": (tf.io.encode_png(values(1, 16)).numpy(), "has 1 band of 16 bits; expected 1 band of 8 bits"),
    "palette": (saved(GRAY.convert("P"), "png"), "holds colors of a palette, no bands; expected 1"),
    "cmyk": (saved(GRAY.convert("CMYK"), "jpeg"), "holds CMYK, no bands; expected 1"),
    "float": (saved(GRAY.convert("F"), "tiff"), "holds F, no bands of 8 or 16 bits; expected 1"),
    "turned": (saved(GRAY, "jpeg", exif=EXIF), "has EXIF orientation 6; save it upright"),
    "pages": (saved(GRAY, "tiff", save_all=True, append_images=[GRAY]), "holds 2 pictures; save the one"),
    "cut": (saved(GRAY, "png")[:-30], "is truncated or corrupt: its"),
    "empty": (b"", "is neither JPEG nor PNG, TIFF, BMP or WebP: it is empty"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_picture_of_these_bands_is_refused_in_a_line(tmp_path, name):
    content, words = REFUSED[name]
    (tmp_path / "picture").write_bytes(content)
    with pytest.raises(DatasetError) as refused:
        read_bands(tmp_path / "picture", Bands(1, 8))
    message = str(refused.value)
    assert message.startswith(f"image {tmp_path / 'picture'} {words}") and "\n" not in message


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """A data set of two bands of 16 bits, of which the second is the same everywhere."""
    place = tmp_path_factory.mktemp("bands")
    pictures = {"train": [values(2, 16, (20 + i, 24), i) for i in range(3)], "val": [values(2, 16, (20, 24), 9)] * 2}
    for image in (*pictures["train"], *pictures["val"]):
        image[..., 1] = 514
    write_folder(place / "raw", pictures)
    write_records("folder", place / "raw", place / "data", dataset_name="mine", reading=Reading(channels=2))
    return place / "data", pictures


def test_mean_and_deviation_are_those_of_the_pictures_that_are_trained_on(converted):
    data, pictures = converted
    bands = load_info("mine", data).bands
    pixels = np.concatenate([image.reshape(-1, 2) for image in pictures["train"]]) / 257
    assert (bands.number, bands.depth) == (2, 16)
    np.testing.assert_allclose(bands.mean, pixels.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(bands.deviation, [pixels[:, 0].std(), 1], rtol=1e-12)  # 1 where nothing varies


def test_batches_hold_the_bands_from_0_to_255(converted):
    data, pictures = converted
    batch = next(iter(eval_batches("mine", "val", data_dir=data, batch_size=2)))
    np.testing.assert_array_equal(batch["image"], np.float32(pictures["val"]) / np.float32(257))
    options = {"data_dir": data, "crop_size": 33, "batch_size": 2, "seed": 0, "scales": (0.5, 1.0), "flip": True}
    images = next(iter(train_batches(("mine/train",), **options)))["image"]
    assert images.shape == (2, 33, 33, 2) and set(np.unique(images[..., 1])) == {
        2.0
    }  # 514 / 257; filled up with the mean
    with pytest.raises(ValueError, match="hue is 3, but the pictures have 2 bands of 16 bits and no colors"):
        train_batches(("mine/train",), **options, hue=3)


def test_pictures_of_other_bands_or_bits_are_refused_with_the_file_and_both_numbers(tmp_path):
    root = write_folder(tmp_path / "raw", {"train": [values(4, 8), values(4, 16)]})
    for channels, words in (
        (2, "0.png has 4 bands of 8 bits; expected 2 of 8 or 16 bits"),
        (4, "1.png has 4 bands of 16"),
    ):
        with pytest.raises(DatasetError, match=words):
            write_records("folder", root, tmp_path / "data", dataset_name="mine", reading=Reading(channels=channels))
    found = inspect_raw("folder", root, reading=Reading(channels=4), samples=1)
    assert found.found[0].problems == [
        f"image {root / 'images' / 'train' / '1.png'} has 4 bands of 16 bits; expected 4 bands of 8 bits"
    ]


def test_sets_of_other_bands_are_not_mixed(converted):
    data, _ = converted
    root = fakes.write_folder(data.parent / "rgb", {"train": 1}, num_classes=2)
    (root / "classes.txt").write_text("a\nb\n")
    write_records("folder", root, data, dataset_name="rgb")
    with pytest.raises(
        DatasetError, match="rgb/train has pictures of 3 bands of 8 bits, and mine/train of 2 bands of 16"
    ):
        train_batches(
            ("mine/train", "rgb/train"), data_dir=data, crop_size=9, batch_size=1, seed=0, scales=(1.0,), flip=False
        )


def test_rgb_is_not_written_down_and_others_are_read_back(tmp_path):
    save_info(INFO, tmp_path)
    assert "bands" not in json.loads((tmp_path / "segmentation.json").read_text())
    assert read_info(tmp_path).bands == RGB
    bands = MeasuredBands(2, 16, (1.5, 2.0), (0.5, 1.0))
    save_info(DatasetInfo("mine", INFO.class_names, INFO.colors, bands=bands), tmp_path)
    assert read_info(tmp_path).bands == bands


@pytest.mark.parametrize(
    "change, words",
    (
        ({"number": 0}, "0 as 'number', which must be a whole number of 1 … 512"),
        ({"depth": 12}, "12 as 'depth', which must be 8 or 16"),
        ({"mean": [1, "a"]}, "as 'mean', which must be a list of numbers"),
        ({"deviation": [1, 0]}, "as 'deviation', which must be a list of numbers above 0"),
        ({"mean": [1.0]}, "2 bands want as many means and deviations, not 1 and 2"),
        (None, "None as 'bands', which must be an object"),
    ),
)
def test_a_damaged_description_of_the_bands_is_named(tmp_path, change, words):
    save_info(INFO, tmp_path)
    path = tmp_path / "segmentation.json"
    bands = {"number": 2, "depth": 8, "mean": [1.0, 2.0], "deviation": [1.0, 1.0]}
    fields = {**json.loads(path.read_text()), "bands": None if change is None else {**bands, **change}}
    path.write_text(json.dumps(fields))
    with pytest.raises(DatasetError, match=words):
        read_info(tmp_path)


@pytest.mark.parametrize("crop", (13, 33))
def test_bands_are_scaled_cut_and_distorted_as_the_colors_of_a_picture_are(tmp_path, crop):
    colors, six = fakes.picture(1, (25, 31)) // 2 + 64, MeasuredBands(6, 8, (127.5,) * 6, (64.0,) * 6)
    labels = np.zeros(colors.shape[:2], np.uint8)
    Image.fromarray(colors).save(tmp_path / "a.png")
    rgb = encoding.parse_example(
        encoding.encode_example({"id": "a", "image": tmp_path / "a.png", "label": labels}, INFO)[0]
    )
    twice = np.concatenate([colors, colors], axis=-1)
    stored = tf.io.encode_png(twice.transpose(2, 0, 1).reshape(-1, 31, 1))  # band below band
    distortions = Distortions(brightness=30, contrast=0.4, rotation=20, cutout=0.3)
    for seed in range(4):
        options = {"size": (crop, crop), "scales": (0.7, 1.3), "flip": True, "distortions": distortions}
        expected = augment.augment(rgb, tf.constant([seed, 1]), **options)
        found = augment.augment({**rgb, "encoded": stored}, tf.constant([seed, 1]), **options, bands=six)
        np.testing.assert_allclose(
            found["image"][..., :3], expected["image"], atol=1e-3
        )  # contrast is rounded otherwise
        np.testing.assert_array_equal(found["image"][..., 3:], found["image"][..., :3])
        np.testing.assert_array_equal(found["labels"], expected["labels"])
