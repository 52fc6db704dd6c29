"""Odd raw folders and pictures through the commands: nothing is passed over, and one line says what is wrong."""

import os
import shutil
import socket
import types

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.pictures import read_picture
from deeplab_ksac.datasets.raw import read_mask
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.scripts import convert as convert_command
from deeplab_ksac.scripts import inspect_data
from deeplab_ksac.scripts import train as train_command
from deeplab_ksac.scripts.commandline import large_pictures
from tests import fakes
from tests.deeplab_ksac.runs.trained_run import EXPERIMENT
from tests.scripts.parsing import flags_of
from tests.scripts.test_convert import DEFAULTS
from tests.scripts.test_damaged_metadata import OF_TRAINING


def convert(raw, place, **options):
    told = []
    info = records.write_records("folder", raw, place / "data", processes=1, tell=told.append, **options)
    return info, told


def test_pictures_of_every_format_are_converted_and_all_other_files_are_told(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 6})
    images, masks = raw / "images" / "train", raw / "masks" / "train"
    for number, suffix in enumerate(("tif", "bmp", "webp", "PNG", "JPG")):
        old = images / f"p{number:02d}.jpg"
        form = {"tif": "tiff", "JPG": "jpeg"}.get(suffix, suffix)
        Image.open(old).save(images / f"p{number:02d}.{suffix}", form)
        old.unlink()
    (masks / "p01.png").rename(masks / "p01.PNG")
    (images / "Thumbs.db").touch()
    (images / "._p00.jpg").touch()
    (masks / "notes.txt").touch()
    (raw / "images" / "loose.jpg").touch()
    Image.open(masks / "p00.png").save(masks / "alone.png")
    (raw / "masks" / "val").mkdir()
    Image.open(masks / "p00.png").save(raw / "masks" / "val" / "v.png")
    info, told = convert(raw, tmp_path)
    assert info.num_examples == {"train": 6}
    assert told == [
        f"left out: train: 1 file that is no picture (the first {images / 'Thumbs.db'})",
        f"left out: train: 1 file that is no PNG (the first {masks / 'notes.txt'})",
        f"left out: train: 1 mask without an image (the first {masks / 'alone.png'})",
        f"left out: 1 file outside the folders of the splits (the first {raw / 'images' / 'loose.jpg'})",
        f"left out: 1 file outside the folders of the splits (the first {raw / 'masks' / 'val' / 'v.png'})",
    ]


def test_linked_folders_are_followed_and_a_circle_of_them_ends(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 2})
    other = fakes.write_folder(tmp_path / "other", {"train": 3})
    for kind in ("images", "masks"):
        (raw / kind / "train" / "more").symlink_to(other / kind / "train")
        (raw / kind / "train" / "circle").symlink_to(raw / kind)
    info, told = convert(raw, tmp_path)
    assert info.num_examples == {"train": 5} and not told


def test_a_picture_whose_name_is_no_text_is_refused_by_name(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 1})
    for folder, suffix in (("images", ".jpg"), ("masks", ".png")):
        path = raw / folder / "train" / f"p00{suffix}"
        path.rename(path.with_name(os.fsdecode(b"\xff") + suffix))
    with pytest.raises(DatasetError, match=r"train/\udcff\.jpg: its name is no text in UTF-8; give it another"):
        convert(raw, tmp_path)


def test_an_animated_png_is_refused_by_name(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 1})
    first, second = (Image.fromarray(fakes.picture(number)) for number in range(2))
    first.save(raw / "images" / "train" / "p00.jpg", "png", save_all=True, append_images=[second])
    with pytest.raises(DatasetError, match=r"p00\.jpg holds 2 pictures; save the one"):
        convert(raw, tmp_path)
    first.convert("L").save(raw / "masks.png", save_all=True, append_images=[second.convert("L")])
    with pytest.raises(DatasetError, match=r"masks\.png holds 2 pictures; save the one"):
        read_mask(raw / "masks.png")


