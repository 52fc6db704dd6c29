"""A raw folder looked through before conversion."""

import json

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac.datasets.hold_out import HeldOut
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.inspection import inspect_dataset
from deeplab_ksac.datasets.raw_inspection import inspect_raw
from deeplab_ksac.datasets.reading import Reading
from deeplab_ksac.datasets.records import write_records
from tests import fakes
from tests.datasets.sources import tools


@pytest.fixture
def raw(tmp_path):
    return fakes.write_folder(tmp_path / "raw", {"train": 5, "val": 3})


def test_it_counts_what_inspection_counts_after_conversion(raw, tmp_path):
    before = inspect_raw("folder", raw, samples=2, processes=1)
    write_records("folder", raw, tmp_path)
    after = inspect_dataset("folder", data_dir=tmp_path, samples=2)
    assert before.warnings == after.warnings and before.notes == after.notes
    for ours, theirs in zip(before.surveys, after.surveys, strict=True):
        np.testing.assert_array_equal(ours.pixels, theirs.pixels)
        np.testing.assert_array_equal(ours.images, theirs.images)
        assert (ours.names, ours.sizes, ours.formats) == (theirs.names, theirs.sizes, theirs.formats)
        assert ours.samples == theirs.samples and len(ours.image_hashes) == len(theirs.names)
    assert before.text().endswith(after.text())


@pytest.mark.parametrize("processes", [1, 2])
def test_pairs_values_and_progress(raw, processes):
    calls = []
    found = inspect_raw("folder", raw, processes=processes, progress=lambda *state: calls.append(state))
    assert calls == [("train", i, 5) for i in range(1, 6)] + [("val", i, 3) for i in range(1, 4)]
    train = found.found[0]
    assert (train.name, train.pairs, train.missing, train.left_out, train.problems) == ("train", 5, (), (), [])
    masks = [np.asarray(Image.open(path)) for path in sorted((raw / "masks" / "train").iterdir())]
    for value, (pixels, count) in train.values.items():
        assert pixels == sum(np.count_nonzero(mask == value) for mask in masks)
        assert count == sum((mask == value).any() for mask in masks)
    assert set(train.values) == {0, 1, 2, 255}
    assert json.loads(json.dumps(found.as_json()))["raw"][0]["values"]["255"] == list(train.values[255])


def test_it_goes_on_after_what_conversion_refuses_and_says_what(raw):
    mask = fakes.labels(1, 3, (25, 31))
    mask[0, :4] = 7
    fakes.write_palette_mask(raw / "masks" / "train" / "p01.png", mask)
    (raw / "images" / "train" / "p02.jpg").write_bytes(b"no picture")
    (raw / "masks" / "train" / "p03.png").unlink()
    (raw / "images" / "train" / "notes.txt").touch()
    found = inspect_raw("folder", raw, processes=1)
    train = found.found[0]
    assert train.pairs == 4 and train.missing == ("p03",) and len(train.problems) == 2
    assert found.surveys[0].names == ["p00", "p04"] and train.values[7] == (4, 1)
    text = found.text()
    assert "1 file that is no picture" in text and "values in the masks of train: 0 (" in text
    for words in (
        "WARNING: 1 of 5 masks of",
        "WARNING: train: 1 missing: p03",
        "WARNING: train: 2 of 4 examples would be refused",
        "4 of 775 pixels lie outside the classes 0…2 and 255: 7 (4 pixels)",
        "p02.jpg is neither JPEG nor PNG",
    ):
        assert words in text


def test_pictures_are_turned_as_conversion_would_be_told_to(raw):
    exif = Image.Exif()
    exif[0x0112] = 3
    for path in (raw / "images" / "val").iterdir():
        Image.open(path).save(path, exif=exif)
    refused = inspect_raw("folder", raw, splits=["val"], processes=1).found[0]
    assert refused.pairs == len(refused.problems) == 3 and "has EXIF orientation 3" in refused.problems[0]
    hashes = set()
    for rotation in ("stored", "upright"):
        found = inspect_raw("folder", raw, splits=["val"], rotation=rotation, processes=1)
        assert not found.found[0].problems
        hashes.add(tuple(found.surveys[0].image_hashes))
    assert len(hashes) == 2
    with pytest.raises(ValueError, match="rotation must be one of refuse, stored, upright, not 'left'"):
        inspect_raw("folder", raw, rotation="left")


