"""Fields of an experiment set by their paths."""

import dataclasses

import pytest

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, Views, part
from deeplab_ksac.overrides import override, type_at

EXPERIMENT = Experiment(
    name="tiny",
    model=ModelSpec(part("resnet50", width=4), part("ksac"), norm={"momentum": 0.9}),
    stages=(Stage(Data(("tiny/train",)), 4),),
    evaluation=EvalSpec("tiny/val"),
    losses=(part("cross_entropy"), part("dice", weight=0.5)),
)


def changed(*texts):
    return override(EXPERIMENT, [text.split("=", 1) for text in texts])


@pytest.mark.parametrize(
    ("text", "value"),
    (
        ("seed=7", 7),
        ("name=7", "7"),
        ("stages[0].l2=1", 1.0),
        ("stages[0].l2=1e-3", 1e-3),
        ("stages[0].data.flip=false", False),
        ("stages[0].data.flip=True", True),
        ("stages[0].data.sources=('a/b',)", ("a/b",)),
        ("stages[0].data.sources=a/b,c/d", ("a/b", "c/d")),
        ("stages[0].data.sources=a/b", ("a/b",)),
        ("stages[0].data.sources=['a/b', 'c/d']", ("a/b", "c/d")),
        ("stages[0].data.crop_size=33,17", (33, 17)),
        ("stages[0].data.crop_size=(33, 17)", (33, 17)),
        ("stages[0].data.crop_size[1]=17", (513, 17)),
        ("stages[0].data.scales=1", (1.0,)),
        ("stages[0].data.scales=(0.5, 1)", (0.5, 1.0)),
        ("stages[0].data.weights=()", ()),
        ("evaluation.views.window=(9, 17)", (9, 17)),
        ("evaluation.views.window=none", None),
        ("evaluation.views.pad_to=33,33", (33, 33)),
        ("model.neck={'name': 'joint_pyramid_upsampling'}", part("joint_pyramid_upsampling")),
        ("model.bottleneck={'filters': 8}", {"filters": 8}),
        ("losses=[{'name': 'dice'}]", (part("dice"),)),
    ),
)
def test_a_text_becomes_the_value_of_its_field(text, value):
    path = text.partition("=")[0].removesuffix("[1]")
    found = changed(text)
    for step in path.replace("[0]", "").split("."):
        found = getattr(found, step)
        found = found[0] if step == "stages" else found
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "args"),
    (
        ("losses[0].args.class_weights=(1, 2.5)", {"class_weights": (1, 2.5)}),
        ("losses[0].args.class_weights=[1, 2.5]", {"class_weights": (1, 2.5)}),
        ("losses[0].args.output=aux_logits", {"output": "aux_logits"}),
        ("losses[0].args.class_weights=none", {"class_weights": None}),
        ("losses[0].args.settings.fixed_centers=()", {"settings": {"fixed_centers": ()}}),
        ("losses[0].args={'weight': 2}", {"weight": 2}),
    ),
)
def test_any_argument_of_a_part_can_be_set(text, args):
    assert changed(text).losses[0] == part("cross_entropy", **args)


def test_an_argument_beside_those_there_are_leaves_them():
    found = changed("model.backbone.args.blocks=(1, 1)", "model.head.args.atrous_rates=2,4", "model.norm.epsilon=1e-5")
    assert found.model.backbone == part("resnet50", width=4, blocks=(1, 1))
    assert found.model.head == part("ksac", atrous_rates=(2, 4))
    assert found.model.norm == {"momentum": 0.9, "epsilon": 1e-5}


def test_what_is_none_comes_into_being_with_its_first_field():
    found = changed(
        "model.neck.args.filters=4", "model.neck.name=joint_pyramid_upsampling", "model.bottleneck.filters=8"
    )
    assert found.model.neck == part("joint_pyramid_upsampling", filters=4)
    assert found.model.bottleneck == {"filters": 8}
    assert override(found, [("model.neck", "none"), ("model.bottleneck", "none")]) == EXPERIMENT


def test_values_that_fit_each_other_are_looked_at_together():
    found = changed("stages[0].accumulate=5", "stages[0].batch_size=15")
    assert found.stages[0] == dataclasses.replace(EXPERIMENT.stages[0], accumulate=5, batch_size=15)
    views = changed("evaluation.views.flip=true", "evaluation.views.scales=0.5").evaluation.views
    assert views == Views((0.5,), flip=True)