def test_files_that_no_conversion_wrote_are_not_replaced(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 1})
    place = tmp_path / "data" / "folder" / "1.0.0"
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("precious")
    with pytest.raises(DatasetError, match=r"1\.0\.0 holds mine\.txt, which no conversion wrote; move it"):
        convert(raw, tmp_path, overwrite=True)
    assert (place / "mine.txt").read_text() == "precious"
    (place / "mine.txt").unlink()
    convert(raw, tmp_path, overwrite=True)
    convert(raw, tmp_path, overwrite=True)


def test_a_data_folder_that_is_a_file_is_named(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 1})
    (tmp_path / "data").touch()
    with pytest.raises(OSError, match="data is no folder, so nothing can be written to"):
        convert(raw, tmp_path)


@pytest.mark.parametrize("split", ["../x", "a/b", "val 2", "all", ".hidden"])
def test_names_of_painted_splits_are_checked_before_anything_is_painted(tmp_path, split):
    with pytest.raises(DatasetError, match="split name "):
        scenes.generate(tmp_path / "raw", counts={"train": 1, split: 1}, size=(9, 9))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["val 2", "val.2", "all"])
def test_names_of_splits_are_checked_before_anything_is_written(tmp_path, name):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 1, name: 1})
    with pytest.raises(DatasetError, match=f"split name '{name}'"):
        convert(raw, tmp_path)
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").rglob("*.tfrecord*"))


def test_a_mask_is_read_by_its_content(tmp_path):
    path = tmp_path / "mask.png"
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path, "jpeg")
    with pytest.raises(DatasetError, match=r"mask\.png holds JPEG, whatever its name says"):
        read_mask(path)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_a_mask_of_few_bits_keeps_its_values(tmp_path, bits, mode):
    values = np.random.default_rng(0).integers(0, 2**bits, (9, 13), dtype=np.uint8)
    image = Image.fromarray(values, mode)
    if mode == "P":
        image.putpalette(range(256))
    image.save(tmp_path / "mask.png", bits=bits)
    read = read_mask(tmp_path / "mask.png")
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, values)


SPECIAL = (
    lambda path: os.mkfifo(path),
    lambda path: socket.socket(socket.AF_UNIX).bind(str(path)),
    lambda path: path.symlink_to("/dev/zero"),
)


@pytest.mark.skipif(os.name == "nt", reason="has no pipes in folders")
@pytest.mark.parametrize("make", SPECIAL, ids=["pipe", "socket", "device"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, make):
    from deeplab_ksac.prediction.images import count_pictures, read_image, read_pictures

    raw = fakes.write_folder(tmp_path / "r", {"train": 1})
    pipe = raw / "images" / "train" / "p00.jpg"
    pipe.unlink()
    make(pipe)
    with pytest.raises(DatasetError, match=r"p00\.jpg cannot be read: it is no regular file"):
        convert(raw, tmp_path)
    for read in (read_image, lambda path: next(read_pictures(path))):
        with pytest.raises(OSError, match="no regular file"):
            read(pipe)
    assert count_pictures(pipe) == 1
    pipe.rename(raw / "mask.png")
    with pytest.raises(DatasetError, match="no regular file"):
        read_mask(raw / "mask.png")


def test_a_picture_above_the_limit_is_said_to_be_and_the_flag_raises_it(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    picture, mask = tmp_path / "a.png", tmp_path / "m.png"
    Image.fromarray(fakes.picture(0, (20, 30))).save(picture)
    Image.fromarray(np.zeros((20, 30), np.uint8)).save(mask)
    for read in (lambda: read_picture(picture, (20, 30)), lambda: read_mask(mask)):
        with pytest.raises(DatasetError, match=r"600 pixels\) exceeds limit of 20 pixels; --max_megapixels raises it"):
            read()
    large_pictures.allow(types.SimpleNamespace(max_megapixels=1))
    assert Image.MAX_IMAGE_PIXELS == 500_000  # Pillow refuses what is above the double
    assert read_picture(picture, (20, 30))[2] == read_mask(mask).shape == (20, 30)


def test_masks_of_0_and_255_are_pointed_out_by_conversion(tmp_path):
    from deeplab_ksac.datasets.findings import find_useless_labels

    raw = fakes.write_folder(tmp_path / "raw", {"train": 1, "val": 1})
    mask = np.zeros(Image.open(raw / "images" / "train" / "p00.jpg").size[::-1], np.uint8)
    mask[:5] = 255
    Image.fromarray(mask).save(raw / "masks" / "train" / "p00.png")
    info, _ = convert(raw, tmp_path)
    (sentence,) = find_useless_labels(info, info.num_examples)
    assert sentence.startswith("folder: train: the labels are 0 and 255 only")


def test_masks_of_0_and_255_are_pointed_out_by_the_commands(tmp_path, capsys):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 1, "val": 1}, num_classes=1)
    (raw / "classes.txt").write_text("off\non\n")
    flags = {**DEFAULTS, "dataset": ["folder"], "raw_dir": [str(raw)], "data_dir": str(tmp_path), "name": "tiny"}
    assert convert_command.run(types.SimpleNamespace(**flags)) == 0
    words = "the labels are 0 and 255 only"
    assert [line for line in capsys.readouterr().out.splitlines() if line.startswith(f"WARNING: tiny: train: {words}")]
    flags = {**OF_TRAINING, "data_dir": str(tmp_path), "workdir": str(tmp_path / "run")}
    with pytest.raises(ValueError, match="'tiny' is none of"):  # its backbone; what is of interest was said before
        train_command.train(EXPERIMENT, flags_of(train_command, **flags))
    assert f"WARNING: tiny: train: {words}" in capsys.readouterr().err