def test_classes_need_not_be_known_yet(raw):
    (raw / "classes.txt").unlink()
    found = inspect_raw("folder", raw, processes=1)
    assert found.info.class_names == ("value 0", "value 1", "value 2")
    assert any(f"the classes are not known: the list {raw / 'classes.txt'} is missing" in w for w in found.warnings)
    assert set(found.found[0].values) == {0, 1, 2, 255} and len(found.surveys[0].names) == 5


def test_colors_are_counted_where_masks_have_them(tmp_path):
    raw, colors = tmp_path / "raw", np.array([(0, 0, 0), (250, 50, 83), (51, 221, 255), (42, 125, 209)], np.uint8)
    tools.write_folder(raw, tools.scene())
    counts = np.zeros(4, int)
    for path in (raw / "masks" / "train").iterdir():
        labels = np.asarray(Image.open(path))
        Image.fromarray(colors[labels]).save(path)
        counts += np.bincount(labels.ravel(), minlength=4)
    found = inspect_raw("folder", raw, processes=1)
    assert {color: pixels for color, (pixels, _) in found.found[0].values.items()} == dict(
        zip(map(tuple, colors.tolist()), counts.tolist())
    )
    assert len(found.found[0].problems) == 4 and not found.surveys and "holds colors" in found.text()
    legend = tmp_path / "legend.txt"
    legend.write_text("\n".join(f"{name} {r} {g} {b}" for name, (r, g, b) in tools.COLORS.items()))
    found = inspect_raw("folder", raw, reading=Reading(colors=legend), processes=1)
    assert not found.found[0].problems and found.surveys[0].pixels[:4].tolist() == counts.tolist()


@pytest.mark.parametrize(
    ("name", "write"),
    [("coco", tools.write_coco), ("cvat", tools.write_cvat), ("cvat", tools.write_cvat_masks)],
)
def test_exports_of_tools_are_looked_through_too(tmp_path, name, write):
    found = inspect_raw(name, write(tmp_path, tools.scene()), held_out=HeldOut(0.25), samples=1, processes=1)
    assert [(split.name, split.pairs) for split in found.found] == [("train", 3), ("val", 1)]
    assert found.info.class_names == ("background", *tools.CLASSES)
    assert not any(split.problems for split in found.found)
    next(tmp_path.rglob("b.png")).unlink()
    assert sum(split.pairs for split in inspect_raw(name, tmp_path, processes=1).found) == 3


def test_what_conversion_refuses_or_warns_of_is_never_called_unsuspicious(tmp_path):
    raw = fakes.write_folder(tmp_path / "raw", {"train": 2}, num_classes=1)
    (raw / "images" / "__MACOSX").mkdir()
    (raw / "images" / "__MACOSX" / "._p00.jpg").touch()
    found = inspect_raw("folder", raw, processes=1)
    assert "__MACOSX is empty: 0 images" in found.warnings
    assert any("folder has one class, ground: nothing can be told apart" in words for words in found.warnings)
    with pytest.raises(DatasetError, match=r"split __MACOSX of .* is empty: 0 images; --splits names those to convert"):
        write_records("folder", raw, tmp_path / "data", processes=1)


def test_examples_of_a_source_of_ones_own_may_be_any_sequence(tmp_path):
    raw, file = fakes.write_folder(tmp_path / "raw", {"train": 2}), tmp_path / "my_source.py"
    file.write_text(
        "from deeplab_ksac.datasets.info import DatasetInfo\n"
        "from deeplab_ksac.datasets.raw import paired_examples\n"
        "INFO = DatasetInfo('mine', ('a', 'b', 'c'), ((0, 0, 0), (1, 1, 1), (2, 2, 2)))\n"
        "find_splits = lambda root: ('train',)\n"
        "examples = lambda root, split: list(paired_examples(root, split))\n"
    )
    (found,) = inspect_raw(str(file), raw, processes=1).found
    assert (found.name, found.pairs, found.missing, found.left_out, found.problems) == ("train", 2, (), (), [])


def test_what_is_no_data_set_is_refused_and_what_cannot_be_read_is_told(tmp_path):
    with pytest.raises(DatasetError, match=r"'fodler' is none of .*; did you mean 'folder'"):
        inspect_raw("fodler", tmp_path)
    with pytest.raises(DatasetError, match="does not exist"):
        inspect_raw("folder", tmp_path / "nowhere")
    found = inspect_raw("coco", tmp_path)
    assert not found.surveys and any("has no annotation file; expected" in w for w in found.warnings)
    assert any("holds no split that data set coco could read" in w for w in found.warnings)
