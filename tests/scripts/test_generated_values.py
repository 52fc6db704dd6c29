"""Overrides and flags' values that nobody thought of: one line, or an experiment that JSON gives back as it was."""

import inspect
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deeplab_ksac.construct import construct
from deeplab_ksac.experiment import Experiment, Part, from_dict, to_dict
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.decoders import DECODERS
from deeplab_ksac.heads.necks import NECKS
from deeplab_ksac.layers import BatchNorm
from deeplab_ksac.losses import LOSSES, build_objective
from deeplab_ksac.scripts import train
from deeplab_ksac.scripts.commandline import config
from deeplab_ksac.training.optimizers import OPTIMIZERS, build_optimizer
from deeplab_ksac.training.schedules import SCHEDULES
from tests.scripts.commandline.test_values import REQUIRED
from tests.scripts.parsing import command_line

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
SAMPLES = (
    *("", "none", "true", "False", "0", "-1", "1", "3", "1.5", "1e-3", "1e999", "nan", "-inf", "²", "٣", "1_000"),
    *("()", "(1,)", "(33.5,33)", "(33, 33)", "(-5,-5)", "('a/b',)", "a/b,c/d", "[]", "{}", "{1: 2}", "{'name': 'x'}"),
    *(
        "a/b",
        "'",
        '"',
        "(" * 300,
        "9" * 5000,
        "-" * 3000 + "1",
        "1j",
        "b'x'",
        "...",
        "\ufeff1",
        "\n",
        "\x1b[2J",
        "\udcff",
    ),
)
TEXTS = st.one_of(st.sampled_from(SAMPLES), st.text(max_size=8), st.integers().map(str), st.floats().map(repr))
FIELDS = (
    *("name", "seed", "log_every", "losses", "stages", "model", "model.output_stride", "model.norm.momentum"),
    *("model.backbone.args.alpha", "model.head.name", "model.head.args", "model.neck", "model.neck.name"),
    *("model.bottleneck.filters", "model.auxiliary", "losses[0].args.class_weights", "losses[0].args.settings.x"),
    *("stages[0].steps", "stages[0].batch_size", "stages[0].accumulate", "stages[0].ema_decay", "stages[0].l2"),
    *("stages[0].data.sources", "stages[0].data.crop_size", "stages[0].data.scales", "stages[0].data.flip"),
    *("stages[0].data.weights", "stages[0].data.brightness", "stages[0].optimizer.args.momentum", "stages[0]"),
    *("evaluation.dataset", "evaluation.views", "evaluation.views.window", "evaluation.views.scales"),
    *("stages[4].steps", "stages[0].stepps", "stages[-1]", ".model", "seed.x", "seed[0]", "a b", ""),
)
PATHS = st.one_of(st.sampled_from(FIELDS), st.text(st.characters(exclude_characters="="), max_size=6))
WORDS = st.lists(st.tuples(PATHS, TEXTS), min_size=1, max_size=3)


@QUICK
@given(WORDS)
def test_overrides_are_one_line_or_an_experiment(pairs):
    words = [f"--config.{path}={text}" for path, text in pairs]
    try:
        with command_line(train, *REQUIRED[train], *words) as flags:
            experiment = config.chosen(flags.config)
    except SystemExit as error:
        assert isinstance(error.code, str) and error.code.startswith("train: --config.") and error.code.isprintable()
    else:
        assert from_dict(Experiment, json.loads(json.dumps(to_dict(experiment), allow_nan=False))) == experiment


@pytest.mark.parametrize("module", REQUIRED)
@QUICK
@given(st.data())
def test_a_flags_value_is_one_line_or_taken(module, data):
    with command_line(module, *REQUIRED[module]) as flags:
        names = sorted(name for name in flags if type(flags[name].parser).__name__ == "_Parser")
    if not names:
        return
    name, text = data.draw(st.sampled_from(names)), data.draw(TEXTS)
    try:
        with command_line(module, *REQUIRED[module], f"--{name}={text}") as flags:
            assert flags[name].value is not None
    except SystemExit as error:
        start = f"{module.__name__.rpartition('.')[2]}: --{name} must be "
        assert isinstance(error.code, str) and error.code.startswith(start)
        assert error.code.endswith(repr(text)) and error.code.isprintable()


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 40),
    st.floats(),
    st.text(max_size=3),
    st.lists(st.one_of(st.integers(-1, 9), st.floats(), st.text(max_size=2)), max_size=3).map(tuple),
    st.dictionaries(st.text(min_size=1, max_size=2), st.integers(), max_size=2),
)


def arguments_of(table, name):
    """Names of what the constructor takes, beside what the experiment gives it."""
    taken = inspect.signature(table[name]).parameters.values()
    return [p.name for p in taken if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "norm"]


def build(kind, part):
    """Makes a part as training does."""
    if kind == "losses":
        return build_objective((part,), 3)
    if kind == "optimizer":
        return build_optimizer(part, 10)
    if kind == "schedule":
        return build_optimizer(Part("sgd"), 10, part)
    return construct(TABLES[kind], part, norm=BatchNorm(), output_stride=16, num_classes=3)


TABLES = {
    **{"losses": LOSSES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES},
    **{"head": HEADS, "neck": NECKS, "decoder": DECODERS},
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, table in TABLES.items() for name in sorted(table)])
@settings(QUICK, max_examples=25)
@given(st.data())
def test_an_argument_of_a_part_is_one_line_or_taken(kind, name, data):
    argument = data.draw(st.sampled_from([*arguments_of(TABLES[kind], name), "nothing"]))
    part = Part(name, {argument: data.draw(VALUES)})
    try:
        build(kind, part)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert argument != "nothing"
