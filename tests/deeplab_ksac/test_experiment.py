"""Experiments as values: written, read back, overridden, compared."""

import dataclasses
import json

import numpy as np
import pytest

from deeplab_ksac.experiment import (
    Data,
    EvalSpec,
    Experiment,
    ModelSpec,
    Part,
    Stage,
    Views,
    from_dict,
    part,
    to_dict,
)
from deeplab_ksac.experiments import EXPERIMENTS
from deeplab_ksac.losses import build_objective
from deeplab_ksac.overrides import override
from deeplab_ksac.training.optimizers import build_optimizer
from tests.deeplab_ksac.training.tiny import EXPERIMENT


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_survives_json_and_the_command_lines_form(name):
    experiment = EXPERIMENTS[name]
    assert from_dict(Experiment, json.loads(json.dumps(to_dict(experiment)))) == experiment
    assert override(experiment, ()) == experiment


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_an_experiment_binds_to_the_parts_it_names(name):
    experiment = EXPERIMENTS[name]
    assert experiment.name == name
    build_objective(experiment.losses, 21)
    for stage in experiment.stages:
        build_optimizer(stage.optimizer, stage.steps)


def test_the_three_stages_of_section_2_3_2():
    stages = EXPERIMENTS["voc_mobilenet_v2_ksac"].stages
    assert [stage.steps for stage in stages[:2]] == [300_000, 40_000]
    assert [stage.optimizer.args["learning_rate"] for stage in stages] == [1e-3, 4e-4, 2e-4]
    assert [len(stage.data.sources) for stage in stages] == [3, 2, 1]
    assert all(stage.batch_size == 32 for stage in stages)


@pytest.mark.parametrize(
    "path, value, error, words",
    (
        (("stages", 0, "step"), 3, ValueError, r"stages\[0\].step is not a field of Stage; it has data, steps"),
        (("stages", 0, "steps"), "many", TypeError, r"stages\[0\].steps takes int, not 'many'"),
        (("model", "output_stride"), 8.5, TypeError, "model.output_stride takes int, not 8.5"),
        (("stages", 0, "data", "crop_size"), [33], ValueError, r"crop_size takes 2 values, not 1: \[33\]"),
        (("stages", 0, "data", "crop_size"), ("a", 33), ValueError, r"data.crop_size\[0\] takes int, not 'a'"),
        (("stages", 0, "data", "crop_size"), 33, ValueError, r"data.crop_size takes a list, not 33"),
        (("stages", 0, "data", "scales"), "1.0", ValueError, r"data.scales takes a list, not '1.0'"),
        (("stages", 0, "data", "flip"), 1, ValueError, "data.flip takes bool, not 1"),
        (("stages", 0, "steps"), True, ValueError, r"stages\[0\].steps takes int, not True"),
        (("stages", 0, "l2"), True, ValueError, r"stages\[0\].l2 takes float, not True"),
        (("stages", 0, "optimizer"), "sgd", ValueError, r"stages\[0\].optimizer takes Part, not 'sgd'"),
        (("stages", 0, "optimizer"), {"args": {}}, ValueError, r"stages\[0\].optimizer misses name"),
        (("model", "bottleneck"), 256, ValueError, "model.bottleneck takes arguments by name, not 256"),
        (("losses",), "cross_entropy", ValueError, "losses takes a list, not 'cross_entropy'"),
        (("evaluation", "views", "window"), [33, "b"], ValueError, r"evaluation.views.window\[1\] takes int, not 'b'"),
        (("evaluation",), [], ValueError, r"evaluation takes EvalSpec, not \[\]"),
    ),
)
def test_a_wrong_field_is_named_by_its_path(path, value, error, words):
    fields = to_dict(EXPERIMENT)
    place = fields
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(error, match=words):
        from_dict(Experiment, fields)


