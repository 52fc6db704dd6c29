"""What is said before the first step of a training that will disappoint, and that nothing is said of others."""

import dataclasses

import pytest

from deeplab_ksac.datasets.info import ConvertedInfo, dataset_dir, save_info
from deeplab_ksac.datasets.records import write_records
from deeplab_ksac.datasets.sources import scenes
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import EvalSpec
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.experiments.common import with_model, with_stage
from deeplab_ksac.layers.norm import BatchNorm
from deeplab_ksac.training.forewarning import (
    STALE,
    about_crop,
    about_labels,
    about_single_pictures,
    about_statistics,
    forewarnings,
    sufficient_momentum,
)
from tests.deeplab_ksac.training.tiny import EXPERIMENT, convert

SIZES = {  # of the pictures of each data set, (height, width); of VOC and COCO the sides are at most 500 and 640
    **{"camvid": (360, 480), "scenes": (161, 193), "cityscapes": (1024, 2048), "ade20k": (512, 683)},
    **dict.fromkeys(("voc2012", "sbd", "pascal_context", "pascal_context_60"), (375, 500)),
    **dict.fromkeys(("animals", "animals_held_out", "animals_few"), (375, 500)),
    **dict.fromkeys(("coco_voc", "coco_stuff10k", "coco_stuff164k"), (480, 640)),
    **{f"scenes_{study}": (129, 161) for study in ("scales", "small", "combinations")},
}
CALM = with_stage(with_model(EXPERIMENT, norm={"momentum": 0.4}), batch_size=4)


def changed_data(experiment, **changes):
    return with_stage(experiment, data=dataclasses.replace(experiment.stages[0].data, **changes))


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    convert(folder)
    convert(folder, "rare", classes=3, counts={"train": 1, "val": 3})  # of which the one picture has classes 0 and 1
    return folder / "data"


def test_nothing_is_said_of_an_experiment_that_fits_its_data(data_dir):
    assert forewarnings(CALM, data_dir) == []


def test_shipped_experiments_disappoint_on_no_data_of_their_own():
    for name, experiment in EXPERIMENTS.items():
        found = about_statistics(experiment)
        for index, stage in enumerate(experiment.stages):
            sizes = [SIZES[source.partition("/")[0]] for source in stage.data.sources]
            found += [*about_single_pictures(experiment, index, replicas=8), *about_crop(stage, index, sizes)]
        assert not found, name


def test_nothing_is_said_of_the_scenes(tmp_path):
    scenes.generate(tmp_path / "raw", counts={"train": 40, "val": 1})
    write_records("scenes", tmp_path / "raw", tmp_path / "data")
    for name in ("scenes_ksac", "scenes_aspp"):
        assert forewarnings(EXPERIMENTS[name], tmp_path / "data") == []


@pytest.mark.parametrize("updates", (1, 2, 3, 7, 10, 29, 59, 100, 2000, 30_000, 9999, 370_000))
def test_the_momentum_that_is_proposed_forgets_the_initial_statistics_and_is_not_needlessly_low(updates):
    momentum = sufficient_momentum(updates)
    assert 0 <= momentum < 1 and momentum**updates <= STALE * (1 + 1e-12)
    assert (1 - (1 - momentum) * 0.9) ** updates > STALE * 0.99  # a tenth nearer to 1 would not do


def test_moving_averages_that_keep_their_initial_values_are_said_with_what_would_do():
    default = with_stage(with_model(EXPERIMENT, norm={}), steps=500)
    share = BatchNorm().momentum ** 500
    (sentence,) = about_statistics(default)
    assert "after 500 updates at momentum 0.9997 " in sentence and f"still hold {share:.0%} of their" in sentence
    assert sentence.endswith("set model.norm.momentum to 0.994 or less")
    assert about_statistics(with_model(default, norm={"momentum": 0.994})) == []
    assert about_statistics(with_stage(default, accumulate=4, batch_size=4, steps=2500)) == []  # of each part one
    stages = with_stage(default, steps=5000).stages
    assert about_statistics(dataclasses.replace(default, stages=stages))
    assert about_statistics(dataclasses.replace(default, stages=stages * 2)) == []  # the second goes on from the first
    assert about_statistics(with_stage(default, freeze_norm=True)) == []  # in training they are the same
    assert about_statistics(with_model(default, norm={"fixed": True})) == []
    frozen = dataclasses.replace(stages[0], freeze_norm=True)
    mixed = dataclasses.replace(default, stages=(stages[0], frozen))
    assert "after 5000 updates" in about_statistics(mixed)[0]
    for wrong in ("much", 2, None, True):  # is an error of its own
        assert about_statistics(with_model(default, norm={"momentum": wrong})) == []


