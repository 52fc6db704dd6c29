"""Conversion: what is written, and what is refused."""

import io
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

from deeplab_ksac.datasets import encoding, records
from deeplab_ksac.datasets.info import DatasetError, load_info
from tests import fakes

NAMES = {"dataset_name": "tiny"}


@pytest.fixture
def raw(tmp_path):
    return fakes.write_folder(tmp_path / "raw", {"train": 5, "val": 3})


def convert(raw, data_dir, **arguments):
    return records.write_records("folder", raw, data_dir, **{**NAMES, **arguments})


def refusal(raw, data_dir, **arguments):
    """The one line with which a conversion is refused; at most finished shards stay, hidden, for the next try."""
    with pytest.raises(DatasetError) as caught:
        convert(raw, data_dir, **arguments)
    assert "\n" not in str(caught.value)
    left = [path.name for path in pathlib.Path(data_dir).glob("tiny/*")]
    assert len(left) <= 1 and all(name.startswith(".1.0.0.incomplete") for name in left)
    return str(caught.value)


def stored(split, data_dir):
    serialized, count = records.read_records("tiny", split, data_dir)
    parsed = [tf.train.Example.FromString(s).features.feature for s in serialized.as_numpy_iterator()]
    assert len(parsed) == count
    return parsed


def test_records_have_deeplabs_keys_and_keep_the_bytes_of_the_image(raw, tmp_path):
    convert(raw, tmp_path)
    for i, features in enumerate(stored("train", tmp_path)):
        file = raw / "images" / "train" / f"p{i:02d}.jpg"
        mask = np.asarray(Image.open(raw / "masks" / "train" / f"p{i:02d}.png"))
        assert set(features) == {
            "image/encoded",
            "image/format",
            "image/height",
            "image/width",
            "image/filename",
            "image/segmentation/class/encoded",
            "image/segmentation/class/format",
        }
        assert features["image/encoded"].bytes_list.value[0] == file.read_bytes()
        assert features["image/format"].bytes_list.value[0] == b"jpeg"
        assert features["image/filename"].bytes_list.value[0] == f"p{i:02d}".encode()
        size = features["image/height"].int64_list.value[0], features["image/width"].int64_list.value[0]
        assert size == mask.shape
        labels = Image.open(io.BytesIO(features["image/segmentation/class/encoded"].bytes_list.value[0]))
        assert labels.mode == "L"
        np.testing.assert_array_equal(np.asarray(labels), mask)


def test_tensorflow_datasets_reads_them_without_our_code(raw, tmp_path):
    convert(raw, tmp_path, shards=2)
    builder = tfds.builder_from_directory(tmp_path / "tiny" / "1.0.0")
    assert {split: builder.info.splits[split].num_examples for split in builder.info.splits} == {"train": 5, "val": 3}
    assert builder.info.features["image/segmentation/class/encoded"].names == ["ground", "thing 1", "thing 2"]
    for i, example in enumerate(builder.as_dataset(split="train", shuffle_files=False)):
        mask = np.asarray(Image.open(raw / "masks" / "train" / f"p{i:02d}.png"))
        np.testing.assert_array_equal(example["image/segmentation/class/encoded"][..., 0], mask)
        assert example["image/encoded"].shape == (*mask.shape, 3)
    skipped = {"image/encoded": tfds.decode.SkipDecoding()}
    first = next(iter(builder.as_dataset(split="train", decoders=skipped)))
    assert first["image/encoded"].numpy() == (raw / "images" / "train" / "p00.jpg").read_bytes()


def test_classes_colors_counts_and_frequencies_lie_beside_the_shards(raw, tmp_path):
    written = convert(raw, tmp_path)
    info = load_info("tiny", tmp_path)
    assert info == written
    assert info.class_names == ("ground", "thing 1", "thing 2")
    assert info.colors[0] == (10, 20, 30)
    assert info.num_examples == {"train": 5, "val": 3}
    masks = [np.asarray(Image.open(path)).ravel() for path in (raw / "masks" / "train").iterdir()]
    counts = np.bincount(np.concatenate(masks), minlength=256)
    assert info.pixel_counts["train"] == tuple(counts[:3])
    assert info.ignored_pixels["train"] == counts[255]
    np.testing.assert_allclose(info.pixel_frequencies["train"], counts[:3] / counts[:3].sum(), rtol=1e-12)