NAN, INF = float("nan"), float("inf")
DATA = Data(sources=("tiny/train",))
BASE = {  # of every type, arguments with which it can be made
    Part: {"name": "sgd"},
    ModelSpec: {"backbone": part("resnet50"), "head": part("ksac")},
    Data: {"sources": ("tiny/train",)},
    Stage: {"data": DATA, "steps": 3},
    Views: {},
    EvalSpec: {"dataset": "tiny/val"},
    Experiment: {
        "name": "tiny",
        "model": ModelSpec(part("resnet50"), part("ksac")),
        "stages": (Stage(DATA, 3),),
        "evaluation": EvalSpec("tiny/val"),
    },
}
AT = {  # where in an experiment each type is
    Part: "stages[0].optimizer",
    ModelSpec: "model",
    Data: "stages[0].data",
    Stage: "stages[0]",
    Views: "evaluation.views",
    EvalSpec: "evaluation",
    Experiment: "",
}
NO_COUNTS = (-1, 1.5, "3", None, True, NAN, 2**40)
NO_POSITIVE_COUNTS = (0, *NO_COUNTS)
NO_SIDES = ((-5, -5), (0, 33), (33.5, 33), (33,), (1, 2, 3), "33", ("a", 33), (True, 33), (70_000, 33))
NO_SCALES = ((), (0.0,), (-1.0,), (1e6,), (1e-6,), (NAN,), (INF,), ("1",), (True,), 1.0, None)
NO_PARTS = (None, "sgd", 3, {})
NO_PART = ("sgd", 3, {})
NO_ARGUMENTS = (3, "x", (1,), {1: 2}, {"": 1})
NO_SPLITS = ("tiny", "/train", "tiny/", "a/b/c", "", 3, None)
WRONG = {
    Part: {"name": ("", 3, None, "a\nb"), "args": (None, *NO_ARGUMENTS)},
    ModelSpec: {
        **{"backbone": NO_PARTS, "head": NO_PARTS, "neck": NO_PART, "projection": NO_PART, "decoder": NO_PART},
        **{"output_stride": (4, 64, 8.5, "16", None, True), "norm": (None, *NO_ARGUMENTS)},
        **{"bottleneck": NO_ARGUMENTS, "auxiliary": NO_ARGUMENTS},
    },
    Data: {
        "sources": ((), "tiny/train", None, 3, *((split,) for split in NO_SPLITS)),
        "crop_size": (*NO_SIDES, 33, None),
        "scales": NO_SCALES,
        "flip": (1, "yes", None),
        "brightness": (-1, 256, NAN, "3", None, True),
        **dict.fromkeys(("contrast", "saturation", "cutout"), (-0.1, 1.1, NAN, "3", None, True)),
        **{"hue": (-1, 181, NAN, "3", None, True), "rotation": (-1, 46, NAN, "3", None, True)},
        "weights": ((0.0,), (-1.0,), (NAN,), (1.0, 2.0), ("1",), 1.0, None),
        "augmentations": (None, 3, "x", ("x",), (3,), (part("sgd"),)),
    },
    Stage: {
        "data": (None, {}, ("tiny/train",)),
        **{"steps": NO_POSITIVE_COUNTS, "batch_size": NO_POSITIVE_COUNTS, "accumulate": (3, *NO_POSITIVE_COUNTS)},
        **{"steps_per_call": NO_POSITIVE_COUNTS, "optimizer": NO_PARTS, "schedule": NO_PARTS},
        "patience": NO_COUNTS,
        **{"l2": (-1, NAN, INF, "1", None, True), "clip_norm": (-1, NAN, INF, "1", None, True)},
        "ema_decay": (-0.1, 1, NAN, "0.5", None, True),
        **{"freeze": ("c1", "", 3, True), "freeze_norm": (1, "yes", None), "recompute": (1, "yes", None)},
        "features": ("", 3, "a\nb", "unfrozen"),
    },
    Views: {
        **{"scales": NO_SCALES, "flip": (1, "yes", None), "average": ("votes", None, 1)},
        **{"window": NO_SIDES, "pad_to": NO_SIDES},
    },
    EvalSpec: {"dataset": NO_SPLITS, "views": (None, {}, (1.0,))},
    Experiment: {
        **{"name": ("", 3, None), "model": (None, {}), "evaluation": (None, {}), "seed": (-1, 1.5, "3", None, 2**32)},
        **{"stages": ((), None, (3,), "x", {}), "losses": ((), None, (3,), "x", {})},
        **{"log_every": NO_COUNTS, "checkpoint_every": NO_COUNTS, "evaluate_every": NO_COUNTS},
        "evaluate_images": NO_COUNTS,
    },
}
CASES = [(kind, field) for kind, fields in WRONG.items() for field in fields]


