"""The training stream as a pure function of (sources, seed, position), and the evaluation batches."""

import collections
import dataclasses
import itertools
import pathlib
import shutil
import time

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets import access, pipeline, records
from deeplab_ksac.datasets.info import DatasetError, dataset_dir, load_info, save_info
from deeplab_ksac.datasets.order import RunOrder
from deeplab_ksac.datasets.sizes import sample_sizes
from tests import fakes
from tests.replicas import two_replicas

CROP = (21, 37)
AUGMENTED = {"scales": (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0), "flip": True, "brightness": 32.0}


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for name, counts in (("one", {"train": 7, "val": 5}), ("two", {"train": 4})):
        raw = fakes.write_folder(folder / "raw" / name, counts)
        records.write_records("folder", raw, folder, dataset_name=name, shards=2)
    other = fakes.write_folder(folder / "raw" / "other", {"train": 2}, num_classes=4)
    records.write_records("folder", other, folder, dataset_name="other")
    return folder


def batches(data_dir, number, sources=("one/train", "two/train"), **arguments):
    settings = {"data_dir": data_dir, "crop_size": CROP, "batch_size": 4, "seed": 3, **AUGMENTED}
    stream = pipeline.train_batches(sources, **{**settings, **arguments})
    return list(stream.take(number).as_numpy_iterator())


def assert_same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected):
        for key in ("image", "labels"):
            np.testing.assert_array_equal(a[key], b[key])


def test_batches_are_image_and_labels_of_static_shape(data_dir):
    stream = pipeline.train_batches(("one/train",), data_dir=data_dir, crop_size=33, batch_size=4, seed=0, **AUGMENTED)
    assert stream.element_spec == {
        "image": tf.TensorSpec([4, 33, 33, 3], tf.float32),
        "labels": tf.TensorSpec([4, 33, 33], tf.int32),
    }
    batch = next(stream.as_numpy_iterator())
    assert set(np.unique(batch["labels"])) <= {0, 1, 2, 255}
    assert batch["image"].min() >= 0 and batch["image"].max() <= 255


def test_the_same_seed_gives_the_same_stream_and_another_another(data_dir):
    first = batches(data_dir, 8)
    assert_same(batches(data_dir, 8), first)
    assert any((a["image"] != b["image"]).any() for a, b in zip(batches(data_dir, 8, seed=4), first))


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7])
def test_the_stream_from_a_step_is_the_tail_of_the_stream_from_step_0(data_dir, step):
    whole = batches(data_dir, 9)
    assert_same(batches(data_dir, 9 - step, first_step=step), whole[step:])


@pytest.mark.parametrize(("replicas", "pipelines"), [(1, 1), (2, 1), (4, 1), (2, 2), (4, 2), (4, 4)])
def test_the_global_batch_does_not_depend_on_replicas_or_pipelines(data_dir, replicas, pipelines):
    steps, each = 4, replicas // pipelines
    contexts = [tf.distribute.InputContext(pipelines, i, replicas) for i in range(pipelines)]
    parts = [batches(data_dir, steps * each, input_context=context) for context in contexts]
    joined = [
        {
            key: np.concatenate([part[step * each + i][key] for part in parts for i in range(each)])
            for key in ("image", "labels")
        }
        for step in range(steps)
    ]
    assert_same(joined, batches(data_dir, steps))


def test_a_mirrored_strategy_gets_the_same_global_batches(data_dir):
    strategy = two_replicas()
    settings = {"data_dir": data_dir, "crop_size": CROP, "batch_size": 4, "seed": 3, **AUGMENTED}
    distributed = strategy.distribute_datasets_from_function(
        lambda context: pipeline.train_batches(("one/train", "two/train"), input_context=context, **settings)
    )
    found = []
    for _, batch in zip(range(3), distributed):
        local = {key: strategy.experimental_local_results(value) for key, value in batch.items()}
        found.append({key: np.concatenate([v.numpy() for v in values]) for key, values in local.items()})
    assert_same(found, batches(data_dir, 3))


@pytest.mark.parametrize(
    ("context", "words"),
    [((1, 0, 3), "cannot be split evenly over 3 replicas"), ((3, 0, 1), "cannot be split evenly over 3 input")],
)
def test_a_batch_that_does_not_divide_is_refused(data_dir, context, words):
    with pytest.raises(ValueError, match=f"the global batch_size 4 {words}"):
        batches(data_dir, 1, input_context=tf.distribute.InputContext(*context))


