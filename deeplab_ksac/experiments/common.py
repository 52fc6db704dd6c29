"""How the rows of the thesis's tables differ from their baselines."""

import dataclasses
import typing
from collections.abc import Mapping

from deeplab_ksac.experiment import Experiment, Row, Table, part

NARROW = ("caa", "deeplabv3")  # heads before which the author's projection has 256 channels, not 512
POOLED = ("upernet", "ocr")  # heads whose features the author averages over 2×2 pixels first
MULTI_SCALE = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # the author's default; the thesis gives no list
WIDE_CONTEXT = 0.25  # ε₀ of the rows marked § (Table 4.5)


def table(number: str, title: str, rows: Mapping[str, Row], protocol: str = "") -> Table:
    """A `Table` whose experiments are named after their rows: "table_4_1:R8"."""
    named = Table(number, title, {}, protocol).name
    filled = {}
    for label, row in rows.items():
        experiment = row.experiment and dataclasses.replace(row.experiment, name=f"{named}:{label}")
        filled[label] = dataclasses.replace(row, experiment=experiment, source=f"Table {number}, {label}")
    return Table(number, title, filled, protocol)


def with_model(experiment: Experiment, **changes: typing.Any) -> Experiment:
    """The experiment with other fields of its `ModelSpec`."""
    return dataclasses.replace(experiment, model=dataclasses.replace(experiment.model, **changes))


def with_stage(experiment: Experiment, **changes: typing.Any) -> Experiment:
    """The experiment with other fields in every stage."""
    stages = tuple(dataclasses.replace(stage, **changes) for stage in experiment.stages)
    return dataclasses.replace(experiment, stages=stages)


def with_low_level(experiment: Experiment) -> Experiment:
    """Column "D" of Table 2.1: DeepLabV3+'s decoder, the "simple decoder" of Table 3.7."""
    return with_model(experiment, decoder=part("low_level"))


def with_auxiliary(experiment: Experiment, weight: float) -> Experiment:
    """Column "Aux": an FCN classifier on c4 with a loss of its own, for training only."""
    experiment = with_model(experiment, auxiliary={})
    loss = part("cross_entropy", output="aux_logits", weight=weight)
    return dataclasses.replace(experiment, losses=(*experiment.losses, loss))


def multi_scale(experiment: Experiment) -> Experiment:
    """Column "MF": evaluated at several scales and mirrored; trained as before."""
    return with_views(experiment, scales=MULTI_SCALE, flip=True)


def with_views(experiment: Experiment, **changes: typing.Any) -> Experiment:
    """The experiment evaluated with other fields of its `Views`."""
    views = dataclasses.replace(experiment.evaluation.views, **changes)
    return dataclasses.replace(experiment, evaluation=dataclasses.replace(experiment.evaluation, views=views))


def single_scale(experiment: Experiment) -> Experiment:
    """Not column "MF": evaluated at the image's own scale, not mirrored; trained as before."""
    return with_views(experiment, scales=(1.0,), flip=False)


def pointwise(experiment: Experiment, filters: int = 512) -> Experiment:
    """Column "A" of Table 4.1: a 1×1 convolution before the classifier."""
    return with_model(experiment, bottleneck={"filters": filters, "kernel_size": 1})


def with_car(experiment: Experiment, **arguments: typing.Any) -> Experiment:
    """The experiment with class-aware regularization; `arguments` are those of the loss "class_aware"."""
    head = experiment.model.head.name
    experiment = with_model(experiment, projection=part("linear", filters=256 if head in NARROW else 512))
    arguments = {"pooling": 2 if head in POOLED else 1, **arguments}
    return dataclasses.replace(experiment, losses=(*experiment.losses, part("class_aware", **arguments)))
