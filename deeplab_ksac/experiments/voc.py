"""PASCAL VOC 2012 in the three stages of Sect. 2.3.2: COCO + SBD + VOC, then SBD + VOC, then VOC."""

import dataclasses

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part

STAGES = (
    Stage(
        data=Data(sources=("coco_voc/train", "sbd/train", "voc2012/train")),
        steps=300_000,
        optimizer=part("sgd", learning_rate=1e-3),
    ),
    Stage(
        data=Data(sources=("sbd/train", "voc2012/train")),
        steps=40_000,
        optimizer=part("sgd", learning_rate=4e-4),
    ),
    Stage(
        data=Data(sources=("voc2012/train",)),
        steps=30_000,  # the thesis gives no number for the last stage; 30K is that of its later chapters
        optimizer=part("sgd", learning_rate=2e-4),
    ),
)

RESNET50 = Experiment(
    name="voc_resnet50_ksac",
    model=ModelSpec(backbone=part("resnet50"), head=part("ksac")),
    stages=STAGES,
    evaluation=EvalSpec("voc2012/val"),
)

MOBILENET_V2 = dataclasses.replace(
    RESNET50,
    name="voc_mobilenet_v2_ksac",
    model=ModelSpec(backbone=part("mobilenet_v2"), head=part("ksac")),
    stages=tuple(dataclasses.replace(stage, batch_size=32) for stage in STAGES),  # Sect. 2.3.2
)

VOC = {"voc_resnet50_ksac": RESNET50, "voc_mobilenet_v2_ksac": MOBILENET_V2}
