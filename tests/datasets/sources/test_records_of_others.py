"""Data sets that tensorflow-datasets and Hugging Face's datasets have stored."""

import io
import os
import shutil
import subprocess
import sys
from importlib import metadata

import numpy as np
import pytest
from PIL import Image

from deeplab_ksac import datasets
from deeplab_ksac.datasets import encoding, records
from deeplab_ksac.datasets.hold_out import HeldOut
from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.datasets.raw_folder import RawFolder
from deeplab_ksac.datasets.raw_inspection import inspect_raw
from deeplab_ksac.datasets.reading import Reading
from tests.datasets.sources import tools

pyarrow = pytest.importorskip("pyarrow")

SCENE = tools.scene()
EXPECTED = [tools.labels_of(*found, tools.draw_right_angles) for found in SCENE.values()]
CLASS_LIST = "background\ncar\nperson\nroad\n"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """tensorflow-datasets' folder with two versions of one data set, and one without names of classes."""
    root = tmp_path_factory.mktemp("tfds")
    tools.write_tfds(root, SCENE)
    shutil.copytree(root / "streets" / "1.0.0", root / "streets" / "1.1.0")
    tools.write_tfds(root, SCENE, name="plain", labels=(), mask="trimap")
    return root


@pytest.fixture
def parquet(tmp_path):
    return tools.write_parquet(tmp_path / "My Streets", SCENE)


def labels_of(name, root, split="train", **reading):
    return [item["label"] for item in RawFolder(name, root, reading=Reading(**reading)).examples()[split]]


def refusal(name, root, **reading):
    with pytest.raises(DatasetError) as caught:
        RawFolder(name, root, reading=Reading(**reading)).info()
        labels_of(name, root, **reading)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["tfds:streets/1.0.0", "hf:My Streets"])
def test_records_and_rows_are_converted_under_their_name(prepared, parquet, tmp_path, name):
    root = prepared if name.startswith("tfds") else parquet.parent
    info = records.write_records(name, root, tmp_path / "data", processes=2)
    assert info.name == datasets.default_name(name) == ("streets" if root == prepared else "my_streets")
    assert info.class_names == ("background", *tools.CLASSES) and info.num_examples == {"train": 4}
    serialized, _ = records.read_records(info.name, "train", tmp_path / "data")
    for one, (picture, _), expected in zip(serialized.as_numpy_iterator(), tools.encoded(SCENE), EXPECTED, strict=True):
        parsed = encoding.parse_example(one)
        np.testing.assert_array_equal(encoding.decode_labels(parsed), expected)
        np.testing.assert_array_equal(encoding.decode_image(parsed), np.asarray(Image.open(io.BytesIO(picture))))


@pytest.mark.parametrize("name", ["tfds:streets/1.1.0", "hf:My Streets"])
def test_pictures_and_label_maps_are_those_that_were_stored(prepared, parquet, name):
    root = prepared if name.startswith("tfds") else parquet.parent
    items = RawFolder(name, root).examples()["train"]
    assert [item["id"] for item in items] == [f"{number:06d}" for number in range(4)]
    for item, expected, (picture, _) in zip(items, EXPECTED, tools.encoded(SCENE), strict=True):
        np.testing.assert_array_equal(item["label"], expected)
        stored = np.asarray(Image.open(io.BytesIO(item["image"].read_bytes())))
        np.testing.assert_array_equal(stored, np.asarray(Image.open(io.BytesIO(picture))))


def test_values_may_be_mapped_and_named_in_a_list(prepared):
    root = prepared / "plain"
    assert f"has a label map without names of classes; write them to {root / 'classes.txt'}" in refusal("tfds", root)
    (root / "classes.txt").write_text("any\nnone\n")
    try:
        for labels, expected in zip(labels_of("tfds:plain", prepared, label_map={0: 1, 1: 0, 2: 0, 3: 255}), EXPECTED):
            np.testing.assert_array_equal(labels, np.array([1, 0, 0, 255])[expected])
        assert "do not have: 2 (" in refusal("tfds:plain", prepared, label_map={0: 1, 1: 0, 3: 255})
    finally:
        (root / "classes.txt").unlink()


def test_what_tensorflow_datasets_has_not_prepared_is_refused(prepared, tmp_path):
    assert "has 2 data sets (1.0.0, 1.1.0); give the version and configuration" in refusal("tfds:streets", prepared)
    assert "has 0 data sets; expected a data set that tensorflow-datasets has prepared" in refusal("tfds", tmp_path)
    assert "has no column 'imag' of images (--image_key); found: image; did you mean 'image'?" in refusal(
        "tfds:plain", prepared, image_key="imag", label_map={0: 0}
    )
    shutil.copytree(prepared / "streets" / "1.0.0", tmp_path / "x")
    next((tmp_path / "x").glob("*.tfrecord*")).unlink()
    assert "1 of 1 files of train are missing, the first" in refusal("tfds:x", tmp_path)
    (tmp_path / "x" / "features.json").write_text("{}")
    assert "cannot be read by tensorflow-datasets" in refusal("tfds:x", tmp_path)


