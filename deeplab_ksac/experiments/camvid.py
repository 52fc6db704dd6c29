"""CamVid: what a laptop can train on real pictures, from random weights and from published ones."""

import dataclasses

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, Views, part
from deeplab_ksac.experiments.animals import ANIMALS

KSAC = Experiment(
    name="camvid_ksac",
    model=ModelSpec(
        backbone=part("mobilenet_v2", alpha=0.5),
        head=part("ksac", filters=96),
        bottleneck={"filters": 96, "kernel_size": 1},
        decoder=part("low_level", filters=64, low_level_filters=32),
        output_stride=16,
        norm={"momentum": 0.99},
    ),
    stages=(
        Stage(
            data=Data(sources=("camvid/train",), crop_size=(257, 257), scales=(0.5, 0.75, 1.0, 1.25, 1.5)),
            steps=5000,
            batch_size=8,
            optimizer=part("adam", learning_rate=2e-3),
            l2=1e-5,
        ),
    ),
    evaluation=EvalSpec("camvid/val"),
    checkpoint_every=500,
    evaluate_every=1000,
)

LITE0 = Experiment(
    name="camvid_lite0",
    model=ANIMALS["animals_ksac_lite0"].model,
    stages=(
        Stage(
            data=Data(
                sources=("camvid/train",),
                crop_size=(321, 321),
                scales=(0.75, 1.0, 1.25, 1.5, 1.75, 2.0),
                brightness=40.0,
                contrast=0.3,
                saturation=0.3,
                hue=10.0,
            ),
            steps=2400,
            batch_size=8,
            optimizer=part("adamw", learning_rate=1e-3, weight_decay=0.05, backbone_lr=0.3),
            l2=0.0,
            ema_decay=0.998,
        ),
    ),
    evaluation=EvalSpec("camvid/val", Views(scales=(1.5,))),  # poles are two pixels wide
    checkpoint_every=200,
    evaluate_every=600,
)

CAMVID = {
    "camvid_ksac": KSAC,
    "camvid_lite0": LITE0,
    "camvid_aspp": dataclasses.replace(
        KSAC, name="camvid_aspp", model=dataclasses.replace(KSAC.model, head=part("deeplabv3", filters=96))
    ),
}
