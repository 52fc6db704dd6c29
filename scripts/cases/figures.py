"""What figures cost: each of one 513×513 image against the model's forward pass, a dependency map against evaluation.

Networks of untrained weights with ResNet-50 at output stride 16 and 21 classes. The figures of an image are drawn by
what was compiled before, like the forward pass; a map of a split and its evaluation are both compiled each time.
"""

import functools
import itertools
import types

import numpy as np

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.scripts.cases import Bound, Case

SIDE, NUM_CLASSES, IMAGES = 513, 21, 4
HEADS = {  # figure -> a head that has what it shows
    "predictions": "ksac",
    "branch_features": "ksac",
    "pixel_relation": "ksac",
    "attention": "caa",
    "attention_conflict": "danet",
}
INFO = DatasetInfo("benchmark", tuple(f"class {k}" for k in range(NUM_CLASSES)), voc_palette(NUM_CLASSES))


def models(head):
    """The network with one of the heads as `runs.figures` takes it."""
    return {"run": types.SimpleNamespace(model=network(head), info=INFO)}


@functools.cache
def network(head):
    """The network with one of the heads, made once a process."""
    from deeplab_ksac.experiment import ModelSpec, part
    from deeplab_ksac.model import build_model

    return build_model(ModelSpec(backbone=part("resnet50"), head=part(head)), NUM_CLASSES)


def pictures(count):
    """Random images with labels in blocks, as `Example`s."""
    from deeplab_ksac.runs.figures import Example

    rng = np.random.default_rng(0)
    for index in range(count):
        labels = rng.integers(0, NUM_CLASSES, (9, 9)).repeat(57, 0).repeat(57, 1).astype(np.int32)
        yield Example(str(index), rng.uniform(0, 255, (SIDE, SIDE, 3)).astype(np.float32), labels)


def prepare_forward(head):
    """The logits of one image."""
    from deeplab_ksac.prediction.scores import logits_function

    ((_, image, _),) = pictures(1)
    logits = logits_function(network(head))
    return lambda: np.asarray(logits(image[np.newaxis]))


def prepare_figure(name):
    """One figure after the other of an endless row of images, as the script draws them."""
    from deeplab_ksac.runs.figures import figure

    drawn = figure(name, models(HEADS[name]), itertools.cycle(pictures(1)))
    return lambda: next(drawn)


def prepare_evaluation():
    """The confusion matrix of a few images."""
    from deeplab_ksac.evaluation import evaluate

    batches = [{"image": image[np.newaxis], "labels": labels[np.newaxis]} for _, image, labels in pictures(IMAGES)]
    return lambda: evaluate(network("ksac"), batches, num_classes=NUM_CLASSES)


def prepare_dependency():
    """The class dependency map of the same images."""
    from deeplab_ksac.runs.figures import class_dependency

    examples = list(pictures(IMAGES))
    return lambda: list(class_dependency(models("ksac"), examples))


CASES = {
    f"figure_{figure}": Case(
        title=f"figure {figure}, {SIDE}×{SIDE}",
        sides={"forward": functools.partial(prepare_forward, head), figure: functools.partial(prepare_figure, figure)},
        bounds=(Bound(figure, "forward", 3.0),),
    )
    for figure, head in HEADS.items()
}
CASES["figure_class_dependency"] = Case(
    title=f"class dependency of {IMAGES} images, {SIDE}×{SIDE}",
    sides={"evaluation": prepare_evaluation, "dependency": prepare_dependency},
    bounds=(Bound("dependency", "evaluation", 1.3),),
)
