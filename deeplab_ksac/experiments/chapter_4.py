"""What the experiments of chapter 4 share (Sect. 4.4.1), and its two baselines of the ablations."""

import dataclasses
import typing

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Part, Stage, part
from deeplab_ksac.experiments.common import pointwise, with_auxiliary, with_car, with_model, with_stage

AUXILIARY_WEIGHT = 0.2  # what the author's code for this chapter has where its flags say nothing
ALL_LEVELS = ("c2", "c3", "c4", "c5")
SPLITS = {"pascal_context": "val", "coco_stuff10k": "test"}  # what each calls the pictures it is evaluated on
DILATED = ("resnet50", "resnet101", "efficientnet_b5", "efficientnet_b7")
PROTOCOL = (
    "SGD with momentum 0.9, rate 0.01, poly 0.9, 30K steps of 16, crops of 513; ImageNet weights; the author's ResNet "
    "(strides at a stage's end). From the author's code: L2 1e-4 where the text has 0.001, batch normalization's "
    "momentum 0.9997, an auxiliary loss of 0.2. Rows with CAR have its linear 1×1 projection, merged at inference."
)
ADAM = "The thesis names no rate for Adam; 1e-4 is a guess."


def experiment(head: Part, backbone: str, dataset: str = "pascal_context", *, steps: int = 30_000) -> Experiment:
    """A network as in chapter 4, dilated to output stride 8 where the backbone can be."""
    arguments = {"variant": "slim"} if backbone.startswith("resnet") else {}
    stage = Stage(
        data=Data(sources=(f"{dataset}/train",)),
        steps=steps,
        optimizer=part("sgd", learning_rate=0.01),
    )
    return Experiment(
        name=dataset,
        model=ModelSpec(
            backbone=part(backbone, **arguments), head=head, output_stride=8 if backbone in DILATED else 32
        ),
        stages=(stage,),
        evaluation=EvalSpec(f"{dataset}/{SPLITS[dataset]}"),
    )


def self_attention(backbone: str = "resnet50", dataset: str = "pascal_context") -> Experiment:
    """ResNet + self-attention, R1 of Table 4.1."""
    return experiment(part("self_attention"), backbone, dataset)


def upernet(backbone: str = "swin_tiny", dataset: str = "pascal_context") -> Experiment:
    """Swin + UperNet, S1 of Table 4.1."""
    return experiment(part("upernet"), backbone, dataset)


def fcn(backbone: str, dataset: str) -> Experiment:
    """A 3×3 convolution, then 1×1 to 256 channels."""
    plain = experiment(part("fcn", filters=512, kernel_size=3), backbone, dataset)
    return pointwise(plain, filters=256)


def caa(backbone: str, dataset: str = "pascal_context", *, steps: int = 30_000) -> Experiment:
    """Channelized axial attention with the image-level branch; on joint pyramid upsampling where c5 is at stride 32."""
    made = experiment(part("caa", image_level=True), backbone, dataset, steps=steps)
    return made if backbone in DILATED else with_model(made, neck=part("joint_pyramid_upsampling"))


def danet(backbone: str, dataset: str, kernel_size: int = 3) -> Experiment:
    """DANet; without losses of its branches, as in the author's configurations."""
    return experiment(part("danet", kernel_size=kernel_size), backbone, dataset)


def cpnet(backbone: str, dataset: str) -> Experiment:
    """CPNet with its affinity loss."""
    made = experiment(part("cpnet"), backbone, dataset)
    return dataclasses.replace(made, losses=(*made.losses, part("affinity")))


def ocr(backbone: str, dataset: str) -> Experiment:
    """OCR on all levels of HRNet, with the loss of its coarse segmentation."""
    made = experiment(part("ocr", levels=ALL_LEVELS, coarse_levels=ALL_LEVELS), backbone, dataset)
    coarse = part("cross_entropy", output="coarse_logits", weight=AUXILIARY_WEIGHT)
    return dataclasses.replace(made, losses=(*made.losses, coarse))


def with_full_car(trained: Experiment, **arguments: typing.Any) -> Experiment:
    """CAR with column "A": a head that ends in a 3×3 convolution gets a 1×1 one."""
    has_pointwise = trained.model.bottleneck is not None or trained.model.head.name in ("caa", "deeplabv3", "ocr")
    return with_car(trained if has_pointwise else pointwise(trained), **arguments)


def with_aux(trained: Experiment) -> Experiment:
    """Column "Aux"."""
    return with_auxiliary(trained, AUXILIARY_WEIGHT)


def with_adam(trained: Experiment) -> Experiment:
    """Column "Optimizer": Adam."""
    return with_stage(trained, optimizer=part("adam", learning_rate=1e-4))
