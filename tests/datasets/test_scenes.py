"""The procedural pictures: reproducible, labeled as they are painted, and made by their grammar."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.info import IGNORE_LABEL, DatasetError
from deeplab_ksac.datasets.sources import scenes

SIZE = (61, 73)


def pictures(number, *, size=SIZE, **arguments):
    return [scenes.picture(np.random.default_rng([0, i]), size=size, **arguments) for i in range(number)]


def files(root):
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*.*g")}


def test_a_picture_is_a_function_of_seed_split_and_number(tmp_path):
    scenes.generate(tmp_path / "few", counts={"train": 2}, size=SIZE, seed=5)
    scenes.generate(tmp_path / "more", counts={"val": 1, "train": 3}, size=SIZE, seed=5)
    few, more = files(tmp_path / "few"), files(tmp_path / "more")
    assert len(few) == 4 and few.items() <= more.items()
    assert more["images/train/000000.jpg"] != more["images/val/000000.jpg"]
    scenes.generate(tmp_path / "other", counts={"train": 1}, size=SIZE, seed=6)
    assert files(tmp_path / "other")["images/train/000000.jpg"] != few["images/train/000000.jpg"]


def test_several_processes_paint_the_same_pictures(tmp_path, monkeypatch):
    scenes.generate(tmp_path / "one", counts={"train": 9}, size=(17, 19))
    monkeypatch.setattr(scenes, "PER_TASK", 1)
    scenes.generate(tmp_path / "many", counts={"train": 9}, size=(17, 19))
    assert files(tmp_path / "one") == files(tmp_path / "many")


def test_masks_are_palette_images_of_the_classes(tmp_path):
    scenes.generate(tmp_path, counts={"train": 1}, size=SIZE)
    (item,) = scenes.examples(tmp_path, "train")
    mask = Image.open(item["mask"])
    assert mask.mode == "P" and tuple(mask.getpalette()[3:6]) == scenes.INFO.colors[1]
    assert Image.open(item["image"]).size == SIZE[::-1]
    assert set(np.unique(item["label"])) <= {*range(scenes.INFO.num_classes), IGNORE_LABEL}


def test_every_class_occurs_and_none_is_most_of_everything():
    counts = np.bincount(np.concatenate([labels.ravel() for _, labels in pictures(60)]), minlength=256)
    shares = counts / counts.sum()
    assert (counts[: scenes.INFO.num_classes] > 0).all()
    assert shares.max() < 0.5 and 0.01 < shares[IGNORE_LABEL] < 0.15


def test_things_have_an_ignored_border_of_one_or_two_pixels():
    only_cars = {"car": dataclasses.replace(scenes.THINGS["car"], rate=1.0, nearness=(0.9, 1.0))}
    for _, labels in pictures(20, rules=only_cars):
        car = labels == scenes.LABEL["car"]
        beside = np.zeros_like(car)
        for axis in (0, 1):
            beside |= np.roll(car, 1, axis) | np.roll(car, -1, axis)
        inner = beside & ~car
        inner[[0, -1]] = inner[:, [0, -1]] = False
        assert (labels[inner] == IGNORE_LABEL).all()


def test_things_stand_only_where_the_grammar_lets_them():
    sheep_at_sea = {"animal": dataclasses.replace(scenes.THINGS["animal"], grounds=("water",), rate=4.0)}
    seen = set()
    for _, labels in pictures(30, rules=sheep_at_sea):
        present = set(np.unique(labels))
        seen |= present
        if scenes.LABEL["animal"] in present:
            assert scenes.LABEL["water"] in present
    assert scenes.LABEL["animal"] in seen and scenes.LABEL["car"] not in seen


def test_things_differ_in_size_by_more_than_a_factor_of_six():
    person, heights = scenes.THINGS["person"], {}
    for end, nearness in zip(("far", "near"), person.nearness):
        only = {"person": dataclasses.replace(person, rate=1.0, nearness=(nearness, nearness))}
        people = [labels == scenes.LABEL["person"] for _, labels in pictures(12, rules=only, size=scenes.SIZE)]
        heights[end] = [np.ptp(np.flatnonzero(p.any(axis=1))) + 1 for p in people if p.any()]
    assert np.median(heights["near"]) > 6 * np.median(heights["far"])


def test_a_raw_folder_with_pictures_is_not_painted_over(tmp_path):
    scenes.generate(tmp_path, counts={"train": 1}, size=SIZE)
    with pytest.raises(DatasetError, match=r"holds pictures already \(splits train\)"):
        scenes.generate(tmp_path, counts={"val": 1}, size=SIZE)


def test_an_interrupted_painting_leaves_nothing_that_is_taken_for_pictures(tmp_path):
    def interrupt(split, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        scenes.generate(tmp_path, counts={"train": 2}, size=(40, 48), progress=interrupt)
    assert scenes.find_splits(tmp_path) == ()
    scenes.generate(tmp_path, counts={"train": 2, "val": 1}, size=(40, 48))
    assert scenes.find_splits(tmp_path) == ("train", "val")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "masks"]