@pytest.mark.parametrize("shards", [1, 2, 5, 9])
def test_shards_hold_runs_of_the_sorted_examples(raw, tmp_path, shards):
    info = convert(raw, tmp_path, shards=shards)
    assert info.num_shards["train"] == min(shards, 5)
    names = [features["image/filename"].bytes_list.value[0].decode() for features in stored("train", tmp_path)]
    assert names == [f"p{i:02d}" for i in range(5)]


def test_converting_twice_gives_the_same_bytes(raw, tmp_path):
    for place in ("a", "b"):
        convert(raw, tmp_path / place)
    for file in (tmp_path / "a" / "tiny" / "1.0.0").iterdir():
        assert file.read_bytes() == (tmp_path / "b" / "tiny" / "1.0.0" / file.name).read_bytes()


def test_an_existing_data_set_is_replaced_only_when_told_to(raw, tmp_path):
    convert(raw, tmp_path)
    with pytest.raises(DatasetError, match=r"tiny.1.0.0 exists; allow overwriting"):
        convert(raw, tmp_path, splits=["val"])
    assert load_info("tiny", tmp_path).num_examples == {"train": 5, "val": 3}
    convert(raw, tmp_path, splits=["val"], overwrite=True)
    assert load_info("tiny", tmp_path).num_examples == {"val": 3}
    assert [path.name for path in (tmp_path / "tiny").iterdir()] == ["1.0.0"]


def test_a_failed_overwrite_leaves_the_old_data_set(raw, tmp_path):
    convert(raw, tmp_path)
    (raw / "masks" / "train" / "p03.png").unlink()
    with pytest.raises(DatasetError, match="1 of 5 masks"):
        convert(raw, tmp_path, overwrite=True)
    assert len(stored("train", tmp_path)) == 5


def test_a_full_disk_is_one_line_that_names_the_place_and_the_same_command_goes_on(raw, tmp_path):
    resource = pytest.importorskip("resource")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, limits[1]))  # as if the disk were full
    try:
        with pytest.raises(OSError, match=r"tiny/1\.0\.0 cannot be written: File too large$"):
            convert(raw, tmp_path, processes=1)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not (tmp_path / "tiny" / "1.0.0").exists()
    convert(raw, tmp_path)


def test_a_kill_in_the_middle_of_a_replacement_loses_nothing(raw, tmp_path):
    convert(raw, tmp_path)
    target = tmp_path / "tiny" / "1.0.0"
    target.rename(target.with_name(".1.0.0.previous"))  # the state between the two renames
    with pytest.raises(DatasetError, match="exists; allow overwriting"):
        convert(raw, tmp_path)
    assert len(stored("train", tmp_path)) == 5


def test_progress_counts_every_example(raw, tmp_path):
    calls = []
    convert(raw, tmp_path, progress=lambda *state: calls.append(state))
    assert calls == [("train", i, 5) for i in range(1, 6)] + [("val", i, 3) for i in range(1, 4)]


def test_an_image_and_a_mask_of_different_sizes_are_refused(raw, tmp_path):
    fakes.write_palette_mask(raw / "masks" / "train" / "p02.png", fakes.labels(0, 3, (20, 30)))
    message = refusal(raw, tmp_path)
    assert "p02.png is 30×20, its image" in message and "p02.jpg is 32×26" in message


def test_values_outside_the_class_list_are_refused_with_their_counts(raw, tmp_path):
    mask = fakes.labels(0, 3, (25, 31))
    mask[0, :4], mask[1, 0] = 7, 200
    fakes.write_palette_mask(raw / "masks" / "train" / "p01.png", mask)
    message = refusal(raw, tmp_path)
    assert "p01.png: 5 of 775 pixels lie outside the classes 0…2 and 255: 7 (4 pixels), 200 (1 pixels)" in message


def test_sixteen_bit_masks_are_read_by_value(raw, tmp_path):
    mask = fakes.labels(1, 3, (25, 31)).astype(np.uint16)
    path = raw / "masks" / "train" / "p01.png"
    Image.fromarray(mask).save(path)
    convert(raw, tmp_path, splits=["train"])
    Image.fromarray(mask + 1000).save(path)
    assert "p01.png: 775 of 775 pixels lie outside" in refusal(raw, tmp_path / "other")


