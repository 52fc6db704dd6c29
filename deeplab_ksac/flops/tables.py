"""The FLOPs of the thesis's tables and ours: in its convention, and as they are computed here."""

import dataclasses
import re

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.datasets import CATALOG, source
from deeplab_ksac.datasets.splits import Split
from deeplab_ksac.experiment import Experiment, ModelSpec
from deeplab_ksac.experiments import TABLES
from deeplab_ksac.flops import convention
from deeplab_ksac.flops.count import (
    GIGA,
    Counts,
    by_part,
    count_multiply_adds,
    count_parameters,
    model_graph,
    trace,
)
from deeplab_ksac.ksac import KernelSharingAtrousConv
from deeplab_ksac.layers.arguments import rates_at
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.zero_weights import zero_weights


def num_classes(experiment: Experiment) -> int:
    """The number of classes of the data set that an experiment is evaluated on.

    Raises:
        ValueError: a data set without fixed classes, or one that the catalog does not have.
    """
    name = Split.parse(experiment.evaluation.dataset).dataset
    info = getattr(source(name), "INFO", None) if name in CATALOG else None
    if info is None:
        raise ValueError(f"the classes of {name!r} are not known; give --num_classes")
    return info.num_classes


def chapter_of(experiment: Experiment) -> int:
    """The chapter whose convention an experiment is counted in: its table's, 2 for all that are of no table."""
    match = re.match(r"table_(\d)", experiment.name)
    return int(match[1]) if match else 2


def folded(spec: ModelSpec) -> ModelSpec:
    """The model as it is served: CAR's projection is merged into what follows it, nothing auxiliary is left."""
    return dataclasses.replace(spec, projection=None, auxiliary=None)


def as_profiled(spec: ModelSpec) -> ModelSpec:
    """The model whose FLOPs the thesis prints: KSAC's branches are concatenated, and each is a convolution."""
    if spec.head.name != "ksac":
        return spec
    arguments = {**spec.head.args, "merge": "concat", "method": "direct"}
    return dataclasses.replace(spec, head=dataclasses.replace(spec.head, args=arguments))


def traced(
    spec: ModelSpec, classes: int, height: int, width: int, *, training: bool = False
) -> tuple[keras.Model, tf.Graph]:
    """A model of zeros and the graph of its logits for one image; in training of its auxiliary logits too."""
    with zero_weights():
        model = build_model(spec, classes)
    outputs = tuple(name for name in model.output if name == "logits" or (training and name.endswith("logits")))
    return model, model_graph(model, height, width, training=training, outputs=outputs)


def count_spec(spec: ModelSpec, classes: int, height: int, width: int, *, training: bool = False) -> Counts:
    """The parameters and multiply-adds of a `ModelSpec`, part by part, for one image of height × width pixels."""
    model, graph = traced(spec, classes, height, width, training=training)
    return Counts(count_parameters(model), by_part(count_multiply_adds(graph)))


def convention_gflops(
    spec: ModelSpec, classes: int, height: int, width: int, chapter: int, *, training: bool = False
) -> float:
    """GFLOPs of a `ModelSpec` as a chapter of the thesis counts them, KSAC as `as_profiled` has it."""
    _, graph = traced(as_profiled(spec), classes, height, width, training=training)
    return convention.thesis_gflops(graph, convention.CONVENTIONS[chapter])


def class_aware_gflops(
    experiment: Experiment, classes: int, height: int, width: int, *, channels: int = 512
) -> tuple[float, float]:
    """What the terms of CAR add to a training step's forward pass: (in the thesis's convention, multiply-adds), in G.

    For features of `channels` at the model's output stride; 0 without CAR.
    """
    losses = [loss for loss in experiment.losses if loss.name == "class_aware"]
    if not losses:
        return 0.0, 0.0
    stride = experiment.model.output_stride
    graph = trace(
        lambda features, labels: build_objective(losses, classes)({"features": features}, labels),
        tf.TensorSpec([1, -(-height // stride), -(-width // stride), channels]),
        tf.TensorSpec([1, height, width], tf.int32),
    )
    return convention.class_aware_gflops(graph), _giga(graph)


def table(number: str, height: int, width: int) -> str:
    """The rows of a table that have FLOPs, as text.

    Raises:
        ValueError: a table without FLOPs.
    """
    with_flops = [key for key, value in TABLES.items() if any(row.gflops for row in value.rows.values())]
    if number not in with_flops:
        raise ValueError(f"Table {number} has no FLOPs; only {', '.join(with_flops)} have")
    chosen = TABLES[number]
    lines = [
        f"Table {number}: {chosen.title}; {height}x{width}, G = 2^30",
        f"{'row':<5}{'':<34}{'thesis':>10}{'in its convention':>19}{'':>9}{'computed':>12}{'parameters':>14}",
    ]
    counted = {}
    for label, row in chosen.rows.items():
        if row.gflops:
            lines += _row(label, row, height, width, int(number[0]), counted)
    if number == "2.1":
        lines += shared_kernel(height, width)
    return "\n".join(lines)


def shared_kernel(height: int, width: int) -> list[str]:
    """Lines with the G that KSAC's kernel multiplies: one branch on the whole map, all branches, and as they share.

    Whole maps would cost one branch whatever the rates are; what the smallest rate reads outside is spared besides.
    """
    lines = [f"{'kernel of KSAC, 2048 to 256 channels':<39}{'one branch':>10}{'all':>10}{'shared':>9}{'saved':>9}"]
    for output_stride in (16, 8):
        size = [-(-side // output_stride) for side in (height, width)]
        for rates in ((6, 12, 18), (1, 6, 12, 18, 24), (6, 12, 18, 24, 30)):
            every, shared = (_kernel_giga(size, rates_at(output_stride, rates), way) for way in ("direct", "shared"))
            name = f"output stride {output_stride}, rates {' '.join(map(str, rates))}"
            lines.append(f"{name:<39}{every / len(rates):>10.3f}{every:>10.3f}{shared:>9.3f}{every - shared:>9.3f}")
    return lines


def _kernel_giga(size, rates, method):
    """The multiply-adds of a shared kernel on one map of `size`, in G."""
    layer, shape = KernelSharingAtrousConv(256, rates, method=method), [1, *size, 2048]
    with zero_weights():
        layer.build(shape)
    return _giga(trace(layer, tf.TensorSpec(shape)))


def _giga(graph):
    return sum(count_multiply_adds(graph).values()) / GIGA


def _row(label, row, height, width, chapter, counted):
    """Lines of a row: inference, and training where the thesis has it; equal models are counted once."""
    classes, spec = num_classes(row.experiment), folded(row.experiment.model)
    key = repr(spec)
    if key not in counted:
        model, graph = traced(spec, classes, height, width)
        ours = convention_gflops(spec, classes, height, width, chapter)
        counted[key] = (ours, _giga(graph), model.count_params())
    ours, computed, parameters = counted[key]
    lines = [_line(label, row.method, row.gflops, ours) + f"{computed:>12.4f}{parameters:>14,}"]
    if row.gflops_training:
        if (key, "training") not in counted:
            counted[key, "training"] = convention_gflops(spec, classes, height, width, chapter, training=True)
        terms, products = class_aware_gflops(row.experiment, classes, height, width)
        lines.append(
            _line("", "  in training", row.gflops_training, counted[key, "training"] + terms)
            + f"{computed + products:>12.4f}"
        )
    return lines


def _line(label, method, thesis, ours):
    return f"{label:<5}{method:<34.34}{thesis:>10.7g}{ours:>19.5f}{ours / thesis - 1:>+9.3%}"
