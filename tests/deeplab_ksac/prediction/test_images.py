"""Every kind of image file as RGB, and places that name files."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from deeplab_ksac.prediction import images
from tests.datasets.test_band_pictures import write_png

RGB = np.random.default_rng(0).integers(0, 256, (5, 7, 3)).astype("uint8")


def saved(path, array, mode=None, **options):
    Image.fromarray(array, mode).save(path, **options)
    return path


def test_an_rgb_png_comes_back_as_it_is(tmp_path):
    image = images.read_image(saved(tmp_path / "a.png", RGB))
    assert image.dtype == np.uint8
    np.testing.assert_array_equal(image, RGB)


def test_gray_becomes_three_equal_channels(tmp_path):
    image = images.read_image(saved(tmp_path / "gray.png", RGB[..., 0]))
    np.testing.assert_array_equal(image, np.stack([RGB[..., 0]] * 3, axis=-1))


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_gray_keeps_its_high_byte(tmp_path, suffix):
    deep = (RGB[..., 0].astype("uint16") << 8) + 77
    image = images.read_image(saved(tmp_path / f"deep.{suffix}", deep))
    np.testing.assert_array_equal(image, np.stack([RGB[..., 0]] * 3, axis=-1))


def test_transparency_is_laid_on_white(tmp_path):
    alpha = np.zeros((5, 7, 1), np.uint8)
    alpha[:, 3:] = 255
    image = images.read_image(saved(tmp_path / "a.png", np.concatenate([RGB, alpha], axis=-1)))
    np.testing.assert_array_equal(image[:, 3:], RGB[:, 3:])
    assert (image[:, :3] == 255).all()


def test_a_palette_image_shows_its_colors(tmp_path):
    indexed = Image.fromarray(RGB[..., 0] % 4, "P")
    indexed.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90, 100, 110, 120])
    indexed.save(tmp_path / "a.png")
    table = np.arange(10, 130, 10).reshape(4, 3)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), table[RGB[..., 0] % 4])


def test_cmyk_is_converted_to_the_colors_it_prints(tmp_path):
    ink = np.zeros((16, 16, 4), np.uint8)
    ink[..., 0] = 255  # cyan alone: no red
    image = images.read_image(saved(tmp_path / "a.jpg", ink, "CMYK", quality=100))
    assert image.shape == (16, 16, 3)
    assert image[..., 0].max() <= 3 and image[..., 1:].min() >= 252  # JPEG's rounding


def test_a_turned_photograph_is_read_upright(tmp_path):
    image = Image.fromarray(RGB)
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png"), np.rot90(RGB, -1))
    np.testing.assert_array_equal(images.read_image(tmp_path / "a.png", upright=False), RGB)


@pytest.mark.parametrize("upright", [True, False])
def test_every_page_of_a_tiff_is_turned_as_it_says_or_read_as_it_is_stored(tmp_path, upright):
    with TiffImagePlugin.AppendingTiffWriter(tmp_path / "a.tif") as file:
        for orientation in (1, 6, 3):
            Image.fromarray(RGB).save(file, "tiff", tiffinfo={0x0112: orientation})
            file.newFrame()
    found = [picture.pixels for picture in images.read_pictures(tmp_path / "a.tif", upright=upright)]
    expected = [RGB, np.rot90(RGB, -1), np.rot90(RGB, 2)] if upright else [RGB] * 3
    for pixels, page in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pixels, page)


def test_a_tiff_of_sixteen_bits_a_channel_of_which_eight_are_used_is_refused(tmp_path):
    pytest.importorskip("tifffile").imwrite(tmp_path / "a.tif", RGB.astype(np.uint16), photometric="rgb")
    with pytest.raises(ValueError, match="16 bits a channel and no value above 255"):
        images.read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["gif", "webp", "tif", "png"])
def test_every_frame_of_an_animation_is_read(tmp_path, suffix):
    levels = [0, 100, 200]
    frames = [Image.new("RGB", (16, 12), (level, level, level)) for level in levels]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    pictures = list(images.read_pictures(tmp_path / f"a.{suffix}"))
    assert [picture.number for picture in pictures] == [0, 1, 2]
    for level, picture in zip(levels, pictures):
        assert picture.pixels.shape == (12, 16, 3)
        assert abs(picture.pixels.astype(int) - level).max() <= 2  # WebP rounds
    assert images.count_pictures(tmp_path / f"a.{suffix}") == (1 if suffix == "png" else 3)
    assert images.holds_several(tmp_path / f"a.{suffix}")


def test_a_picture_of_an_unknown_range_is_counted_as_one(tmp_path):
    content = write_png(tmp_path / "a.tif", RGB.astype("uint16") << 8).read_bytes()
    place, chunk = content.index(b"IDAT") - 4, b"tRNS" + bytes(6)
    key = (6).to_bytes(4, "big") + chunk + zlib.crc32(chunk).to_bytes(4, "big")
    (tmp_path / "a.tif").write_bytes(content[:place] + key + content[place:])
    with pytest.raises(ValueError, match="a transparent color of 16 bits a channel"):
        images.read_image(tmp_path / "a.tif")
    assert images.count_pictures(tmp_path / "a.tif") == 1


def test_a_still_picture_is_one_with_what_it_was_stored_as(tmp_path):
    (picture,) = images.read_pictures(saved(tmp_path / "a.png", RGB))
    assert (picture.number, picture.stored_as) == (None, "")
    (picture,) = images.read_pictures(saved(tmp_path / "b.png", RGB[..., 0]))
    assert picture.stored_as == "gray"
    assert images.count_pixels(tmp_path / "a.png") == 35
    assert not images.holds_several(tmp_path / "a.png") and not images.holds_several(tmp_path / "missing.gif")


def truncated(path):
    buffer = io.BytesIO()
    Image.fromarray(np.tile(RGB, (20, 20, 1))).save(buffer, path.suffix[1:].replace("jpg", "jpeg"))
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])


@pytest.mark.parametrize("name", ["half.jpg", "half.png", "half.gif"])
def test_a_truncated_file_is_an_error(tmp_path, name):
    truncated(tmp_path / name)
    with pytest.raises(OSError):
        images.read_image(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"not an image"])
def test_what_is_no_image_is_an_error(tmp_path, content):
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(OSError, match="cannot identify"):
        images.read_image(tmp_path / "a.jpg")


def test_floating_point_pixels_are_refused_in_words(tmp_path):
    with pytest.raises(ValueError, match="floating-point pixels"):
        images.read_image(saved(tmp_path / "a.tif", RGB[..., 0].astype("float32")))


def test_a_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(OSError, match="exceeds limit"):
        images.read_image(saved(tmp_path / "a.png", RGB))


def test_files_folders_and_globs_are_found_in_order_and_once(tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    for name in ("b.jpg", "a.PNG", "notes.txt", "deep/c.png", "deep/d.bin"):
        (folder / name).touch()
    (tmp_path / "one, two.jpg").touch()
    found = images.find_images(f"{folder}/b.jpg,{folder}, {folder}/**/*.png,{folder}/deep/*")
    assert [path.relative_to(folder).as_posix() for path in found] == ["b.jpg", "a.PNG", "deep/c.png", "deep/d.bin"]
    assert images.find_images(f"{tmp_path}/one, two.jpg") == [tmp_path / "one, two.jpg"]


def test_a_circle_of_links_is_a_file_that_cannot_be_read(tmp_path):
    circle = tmp_path / "a.png"
    circle.symlink_to("a.png")
    assert images.find_images(str(circle)) == images.find_images(f"{tmp_path}/*.png") == [circle]
    with pytest.raises(OSError, match="symbolic links"):
        images.read_image(circle)


def test_a_place_without_a_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no file is named .*\*\.jpg"):
        images.find_images(f"{tmp_path}/*.jpg")
    with pytest.raises(FileNotFoundError, match="has no image"):
        images.find_images(str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no image is named"):
        images.find_images(",")
