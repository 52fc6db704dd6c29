"""What a command reads is never replaced by what it writes, whatever path it is named by."""

import dataclasses
import os

import pytest

from deeplab_ksac.datasets import submissions
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.scripts import convert, inspect_data, submit, visualize
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests import fakes
from tests.datasets.test_submissions import SMALL_CITYSCAPES, write_cityscapes
from tests.deeplab_ksac.runs.untrained import untrained_runs
from tests.scripts.parsing import flags_of
from tests.scripts.test_visualize import given as of_visualize


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def assert_refused(name, work, folder, capsys):
    """The command ends with one line that says what would be lost, and all files of the folder are as they were."""
    before = contents(folder)
    assert exit_status(work, name=name) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"{name}: ") and told.count("\n") == 1
    assert "cannot be written to: it " in told and "name another place for the output" in told
    assert contents(folder) == before


def by_a_link(path, place):
    (place / "link").symlink_to(path.parent)
    return place / "link" / path.name


WAYS = {
    "as it is": lambda path, place: path,
    "up and down": lambda path, place: path.parent / ".." / path.parent.name / path.name,
    "a linked folder": by_a_link,
}


@pytest.fixture
def converted(tmp_path):
    write_records(
        "folder",
        fakes.write_folder(tmp_path / "raw", {"train": 2}),
        tmp_path / "data",
        dataset_name="tiny",
        processes=1,
    )
    return tmp_path / "data"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["segmentation.png", "features.png", "dataset_info.png"])
def test_inspect_data_does_not_write_over_the_data_set(way, name, converted, tmp_path, capsys):
    output = WAYS[way](converted / "tiny" / "1.0.0" / name, tmp_path)
    given = flags_of(inspect_data, data_dir=str(converted), splits=None, samples=2, output=str(output))
    assert_refused("inspect", lambda: inspect_data.inspect("tiny", given), converted, capsys)


def test_inspect_data_does_not_write_over_a_shard_that_bears_another_name(converted, tmp_path, capsys):
    """As where a file system takes two names for one file: in upper and in lower case."""
    folder = converted / "tiny" / "1.0.0"
    os.link(next(folder.glob("*.tfrecord*")), tmp_path / "SHEET.png")
    given = flags_of(inspect_data, data_dir=str(converted), splits=None, samples=2, output=str(tmp_path / "SHEET.png"))
    assert_refused("inspect", lambda: inspect_data.inspect("tiny", given), tmp_path, capsys)


def of_convert(raw, data_dir, **flags):
    values = {"dataset": ["folder"], "raw_dir": [str(raw)], "data_dir": str(data_dir), "overwrite": True}
    return flags_of(convert, processes=1, **values, **flags)


@pytest.mark.parametrize("way", WAYS)
def test_convert_does_not_replace_its_raw_folder(way, tmp_path, capsys):
    folder = fakes.write_folder(tmp_path / "data" / "mine" / "1.0.0", {"train": 2})
    raw, data = WAYS[way](folder, tmp_path), tmp_path / "linked"
    data.symlink_to(tmp_path / "data")
    for given in (of_convert(raw, tmp_path / "data", name="mine"), of_convert(raw, data, name="mine")):
        assert_refused("convert", lambda given=given: convert.run(given), tmp_path / "data", capsys)


def test_convert_does_not_replace_a_folder_that_its_raw_folder_links_to(tmp_path, capsys):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 2})
    (tmp_path / "data" / "mine" / "1.0.0").mkdir(parents=True)
    (raw / "images" / "train").rename(tmp_path / "data" / "mine" / "1.0.0" / "pictures")
    (raw / "images" / "train").symlink_to(tmp_path / "data" / "mine" / "1.0.0" / "pictures")
    assert_refused("convert", lambda: convert.run(of_convert(raw, tmp_path / "data", name="mine")), tmp_path, capsys)


def test_convert_takes_what_lies_beside_the_data_set_that_it_replaces(tmp_path):
    raw = fakes.write_folder(tmp_path / "data" / "mine" / "raw", {"train": 2})
    for _ in range(2):
        assert convert.run(of_convert(raw, tmp_path / "data", name="mine")) == 0
    assert load_info("mine", tmp_path / "data").num_examples == {"train": 2}


@pytest.mark.parametrize("way", WAYS)
def test_submit_does_not_write_over_a_picture_of_the_test_set(way, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(submissions.SUBMISSIONS, "cityscapes", SMALL_CITYSCAPES)
    root = write_cityscapes(tmp_path / "raw")
    picture = next((root / "leftImg8bit" / "test" / "berlin").iterdir())
    output = picture.with_name("results.zip")
    output.symlink_to(picture.name)
    values = {"workdir": "run", "benchmark": "cityscapes", "raw_dir": str(root), "competition": None}
    given = flags_of(submit, **values, output=str(WAYS[way](output, tmp_path)), overwrite=True)
    assert_refused("submit", lambda: submit.run(given), root, capsys)


@pytest.mark.parametrize("target", ["run.zip", "run.zip/results.zip"])
def test_submit_does_not_write_over_the_run(target, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(submissions.SUBMISSIONS, "cityscapes", dataclasses.replace(SMALL_CITYSCAPES))
    root = write_cityscapes(tmp_path / "raw")
    (tmp_path / "run.zip").mkdir()
    (tmp_path / "run.zip" / "experiment.json").write_text("{}")
    values = {"workdir": str(tmp_path / "run.zip"), "benchmark": "cityscapes", "raw_dir": str(root)}
    given = flags_of(submit, **values, output=str(tmp_path / target), overwrite=True)
    before = contents(tmp_path)
    assert exit_status(lambda: submit.run(given), name="submit") == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert contents(tmp_path) == before


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    with untrained_runs(tmp_path_factory.mktemp("runs")) as place:
        yield place


@pytest.mark.parametrize("way", ["a linked folder"])
def test_visualize_does_not_write_over_a_picture_that_it_shows(way, runs, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.jpg", "predictions_a.png"):
        fakes.Image.fromarray(fakes.picture(0, (33, 41))).save(photos / name)
    given = of_visualize(
        runs, [str(runs / "ksac")], WAYS[way](photos, tmp_path), images=f"{photos}/a.jpg,{photos}/predictions_a.png"
    )
    assert_refused("visualize", lambda: visualize.run("predictions", given), photos, capsys)
