"""What the experiments of chapter 3 share (Sect. 3.4.1)."""

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Part, Stage, part
from deeplab_ksac.experiments.common import with_auxiliary

AUXILIARY_WEIGHT = 0.4  # of the author's code for this chapter
PROTOCOL = (
    "SGD with momentum 0.9, rate 0.01, poly 0.9, 40K steps of 16, crops of 513; ImageNet weights. From the author's "
    "code: L2 1e-4, batch normalization's momentum 0.9997, dropout of 0.1 before the classifier, an auxiliary loss of "
    "0.4 where a row has one. Numbers with a deviation are means of five runs: override the seed for each."
)


def experiment(
    head: Part,
    backbone: str = "resnet101",
    output_stride: int = 16,
    *,
    dataset: str = "pascal_context",
    evaluated_on: str = "val",
    steps: int = 40_000,
    crop: int = 513,
    batch_size: int = 16,
) -> Experiment:
    """A network as in chapter 3, trained on square crops of `crop` pixels."""
    stage = Stage(
        data=Data(sources=(f"{dataset}/train",), crop_size=(crop, crop)),
        steps=steps,
        batch_size=batch_size,
        optimizer=part("sgd", learning_rate=0.01),
    )
    return Experiment(
        name=dataset,
        model=ModelSpec(
            backbone=part(backbone),
            head=head,
            output_stride=output_stride,
            bottleneck={"filters": 256, "kernel_size": 1, "dropout": 0.1},
        ),
        stages=(stage,),
        evaluation=EvalSpec(f"{dataset}/{evaluated_on}"),
    )


def with_aux(trained: Experiment) -> Experiment:
    """Column "Aux"."""
    return with_auxiliary(trained, AUXILIARY_WEIGHT)