@pytest.mark.parametrize(
    ("text", "said"),
    (
        ("stages[0].data.crop_size=(33.5,33)", "stages[0].data.crop_size[0] takes int, not 33.5"),
        ("stages[0].data.crop_size=33", "stages[0].data.crop_size takes 2 values, not 1: [33]"),
        ("stages[0].data.crop_size=(-5,-5)", "stages[0].data.crop_size must be a positive integer, a pair of them"),
        ("stages[0].data.sources=(1,)", "stages[0].data.sources[0] takes str, not 1"),
        ("stages[0].data.sources=()", "stages[0].data.sources must be one or more splits, such as ('camvid/train',)"),
        ("stages[0].data.scales=(0.0,)", "stages[0].data.scales must be one or more positive numbers, such as"),
        ("stages[0].data.scales=inf", "stages[0].data.scales[0] takes float, not 'inf'"),
        ("stages[0].data.scales=1e999", "stages[0].data.scales must be one or more positive numbers, such as"),
        ("stages[0].data.flip=2", "stages[0].data.flip takes bool, not 2"),
        ("stages[0].steps=²", "stages[0].steps takes int, not '²'"),
        ("stages[0].steps=1e3", "stages[0].steps takes int, not 1000.0"),
        ("stages[0].steps=" + "(" * 500, "stages[0].steps takes int, not '((("),
        ("stages[0].steps=" + "-" * 5000 + "1", "stages[0].steps "),
        ("stages[0].steps=" + "9" * 5000, "stages[0].steps "),
        ("stages[4].steps=3", "stages[4] does not exist: stages has 1, counted from 0"),
        ("stages[4]={}", "stages[4] does not exist: stages has 1, counted from 0"),
        ("stages[-1].steps=3", "'stages[-1].steps' is not the path of a field, such as stages[0].data.crop_size"),
        ("stages.steps=3", "stages.steps does not exist: stages has no fields"),
        ("stages=3", "stages[0] takes Stage, not 3"),
        ("seed[0]=3", "seed[0] does not exist: seed has no items"),
        ("seed.x=3", "seed.x does not exist: seed has no fields"),
        ("seed=-1", "seed must be at least 0, not -1"),
        (".model=3", "'.model' is not the path of a field"),
        ("=3", "'' is not the path of a field"),
        ("model..head=3", "'model..head' is not the path of a field"),
        ("model=3", "model takes ModelSpec, not 3"),
        ("model.head=ksac", "model.head takes Part, not 'ksac'"),
        ("model.head.args=3", "model.head.args takes arguments by name, not 3"),
        ("model.head.args={1: 2}", "model.head.args must be arguments by name, not {1: 2}"),
        ("model.head.args.filters={1}", "model.head.args.filters must be a number, text, True, False, None"),
        ("model.head.args.filters=1e999", "model.head.args.filters must be a finite number, not inf"),
        ("model.backbone.args.width.x=3", "model.backbone.args.width.x does not exist: model.backbone.args.width is 4"),
        (
            "model.backbone.args.width[0]=3",
            "model.backbone.args.width[0] does not exist: model.backbone.args.width is 4",
        ),
        ("model.head.nam=x", 'model.head.nam is not a field of Part; it has name, args. Did you mean "name"?'),
        ("model.neck.args.filters=4", "model.neck misses name"),
        ("evaluation.views.window[0]=9", "evaluation.views.window[0] does not exist: evaluation.views.window is None"),
        (
            "evaluation.dataset=camvid",
            "evaluation.dataset: a split is written 'name/split', such as 'camvid/test', not",
        ),
    ),
)
def test_what_cannot_be_set_is_named_by_its_path(text, said):
    with pytest.raises(ValueError) as refused:
        changed(text)
    assert str(refused.value).startswith(said)


def test_a_later_text_that_would_undo_an_earlier_one_is_an_error():
    with pytest.raises(ValueError, match=r"^model.neck would undo model.neck.name, which is given before it"):
        changed("model.neck.name=x", "model.neck=none")
    found = changed("model.neck={'name': 'x'}", "model.neck.args.filters=3")
    assert found.model.neck == part("x", filters=3)


def test_the_type_of_a_field_is_known_without_an_experiment():
    assert type_at("stages[3].data.flip") is bool
    assert type_at("model.neck.name") is str
    with pytest.raises(ValueError, match="is not a field of Stage"):
        type_at("stages[0].stepps")
