"""The types of an experiment: frozen values that say what is trained and evaluated, never where."""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping

import ml_collections

AVERAGES = ("logits", "probabilities")
OLD_VIEWS = ("scales", "flip", "window", "pad_to")  # fields of the evaluation itself before `Views` held them


@dataclasses.dataclass(frozen=True)
class Part:
    """A component by its registry's name, with its constructor's own keyword arguments."""

    name: str
    args: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)


def part(name: str, **args: typing.Any) -> Part:
    """`part("ksac", filters=256)`: a component and its arguments."""
    return Part(name, args)


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """What `deeplab_ksac.model.build_model` builds.

    Attributes:
        backbone, head: of `BACKBONES` and `HEADS`.
        output_stride: ratio of image to c5: 8, 16 or 32.
        neck: of `NECKS`, or None.
        projection: CAR's linear 1×1 convolution between head and bottleneck, or None.
        bottleneck: arguments of the second-last convolution; None means the head's own.
        decoder: of `DECODERS`, or None for naive upsampling (Sect. 3.4.1.2).
        auxiliary: arguments of an FCN classifier on an earlier stage ("aux_logits"), or None.
        norm: arguments of `BatchNorm`.
    """

    backbone: Part
    head: Part
    output_stride: int = 16
    neck: Part | None = None
    projection: Part | None = None
    bottleneck: Mapping[str, typing.Any] | None = None
    decoder: Part | None = None
    auxiliary: Mapping[str, typing.Any] | None = None
    norm: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Data:
    """Training data: the arguments of `datasets.pipeline.train_batches` that are part of the experiment.

    Attributes:
        sources: "data set/split" names, concatenated and mixed, or mixed by `weights`.
        crop_size: height and width of the training images, in pixels.
        scales: random factors of the size.
        flip: whether images are mirrored with probability one half.
        brightness: largest random shift, of 0…255; 0 for none.
        weights: how often each source is drawn, relative to the others; empty for plain concatenation.
    """

    sources: tuple[str, ...]
    crop_size: tuple[int, int] = (513, 513)
    scales: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    flip: bool = True
    brightness: float = 0.0
    weights: tuple[float, ...] = ()