def test_names_of_files_reach_the_terminal_without_control_characters(tmp_path, capsys):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 2})
    images, masks = raw / "images" / "train", raw / "masks" / "train"
    for folder in (images, masks):
        for path in sorted(folder.iterdir())[:1]:
            for name in ("\x1b[2Jone", "\x1b[2Jtwo"):
                shutil.copyfile(path, path.with_name(f"{name}{path.suffix}"))
    (images / "\x1b]0;title\x07.txt").touch()
    flags = {**DEFAULTS, "dataset": ["folder"], "raw_dir": [str(raw)], "data_dir": str(tmp_path), "name": "tiny"}
    assert convert_command.run(types.SimpleNamespace(**flags)) == 0
    told = capsys.readouterr().out
    assert r"\x1b]0;title\x07.txt" in told and "\x1b" not in told
    flags = {"data_dir": str(tmp_path), "splits": None, "samples": 1, "output": str(tmp_path / "sheet.png")}
    assert inspect_data.inspect("tiny", flags_of(inspect_data, **flags)) == 0
    told = capsys.readouterr().out
    assert r"\x1b[2Jtwo" in told and "\x1b" not in told


def test_one_class_is_pointed_out(tmp_path):
    from deeplab_ksac.datasets.findings import find_useless_labels

    info, _ = convert(fakes.write_folder(tmp_path / "raw", {"train": 1}, num_classes=1), tmp_path)
    (sentence,) = find_useless_labels(info, info.num_examples)
    assert "has one class, ground" in sentence


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\xfer\x00o\x00", "line 1 has the byte 0xff"),
        ("road\nsky".encode("utf-16-le"), r"line 1 has the character U\+0000"),
        (b"a\r\nb\r\na\r\n", "a in lines 1 and 3"),
        (b"\n\na 1 2 300\n", "the color in line 3, 'a 1 2 300', has a value above 255"),
        (b"a\nb\x1b[2J\n", r"line 2 has the character U\+001B"),
    ],
)
def test_a_list_of_classes_is_refused_with_its_line(tmp_path, content, words):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 1})
    (raw / "classes.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=words):
        convert(raw, tmp_path)


@pytest.mark.parametrize(("mode", "kind", "words"), (("L", "jpeg", "holds JPEG"), ("RGB", "png", "holds colors")))
def test_what_is_wrong_with_a_mask_is_said_once(mode, kind, words, tmp_path):
    path = tmp_path / "mask.png"
    Image.new(mode, (9, 9)).save(path, kind)
    with pytest.raises(DatasetError) as raised:
        read_mask(path)
    assert str(raised.value).startswith(f"mask {path} {words}") and str(raised.value).count("mask.png") == 1
