"""scripts/inspect_data.py from the command line."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets import records, survey
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.figures import contact_sheet
from tests import fakes

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"


def inspect(*flags, cwd):
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "inspect_data.py"), *map(str, flags)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"},
    )


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    place = tmp_path_factory.mktemp("data")
    raw = fakes.write_folder(place / "raw", {"train": 5, "val": 3})
    records.write_records("folder", raw, place, dataset_name="tiny")
    return place


def test_table_warnings_sheet_and_json(data_dir, tmp_path):
    done = inspect("tiny", f"--data_dir={data_dir}", f"--output={tmp_path / 'sheet.png'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[1].split()[:2] == ["train", "5"] and lines[2].split()[:2] == ["val", "3"]
    assert any(line.split()[1:3] == ["thing", "1"] for line in lines)
    assert "WARNING: train and val share 3 images: p00, p01, p02" in lines
    assert Image.open(tmp_path / "sheet.png").size[0] == 960
    content = json.loads((tmp_path / "sheet.json").read_text())
    assert [split["images"] for split in content["splits"]] == [5, 3]
    assert content["warnings"] == [line.removeprefix("WARNING: ") for line in lines if line.startswith("WARNING")]
    assert sum(content["splits"][0]["frequencies"].values()) == pytest.approx(1)
    assert all(line.startswith("reading ") for line in done.stderr.splitlines())


def test_a_raw_folder_is_looked_through_before_conversion(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 4})
    for path in (raw / "masks" / "train").iterdir():
        path.rename(path.with_name(f"{path.stem}_gt.png"))
    done = inspect("folder", f"--raw_dir={raw}", f"--output={tmp_path / 'sheet.png'}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "4 of 4 masks of" in done.stdout and "--mask_suffix" in done.stdout and not (tmp_path / "sheet.png").exists()
    flags = (f"--raw_dir={raw}", "--mask_suffix=_gt", "--val_share=0.25", f"--output={tmp_path / 'sheet.png'}")
    done = inspect("folder", *flags, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    assert ["train", "3", "0", "0"] in lines and ["val", "1", "0", "0"] in lines
    assert Image.open(tmp_path / "sheet.png").size[0] == 960
    assert json.loads((tmp_path / "sheet.json").read_text())["raw"][0]["pairs"] == 3
    done = inspect("tiny", "--mask_suffix=_gt", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "inspect: --mask_suffix says how a raw folder is read; name one (--raw_dir)\n"


def test_the_flags_that_its_messages_advise_are_taken(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 4})
    for size, mask in (((24, 24), np.zeros((24, 24), np.uint8)), ((1200, 1700), np.zeros((1200, 1700), np.uint8))):
        exif = Image.Exif()
        exif[0x0112] = 3
        Image.fromarray(fakes.picture(7, size)).save(raw / "images" / "train" / f"{size[0]}.jpg", exif=exif)
        fakes.write_palette_mask(raw / "masks" / "train" / f"{size[0]}.png", mask)
    flags = ["folder", f"--raw_dir={raw}", f"--output={tmp_path / 'sheet.png'}"]
    done = inspect(*flags, "--max_megapixels=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    said = "".join(line for line in done.stdout.splitlines() if line.startswith("WARNING"))
    assert "--rotation=stored or --rotation=upright" in said and "--max_megapixels raises it" in said
    done = inspect(*flags, "--rotation=upright", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert ["train", "6", "0", "0"] in [line.split() for line in done.stdout.splitlines()]
    for flag in ("--rotation=stored", "--max_megapixels=2"):
        done = inspect("tiny", flag, cwd=tmp_path)
        said = f"inspect: {flag.partition('=')[0]} says how a raw folder is read; name one (--raw_dir)\n"
        assert (done.returncode, done.stderr) == (1, said)


def test_an_unknown_data_set_is_one_line_and_status_1(data_dir, tmp_path):
    done = inspect("tinny", f"--data_dir={data_dir}", cwd=tmp_path)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.startswith("inspect: no converted data set 'tinny'") and len(done.stderr.splitlines()) == 1


def test_the_sheet_shows_the_pictures_of_every_split(data_dir):
    info = load_info("tiny", data_dir)
    sample = survey.survey_split("tiny", "val", data_dir=data_dir, samples=3)
    tiles = contact_sheet.grid(sample.samples, info)
    assert tiles.shape == (2 * contact_sheet.TILE, contact_sheet.COLUMNS * contact_sheet.TILE, 3)
    shown = {tuple(color) for color in tiles[contact_sheet.TILE :].reshape(-1, 3)}
    assert {tuple(info.colors[label]) for label in range(3) if sample.pixels[label]} <= shown


def test_the_standard_librarys_module_of_this_name_is_found_from_the_scripts():
    """A script has its own folder first on the path."""
    code = "import inspect, dataclasses; print(inspect.signature(lambda a: a), inspect.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(SCRIPTS)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    signature, _, file = done.stdout.strip().partition(" ")
    assert signature == "(a)" and pathlib.Path(file).parent != SCRIPTS