@dataclasses.dataclass(frozen=True)
class Stage:
    """One phase of training; the next stage starts from its weights.

    Attributes:
        data: what is trained on.
        steps: optimizer steps.
        batch_size: examples per step, over all replicas.
        optimizer: of `OPTIMIZERS`.
        l2: factor of the sum of squared convolution kernels that is added to the loss.
        schedule: of `SCHEDULES`: how the learning rate changes over the steps.
        accumulate: equal parts of each replica's examples of a step that are taken one after the other.
        clip_norm: largest norm of all gradients of a step together; 0 for no clipping.
        ema_decay: of moving averages of the weights, which are then evaluated and exported; 0 for none.
        steps_per_call: steps that are computed without coming back to Python; the results are the same.

    Raises:
        ValueError: a value that makes no sense, or a batch that cannot be taken in so many parts.
    """

    data: Data
    steps: int
    batch_size: int = 16
    optimizer: Part = dataclasses.field(default_factory=lambda: part("sgd"))
    l2: float = 1e-4
    schedule: Part = dataclasses.field(default_factory=lambda: part("poly"))
    accumulate: int = 1
    clip_norm: float = 0.0
    ema_decay: float = 0.0
    steps_per_call: int = 1

    def __post_init__(self) -> None:
        for name, least in (("steps", 1), ("batch_size", 1), ("accumulate", 1), ("steps_per_call", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"a batch_size of {self.batch_size} cannot be split into accumulate={self.accumulate} parts"
            )
        for name in ("l2", "clip_norm"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0 and finite, not {getattr(self, name)}")
        if not 0 <= self.ema_decay < 1:
            raise ValueError(f"ema_decay must be in [0, 1), not {self.ema_decay}; 0 is for no moving averages")


@dataclasses.dataclass(frozen=True)
class Views:
    """How a trained model sees an image, and how what it says of the views becomes one prediction.

    Attributes:
        scales: factors of the image's sides, each above 0; (1.0,) is single-scale.
        flip: whether each scale is also seen mirrored left to right.
        window: height and width in pixels of a window slid over each scaled image (a number for a square); windows
            overlap by a third, and their logits are averaged by coverage. None for the whole image.
        pad_to: height and width in pixels to which smaller images are filled up at the bottom and the right before all
            else (a number for a square), and their logits cut back: 513 for crops of PASCAL, (1025, 2049) for
            Cityscapes in the author's evaluation. None for none.
        average: what is averaged over the views: "logits" (the author's code), or "probabilities", the softmax of each.

    Raises:
        ValueError: a value that makes no sense.
    """

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    window: tuple[int, int] | None = None
    pad_to: tuple[int, int] | None = None
    average: str = "logits"

    def __post_init__(self) -> None:
        if not (isinstance(self.scales, tuple | list) and self.scales and all(map(_is_scale, self.scales))):
            raise ValueError(f"scales must be one or more positive numbers, such as (0.5, 1.0), not {self.scales!r}")
        if not isinstance(self.flip, bool):
            raise ValueError(f"flip must be True or False, not {self.flip!r}")
        if self.average not in AVERAGES:
            raise ValueError(f"average must be one of {', '.join(map(repr, AVERAGES))}, not {self.average!r}")
        object.__setattr__(self, "scales", tuple(map(float, self.scales)))
        object.__setattr__(self, "window", _sides("window", self.window))
        object.__setattr__(self, "pad_to", _sides("pad_to", self.pad_to))

    def describe(self) -> str:
        """The views in words: "scales 0.5, 1, with flip, window 513x513"."""
        listed = ", ".join(f"{scale:g}" for scale in self.scales)
        parts = [f"scales {listed}" if len(self.scales) > 1 else f"scale {listed}"]
        parts += ["with flip"] * self.flip
        parts += [] if self.window is None else ["window {}x{}".format(*self.window)]
        parts += [] if self.pad_to is None else ["padded to {}x{}".format(*self.pad_to)]
        parts += ["probabilities averaged"] * (self.average == "probabilities")
        return ", ".join(parts)


def _is_scale(value):
    return isinstance(value, int | float) and 0 < value < math.inf


def _sides(name, value):
    """(height, width) of a number, a pair or None."""
    if value is None:
        return None
    sides = tuple(value) if isinstance(value, tuple | list) else (value, value)
    if len(sides) != 2 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise ValueError(f"{name} must be a positive integer, a pair of them or None, not {value!r}")
    return sides


@dataclasses.dataclass(frozen=True)
class EvalSpec:
    """How a trained model is evaluated.

    Attributes:
        dataset: "data set/split".
        views: how the model sees its images.
    """

    dataset: str
    views: Views = Views()


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run: a model, its training in stages, its losses and its evaluation.

    Attributes:
        name: what the run is called in reports.
        losses: of `LOSSES`; their terms are added.
        log_every, checkpoint_every, evaluate_every: in steps; evaluate_every 0 evaluates after the last step only.
        seed: of weights, data order and augmentation.
    """

    name: str
    model: ModelSpec
    stages: tuple[Stage, ...]
    evaluation: EvalSpec
    losses: tuple[Part, ...] = (Part("cross_entropy"),)
    log_every: int = 50
    checkpoint_every: int = 1000
    evaluate_every: int = 0
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of one of the thesis's tables: an experiment and the thesis's own numbers.

    Attributes:
        experiment: what is trained; None where the thesis quotes a number of another paper.
        method: what the table calls it.
        source: where the numbers are from, "Table 4.1, R8"; rows without labels are counted from R1.
        miou, miou_ms_flip: percent, single-scale and with multi-scale and flip.
        deviation: standard deviation over repeated runs, whose mean the numbers are.
        gflops, gflops_training: of the thesis's convention (`deeplab_ksac.flops.convention`).
        note: what the thesis leaves open or the number cannot say.
    """

    experiment: Experiment | None
    method: str = ""
    source: str = ""
    miou: float | None = None
    miou_ms_flip: float | None = None
    deviation: float | None = None
    gflops: float | None = None
    gflops_training: float | None = None
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """One of the thesis's tables.

    Attributes:
        number: "4.1".
        title: what it compares.
        rows: by label, as printed or counted from R1.
        protocol: what its rows take from elsewhere than the thesis.
    """

    number: str
    title: str
    rows: Mapping[str, Row]
    protocol: str = ""

    @property
    def name(self) -> str:
        """The first part of its experiments' names: "table_4_1"."""
        return f"table_{self.number.replace('.', '_')}"


def to_dict(value: typing.Any) -> typing.Any:
    """Any of these values as dicts, lists and numbers that JSON holds."""
    if dataclasses.is_dataclass(value):
        return {field.name: to_dict(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: to_dict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    return value


class FieldTypeError(TypeError, ValueError):
    """A value of another type than its field's: an error of the input, as other wrong values are."""


def from_dict(kind: typing.Any, value: typing.Any, path: str = "") -> typing.Any:
    """The value of type `kind` (Experiment, ModelSpec …) of which `to_dict` made `value`.

    Raises:
        ValueError: an unknown or missing field, by its path.
        FieldTypeError: a value of the wrong type, by its path.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return None if value is None else from_dict(arguments[0], value, path)
    if dataclasses.is_dataclass(kind):
        return _dataclass_from_dict(kind, _checked(value, Mapping, path, kind.__name__), path)
    if origin is tuple:
        _checked(value, (list, tuple), path, "a list")
        items = arguments if arguments[-1] is not Ellipsis else arguments[:1] * len(value)
        if len(items) != len(value):
            raise ValueError(f"{path} takes {len(items)} values, not {len(value)}: {list(value)}")
        pairs = enumerate(zip(items, value, strict=True))
        return tuple(from_dict(item, entry, f"{path}[{i}]") for i, (item, entry) in pairs)
    if origin is Mapping or kind is Mapping:
        return {key: _tuples(item) for key, item in _checked(value, Mapping, path, "arguments by name").items()}
    if isinstance(value, bool) and kind is not bool:  # Python's True is a number
        raise FieldTypeError(f"{path} takes {kind.__name__}, not {value!r}")
    number = kind is float and isinstance(value, int)
    return float(value) if number else _checked(value, kind, path, kind.__name__)


def _checked(value, kind, path, words):
    """The value, if it is of a kind; an error in `words` if not."""
    if not isinstance(value, kind):
        raise FieldTypeError(f"{path} takes {words}, not {value!r}")
    return value


def _dataclass_from_dict(kind, value, path):
    value = _with_views(value) if kind is EvalSpec else value
    hints = typing.get_type_hints(kind)
    dot = f"{path}." if path else ""
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise ValueError(f"{dot}{unknown[0]} is not a field of {kind.__name__}; it has {', '.join(hints)}")
    required = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in required if name not in value]
    if missing:
        raise ValueError(f"{path or kind.__name__} misses {', '.join(missing)}")
    return kind(**{name: from_dict(hints[name], item, f"{dot}{name}") for name, item in value.items()})


def _with_views(fields):
    """The fields of an `EvalSpec`; those of a file from before `Views`, {"dataset", "scales", …}, in today's form."""
    old = {name: fields[name] for name in OLD_VIEWS if name in fields}
    if not old or "views" in fields:
        return fields
    return {**{name: value for name, value in fields.items() if name not in old}, "views": old}


def _tuples(value):
    """Lists as tuples, so that a value read back from JSON equals the one that was written."""
    if isinstance(value, list | tuple):
        return tuple(_tuples(item) for item in value)
    return value


def to_config_dict(experiment: Experiment) -> ml_collections.ConfigDict:
    """An `ml_collections.ConfigDict` whose fields a command line can override."""

    def convert(value):
        if dataclasses.is_dataclass(value):
            value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        if isinstance(value, Mapping):
            return ml_collections.ConfigDict({key: convert(item) for key, item in value.items()})
        if isinstance(value, list | tuple) and any(dataclasses.is_dataclass(item) for item in value):
            return [convert(item) for item in value]
        return value

    return convert(experiment)


def from_config_dict(config: ml_collections.ConfigDict) -> Experiment:
    """The `Experiment` of a (perhaps overridden) `to_config_dict`."""

    def convert(value):
        if isinstance(value, ml_collections.ConfigDict):
            return {key: convert(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [convert(item) for item in value]
        return value

    return from_dict(Experiment, convert(config))


def differences(old: typing.Any, new: typing.Any, path: str = "") -> list[str]:
    """Lines "path: old -> new" for every field in which two `to_dict` values differ."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return [
            line
            for key in sorted({*old, *new})
            for line in differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        ]
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        return [
            line for i, (a, b) in enumerate(zip(old, new, strict=True)) for line in differences(a, b, f"{path}[{i}]")
        ]
    return [] if old == new else [f"{path}: {old!r} -> {new!r}"]
