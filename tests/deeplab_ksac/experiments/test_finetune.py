"""An experiment for one's own pictures, derived from how many there are and how large."""

import dataclasses

import pytest

from deeplab_ksac.bands import Bands
from deeplab_ksac.datasets.info import ConvertedInfo, DatasetError
from deeplab_ksac.experiment import Experiment, from_dict, to_dict
from deeplab_ksac.experiments import animals
from deeplab_ksac.experiments.finetune import finetune


def info(**num_examples):
    return ConvertedInfo("mine", ("a", "b"), ((0, 0, 0), (9, 9, 9)), num_examples=num_examples)


@pytest.mark.parametrize(
    ("number", "sizes", "crop", "scale", "batch", "steps"),
    [
        (367, [(360, 480)] * 3, (321, 321), 1.0, 8, 2300),  # 50 · 367 / 8, in hundreds
        (25, [(360, 480)], (321, 321), 1.0, 8, 400),
        (5, [(161, 193)], (161, 193), 1.0, 5, 400),
        (3131, [(375, 500), (500, 375), (333, 500)], (321, 321), 1.0, 8, 5000),
        (100, [(3000, 4000)], (321, 321), 0.16, 8, 700),
        (100, [(100, 1300)], (113, 321), 1.0, 8, 700),
    ],
)
def test_steps_follow_from_the_number_of_pictures_crop_and_scale_from_their_size(
    number, sizes, crop, scale, batch, steps
):
    experiment, derived = finetune(info(train=number, val=7), sizes)
    (stage,) = experiment.stages
    assert (stage.data.crop_size, stage.batch_size, stage.steps) == (crop, batch, steps)
    assert experiment.evaluation.views.scales == (scale,) and stage.data.scales[2] == pytest.approx(scale)
    assert all(side % 16 == 1 for side in crop)
    assert from_dict(Experiment, to_dict(experiment)) == experiment
    assert experiment.checkpoint_every and experiment.evaluate_every <= steps
    values = to_dict(experiment)
    for path, value, reason in derived:
        place = values
        for step in path.replace("[0]", ".0").split("."):
            place = place[int(step) if step.isdigit() else step]
        assert place in (to_dict(value), [value]) and reason


@pytest.mark.parametrize(
    ("sizes", "scale", "crop", "seen"),
    [
        ([(600, 900)] * 5 + [(900, 600)] * 5, 1.0, (321, 321), "pictures are about 600x900 or 900x600"),
        ([(960, 1280)] * 5 + [(1280, 960)] * 5, 0.5, (321, 321), "pictures are about 960x1280 or 1280x960"),
        ([(161, 241)] * 5 + [(241, 161)] * 5, 1.0, (241, 241), "pictures are about 161x241 or 241x161"),
        ([(161, 241)] * 3 + [(241, 161)], 1.0, (241, 241), "pictures are about 161x241 or 241x161"),
        ([(161, 241)] * 4 + [(241, 161)], 1.0, (161, 241), "pictures are about 161x241"),
        ([(161, 241)] + [(241, 161)] * 4, 1.0, (241, 161), "pictures are about 241x161"),
    ],
)
def test_portrait_and_landscape_pictures_are_scaled_by_their_shorter_side_and_fit_a_square(sizes, scale, crop, seen):
    experiment, derived = finetune(info(train=100, val=7), sizes)
    assert experiment.evaluation.views.scales == (scale,)
    assert experiment.stages[0].data.crop_size == crop
    told = {x.path: x.reason for x in derived}
    assert told["stages[0].data.crop_size"] == seen


@pytest.mark.parametrize(("number", "replicas", "batch"), [(99, 2, 8), (99, 3, 9), (99, 16, 16), (5, 1, 5), (5, 2, 6)])
def test_a_batch_is_what_the_replicas_can_share(number, replicas, batch):
    experiment, derived = finetune(info(train=number, val=7), [(99, 99)], replicas=replicas)
    assert experiment.stages[0].batch_size == batch
    reasons = {x.path: x.reason for x in derived}
    shared = f", {replicas} replicas" if replicas > 1 else ""
    assert reasons["stages[0].batch_size"] == f"{number} pictures{shared}"


def test_only_pictures_of_colors_get_other_colors():
    (stage,) = finetune(info(train=9, val=7), [(99, 99)])[0].stages
    assert stage.data.saturation > 0 and stage.data.hue > 0
    gray = dataclasses.replace(info(train=9, val=7), bands=Bands(1, 16))
    experiment, derived = finetune(gray, [(99, 99)])
    changed = dataclasses.replace(stage.data, saturation=0.0, hue=0.0)
    assert experiment.stages[0].data == changed
    assert [x.reason for x in derived[-2:]] == ["pictures of 1 band of 16 bits"] * 2


@pytest.mark.parametrize(
    ("weights", "backbone_lr", "momentum"),
    [("model", 0.1, (0.99, 0.99)), ("backbone", 0.1, (0.95, 0.99)), ("random", 1.0, (0.95, 0.99))],
)
def test_what_is_random_learns_fast_and_its_statistics_follow(weights, backbone_lr, momentum):
    for number, expected in zip((25, 3131), momentum, strict=True):
        experiment, derived = finetune(info(train=number, val=7), [(99, 99)], weights=weights)
        assert experiment.model.norm == {"momentum": expected}
        assert experiment.stages[0].optimizer.args["backbone_lr"] == backbone_lr
        told = {x.path: x.value for x in derived}
        assert told.get("model.norm.momentum", 0.99) == expected
        assert told.get("stages[0].optimizer.args.backbone_lr", 0.1) == backbone_lr


def test_the_models_own_momentum_is_kept_where_it_is_lower_and_other_weights_are_refused():
    model = dataclasses.replace(animals.KSAC.model, norm={"momentum": 0.9, "epsilon": 1e-5})
    experiment, _ = finetune(info(train=25, val=7), [(99, 99)], model=model, weights="random")
    assert experiment.model.norm == {"momentum": 0.9, "epsilon": 1e-5}
    with pytest.raises(ValueError, match="weights must be one of model, backbone, random, not 'all'"):
        finetune(info(train=25, val=7), [(99, 99)], weights="all")


@pytest.mark.parametrize(
    ("splits", "asked", "found"),
    [
        ({"train": 9, "val": 3, "test": 2}, None, ("train", "val")),
        ({"test": 9, "train": 3}, None, ("train", "test")),
        ({"a": 9, "b": 3}, None, ("a", "b")),
        ({"Test": 2, "Train": 9, "Valid": 3}, None, ("Train", "Valid")),
        ({"test": 2, "day": 9, "night": 8}, None, ("day", "test")),
        ({"test": 2, "val": 3}, None, ("test", "val")),
        ({"train": 9, "val": 3, "trainval": 12}, "trainval", ("trainval", "val")),
    ],
)
def test_it_trains_on_train_and_validates_with_val_where_there_are_such_splits(splits, asked, found):
    experiment, _ = finetune(info(**splits), [(9, 9)], split=asked)
    assert (*experiment.stages[0].data.sources, experiment.evaluation.dataset) == tuple(
        f"mine/{name}" for name in found
    )


def test_a_split_that_is_not_there_and_one_alone_are_refused():
    with pytest.raises(DatasetError, match="mine has no split 'b'; it has train, val"):
        finetune(info(train=9, val=3), [(9, 9)], split="b")
    with pytest.raises(DatasetError, match=r"the split train alone and nothing to validate with; .*--val_share"):
        finetune(info(train=9), [(9, 9)])