def test_every_epoch_has_every_image_once_in_an_order_of_its_own(data_dir):
    names = [
        name
        for step in range(11)
        for name in pipeline.batch_filenames(
            ("one/train", "two/train"), data_dir=data_dir, batch_size=4, seed=3, step=step
        )
    ]
    epochs = [names[i : i + 11] for i in range(0, 44, 11)]
    expected = sorted([f"p{i:02d}" for i in range(7)] + [f"p{i:02d}" for i in range(4)])
    assert all(sorted(epoch) == expected for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_a_picture_is_another_crop_in_every_epoch_and_for_every_seed(data_dir):
    """A batch is an epoch of the seven pictures."""
    epochs = batches(data_dir, 2, sources=("one/train",), batch_size=7)
    epochs += batches(data_dir, 1, sources=("one/train",), batch_size=7, seed=4)
    assert len({image.tobytes() for batch in epochs for image in batch["image"]}) == 3 * 7


def test_augmentations_of_ones_own_have_a_seed_that_is_the_examples(data_dir):
    def noise(example, seed):
        return {**example, "image": tf.random.stateless_uniform(example["image"].shape, seed)}

    first = batches(data_dir, 3, augmentations=(noise,))
    assert len({image.tobytes() for batch in first for image in batch["image"]}) == 3 * 4
    assert max(batch["image"].max() for batch in first) < 1
    assert_same(batches(data_dir, 2, augmentations=(noise,), first_step=1), first[1:])


def test_batch_filenames_are_those_of_the_training_batch(data_dir):
    plain = {"scales": (1.0,), "flip": False, "brightness": 0.0, "crop_size": (26, 32)}
    whole = {f"p{i:02d}": e for i, e in enumerate(pipeline.eval_batches("one", "train", data_dir=data_dir))}
    for step, batch in enumerate(batches(data_dir, 4, sources=("one/train",), **plain)):
        names = pipeline.batch_filenames(("one/train",), data_dir=data_dir, batch_size=4, seed=3, step=step)
        for name, labels in zip(names, batch["labels"]):
            expected = whole[name]["labels"][0].numpy()
            np.testing.assert_array_equal(labels[: expected.shape[0], : expected.shape[1]], expected)


def test_sources_are_mixed_by_the_shuffle():
    firsts = {int(RunOrder((7, 4), 0).round(epoch)[0] < 7) for epoch in range(10)}
    assert firsts == {0, 1}


def test_every_order_of_an_epoch_is_as_likely_as_every_other():
    counts = collections.Counter(tuple(RunOrder((2, 1), 5).round(epoch)) for epoch in range(1200))
    chi_squared = sum((counts[order] - 200) ** 2 / 200 for order in itertools.permutations(range(3)))
    assert chi_squared < 20.5  # of 5 degrees of freedom: exceeded once in a thousand seeds


def test_weighted_sources_have_their_shares_in_every_round_and_epochs_of_their_own():
    order = RunOrder((7, 4, 30_000), 3, weights=(1, 2.5, 0.5))
    for number in (0, 5):
        drawn = np.searchsorted([7, 11], order.round(number), side="right")
        assert np.bincount(drawn).tolist() == [2500, 6250, 1250]
    assert (np.bincount(drawn[:400], minlength=3) > 20).all()  # mixed all along
    drawn = order.records(0, 20_000)
    for start, size in ((0, 7), (7, 4)):
        own = np.sort(drawn[(start <= drawn) & (drawn < start + size)])
        counts = np.bincount(own - start, minlength=size)
        assert counts.max() - counts.min() <= 1
    rare = drawn[drawn >= 11]
    assert len(rare) == 2500 == len(set(rare))


def test_rounds_of_weighted_sources_and_epochs_of_each_have_orders_of_their_own():
    order = RunOrder((50, 40), 3, weights=(1, 1))
    rounds = [order.round(number) for number in (0, 1)]
    assert not np.array_equal(*(records < 50 for records in rounds))
    first, second = (rounds[0][rounds[0] < 50], rounds[0][rounds[0] >= 50] - 50)
    assert not np.array_equal(np.sort(first[:10]), np.sort(second[:10]))
    own = order._of_source(0, 0, 100)
    np.testing.assert_array_equal(np.sort(own[:50]), np.sort(own[50:]))
    assert not np.array_equal(own[:50], own[50:])


@pytest.mark.parametrize("weights", [(), (3, 1)])
@pytest.mark.parametrize("first", [0, 10, 9_995, 123_456])
def test_the_order_from_a_position_is_the_tail_of_the_order_from_0(weights, first):
    order = RunOrder((7, 4), 3, weights)
    np.testing.assert_array_equal(order.records(first, 15), order.records(0, first + 15)[first:])


@pytest.mark.parametrize(
    ("weights", "words"),
    [((1,), "one positive number for each of the 2 sources"), ((1, 0), "positive"), ((1, 1e-6), "smallest is below")],
)
def test_weights_that_do_not_fit_are_refused(data_dir, weights, words):
    with pytest.raises(ValueError, match=words):
        batches(data_dir, 1, weights=weights)


def test_a_weighted_stream_is_that_of_its_order_for_every_number_of_pipelines(data_dir):
    settings = {"weights": (1.0, 9.0)}
    whole = batches(data_dir, 6, **settings)
    halves = [
        batches(data_dir, 3, first_step=3, input_context=tf.distribute.InputContext(2, i, 2), **settings)
        for i in range(2)
    ]
    joined = [{key: np.concatenate([a[key], b[key]]) for key in a} for a, b in zip(*halves)]
    assert_same(joined, whole[3:])


def tiny_records(folder, count):
    """A converted data set of `count` equal records in four files, without pictures being encoded."""
    info = load_info("one", folder.parent)
    serialized = next(records.read_records("one", "train", folder.parent)[0].as_numpy_iterator())
    target = dataset_dir("many", folder)
    target.mkdir(parents=True)
    for shard in range(4):
        with tf.io.TFRecordWriter(str(target / f"many-train.tfrecord-{shard:05d}-of-00004")) as writer:
            for _ in range(count // 4):
                writer.write(serialized)
    of_train = {
        name: {"train": getattr(info, name)["train"]} for name in ("pixel_counts", "ignored_pixels", "num_bytes")
    }
    of_train |= {"num_examples": {"train": count}, "num_shards": {"train": 4}}
    save_info(dataclasses.replace(info, name="many", **of_train), target)
    return folder


def test_the_position_in_60000_images_is_found_without_reading_what_went_before(data_dir):
    folder = tiny_records(data_dir / "large", 60_000)
    for file in records.shard_files("many", "train", folder)[0]:
        wanted = access.record_offsets(file)
        assert len(wanted) == 15_000
    start = time.process_time()
    batches(folder, 1, sources=("many/train",), first_step=14_999)
    assert time.process_time() - start < 10


def test_a_pipeline_reads_only_the_records_of_its_part(data_dir):
    table = access.RecordTable(("one/train", "two/train"), data_dir)
    order = RunOrder(table.sizes, 3)
    found = [list(pipeline.record_numbers(order, 8, 4, 2 * part, 2).take(14).as_numpy_iterator()) for part in range(2)]
    positions = [{int(position) for position, _ in part} for part in found]
    assert positions[0] == {p for p in range(8, 36) if p % 4 < 2} and positions[1] == {
        p for p in range(8, 36) if p % 4 > 1
    }
    for position, number in itertools.chain(*found):
        assert number == order.records(int(position), 1)[0]


def test_a_file_that_is_cut_short_or_has_other_records_is_named(data_dir, tmp_path):
    shutil.copytree(data_dir / "one", tmp_path / "one")
    files, _ = records.shard_files("one", "train", tmp_path)
    whole = pathlib.Path(files[0]).read_bytes()
    pathlib.Path(files[0]).write_bytes(whole[:-5])
    with pytest.raises(DatasetError, match=r"00000-of-00002 ends inside its record \d+; convert"):
        batches(tmp_path, 1, sources=("one/train",))
    pathlib.Path(files[0]).write_bytes(pathlib.Path(files[1]).read_bytes() * 2)
    with pytest.raises(DatasetError, match=r"one/train has \d+ records in its files and 7 in its metadata"):
        batches(tmp_path, 1, sources=("one/train",))
    pathlib.Path(files[0]).write_bytes(whole[:100] + b"?" + whole[101:])
    with pytest.raises(tf.errors.DataLossError, match="corrupted record"):
        batches(tmp_path, 3, sources=("one/train",))


def test_sources_with_different_classes_are_refused(data_dir):
    with pytest.raises(DatasetError, match="one/train and other/train have different classes"):
        batches(data_dir, 1, sources=("one/train", "other/train"))


@pytest.mark.parametrize("sources", ["one/train", ("one",), ()])
def test_malformed_sources_are_refused(data_dir, sources):
    with pytest.raises(ValueError, match=r"'name/split'|a source is"):
        batches(data_dir, 1, sources=sources)


def test_a_missing_data_set_is_refused_with_those_there_are(data_dir):
    with pytest.raises(DatasetError, match=r"no converted data set 'three' .*found: one, other, two"):
        batches(data_dir, 1, sources=("three/train",))


def test_evaluation_shows_every_image_whole_in_stored_order(data_dir):
    raw = data_dir / "raw" / "one"
    for i, batch in enumerate(pipeline.eval_batches("one", "val", data_dir=data_dir)):
        encoded = (raw / "images" / "val" / f"p{i:02d}.jpg").read_bytes()
        expected = tf.cast(tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"), tf.float32)
        np.testing.assert_array_equal(batch["image"][0], expected)
        assert batch["image"].dtype == tf.float32 and batch["labels"].dtype == tf.int32
    assert i == 4


@pytest.mark.parametrize("batch_size", [2, 3, 4])
def test_evaluation_batches_hold_every_image_once_beside_others_of_its_size(data_dir, batch_size):
    single = list(pipeline.eval_batches("one", "train", data_dir=data_dir).as_numpy_iterator())
    together = list(pipeline.eval_batches("one", "train", data_dir=data_dir, batch_size=batch_size).as_numpy_iterator())
    sizes = collections.Counter(batch["labels"].shape[1:] for batch in together for _ in batch["labels"])
    assert sizes == collections.Counter(alone["labels"].shape[1:] for alone in single)
    # Full batches of each size, and one of what is left of it.
    assert len(together) == sum(-(-count // batch_size) for count in sizes.values())
    for size in sizes:
        alone, beside = ([b for b in some if b["labels"].shape[1:] == size] for some in (single, together))
        for key in ("image", "labels"):  # inside a size the stored order is kept
            np.testing.assert_array_equal(*(np.concatenate([b[key] for b in some]) for some in (alone, beside)))


def test_evaluation_pipelines_read_disjoint_images(data_dir):
    whole = [b["labels"] for b in pipeline.eval_batches("one", "val", data_dir=data_dir).as_numpy_iterator()]
    parts = [
        [
            b["labels"]
            for b in pipeline.eval_batches(
                "one", "val", data_dir=data_dir, input_context=tf.distribute.InputContext(2, i, 2)
            ).as_numpy_iterator()
        ]
        for i in range(2)
    ]
    assert [len(part) for part in parts] == [3, 2]
    for i, labels in enumerate(whole):
        np.testing.assert_array_equal(parts[i % 2][i // 2], labels)


@pytest.mark.parametrize(
    ("images", "taken"), ((1, [0]), (2, [0, 3]), (3, [0, 2, 4]), (6, [0, 1, 2, 3, 4, 5]), (7, range(7)), (9, range(7)))
)
def test_a_part_of_a_split_is_spread_evenly_over_it(data_dir, images, taken):
    whole = [b["image"] for b in pipeline.eval_batches("one", "train", data_dir=data_dir).as_numpy_iterator()]
    for batch_size in (1, 2):
        part = pipeline.eval_batches("one", "train", data_dir=data_dir, images=images, batch_size=batch_size)
        found = [image for batch in part.as_numpy_iterator() for image in batch["image"]]
        assert sorted(map(bytes, found)) == sorted(whole[index].tobytes() for index in taken)
        if batch_size == 1:
            assert [image.tobytes() for image in found] == [whole[index].tobytes() for index in taken]
    shares = [tf.distribute.InputContext(2, index, 2) for index in range(2)]
    parts = [pipeline.eval_batches("one", "train", data_dir=data_dir, images=images, input_context=s) for s in shares]
    found = [batch["image"].tobytes() for part in parts for batch in part.as_numpy_iterator()]
    assert sorted(found) == sorted(whole[index].tobytes() for index in taken)


def test_the_sizes_of_pictures_are_those_that_their_records_state(data_dir):
    whole = [b["labels"] for b in pipeline.eval_batches("one", "train", data_dir=data_dir).as_numpy_iterator()]
    expected = [labels.shape[1:] for labels in whole]
    assert sample_sizes(("one/train",), data_dir) == expected
    assert sample_sizes(("one/train",), data_dir, 2) == [expected[0], expected[3]]
    assert sample_sizes(("one/train", "two/train"), data_dir)[:7] == expected


def test_the_global_random_seed_changes_nothing(data_dir):
    found = []
    for seed in (1, 2):
        tf.random.set_seed(seed)
        found.append(batches(data_dir, 4))
    assert_same(*found)