@pytest.mark.parametrize("kind", BASE)
def test_every_field_of_every_type_is_looked_at(kind):
    assert set(WRONG[kind]) == {field.name for field in dataclasses.fields(kind)}
    assert kind(**BASE[kind])


@pytest.mark.parametrize(("kind", "field"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_value_that_makes_no_sense_is_an_error_where_it_is_made(kind, field):
    for value in WRONG[kind][field]:
        with pytest.raises(ValueError, match=rf"^{field}\b") as refused:
            kind(**{**BASE[kind], field: value})
        assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("kind", "field"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_value_that_makes_no_sense_in_a_file_is_named_by_its_path(kind, field):
    for value in WRONG[kind][field]:
        if (kind is Part and value == {1: 2}) or (field == "views" and value == {}):
            continue  # no JSON; all of it at its defaults
        fields = to_dict(Experiment(**BASE[Experiment]))
        place = fields
        for key in AT[kind].replace("[0]", ".0").split(".") if AT[kind] else ():
            place = place[int(key) if key.isdigit() else key]
        place[field] = value
        path = f"{AT[kind]}.{field}" if AT[kind] else field
        with pytest.raises(ValueError) as refused:
            from_dict(Experiment, fields)
        assert str(refused.value).startswith((path, f"{AT[kind]} misses"))


@pytest.mark.parametrize("value", (NAN, INF, {1}, b"x", 1j, ..., {"a": {"b": (1, NAN)}}, {"a": {1: 2}}), ids=repr)
def test_an_argument_that_json_cannot_hold_is_named_by_its_path(value):
    fields = {**BASE[Experiment], "losses": (part("dice"), part("focal", gamma=value))}
    with pytest.raises(ValueError, match=r"^losses\[1\].args.gamma"):
        Experiment(**fields)


def test_values_are_kept_in_one_form():
    listed = Data(["tiny/train"], crop_size=[33, np.int64(17)], scales=[1, 2], weights=[1], brightness=0)
    assert listed == Data(("tiny/train",), (33, 17), (1.0, 2.0), brightness=0.0, weights=(1.0,))
    stage = Stage(listed, np.int64(3), optimizer=part("sgd", learning_rate=np.float32(0.5), x=[1, [2]], y={"z": [3]}))
    assert stage.optimizer.args == {"learning_rate": 0.5, "x": (1, (2,)), "y": {"z": (3,)}}
    experiment = Experiment("tiny", BASE[Experiment]["model"], [stage], EvalSpec("tiny/val"))
    assert from_dict(Experiment, json.loads(json.dumps(to_dict(experiment)))) == experiment


def test_a_missing_field_is_named():
    fields = to_dict(EXPERIMENT)
    del fields["evaluation"]
    with pytest.raises(ValueError, match="evaluation"):
        from_dict(Experiment, fields)


def test_an_evaluation_of_before_views_is_read():
    views = Views((0.5, 1.0), flip=True, window=(9, 17), pad_to=(33, 33))
    expected = dataclasses.replace(EXPERIMENT, evaluation=EvalSpec("tiny/val", views))
    fields = json.loads(json.dumps(to_dict(expected)))
    fields["evaluation"] = {
        **{"dataset": "tiny/val", "scales": [0.5, 1.0], "flip": True},
        **{"window": [9, 17], "pad_to": [33, 33]},
    }
    assert from_dict(Experiment, fields) == expected
    fields["evaluation"] = {"dataset": "tiny/val"}  # every field at its default
    assert from_dict(Experiment, fields).evaluation == EvalSpec("tiny/val")


def test_a_command_line_overrides_views_one_by_one():
    texts = (("evaluation.views.scales", "(0.5, 1.0)"), ("evaluation.views.window", "(9, 17)"))
    assert override(EXPERIMENT, texts).evaluation == EvalSpec("tiny/val", Views((0.5, 1.0), window=(9, 17)))


def test_a_view_beside_views_is_no_field():
    fields = to_dict(EXPERIMENT)
    fields["evaluation"]["scales"] = [0.5]
    with pytest.raises(ValueError, match=r"evaluation.scales is not a field of EvalSpec; it has dataset, views"):
        from_dict(Experiment, fields)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": ()}, r"scales must be .* not \(\)"),
        ({"scales": (1.0, 0.0)}, "scales must be one or more positive numbers"),
        ({"scales": (1.0, float("nan"))}, "scales must be one or more positive numbers"),
        ({"scales": 0.5}, "scales must be one or more positive numbers, .* not 0.5"),
        ({"scales": ("0.5",)}, "scales must be one or more positive numbers"),
        ({"flip": "no"}, "flip must be True or False, not 'no'"),
        ({"window": 0}, "window must be a positive integer"),
        ({"window": (3, 4, 5)}, "window must be"),
        ({"window": 9.5}, "window must be a positive integer, .* not 9.5"),
        ({"pad_to": (3, 0)}, r"pad_to must be a positive integer, .* not \(3, 0\)"),
        ({"average": "votes"}, "average must be one of 'logits', 'probabilities', not 'votes'"),
    ],
)
def test_views_that_make_no_sense_are_refused_when_they_are_made(options, message):
    with pytest.raises(ValueError, match=message):
        Views(**options)


def test_a_number_is_a_square_and_views_of_one_meaning_are_equal():
    assert Views([1, 0.5], window=9, pad_to=[3, 5]) == Views((1.0, 0.5), window=(9, 9), pad_to=(3, 5))
    assert dataclasses.replace(Views(window=9), flip=True) == Views(flip=True, window=9)


def test_views_are_described_in_words():
    assert Views().describe() == "scale 1"
    assert Views((0.5, 1.0), flip=True, window=(9, 17)).describe() == "scales 0.5, 1, with flip, window 9x17"
    described = Views((2.0,), pad_to=(3, 5), average="probabilities").describe()
    assert described == "scale 2, padded to 3x5, probabilities averaged"


HUGE = 10**400  # more than any float


@pytest.mark.parametrize(
    ("kind", "fields"),
    (
        (Stage, ("l2", "clip_norm", "ema_decay")),
        (Data, ("brightness", "rotation", "weights", "scales")),
        (Views, ("scales",)),
    ),
)
def test_a_whole_number_that_no_float_holds_is_refused_as_any_other(kind, fields):
    for field in fields:
        value = (HUGE,) if field in ("weights", "scales") else HUGE
        with pytest.raises(ValueError, match=rf"^{field} must be"):
            kind(**{**BASE[kind], field: value})
        with pytest.raises(ValueError, match=rf"^at.{field} must be"):
            from_dict(kind, {**to_dict(kind(**BASE[kind])), field: value}, "at")


def test_fields_whose_names_are_no_texts_are_refused_in_one_line():
    for wrong in ({1: 2, "name": "ksac"}, {None: 1, 2: 3}):
        with pytest.raises(ValueError, match=r"^model\.head\.(1|None|2) is not a field of Part; it has name, args"):
            override(EXPERIMENT, [("model.head", repr(wrong))])


def test_an_argument_may_be_called_name():
    assert part("ksac", name="mine") == Part("ksac", {"name": "mine"})
