"""The pictures that rules on masks select."""

import numpy as np
from PIL import Image

from deeplab_ksac.datasets.access import RecordTable
from deeplab_ksac.datasets.info import load_info
from deeplab_ksac.datasets.pipeline import filenames
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.experiments.claims_on_pictures import STUDIES
from deeplab_ksac.runs import claims_pictures


def test_pairs_are_those_of_classes_with_enough_pixels():
    labels = np.zeros([64, 64], np.int32)
    labels[:16, :16], labels[16:32, :16], labels[32:48, :15], labels[48:] = 3, 1, 2, 255
    assert claims_pictures.pairs_of(labels, 4) == {(1, 3)}
    assert not claims_pictures.pairs_of(np.zeros([64, 64], np.int32), 4)


def test_every_second_pair_is_held_out_of_those_that_are_frequent():
    counts = {(1, 2): 40, (1, 3): 35, (2, 3): 35, (1, 4): 30, (2, 4): 29}
    pictures = [frozenset([pair]) for pair, count in counts.items() for _ in range(count)]
    held, kept = claims_pictures.held_out_pairs(pictures)
    assert held == {(1, 3), (1, 4)} and kept == {(1, 2), (2, 3)}


def write(folder, splits):
    """A converted data set `animals` of label maps by split; a photograph is its labels as gray values."""
    raw = folder / "raw"
    for split, maps in splits.items():
        for kind in ("images", "masks"):
            (raw / kind / split).mkdir(parents=True)
        for number, labels in enumerate(maps):
            Image.fromarray(labels).save(raw / "masks" / split / f"{number:03}.png")
            Image.fromarray(np.stack([40 * labels] * 3, axis=-1)).save(raw / "images" / split / f"{number:03}.png")
    (raw / "classes.txt").write_text("".join(f"class{index}\n" for index in range(4)))
    write_records("folder", raw, folder / "data", dataset_name="animals")
    return folder / "data"


def halves(left, right):
    return np.repeat(np.array([[left, right]], np.uint8), 32, axis=1).repeat(64, axis=0)


def test_what_is_tested_on_is_not_trained_on(tmp_path, monkeypatch):
    monkeypatch.setattr(claims_pictures, "LEAST_PICTURES", 2)
    within = np.full([64, 64], 2, np.uint8)
    within[20:40, 20:40] = 1  # a pair that is seen, besides
    plain, first, second, rare = halves(0, 3), halves(1, 2), halves(1, 3), halves(2, 3)
    train = [plain, first, second, first, within, second, rare]
    data_dir = write(tmp_path, {"train_aug": train, "val": [second, first]})
    claims_pictures.select_pictures(STUDIES["ksac"], data_dir)
    assert not (data_dir / "animals_held_out").exists()
    claims_pictures.select_pictures(STUDIES["caa"], data_dir)
    claims_pictures.select_pictures(STUDIES["few_labels"], data_dir)

    def names(split):
        table = RecordTable((split,), data_dir)
        return [int(name.removesuffix(".png")) for name in filenames(table, range(*table.sizes))]

    assert names("animals_held_out/train") == [0, 1, 3, 6]
    assert names("animals_held_out/inside") == [4]
    assert names("animals_held_out/unseen") == [2, 5, 0]  # and the first of val
    assert names("animals_held_out/seen") == [1]
    assert names("animals_few/labeled") == names("animals_few/unlabeled") == list(range(7))
    assert load_info("animals_few", data_dir).num_examples == {"labeled": 7, "unlabeled": 7}
