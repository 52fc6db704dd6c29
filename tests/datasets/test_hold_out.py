"""Pictures held out for validation."""

import numpy as np
import pytest

from deeplab_ksac.datasets.hold_out import HeldOut, hold_out
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw import Examples
from deeplab_ksac.datasets.raw_folder import RawFolder
from deeplab_ksac.datasets.records import write_records
from tests import fakes
from tests.datasets.sources import tools

FILMS = [f"film{film}_{frame:03d}" for film in range(6) for frame in range(film + 2)]


def examples(names):
    return Examples([(name, f"{name}.jpg", f"{name}.png") for name in names], read_labels=lambda mask: np.zeros((2, 2)))


def ids(items):
    return [item["id"] for item in items]


def test_a_share_of_the_pictures_is_held_out_in_order():
    names = [f"p{i:03d}" for i in range(50)]
    found = hold_out({"train": examples(names)}, HeldOut(0.2))
    assert list(found) == ["train", "val"]
    assert len(found["val"]) == 10 and sorted(ids(found["train"]) + ids(found["val"])) == names
    assert ids(found["train"]) == sorted(ids(found["train"])) and ids(found["val"]) == sorted(ids(found["val"]))


def test_the_seed_decides_and_not_the_order_of_the_files():
    names = [f"p{i:03d}" for i in range(50)]
    held = set(ids(hold_out({"train": examples(names)}, HeldOut(0.2))["val"]))
    assert held == set(ids(hold_out({"train": examples(names[::-1])}, HeldOut(0.2))["val"]))
    assert held != set(ids(hold_out({"train": examples(names)}, HeldOut(0.2, seed=1))["val"]))


@pytest.mark.parametrize("group", [r"^(film\d+)_", r"^film\d+"])
@pytest.mark.parametrize("seed", range(5))
def test_a_group_is_held_out_together_and_never_too_much(group, seed):
    found = hold_out({"train": examples(FILMS)}, HeldOut(0.3, seed=seed, group=group))
    train, val = ({name.partition("_")[0] for name in ids(found[split])} for split in ("train", "val"))
    assert train and val and not train & val
    assert len(found["val"]) <= 8 and len(found["val"]) + len(found["train"]) == len(FILMS)


def test_the_smallest_group_is_held_out_where_none_fits():
    found = hold_out({"train": examples(FILMS)}, HeldOut(0.01, group=r"^(film\d+)_"))
    assert ids(found["val"]) == ["film0_000", "film0_001"]


def test_folders_that_are_no_splits_are_taken_together():
    found = hold_out({"north": examples(["a", "b"]), "south": examples(["a"])}, HeldOut(0.4))
    assert sorted(ids(found["train"]) + ids(found["val"])) == ["north/a", "north/b", "south/a"]
    assert list(found) == ["train", "val"]


def test_other_splits_stay_beside_train():
    found = hold_out({"train": examples(["a", "b", "c"]), "test": examples(["t"])}, HeldOut(0.01))
    assert {split: len(items) for split, items in found.items()} == {"train": 2, "val": 1, "test": 1}


def test_what_is_missing_or_left_out_is_still_known():
    pool = examples(["a", "b", "c"])
    pool.missing, pool.left_out = ("d",), ("2 masks without an image",)
    found = hold_out({"train": pool, "test": examples(["t"])}, HeldOut(0.34))
    assert {split: (items.missing, items.left_out) for split, items in found.items()} == {
        "train": (pool.missing, pool.left_out),
        "val": ((), ()),
        "test": ((), ()),
    }
    found = hold_out({"north": pool, "south": examples(["a"])}, HeldOut(0.3))
    assert found["train"].missing == ("north/d",) and found["train"].left_out == ("north: 2 masks without an image",)