def test_an_rgb_mask_is_refused(raw, tmp_path):
    Image.fromarray(fakes.picture(0)).save(raw / "masks" / "train" / "p00.png")
    assert "p00.png holds colors (mode RGB); expected one channel of class indices" in refusal(raw, tmp_path)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_a_truncated_image_is_refused(raw, tmp_path, kind):
    path = raw / "images" / "train" / "p04.jpg"
    buffer = io.BytesIO()
    Image.open(path).save(buffer, kind)
    half = buffer.getvalue()[: len(buffer.getvalue()) // 2]
    path.write_bytes(half)
    assert f"p04.jpg is truncated or corrupt: its {len(half)} bytes do not decode as {kind}" in refusal(raw, tmp_path)


@pytest.mark.parametrize(("content", "words"), [(b"", "it is empty"), (b"GIF89a and so on", "it begins with b'GIF89a")])
def test_a_file_that_is_no_image_is_refused(raw, tmp_path, content, words):
    (raw / "images" / "val" / "p00.jpg").write_bytes(content)
    message = refusal(raw, tmp_path)
    assert "p00.jpg is neither JPEG nor PNG" in message and words in message


def test_a_truncated_mask_is_refused(raw, tmp_path):
    path = raw / "masks" / "train" / "p01.png"
    path.write_bytes(path.read_bytes()[:60])
    assert "p01.png cannot be read" in refusal(raw, tmp_path)


def test_a_missing_mask_is_refused(raw, tmp_path):
    (raw / "masks" / "val" / "p01.png").unlink()
    message = refusal(raw, tmp_path)
    assert "1 of 3 masks" in message and "the first" in message and "p01.png" in message


def test_an_empty_split_is_refused(raw, tmp_path):
    (raw / "images" / "test").mkdir()
    assert "split test of" in (message := refusal(raw, tmp_path)) and "is empty: 0 images" in message


def test_a_wrong_root_is_refused(raw, tmp_path):
    assert "expected images/<split>/…, masks/<split>/… and classes.txt" in refusal(raw / "images", tmp_path)
    assert "does not exist" in refusal(raw / "nowhere", tmp_path)


def test_an_unknown_data_set_is_refused_with_the_nearest_one(raw, tmp_path):
    with pytest.raises(DatasetError, match=r"data set 'ade20' is none of ade20k, .*; did you mean 'ade20k'") as caught:
        records.write_records("ade20", raw, tmp_path / "data")
    assert "\n" not in str(caught.value) and not (tmp_path / "data").exists()
    convert(raw, tmp_path)
    with pytest.raises(DatasetError, match=r"no converted data set 'tinny' .*found: tiny\); .*; did you mean 'tiny'"):
        load_info("tinny", tmp_path)
    with pytest.raises(DatasetError, match=r"no split 'trian' \(found: train, val\); did you mean 'train'"):
        records.shard_files("tiny", "trian", tmp_path)


def test_a_data_set_that_is_one_folder_up_or_down_is_named_with_it(raw, tmp_path):
    convert(raw, tmp_path / "data")
    for wrong in (tmp_path, tmp_path / "data" / "tiny", tmp_path / "data" / "nowhere"):
        with pytest.raises(DatasetError) as caught:
            load_info("tiny", wrong)
        assert str(caught.value) == f"no converted data set 'tiny' in {wrong}; it is in {tmp_path / 'data'}"


def test_a_name_that_is_no_identifier_is_refused(raw, tmp_path):
    with pytest.raises(DatasetError, match="data set name 'My Pictures'"):
        convert(raw, tmp_path, dataset_name="My Pictures")


@pytest.mark.parametrize("name", ["val 2", "val.2", "all", "val[1]"])
def test_a_split_of_which_no_file_can_bear_the_name_is_refused_before_anything_is_written(raw, tmp_path, name):
    for kind in ("images", "masks"):
        (raw / kind / "val").rename(raw / kind / name)
    calls = []
    assert f"split name {name!r} of {raw}: expected letters" in refusal(
        raw, tmp_path, progress=lambda *s: calls.append(s)
    )
    assert not calls and not (tmp_path / "tiny").exists()


def test_an_unknown_split_is_refused_with_those_there_are(raw, tmp_path):
    assert "no split 'tset' (found: train, val)" in refusal(raw, tmp_path, splits=["tset"])
    convert(raw, tmp_path)
    with pytest.raises(DatasetError, match=r"has no split 'test' \(found: train, val\)"):
        records.read_records("tiny", "test", tmp_path)


def test_a_missing_shard_is_noticed(raw, tmp_path):
    convert(raw, tmp_path, shards=2)
    (tmp_path / "tiny" / "1.0.0" / "tiny-train.tfrecord-00001-of-00002").unlink()
    with pytest.raises(DatasetError, match="1 of 2 files are missing"):
        records.read_records("tiny", "train", tmp_path)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grayscale_and_cmyk_jpegs_become_rgb(raw, tmp_path, mode):
    path = raw / "images" / "train" / "p00.jpg"
    Image.open(path).convert(mode).save(path, "JPEG", quality=95)
    convert(raw, tmp_path)
    serialized = next(iter(records.read_records("tiny", "train", tmp_path)[0]))
    image = encoding.decode_image(encoding.parse_example(serialized))
    expected = np.asarray(Image.open(path).convert("RGB"), np.float32)
    assert image.dtype == tf.uint8
    # Decoders differ in the last bits of the cosine transform and in how CMYK is rounded.
    assert np.abs(np.asarray(image, np.float32) - expected).mean() < 3


def test_the_written_description_is_plain_json(raw, tmp_path):
    convert(raw, tmp_path)
    fields = json.loads((tmp_path / "tiny" / "1.0.0" / "segmentation.json").read_text())
    assert fields["num_examples"] == {"train": 5, "val": 3}


def test_what_is_missing_of_an_official_split_is_named(tmp_path):
    raw = fakes.write_voc2012(tmp_path / "raw", {"train": [f"a{i}" for i in range(6)]})
    for name in ("a1", "a2", "a4", "a5"):
        (raw / "VOCdevkit" / "VOC2012" / "SegmentationClass" / f"{name}.png").unlink()
    with pytest.raises(DatasetError) as caught:
        records.write_records("voc2012", raw, tmp_path)
    words = f"split train of {raw} has 2 images, officially 1464, missing: a1, a2, a4 and 1 more; allow other counts"
    assert words in str(caught.value) and "\n" not in str(caught.value)
    info = records.write_records("voc2012", raw, tmp_path, allow_other_counts=True)
    assert info.num_examples == {"train": 2}


def test_an_unknown_way_with_rotation_is_refused(raw, tmp_path):
    with pytest.raises(ValueError, match="rotation must be one of refuse, stored, upright, not 'left'"):
        convert(raw, tmp_path, rotation="left")


def test_some_classes_are_kept_and_the_others_ignored(raw, tmp_path):
    converted = convert(raw, tmp_path, classes=("thing 2", "ground"))
    whole = records.write_records("folder", raw, tmp_path / "whole", dataset_name="tiny")
    names = whole.class_names
    assert converted.class_names == ("thing 2", "ground") == (names[2], names[0])
    assert converted.colors == (whole.colors[2], whole.colors[0]) and load_info("tiny", tmp_path) == converted
    for features, unmapped in zip(stored("val", tmp_path), stored("val", tmp_path / "whole"), strict=True):
        key = "image/segmentation/class/encoded"
        labels, before = (np.asarray(Image.open(io.BytesIO(f[key].bytes_list.value[0]))) for f in (features, unmapped))
        np.testing.assert_array_equal(labels, np.select([before == 2, before == 0], [0, 1], 255))
    for split in ("train", "val"):
        assert converted.pixel_counts[split] == (whole.pixel_counts[split][2], whole.pixel_counts[split][0])
        assert converted.num_examples[split] == whole.num_examples[split]


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (("ground", "thing 7"), "tiny has no class 'thing 7'; it has ground, thing 1, thing 2; did you mean"),
        (("ground", "ground"), "the class 'ground' of tiny is named twice"),
        (("ground",), "needs two classes or more to tell apart, not ground"),
        ((), "needs two classes or more to tell apart, not none"),
    ],
)
def test_classes_that_cannot_be_kept_are_refused(raw, tmp_path, classes, words):
    assert words in refusal(raw, tmp_path, classes=classes)


def test_other_classes_want_another_name(raw, tmp_path):
    words = refusal(raw, tmp_path, classes=("ground", "thing 1"), dataset_name=None)
    assert "with other classes is another data set: give it a name of its own (--name)" in words


def test_a_value_outside_the_whole_data_sets_classes_is_refused_though_it_would_be_ignored(raw, tmp_path):
    Image.fromarray(np.full((24, 32), 77, np.uint8)).save(raw / "masks" / "train" / "p00.png")
    words = refusal(raw, tmp_path, classes=("ground", "thing 1"))
    assert "77" in words and "p00.png" in words
