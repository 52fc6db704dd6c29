"""The study of few pictures trains on the first ones, tells its results apart, and draws them."""

import json
import pathlib
import runpy
import subprocess
import sys
import types
import xml.etree.ElementTree

import pytest

from deeplab_ksac.datasets.access import RecordTable
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import filenames
from tests.fakes import write_camvid
from tests.places import ROOT

PATH = ROOT / "examples" / "few_pictures.py"
RESULTS = {
    "random": {25: {"val": 0.2, "test": 0.15}, 50: {"val": 0.3, "test": 0.25}},
    "shipped": {25: {"val": 0.4, "test": 0.35}, 50: {"val": 0.50449, "test": 0.45}},
}


@pytest.fixture(scope="module")
def study():
    """The names of the script, which is not run as a program."""
    return runpy.run_path(str(PATH))


def test_the_first_pictures_of_the_official_order_are_trained_on(study, tmp_path):
    write_camvid(tmp_path / "all", {"train": 3, "val": 1, "test": 1})
    name = study["first_pictures"](2, tmp_path / "all", tmp_path / "data")
    assert load_info(name, tmp_path / "data").num_examples == {"train": 2, "val": 1, "test": 1}
    listed = (tmp_path / "all" / "train.txt").read_text().splitlines()
    official = [pathlib.PurePath(line.split()[0]).stem for line in listed]
    table = RecordTable((f"{name}/train",), tmp_path / "data")
    assert filenames(table, range(2)) == official[:2]


def test_the_table_has_a_row_for_each_kind_of_weights_and_split(study):
    lines = study["as_markdown"](RESULTS).splitlines()
    assert lines[0] == "| pictures | 25 | 50 |"
    assert lines[2:] == [
        "| random weights, val | 20.0 | 30.0 |",
        "| random weights, test | 15.0 | 25.0 |",
        "| animals_ksac_lite0, val | 40.0 | 50.4 |",
        "| animals_ksac_lite0, test | 35.0 | 45.0 |",
    ]


def test_the_figure_is_the_same_text_for_the_same_numbers(study, tmp_path):
    for name in ("one.svg", "other.svg"):
        study["draw"](RESULTS, tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "other.svg").read_text()
    root = xml.etree.ElementTree.fromstring(text)
    curves = [use for use in root.iter("{http://www.w3.org/2000/svg}g") if use.get("id", "").startswith("line2d")]
    assert len(curves) > len(RESULTS)


def test_a_result_of_another_number_of_steps_is_not_told_as_one_of_this(study, tmp_path):
    for name in ("data/camvid", "data/camvid8", "random_8_seed0"):
        (tmp_path / name).mkdir(parents=True)
    run = tmp_path / "random_8_seed0"
    (run / "experiment.json").write_text(json.dumps({"stages": [{"steps": 1}]}))
    for split in ("val", "test"):
        (run / f"eval_camvid8_{split}_ms1.5.json").write_text(json.dumps({"miou": 0.5}))
    given = types.SimpleNamespace(raw_dir="", workdir=str(tmp_path), seed=0, backbone_weights=None, steps=1)
    assert study["trained"]("random", 8, given) == {"val": 0.5, "test": 0.5}
    given.steps = 450
    with pytest.raises(ValueError, match=r"random_8_seed0 was trained for 1 steps, not 450; name another --workdir"):
        study["trained"]("random", 8, given)


def test_it_trains_evaluates_and_does_nothing_twice(tmp_path):
    write_camvid(tmp_path / "all", {"train": 9, "val": 1, "test": 1})
    command = [sys.executable, PATH, f"--raw_dir={tmp_path / 'all'}", f"--workdir={tmp_path / 'few'}", "--counts=8"]
    command += ["--weights=random,shipped", "--steps=1"]
    first = subprocess.run(command, capture_output=True, text=True)
    assert first.returncode == 0, first.stderr
    assert [line.split()[1] for line in first.stdout.splitlines() if line.startswith("ksac ")] == [
        "convert",
        "select_pictures",
        *2 * ["train", "evaluate", "evaluate"],
    ]
    again = subprocess.run(command, capture_output=True, text=True)
    assert again.returncode == 0 and "ksac " not in again.stdout
    table = (tmp_path / "few" / "few_pictures.md").read_text()
    assert table.count("\n") == 6 and table in first.stdout and table in again.stdout
    assert (tmp_path / "few" / "few_pictures.svg").read_text().startswith("<?xml")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ("--raw_dir=nowhere", "convert: the raw folder nowhere does not exist"),
        ("--counts=0", "--counts are whole numbers from 1 on, not 0"),
        ("--counts=few", "few_pictures: invalid literal for int() with base 10: 'few'"),
        ("--counts=9", "camvid/train: first=9 of 2 pictures"),
        ("--weights=other", "--weights: 'other' is none of random, imagenet, shipped"),
        ("--weights=imagenet", "--weights=imagenet needs --backbone_weights"),
    ],
)
def test_a_wrong_argument_is_one_line(tmp_path, wrong, words):
    write_camvid(tmp_path / "all", {"train": 2, "val": 1, "test": 1})
    command = [
        sys.executable,
        PATH,
        f"--raw_dir={tmp_path / 'all'}",
        f"--workdir={tmp_path / 'few'}",
        "--counts=2",
        wrong,
    ]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode and words in failed.stdout + failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr


def test_a_broken_picture_is_named_by_the_command_that_reads_it(tmp_path):
    write_camvid(tmp_path / "all", {"train": 2, "val": 1, "test": 1})
    picture = sorted((tmp_path / "all" / "train").iterdir())[0]
    picture.write_bytes(picture.read_bytes()[:50])
    command = [sys.executable, PATH, f"--raw_dir={tmp_path / 'all'}", f"--workdir={tmp_path / 'few'}", "--counts=2"]
    failed = subprocess.run(command, capture_output=True, text=True)
    assert failed.returncode == 1 and picture.name in failed.stderr and "Traceback" not in failed.stderr