def test_each_picture_is_read_as_those_of_its_split():
    north, south = examples(["a", "b"]), examples(["a", "b"])
    north.read_labels, south.read_labels = (lambda mask: np.full((2, 2), 1)), (lambda mask: np.full((2, 2), 2))
    found = hold_out({"north": north, "south": south}, HeldOut(0.5))
    labels = {item["id"]: item["label"][0, 0] for items in found.values() for item in items}
    assert labels == {"north/a": 1, "north/b": 1, "south/a": 2, "south/b": 2}


def test_examples_whose_ids_are_not_known_are_refused():
    with pytest.raises(DatasetError, match=r"the examples of the split north are of the type list; .* \(--val_share\)"):
        hold_out({"north": [], "south": examples(["a"])}, HeldOut(0.5))
    plain = [{"id": "t"}]
    assert hold_out({"train": examples(["a", "b"]), "test": plain}, HeldOut(0.5))["test"] is plain


def test_what_is_missing_stops_a_conversion_of_val_alone(tmp_path):
    root = tools.write_coco(tmp_path / "raw", tools.scene())
    (root / "images" / "train" / "b.png").unlink()
    arguments = {"dataset_name": "tiny", "held_out": HeldOut(0.34), "processes": 1, "splits": ["val"]}
    with pytest.raises(DatasetError, match=r"split val of .* has 1 images, missing: b; allow other counts"):
        write_records("coco", root, tmp_path / "data", **arguments)
    info = write_records("coco", root, tmp_path / "data", allow_other_counts=True, **arguments)
    assert info.num_examples == {"val": 1}


def test_a_split_that_is_not_asked_for_need_not_be_complete(tmp_path):
    root = fakes.write_folder(tmp_path / "raw", {"train": 4, "test": 1})
    (root / "masks" / "test" / "p00.png").unlink()
    raw = RawFolder("folder", root, held_out=HeldOut(0.25))
    found = raw.examples(["train", "val"])
    assert {split: len(items) for split, items in found.items()} == {"train": 3, "val": 1}
    with pytest.raises(DatasetError, match=r"1 of 1 masks of .* are missing, .*; --splits names the splits that"):
        raw.examples()


def test_a_picture_that_is_missing_stops_a_conversion_that_holds_some_out(tmp_path):
    root = tools.write_coco(tmp_path / "raw", tools.scene())
    (root / "images" / "train" / "b.png").unlink()
    tools.save_picture(root / "images" / "train" / "more.png", "a", (24, 32))
    told, arguments = [], {"dataset_name": "tiny", "held_out": HeldOut(0.34), "processes": 1}
    with pytest.raises(DatasetError, match=r"split train of .* has 2 images, missing: b; allow other counts"):
        write_records("coco", root, tmp_path / "data", tell=told.append, **arguments)
    assert told == [f"left out: train: 1 picture without annotations (the first {root / 'images/train/more.png'})"]
    info = write_records("coco", root, tmp_path / "data", allow_other_counts=True, **arguments)
    assert info.num_examples == {"train": 2, "val": 1}


@pytest.mark.parametrize(
    ("names", "arguments", "words"),
    [
        ({"train": ["a"], "val": ["b"]}, {}, r"there is a split val already \(1 images\); leave --val_share out"),
        ({"train": ["a"]}, {}, "1 images are 1 image: nothing can be held out"),
        ({"train": FILMS}, {"group": "film"}, "27 images are 1 group by --split_group=film"),
        ({"train": [*FILMS, "x"]}, {"group": r"film(\d)"}, "1 of 28 images have no group by .*, the first x"),
    ],
)
def test_what_cannot_be_held_out_is_refused(names, arguments, words):
    with pytest.raises(DatasetError, match=words):
        hold_out({split: examples(found) for split, found in names.items()}, HeldOut(0.2, **arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"share": 0.0}, r"val_share must be a number in \(0, 1\), not 0.0"),
        ({"share": 0.2, "seed": -1}, "split_seed must be an integer of at least 0"),
        ({"share": 0.2, "group": "("}, r"split_group='\(' is no regular expression"),
    ],
)
def test_a_wrong_share_seed_or_group_is_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        HeldOut(**arguments)