def test_statistics_of_a_trained_run_are_no_initial_ones(data_dir):
    default = with_model(CALM, norm={})
    assert len(forewarnings(default, data_dir)) == 1
    assert forewarnings(default, data_dir, trained_before=True) == []


@pytest.mark.parametrize(
    ("batch_size", "accumulate", "synchronized", "replicas", "words"),
    (
        (1, 1, True, 1, "(batch_size 1)"),
        (4, 4, True, 1, "(batch_size 4, accumulate 4)"),
        (4, 1, False, 4, "(batch_size 4, 4 replicas that do not share their statistics)"),
        (4, 2, False, 2, "(batch_size 4, accumulate 2, 2 replicas that do not share their statistics)"),
        (4, 1, True, 4, None),  # synchronized, they see four
        (4, 1, False, 2, None),
        (4, 2, True, 2, None),
    ),
)
def test_statistics_of_a_single_picture_are_said(batch_size, accumulate, synchronized, replicas, words):
    experiment = with_model(EXPERIMENT, norm={"momentum": 0.4, "synchronized": synchronized})
    experiment = with_stage(experiment, batch_size=batch_size, accumulate=accumulate)
    found = about_single_pictures(experiment, 0, replicas)
    assert len(found) == bool(words) and (not words or words in found[0])
    assert about_single_pictures(with_stage(experiment, freeze_norm=True), 0, replicas) == []


@pytest.mark.parametrize(
    ("crop_size", "scales", "sizes", "said"),
    (
        ((65, 65), (1.0,), [(40, 60), (60, 40)], "at most 60x60"),
        ((65, 65), (0.5, 1.5), [(40, 42), (36, 43)], "at the largest scale, 1.5, they are at most 60x64"),
        ((65, 65), (1.0,), [(40, 60), (20, 65)], None),  # one of them fills the width
        ((65, 65), (1.0,), [(65, 65)], None),
        ((65, 65), (1.0, 2.0), [(33, 33)], None),
    ),
)
def test_a_crop_larger_than_every_picture_is_said(crop_size, scales, sizes, said):
    (stage,) = changed_data(EXPERIMENT, crop_size=crop_size, scales=scales).stages
    found = about_crop(stage, 3, sizes)
    assert len(found) == bool(said)
    assert not said or (said in found[0] and found[0].startswith(f"stages[3].data: none of {len(sizes)} pictures"))


def test_a_crop_larger_than_the_pictures_of_the_records_is_said(data_dir):
    (sentence,) = forewarnings(changed_data(CALM, crop_size=(65, 65)), data_dir)
    assert "none of 10 pictures" in sentence and "1.25, they are at most 47x51" in sentence


def write_counts(data_dir, name, counts, ignored=0):
    """What conversion writes of a data set with one split, "train"."""
    folder = dataset_dir(name, data_dir)
    folder.mkdir(parents=True)
    classes = {"class_names": tuple(f"class{label}" for label in range(len(counts)))}
    classes["colors"] = tuple((label, 0, 0) for label in range(len(counts)))
    counted = {"num_examples": 1, "pixel_counts": counts, "ignored_pixels": ignored, "num_shards": 1, "num_bytes": 1}
    save_info(ConvertedInfo(name, **classes, **{key: {"train": value} for key, value in counted.items()}), folder)
    return Split(name, "train")


def test_labels_of_which_nothing_can_be_learned_are_said_and_absent_classes_only_of_others(tmp_path):
    all_there = write_counts(tmp_path, "all", (5, 1, 2))
    first, other = write_counts(tmp_path, "first", (5, 0, 0)), write_counts(tmp_path, "other", (0, 0, 3))
    masks = write_counts(tmp_path, "masks", (5, 0, 0), ignored=5)
    one, two = write_counts(tmp_path, "one", (5,)), write_counts(tmp_path, "two", (5, 1))
    assert about_labels([all_there], tmp_path) == about_labels([first, all_there], tmp_path) == []
    (sentence,) = about_labels([first, other], tmp_path)
    assert sentence.startswith("first/train, other/train: 1 of 3 classes never occur: 1 (class1)")
    (sentence,) = about_labels([masks], tmp_path)
    assert "the labels are 0 and 255 only" in sentence
    (sentence,) = about_labels([one], tmp_path)
    assert "has one class" in sentence
    assert about_labels([all_there, two], tmp_path) == []  # cannot be trained together, which is an error of its own


def test_a_class_that_is_in_no_training_picture_is_said_with_its_name(data_dir):
    rare = dataclasses.replace(changed_data(CALM, sources=("rare/train",)), evaluation=EvalSpec("rare/val"))
    (sentence,) = forewarnings(rare, data_dir)
    assert sentence.startswith("rare/train: 1 of 3 classes never occur: 2 (class2)")
    both = changed_data(rare, sources=("rare/train", "tiny/train"))
    assert forewarnings(both, data_dir) == []
