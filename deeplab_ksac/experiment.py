"""The types of an experiment: frozen values that say what is trained and evaluated, never where."""

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping

from deeplab_ksac.arguments import LARGEST, LARGEST_FLOAT, check_numbers, in_interval
from deeplab_ksac.fields import (
    check_arguments,
    check_flag,
    check_kind,
    check_scales,
    check_split,
    check_storable,
    check_text,
    plain,
    set_fields,
    set_whole_numbers,
    sides_of,
)
from deeplab_ksac.import_paths import is_import_path, path_of

DISTORTIONS = ("brightness", "contrast", "saturation", "hue", "rotation", "cutout")
AVERAGES = ("logits", "probabilities")
PRECISIONS = ("float32", "float16", "bfloat16")  # in which a trained model computes
OUTPUT_STRIDES = (8, 16, 32)
BACKBONE_STAGES = ("c2", "c3", "c4", "c5")
LARGEST_SEED = 2**32 - 1  # of NumPy's generators
OLD_VIEWS = ("scales", "flip", "window", "pad_to")  # fields of the evaluation itself before `Views` held them


@dataclasses.dataclass(frozen=True)
class Part:
    """A component by its registry's name or its import path, with its constructor's own keyword arguments.

    Raises:
        ValueError: a name or arguments that are none.
    """

    name: str
    args: Mapping[str, typing.Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not is_import_path(self.name):  # a folder may have any name
            check_text(name=self.name)
        check_arguments(args=self.args)
        set_fields(self, args=plain(self.args))


def part(name: str | Callable[..., typing.Any], /, **args: typing.Any) -> Part:
    """`part("ksac", filters=256)`, or `part(MyHead, filters=64)` for one's own: a component and its arguments.

    A class or function is kept by its import path ("my_heads:MyHead", "/home/me/my_experiment.py:MyHead"), under which
    it is found wherever the experiment is read.

    Raises:
        ValueError: as `Part`; something of one's own that would not be found, such as a class inside of a function.
    """
    return Part(name if isinstance(name, str) else path_of(name), args)


@dataclasses.dataclass(frozen=True)
class ModelSpec:
    """What `deeplab_ksac.model.build_model` builds.

    Attributes:
        backbone, head: of `BACKBONES` and `HEADS`, or one's own, as all parts.
        output_stride: ratio of image to c5: 8, 16 or 32.
        neck: of `NECKS`, or None.
        projection: CAR's linear 1×1 convolution between head and bottleneck, or None.
        bottleneck: arguments of the second-last convolution; None means the head's own.
        decoder: of `DECODERS`, or None for naive upsampling (Sect. 3.4.1.2).
        auxiliary: arguments of an FCN classifier on an earlier stage ("aux_logits"), or None.
        norm: arguments of `BatchNorm`.

    Raises:
        ValueError: another output stride, or a field that is no part or no arguments.
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

    def __post_init__(self) -> None:
        check_kind(Part, backbone=self.backbone, head=self.head)
        for name in ("neck", "projection", "decoder"):
            if getattr(self, name) is not None:
                check_kind(Part, **{name: getattr(self, name)})
        if isinstance(self.output_stride, bool) or self.output_stride not in OUTPUT_STRIDES:
            listed = ", ".join(map(str, OUTPUT_STRIDES))
            raise ValueError(f"output_stride must be one of {listed}, not {self.output_stride!r}")
        for name in ("bottleneck", "auxiliary", "norm"):
            if getattr(self, name) is not None or name == "norm":
                check_arguments(**{name: getattr(self, name)})
                set_fields(self, **{name: plain(getattr(self, name))})


@dataclasses.dataclass(frozen=True)
class Data:
    """Training data: the arguments of `datasets.pipeline.train_batches` that are part of the experiment.

    Attributes:
        sources: "data set/split" names, concatenated and mixed, or mixed by `weights`.
        crop_size: height and width of the training images, in pixels.
        scales: random factors of the size.
        flip: whether images are mirrored with probability one half.
        brightness: largest random shift, of 0…255, or of four deviations of other bands than RGB; 0 for none, as for
            all that follow, which each leave half of the examples as they are (`datasets.distortions`).
        contrast, saturation: largest relative change, 0…1.
        hue: largest turn of the colors, in degrees, 0…180; saturation and hue are for RGB pictures alone.
        rotation: largest turn of the crop, in degrees, 0…45.
        cutout: share of both sides of a part of the crop that is cut out, in [0, 1).
        weights: how often each source is drawn, relative to the others; empty for plain concatenation.
        augmentations: of one's own, `part(my_function, strength=0.2)`, in the order in which they are applied to a crop
            after all else: each is `my_function(example, seed, strength=0.2)` -> example, as
            `datasets.own_augmentations` says.

    Raises:
        ValueError: a value that makes no sense.
    """

    sources: tuple[str, ...]
    crop_size: tuple[int, int] = (513, 513)
    scales: tuple[float, ...] = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0)
    flip: bool = True
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    rotation: float = 0.0
    cutout: float = 0.0
    weights: tuple[float, ...] = ()
    augmentations: tuple[Part, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.sources, tuple | list) or not self.sources:
            raise ValueError(f"sources must be one or more splits, such as ('camvid/train',), not {self.sources!r}")
        for source in self.sources:
            check_split(sources=source)
        check_scales(self.scales)
        check_flag(flip=self.flip)
        check_numbers("[0, 255]", brightness=self.brightness)
        check_numbers("[0, 1]", contrast=self.contrast, saturation=self.saturation)
        check_numbers("[0, 180]", hue=self.hue)
        check_numbers("[0, 45]", rotation=self.rotation)
        check_numbers("[0, 1)", cutout=self.cutout)
        positive = f"(0, {LARGEST_FLOAT}]"
        if not isinstance(self.weights, tuple | list) or not all(in_interval(x, positive) for x in self.weights):
            raise ValueError(f"weights must be positive numbers, or () for none, not {self.weights!r}")
        if self.weights and len(self.weights) != len(self.sources):
            raise ValueError(
                f"weights must be one positive number for each of the {len(self.sources)} sources, not {self.weights!r}"
            )
        if not isinstance(self.augmentations, tuple | list) or not all(
            isinstance(each, Part) and is_import_path(each.name) for each in self.augmentations
        ):
            raise ValueError(
                f"augmentations must be functions of one's own, as (part(my_function),), not {self.augmentations!r}"
            )
        sides = sides_of("crop_size", self.crop_size)
        if sides is None or isinstance(self.crop_size, int):
            raise ValueError(f"crop_size must be height and width in pixels, as (513, 513), not {self.crop_size!r}")
        set_fields(self, sources=tuple(self.sources), crop_size=sides, augmentations=tuple(self.augmentations))
        set_fields(self, **{name: float(getattr(self, name)) for name in DISTORTIONS})
        set_fields(self, scales=tuple(map(float, self.scales)), weights=tuple(map(float, self.weights)))


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
        freeze: the backbone up to this stage, "c2" … "c5" (all of it), is not trained: it computes as in prediction,
            and no gradient is taken of it. None for training all.
        freeze_norm: whether normalization uses its moving statistics and keeps them, as DeepLab with
            fine_tune_batch_norm=False; its scales and shifts are trained.
        patience: the stage ends early once so many evaluations in a row have not raised its validation mIoU above all
            before them; 0 for no early end. The schedule is that of all `steps` nevertheless, and the next stage starts
            from the last weights, as after a full stage.
        recompute: whether the backbone is computed a second time for its gradient, so that a step holds less of it:
            less memory for more time, and the same results to rounding.
        features: name of cached features in the folder of the converted data (`ksac cache-features`), on which the
            stage is trained in place of the pictures of its data; it wants freeze="c5", as all stages before it. None
            for the pictures.

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
    freeze: str | None = None
    freeze_norm: bool = False
    patience: int = 0
    recompute: bool = False
    features: str | None = None

    def __post_init__(self) -> None:
        check_kind(Data, data=self.data)
        check_kind(Part, optimizer=self.optimizer, schedule=self.schedule)
        set_whole_numbers(self, 1, LARGEST, "steps", "batch_size", "accumulate", "steps_per_call")
        set_whole_numbers(self, 0, LARGEST, "patience")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate: a batch_size of {self.batch_size} cannot be split into accumulate={self.accumulate} parts"
            )
        for name in ("l2", "clip_norm"):
            if not in_interval(getattr(self, name), f"[0, {LARGEST_FLOAT}]"):
                raise ValueError(f"{name} must be at least 0 and finite, not {getattr(self, name)!r}")
        if not in_interval(self.ema_decay, "[0, 1)"):
            raise ValueError(f"ema_decay must be in [0, 1), not {self.ema_decay!r}; 0 is for no moving averages")
        if self.freeze is not None and self.freeze not in BACKBONE_STAGES:
            raise ValueError(f"freeze must be one of {', '.join(BACKBONE_STAGES)} or None, not {self.freeze!r}")
        check_flag(freeze_norm=self.freeze_norm, recompute=self.recompute)
        if self.features is not None:
            check_text(features=self.features)
            if self.freeze != BACKBONE_STAGES[-1]:
                raise ValueError(
                    f"features are of a backbone that is not trained; set freeze to {BACKBONE_STAGES[-1]!r}, not "
                    f"{self.freeze!r}, or features to none"
                )
            if self.recompute:
                raise ValueError("recompute is for a backbone that is computed; with features leave it out")
        set_fields(self, l2=float(self.l2), clip_norm=float(self.clip_norm), ema_decay=float(self.ema_decay))


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
        check_scales(self.scales)
        check_flag(flip=self.flip)
        if self.average not in AVERAGES:
            raise ValueError(f"average must be one of {', '.join(map(repr, AVERAGES))}, not {self.average!r}")
        sides = {name: sides_of(name, getattr(self, name)) for name in ("window", "pad_to")}
        set_fields(self, scales=tuple(map(float, self.scales)), **sides)

    def describe(self) -> str:
        """The views in words: "scales 0.5, 1, with flip, window 513x513"."""
        listed = ", ".join(f"{scale:g}" for scale in self.scales)
        parts = [f"scales {listed}" if len(self.scales) > 1 else f"scale {listed}"]
        parts += ["with flip"] * self.flip
        parts += [] if self.window is None else ["window {}x{}".format(*self.window)]
        parts += [] if self.pad_to is None else ["padded to {}x{}".format(*self.pad_to)]
        parts += ["probabilities averaged"] * (self.average == "probabilities")
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True)
class EvalSpec:
    """How a trained model is evaluated.

    Attributes:
        dataset: "data set/split".
        views: how the model sees its images.

    Raises:
        ValueError: a data set that is no "data set/split", or views that are none.
    """

    dataset: str
    views: Views = Views()

    def __post_init__(self) -> None:
        check_split(dataset=self.dataset)
        check_kind(Views, views=self.views)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One run: a model, its training in stages, its losses and its evaluation.

    Attributes:
        name: what the run is called in reports.
        losses: of `LOSSES`; their terms are added.
        log_every, checkpoint_every, evaluate_every: in steps; evaluate_every 0 evaluates after the last step only.
        evaluate_images: how many pictures of its split, spread evenly over it, an evaluation during training takes; 0
            for all. By their mIoU the best checkpoint is chosen, and patience waits for it to rise: figures of the same
            pictures. After the last step of a stage all pictures are evaluated besides.
        seed: of weights, data order and augmentation.

    Raises:
        ValueError: a value that makes no sense, or an argument of a part that JSON cannot hold.
    """

    name: str
    model: ModelSpec
    stages: tuple[Stage, ...]
    evaluation: EvalSpec
    losses: tuple[Part, ...] = (Part("cross_entropy"),)
    log_every: int = 50
    checkpoint_every: int = 1000
    evaluate_every: int = 0
    evaluate_images: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        check_text(name=self.name)
        check_kind(ModelSpec, model=self.model)
        check_kind(EvalSpec, evaluation=self.evaluation)
        for name, kind in (("stages", Stage), ("losses", Part)):
            items = getattr(self, name)
            if not isinstance(items, tuple | list) or not items or not all(isinstance(item, kind) for item in items):
                raise ValueError(f"{name} must be one or more of {kind.__name__}, not {items!r}")
            set_fields(self, **{name: tuple(items)})
        set_whole_numbers(self, 0, LARGEST, "log_every", "checkpoint_every", "evaluate_every", "evaluate_images")
        set_whole_numbers(self, 0, LARGEST_SEED, "seed")
        for field in dataclasses.fields(self):
            check_storable(to_dict(getattr(self, field.name)), field.name)


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
        return dict(_checked(value, Mapping, path, "arguments by name"))
    if isinstance(value, bool) and kind is not bool:  # Python's True is a number
        raise FieldTypeError(f"{path} takes {kind.__name__}, not {value!r}")
    number = kind is float and isinstance(value, int)  # which the field's own type makes a float
    return value if number else _checked(value, kind, path, kind.__name__)


def _checked(value, kind, path, words):
    """The value, if it is of a kind; an error in `words` if not."""
    if not isinstance(value, kind):
        raise FieldTypeError(f"{path} takes {words}, not {value!r}")
    return value


def _dataclass_from_dict(kind, value, path):
    value = _with_views(value) if kind is EvalSpec else value
    hints = typing.get_type_hints(kind)
    dot = f"{path}." if path else ""
    unknown = sorted(set(value) - set(hints), key=str)
    if unknown:
        raise ValueError(f"{dot}{unknown[0]} is not a field of {kind.__name__}; it has {', '.join(hints)}")
    required = [f.name for f in dataclasses.fields(kind) if f.default is f.default_factory is dataclasses.MISSING]
    missing = [name for name in required if name not in value]
    if missing:
        raise ValueError(f"{path or kind.__name__} misses {', '.join(missing)}")
    fields = {name: from_dict(hints[name], item, f"{dot}{name}") for name, item in value.items()}
    try:
        return kind(**fields)
    except ValueError as error:  # its message begins with the field's name
        raise ValueError(f"{dot}{error}") from None


def _with_views(fields):
    """The fields of an `EvalSpec`; those of a file from before `Views`, {"dataset", "scales", …}, in today's form."""
    old = {name: fields[name] for name in OLD_VIEWS if name in fields}
    if not old or "views" in fields:
        return fields
    return {**{name: value for name, value in fields.items() if name not in old}, "views": old}
