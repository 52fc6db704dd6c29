"""scripts/convert.py from the command line."""

import os
import pathlib
import subprocess
import sys
import types

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.scripts import convert as script
from deeplab_ksac.scripts.commandline.ending import exit_status
from tests import fakes
from tests.scripts.parsing import flags_of

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts" / "convert.py"
DEFAULTS = vars(flags_of(script, processes=1, scenes_counts={"train": 3}, scenes_size=(33, 41)))


def convert(*flags, cwd):
    return subprocess.run(
        [sys.executable, str(SCRIPT), *map(str, flags)],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "TF_CPP_MIN_LOG_LEVEL"},
    )


def test_a_folder_is_converted_under_its_own_name_with_a_table_at_the_end(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 4, "val": 2})
    done = convert("--dataset=folder", f"--raw_dir={raw}", f"--data_dir={tmp_path}", "--name=mine", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_info("mine", tmp_path).num_examples == {"train": 4, "val": 2}
    header, train, val = done.stdout.splitlines()
    assert header.split() == ["split", "images", "official", "classes", "ignored"]
    assert train.split()[:3] == ["train", "4", "3"] and val.split()[:3] == ["val", "2", "3"]
    assert all(line.startswith("writing ") for line in done.stderr.splitlines())


def test_a_folder_of_one_split_with_binary_masks_is_read_as_the_flags_say(tmp_path):
    raw, masks = tmp_path / "raw", [255 * (fakes.labels(i, 2, ignore=False) > 0).astype(np.uint8) for i in range(5)]
    for kind in ("images", "masks"):
        (raw / kind).mkdir(parents=True)
    for i, mask in enumerate(masks):
        Image.fromarray(fakes.picture(i)).save(raw / "images" / f"p{i}.JPG")
        Image.fromarray(mask).save(raw / "masks" / f"p{i}_mask.PNG")
    (raw / "classes.txt").write_text("ground\nthing\n")
    flags = ("--dataset=folder", f"--raw_dir={raw}", f"--data_dir={tmp_path}", "--label_map=0:0,255:1")
    done = convert(*flags, "--mask_suffix=_mask", "--val_share=0.2", "--split_seed=3", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    info = load_info("folder", tmp_path)
    assert info.num_examples == {"train": 4, "val": 1} and sum(info.ignored_pixels.values()) == 0
    ones = sum(np.count_nonzero(mask) for mask in masks)
    assert sum(counts[1] for counts in info.pixel_counts.values()) == ones > 0


def test_scenes_are_painted_first_where_there_are_none(tmp_path):
    flags = ("--dataset=scenes", f"--raw_dir={tmp_path / 'raw'}", f"--data_dir={tmp_path}")
    done = convert(*flags, "--scenes_counts=train=3,val=1", "--scenes_size=33,41", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_info("scenes", tmp_path).num_examples == {"train": 3, "val": 1}
    before = (tmp_path / "raw" / "images" / "train" / "000000.jpg").stat().st_mtime_ns
    again = convert(*flags, "--overwrite", "--seed=9", cwd=tmp_path)
    assert again.returncode == 0 and "painting" not in again.stderr
    assert (tmp_path / "raw" / "images" / "train" / "000000.jpg").stat().st_mtime_ns == before


def test_several_are_converted_one_after_another_and_what_is_there_stays(tmp_path):
    voc = fakes.write_voc2012(tmp_path / "voc", {"train": ["a", "b"], "trainval": ["a", "b", "c"]})
    camvid = fakes.write_camvid(tmp_path / "camvid", {"train": 2, "val": 1})
    flags = ("--dataset=voc2012,camvid", f"--data_dir={tmp_path}", "--allow_other_counts")
    done = convert(*flags, f"--raw_dir={voc},{camvid}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert load_info("voc2012", tmp_path).num_examples == {"train": 2, "trainval": 3}
    assert load_info("camvid", tmp_path).num_examples == {"train": 2, "val": 1}
    assert ["test", "none", "233"] in [line.split() for line in done.stdout.splitlines()]
    again = convert(*flags, f"--raw_dir={voc},{camvid}", cwd=tmp_path)
    assert again.returncode == 0 and again.stdout.count("is left alone") == 2


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"dataset": ["voc2012"]}, "split train of {raw} has 2 images, officially 1464"),
        ({"dataset": ["camvid"]}, "{raw} holds no split of camvid (official: train, val, test)"),
        ({"dataset": ["voc2012"], "splits": ["test"]}, "Segmentation/test.txt is missing"),
        ({"dataset": ["voc"]}, "--dataset: 'voc' is none of scenes, camvid, voc2012"),
        ({"dataset": ["tfds:nothing"]}, "the raw folder {raw}/nothing does not exist"),
        ({"dataset": ["folder:x"]}, "data set 'folder:x': a path follows tfds and hf, as in tfds:name"),
        ({"dataset": ["tfsd:x"]}, "--dataset: 'tfsd:x' is none of scenes, camvid"),
        ({"dataset": ["voc2012"], "label_map": {1: 0}}, "label_map (--label_map) is not for the data set voc2012"),
        (
            {"dataset": ["voc2012"], "val_share": 0.2},
            "--val_share is for data without official splits; voc2012 has",
        ),
        ({"dataset": ["folder"], "split_seed": 1}, "--split_seed=1 is about the pictures of --val_share; give it too"),
        ({"dataset": ["folder"], "val_share": 0.2, "split_group": "("}, "split_group='(' is no regular expression"),
    ],
)
def test_bad_input_ends_in_one_line_and_status_1(tmp_path, capsys, monkeypatch, flags, words):
    raw = fakes.write_voc2012(tmp_path / "raw", {"train": ["a", "b"]})
    given = types.SimpleNamespace(**{**DEFAULTS, **flags, "raw_dir": [str(raw)], "data_dir": str(tmp_path / "data")})
    assert exit_status(lambda: script.run(given), name="convert") == 1
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1 and told.err.startswith("convert: ")
    assert words.format(raw=raw) in told.err
    assert not (tmp_path / "data").exists() or not list((tmp_path / "data").glob("*/1.0.0"))
