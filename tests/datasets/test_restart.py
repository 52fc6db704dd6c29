"""A conversion that is interrupted, at any moment, and started again."""

import functools
import multiprocessing
import os
import pathlib
import signal
import time

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.info import DatasetError, load_info
from deeplab_ksac.datasets.reading import Reading
from tests import fakes

COUNTS = {"train": 11, "val": 5}


@pytest.fixture(scope="module")
def raw(tmp_path_factory):
    return fakes.write_folder(tmp_path_factory.mktemp("raw"), COUNTS)


@pytest.fixture(scope="module")
def expected(raw, tmp_path_factory):
    """The files of an uninterrupted conversion by one process."""
    place = tmp_path_factory.mktemp("expected")
    convert(raw, place, processes=1)
    return content(place)


def convert(raw, data_dir, **arguments):
    settings = {"dataset_name": "tiny", "shards": 4, "processes": 2, **arguments}
    return records.write_records("folder", raw, data_dir, **settings)


def content(data_dir):
    folder = pathlib.Path(data_dir, "tiny", "1.0.0")
    assert [path.name for path in folder.parent.iterdir()] == ["1.0.0"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")}


def unfinished(data_dir):
    """The hidden folder of a conversion that did not end."""
    (folder,) = pathlib.Path(data_dir, "tiny").glob(".1.0.0.incomplete*")
    return folder


def finished(data_dir):
    """{name: inode and time} of the shards that a conversion that did not end has finished."""
    folder = unfinished(data_dir)
    names = [path.stem for path in (folder / ".shards").glob("*.json")]
    return {name: (os.stat(folder / name).st_ino, os.stat(folder / name).st_mtime_ns) for name in names}


def killed(work):
    """Runs `work` in a process of its own, which is a group with those that it starts, and returns its number."""
    process = os.fork()
    if not process:
        os.setsid()  # a group of this session would get SIGHUP and SIGCONT if it was stopped when the first of it ends
        try:
            work()
        finally:
            os._exit(3)
    return process


def wait_for_orphans(group):
    """Until all processes of a killed conversion have ended, which takes a while on a busy machine."""
    end = time.monotonic() + 60.0
    while any(alive(path, group) for path in pathlib.Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(path, group):
    """Whether a process is of the group and runs; one that has ended and waits for its new parent does not."""
    try:
        state, _, of_group = (path / "stat").read_text().rsplit(")", 1)[1].split()[:3]
    except OSError:
        return False
    return int(of_group) == group and state not in "ZX"


def test_the_number_of_processes_does_not_show(raw, expected, tmp_path):
    convert(raw, tmp_path, processes=3)
    assert content(tmp_path) == expected


@pytest.mark.parametrize("done", [("train", 1), ("train", 4), ("train", 7), ("train", 11), ("val", 3), ("val", 5)])
def test_after_a_kill_the_rest_is_done_and_the_result_is_the_same(raw, expected, tmp_path, done):
    def kill_at(split, number, total):
        if (split, number) == done:
            os.kill(os.getpid(), signal.SIGKILL)

    process = killed(lambda: convert(raw, tmp_path, progress=kill_at))
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == -signal.SIGKILL
    wait_for_orphans(process)
    with pytest.raises(DatasetError, match="no converted data set"):
        load_info("tiny", tmp_path)
    before = finished(tmp_path)
    calls = []
    convert(raw, tmp_path, progress=lambda *state: calls.append(state))
    assert content(tmp_path) == expected
    shards = {name: tmp_path / "tiny" / "1.0.0" / name for name in before}
    assert {name: (os.stat(path).st_ino, os.stat(path).st_mtime_ns) for name, path in shards.items()} == before
    written = sum(
        1 for split, number, _ in calls if (split, number - 1) in {(s, n) for s, n, _ in calls} or number == 1
    )
    kept = sum(len(list(records_in(path))) for path in shards.values())
    assert written + kept == sum(COUNTS.values())


def records_in(path):
    import tensorflow as tf

    return tf.data.TFRecordDataset(str(path)).as_numpy_iterator()


def test_kills_at_any_time_one_after_another_end_in_the_same(raw, expected, tmp_path):
    rng = np.random.default_rng(0)
    for _ in range(12):
        process = killed(lambda: convert(raw, tmp_path))
        time.sleep(rng.uniform(0.01, 0.15))
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        if (tmp_path / "tiny" / "1.0.0").exists():
            break
    if not (tmp_path / "tiny" / "1.0.0").exists():
        convert(raw, tmp_path)
    found = pathlib.Path(tmp_path, "tiny", "1.0.0")
    assert {path.name: path.read_bytes() for path in found.iterdir() if path.is_file()} == expected


def has_a_lock_open(process):
    opened = pathlib.Path(f"/proc/{process}/fd").iterdir()
    return any(os.path.lexists(file) and os.readlink(file).endswith(".lock") for file in opened)


def test_processes_that_outlive_their_conversion_do_not_disturb_the_next_one(raw, expected, tmp_path):
    def stop_all_and_die(split, number, total):
        workers = [process.pid for process in multiprocessing.active_children()]
        for worker in workers:
            while has_a_lock_open(worker):  # for the moment in which it is forked
                time.sleep(0.01)
            os.kill(worker, signal.SIGSTOP)
        (tmp_path / "stopped").write_text(" ".join(map(str, workers)))
        os.kill(os.getpid(), signal.SIGKILL)

    process = killed(lambda: convert(raw, tmp_path / "data", progress=stop_all_and_die))
    os.waitpid(process, 0)
    stopped = list(map(int, (tmp_path / "stopped").read_text().split()))
    assert len(stopped) == 2
    try:
        convert(raw, tmp_path / "data", overwrite=True)
    finally:
        for worker in stopped:
            os.kill(worker, signal.SIGCONT)
    wait_for_orphans(process)
    assert content(tmp_path / "data") == expected


def interrupt_after_train(split, done, total):
    if split == "val":
        raise KeyboardInterrupt


@pytest.fixture
def interrupted(raw, tmp_path):
    """A raw folder of its own and a place with all shards of `train` finished."""
    own = fakes.write_folder(tmp_path / "raw", COUNTS)
    with pytest.raises(KeyboardInterrupt):
        convert(own, tmp_path / "data", processes=1, progress=interrupt_after_train)
    assert len(finished(tmp_path / "data")) == 4
    return own, tmp_path / "data"


def first_calls(raw, data_dir, **arguments):
    """What was done before, by split: the first call of the progress callback."""
    first = {}
    convert(raw, data_dir, progress=lambda split, done, total: first.setdefault(split, done), **arguments)
    return first


def test_what_was_done_is_told_first(interrupted):
    assert first_calls(*interrupted) == {"train": 11, "val": 1}


def test_a_changed_mask_has_its_shard_written_anew(interrupted, tmp_path):
    raw, data_dir = interrupted
    mask = raw / "masks" / "train" / "p04.png"
    fakes.write_palette_mask(mask, 2 - np.minimum(np.asarray(Image.open(mask)), 2))
    os.utime(mask, ns=(0, 0))
    assert first_calls(raw, data_dir) == {"train": 8, "val": 1}
    convert(raw, tmp_path / "other")
    assert content(data_dir) == content(tmp_path / "other")


@pytest.mark.parametrize("change", ["another image", "classes", "shards", "rotation"])
def test_other_examples_or_arguments_start_over(interrupted, tmp_path, change):
    raw, data_dir = interrupted
    arguments = {"shards": {"shards": 3}, "rotation": {"rotation": "stored"}}.get(change, {})
    if change == "another image":
        Image.fromarray(fakes.picture(9)).save(raw / "images" / "train" / "a.jpg")
        fakes.write_palette_mask(raw / "masks" / "train" / "a.png", fakes.labels(9, 3))
    if change == "classes":
        (raw / "classes.txt").write_text("earth\nwater\nair\n")
    kept = 9 if change == "another image" else 1  # three shards hold the very same run of examples again
    assert first_calls(raw, data_dir, **arguments) == {"train": kept, "val": 1}
    convert(raw, tmp_path / "other", **arguments)
    assert content(data_dir) == content(tmp_path / "other")


READINGS = {
    "label_map": ({"label_map": {0: 0, 1: 1, 2: 2, 255: 255}}, {"label_map": {0: 1, 1: 0, 2: 2, 255: 255}}),
    "colors": ({"colors": "legend.txt"}, {"colors": "corrected.txt"}),
}


@pytest.mark.parametrize("classes", [None, ("ground", "thing 1")], ids=["all classes", "some classes"])
@pytest.mark.parametrize("what", READINGS)
def test_another_meaning_of_the_masks_starts_over(tmp_path, monkeypatch, what, classes):
    raw = fakes.write_folder(tmp_path / "raw", COUNTS)
    (tmp_path / "legend.txt").write_text("ground 9 9 9\nthing 1 8 8 8\nthing 2 7 7 7\nignored 0 0 0\n")
    (tmp_path / "corrected.txt").write_text("ground 8 8 8\nthing 1 9 9 9\nthing 2 7 7 7\nignored 0 0 0\n")
    if what == "colors":
        for mask in raw.glob("masks/*/*.png"):
            values = np.array([9, 8, 7, *[0] * 253], np.uint8)[np.asarray(Image.open(mask))]
            Image.fromarray(np.stack([values] * 3, -1)).save(mask)
    monkeypatch.chdir(tmp_path)
    wrong, right = ({"reading": Reading(**reading), "classes": classes} for reading in READINGS[what])
    with pytest.raises(KeyboardInterrupt):
        convert(raw, tmp_path / "data", processes=1, progress=interrupt_after_train, **wrong)
    assert first_calls(raw, tmp_path / "data", **right) == {"train": 1, "val": 1}
    convert(raw, tmp_path / "other", **right)
    assert content(tmp_path / "data") == content(tmp_path / "other")


def test_examples_of_which_it_is_not_known_how_labels_are_read_start_over(tmp_path):
    (file := tmp_path / "own.py").write_text(OWN)
    raw, arguments = fakes.write_folder(tmp_path / "raw", COUNTS), {"dataset_name": "tiny", "processes": 1}
    with pytest.raises(KeyboardInterrupt):
        records.write_records(str(file), raw, tmp_path, progress=interrupt_after_train, **arguments)
    calls = []
    records.write_records(str(file), raw, tmp_path, progress=lambda *state: calls.append(state), **arguments)
    assert calls[0] == ("train", 1, 11)


OWN = """
from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.sources import folder

INFO = DatasetInfo("own", ("ground", "other"), ((0, 0, 0), (1, 1, 1)))
find_splits = folder.find_splits


class Halves:
    def __init__(self, items):
        self.items, self.entries = items, items.entries

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return {**self.items[index], "label": self.items[index]["label"] & 1}


def examples(root, split):
    return Halves(folder.examples(root, split))
"""


def test_a_damaged_remainder_is_not_trusted(interrupted, expected):
    raw, data_dir = interrupted
    folder = unfinished(data_dir)
    shard, record, *_ = sorted(folder.glob("tiny-train*"))[0], *sorted((folder / ".shards").iterdir())[1:]
    shard.write_bytes(shard.read_bytes()[:-1])
    record.write_text("{")
    (folder / "dataset_info.json").write_text("half")
    assert first_calls(raw, data_dir)["train"] == 11 - 2 - 3  # shards of 2, 3, 3 and 3 examples
    assert content(data_dir).keys() == expected.keys()


def test_a_bad_file_costs_its_own_shard_only(raw, tmp_path):
    own = fakes.write_folder(tmp_path / "raw", COUNTS)
    bad = own / "images" / "val" / "p04.jpg"
    good = bad.read_bytes()
    bad.write_bytes(good[:50])
    with pytest.raises(DatasetError, match=r"p04.jpg is truncated or corrupt"):
        convert(own, tmp_path / "data", processes=1)
    bad.write_bytes(good)
    assert first_calls(own, tmp_path / "data", processes=1) == {"train": 11, "val": 3}


def test_two_conversions_at_once_are_refused(raw, tmp_path, monkeypatch):
    monkeypatch.setattr(records, "only_one", functools.partial(records.only_one, patience=0.1))

    def convert_again(split, done, total):
        process = killed(lambda: refused(raw, tmp_path))
        assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert(raw, tmp_path, processes=1, progress=convert_again)
    convert(raw, tmp_path)


def refused(raw, data_dir):
    try:
        convert(raw, data_dir, processes=1)
    except DatasetError as error:
        os._exit(0 if "is being written by another conversion" in str(error) else 4)