LAYOUTS = {  # file -> split
    "data/train-00000-of-00002.parquet": "train",
    "train.parquet": "train",
    "validation/0000.parquet": "validation",
    "part-0.parquet": "train",
    "data/test-00001-of-00002-2b8f4c0a0c0a1b2c.parquet": "test",  # push_to_hub until 2023
    "val/part-00000-6d4b1b2e-93a1-4b0c-8e0f-0c6e6a3c7a11-c000.snappy.parquet": "val",  # Spark
}


@pytest.mark.parametrize("file", LAYOUTS)
def test_the_split_is_in_the_name_of_the_file_or_folder(parquet, file):
    path = parquet / file
    path.parent.mkdir(parents=True, exist_ok=True)
    (parquet / "data" / "train-00000-of-00001.parquet").rename(path)
    assert RawFolder("hf", parquet).find_splits() == (LAYOUTS[file],)
    assert len(RawFolder("hf", parquet).examples()[LAYOUTS[file]]) == 4


def test_files_of_one_split_are_joined_whatever_is_behind_their_number(parquet):
    (whole := parquet / "data" / "train-00000-of-00001.parquet").rename(parquet / "data" / "rows")
    for name in ("train-00000-of-00002-2b8f4c0a0c0a1b2c", "train-00001-of-00002-9e107d9d37", "test-00000-of-00001-aa"):
        shutil.copy(parquet / "data" / "rows", whole.with_name(f"{name}.parquet"))
    found = RawFolder("hf", parquet).examples()
    assert {split: len(items) for split, items in found.items()} == {"train": 8, "test": 4}
    held = RawFolder("hf", parquet, held_out=HeldOut(0.5)).examples()
    assert {split: len(items) for split, items in held.items()} == {"train": 4, "val": 4, "test": 4}


WITH_HUGGING_FACE = """
import pathlib, sys
import datasets
columns = ("image", "annotation")
content = {column: [{"bytes": pathlib.Path(f"{column}{i}.png").read_bytes()} for i in range(4)] for column in columns}
saved = datasets.Dataset.from_dict(content, datasets.Features({column: datasets.Image() for column in columns}))
if sys.argv[2] == "splits":
    saved = datasets.DatasetDict({"train": saved, "test": saved.select([2])})
else:
    pathlib.Path(sys.argv[1]).parent.joinpath("table").mkdir()
    saved.to_parquet(sys.argv[1] + "/../table/train-00000-of-00001.parquet")
saved.save_to_disk(sys.argv[1])
"""


@pytest.mark.parametrize("form", ["splits", "one"])
def test_what_save_to_disk_and_to_parquet_write_is_read(tmp_path, form):
    try:
        metadata.version("datasets")
    except metadata.PackageNotFoundError:
        pytest.skip("Hugging Face's datasets is not installed")
    (elsewhere := tmp_path / "rows").mkdir()  # in the repository, datasets is this project's
    for number, row in enumerate(tools.encoded(SCENE)):
        for column, content in zip(("image", "annotation"), row):
            (elsewhere / f"{column}{number}.png").write_bytes(content)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [sys.executable, "-c", WITH_HUGGING_FACE, str(tmp_path / "saved"), form]
    subprocess.run(command, cwd=elsewhere, env=environment, check=True, capture_output=True)
    tmp_path /= "saved"
    (tmp_path / "classes.txt").write_text(CLASS_LIST)
    assert RawFolder("hf", tmp_path).find_splits() == (("train", "test") if form == "splits" else ("train",))
    for labels, expected in zip(labels_of("hf", tmp_path), EXPECTED, strict=True):
        np.testing.assert_array_equal(labels, expected)
    if form == "splits":
        np.testing.assert_array_equal(labels_of("hf", tmp_path, "test")[0], EXPECTED[2])
        return
    (tmp_path.parent / "table" / "classes.txt").write_text(CLASS_LIST)
    for labels, expected in zip(labels_of("hf", tmp_path.parent / "table"), EXPECTED, strict=True):
        np.testing.assert_array_equal(labels, expected)


def test_tables_without_pictures_do_not_ask_for_the_name_of_a_column(tmp_path):
    import pyarrow.parquet

    root = tools.write_parquet(tmp_path, SCENE)
    for columns, what in (({"image": ["a.png"], "label": [3]}, "images"), ({"image": [b"a"], "label": [3]}, "labels")):
        pyarrow.parquet.write_table(pyarrow.table(columns), root / "data" / "train-00000-of-00001.parquet")
        said = refusal("hf", root)
        assert f"has no column of encoded pictures that could be the {what}" in said and "_key" not in said


