"""The command that selects pictures; what it writes is tested with the function."""

import pytest

from deeplab_ksac.datasets import records
from deeplab_ksac.datasets.access import RecordTable
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import filenames
from deeplab_ksac.scripts import select_pictures
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests import fakes
from tests.scripts.parsing import command_line


@pytest.fixture
def data(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 7, "val": 2})
    records.write_records("folder", raw, tmp_path / "data", dataset_name="one", processes=1)
    (tmp_path / "mine.txt").write_text("p04\n\np02.jpg\r\np06.png\n")
    return tmp_path / "data"


def select(data, *words, flags=()):
    with command_line(select_pictures, f"--data_dir={data}", "--name=few", *flags) as given:
        return exit_status(lambda: select_pictures.run(*words, given), name="select_pictures")


def names(data, split="train"):
    table = RecordTable((f"few/{split}",), data)
    return [int(name.removeprefix("p")) for name in filenames(table, range(*table.sizes))]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", [0, 1, 2, 3, 4, 5, 6]),
        (",first=3", [0, 1, 2]),
        (",skip=5", [5, 6]),
        (",spread=3", [0, 2, 4]),
        (",list={list}", [2, 4, 6]),
        (",leave_out={list}", [0, 1, 3, 5]),
        (",leave_out={list},first=2", [0, 1]),
        (",first=3,list={list}", [2]),
        (",skip=1,spread=2", [1, 4]),
    ],
)
def test_pictures_are_taken_as_a_word_says(data, tmp_path, options, expected):
    assert select(data, f"train=one/train{options.format(list=tmp_path / 'mine.txt')}") == 0
    assert names(data) == expected


def test_several_words_are_several_splits_or_parts_of_one(data, capsys):
    words = ("train=one/train,first=2", "train=one/train,skip=5,unlabeled", "val=one/val")
    assert select(data, *words) == 0
    assert names(data) == [0, 1, 5, 6] and names(data, "val") == [0, 1]
    told, progress = capsys.readouterr()
    header, train, val = told.splitlines()
    assert header.split() == ["split", "images", "official", "classes", "ignored"]
    assert train.split()[:2] == ["train", "4"] and val.split()[:2] == ["val", "2"]
    assert all(line.startswith("copying ") for line in progress.splitlines())
    info = load_info("few", data)
    assert 0.5 < info.ignored_share("train") < 0.6 and info.ignored_share("val") < 0.1
    assert select(data, "val=one/val") == 1
    assert "exists; allow overwriting (--overwrite)" in capsys.readouterr().err
    assert select(data, "val=one/val", flags=["--overwrite"]) == 0
    assert load_info("few", data).num_examples == {"val": 2}


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("one/train", "'one/train' is not <split>=<data set>/<split>, such as train=animals/train,first=25"),
        ("=one/train", "'=one/train' is not <split>=<data set>/<split>, such as train=animals/train,first=25"),
        ("train=", "'train=' is not <split>=<data set>/<split>, such as train=animals/train,first=25"),
        ("train=one", "a split is written 'name/split', such as 'camvid/test', not 'one'"),
        ("train=oen/train", "no converted data set 'oen' in "),
        ("train=one/trian", "data set one has no split 'trian' (found: train, val); did you mean 'train'?"),
        (
            "train=one/train,frist=2",
            "'train=one/train,frist=2': 'frist' is none of first, skip, spread, list, leave_out, unlabeled; did you "
            "mean 'first'?",
        ),
        ("train=one/train,", "'train=one/train,': '' is none of first, "),
        ("train=one/train,first=0", "'train=one/train,first=0': first must be a whole number from 1 to 2147483647"),
        ("train=one/train,first", "'train=one/train,first': first must be a whole number from 1 to 2147483647, not ''"),
        ("train=one/train,unlabeled=3", "'train=one/train,unlabeled=3': unlabeled takes no value"),
        ("train=one/train,list", "'train=one/train,list': list needs a file, such as list=names.txt"),
        ("train=one/train,first=8", "one/train: first=8 of 7 pictures"),
        ("train=one/train,skip=3,spread=5", "one/train: spread=5 of 4 pictures"),
        ("train=one/train,skip=7", "split train of few has no pictures"),
        ("train=one/train,list={other}", "1 of 2 names are of no picture of one/train, the first 'p09' (its pictures"),
        ("train=one/train,list={none}", "the list {none} is missing"),
        ("train=one/train,list={empty}", "split train of few has no pictures"),
    ],
)
def test_what_makes_no_sense_is_one_line(data, tmp_path, capsys, word, said):
    files = {name: tmp_path / f"{name}.txt" for name in ("other", "none", "empty")}
    files["other"].write_text("p09\np01\n")
    files["empty"].write_text("")
    assert select(data, word.format(**files)) == 1
    told = capsys.readouterr().err
    assert told.startswith(f"select_pictures: {said.format(**files)}") and told.count("\n") == 1
    assert not (data / "few").exists()


def test_what_is_read_is_not_replaced(data, capsys):
    with command_line(select_pictures, f"--data_dir={data}", "--name=one", "--overwrite") as given:
        assert exit_status(lambda: select_pictures.run("train=one/train,first=1", given), name="select_pictures") == 1
    assert "cannot be written to: it is read itself" in capsys.readouterr().err
    assert load_info("one", data).num_examples == {"train": 7, "val": 2}
