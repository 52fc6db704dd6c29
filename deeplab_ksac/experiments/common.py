"""How the rows of the thesis's tables differ from their baselines."""

import dataclasses

from deeplab_ksac.experiment import part

NARROW = ("caa", "deeplabv3")  # heads before which the author's projection has 256 channels, not 512
POOLED = ("upernet", "ocr")  # heads whose features the author averages over 2×2 pixels first


def pointwise(experiment, filters=512):
    """Column "A" of Table 4.1: a 1×1 convolution before the classifier."""
    model = dataclasses.replace(experiment.model, bottleneck={"filters": filters, "kernel_size": 1})
    return dataclasses.replace(experiment, model=model)


def with_car(experiment, **arguments):
    """The experiment with class-aware regularization; `arguments` are those of the loss "class_aware"."""
    head = experiment.model.head.name
    model = dataclasses.replace(experiment.model, projection=part("linear", filters=256 if head in NARROW else 512))
    arguments = {"pooling": 2 if head in POOLED else 1, **arguments}
    losses = (*experiment.losses, part("class_aware", **arguments))
    return dataclasses.replace(experiment, model=model, losses=losses)