def test_columns_are_named_where_there_are_several(tmp_path):
    import pyarrow.parquet

    root = tools.write_parquet(tmp_path, SCENE)
    table = tools.table(SCENE)
    table = table.rename_columns(["photo", "labels", "number"]).append_column("depth", table["label"])
    pyarrow.parquet.write_table(table, root / "data" / "train-00000-of-00001.parquet")
    assert "has 2 columns that may hold the images: photo, depth; name it (--image_key)" in refusal("hf", root)
    np.testing.assert_array_equal(labels_of("hf", root, image_key="photo")[0], EXPECTED[0])
    np.testing.assert_array_equal(labels_of("hf", root, image_key="photo", label_key="depth")[1], EXPECTED[1])
    assert "has no column 'phot' of images" in refusal("hf", root, image_key="phot")


def test_pictures_that_are_not_in_the_file_and_other_faults_are_refused(tmp_path):
    import pyarrow.parquet

    root = tools.write_parquet(tmp_path, SCENE, classes=False)
    assert f"does not say what the values of its label maps are; write {root / 'classes.txt'}" in refusal("hf", root)
    (root / "classes.txt").write_text(CLASS_LIST)
    path = root / "data" / "train-00000-of-00001.parquet"
    column = pyarrow.array([{"bytes": b"", "path": "far/away.png"}, {"bytes": None, "path": "far/away.png"}])
    pyarrow.parquet.write_table(pyarrow.table({"image": column, "label": column}), path)
    with pytest.raises(DatasetError, match=r"'label' of row 0 in piece 0 of .* cannot be read"):
        RawFolder("hf", root).examples()["train"][0]
    with pytest.raises(DatasetError, match=r"'label' of row 1 .* has no bytes; it points to 'far/away.png'"):
        RawFolder("hf", root).examples()["train"][1]
    path.write_bytes(b"PAR1 and nothing")
    assert "train-00000-of-00001.parquet cannot be read by pyarrow" in refusal("hf", root)
    path.unlink()
    assert "has no data set; expected the folder that save_to_disk wrote, or .parquet" in refusal("hf", root)


def test_rgb_label_maps_are_read_by_color(tmp_path):
    import pyarrow.parquet

    root, colors = tools.write_parquet(tmp_path, SCENE), np.array(list(tools.COLORS.values()), np.uint8)
    table, masks = tools.table(SCENE), []
    for labels in EXPECTED:
        buffer = io.BytesIO()
        Image.fromarray(colors[labels]).save(buffer, "png")
        masks.append({"bytes": buffer.getvalue(), "path": None})
    table = table.set_column(1, "label", pyarrow.array(masks))
    pyarrow.parquet.write_table(table, root / "data" / "train-00000-of-00001.parquet")
    text = "\n".join(f"{name} {r} {g} {b}" for name, (r, g, b) in tools.COLORS.items())
    (root / "classes.txt").write_text(text)
    for labels, expected in zip(labels_of("hf", root, colors="classes"), EXPECTED, strict=True):
        np.testing.assert_array_equal(labels, expected)


def test_they_are_looked_through_before_conversion(prepared, parquet):
    for name, root in (("tfds:streets/1.0.0", prepared), ("hf", parquet)):
        found = inspect_raw(name, root, processes=1)
        assert found.found[0].pairs == 4 and not found.found[0].problems
        counts = np.bincount(np.concatenate([labels.ravel() for labels in EXPECTED]), minlength=4)
        assert {value: pixels for value, (pixels, _) in found.found[0].values.items()} == dict(enumerate(counts))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("folder", "folder"),
        ("tfds", "tfds"),
        ("tfds:oxford_iiit_pet", "oxford_iiit_pet"),
        ("tfds:ade/big/1.2.0", "big"),
        ("tfds:ade/1.2.0/", "ade"),
        ("hf:some/My-Set", "my_set"),
        ("hf:.", "hf"),
    ],
)
def test_the_converted_set_is_called_as_the_last_part_of_the_path(name, expected):
    assert datasets.default_name(name) == expected


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("folder:x", "data set 'folder:x': a path follows tfds and hf, as in tfds:name"),
        ("tfds:", "data set 'tfds:': a path follows"),
        ("tfdss:x", "data set 'tfdss:x' is none of"),
        ("tfds:nowhere", "nowhere does not exist"),
    ],
)
def test_other_names_are_refused(tmp_path, name, words):
    with pytest.raises(DatasetError) as caught:
        RawFolder(name, tmp_path)
    assert words in str(caught.value)
