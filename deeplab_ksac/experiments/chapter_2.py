"""What the experiments of chapter 2 share (Sect. 2.3): PASCAL VOC 2012, and ADE20K."""

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part
from deeplab_ksac.experiments.common import with_stage
from deeplab_ksac.experiments.voc import STAGES

PROTOCOL = (
    "Stages of Sect. 2.3.2; rows without COCO begin at the second. The third stage has 30K steps, since the thesis "
    "gives no number; ResNets have Xception's batch of 16. Backbones start from ImageNet weights. L2 is 1e-4 and "
    "batch normalization's momentum 0.9997, as in the author's later code. MF are the scales 0.5 to 1.75 of that code, "
    "with flip."
)
HALVED = part("plateau", factor=0.5, interval=1000, patience=10)  # the thesis: by hand, "about every 30K iterations"


def voc(backbone: str, head: str, output_stride: int = 16, *, coco: bool = False) -> Experiment:
    """A network on VOC 2012, pretrained on COCO or not."""
    stages = STAGES if coco else STAGES[1:]
    trained = Experiment(
        name="voc",
        model=ModelSpec(backbone=part(backbone), head=part(head), output_stride=output_stride),
        stages=stages,
        evaluation=EvalSpec("voc2012/val"),
    )
    return with_stage(trained, batch_size=32) if backbone == "mobilenet_v2" else trained


def ade20k(backbone: str, head: str, output_stride: int = 16) -> Experiment:
    """A network on ADE20K: no pretraining on segmentation, the rate halved when the loss stops falling."""
    stage = Stage(
        data=Data(sources=("ade20k/train",)),
        steps=150_000,
        optimizer=part("sgd", learning_rate=2e-3),
        schedule=HALVED,
    )
    return Experiment(
        name="ade20k",
        model=ModelSpec(backbone=part(backbone), head=part(head), output_stride=output_stride),
        stages=(stage,),
        evaluation=EvalSpec("ade20k/val"),
    )
