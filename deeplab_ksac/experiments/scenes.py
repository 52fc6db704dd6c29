"""The generated scenes: small enough to train on two CPU cores in a few minutes."""

import dataclasses

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part

KSAC = Experiment(
    name="scenes_ksac",
    model=ModelSpec(
        backbone=part("mobilenet_v2", alpha=0.5),
        head=part("ksac", filters=64),
        bottleneck={"filters": 64, "kernel_size": 1},
        decoder=part("low_level", filters=48, low_level_filters=24),
        output_stride=16,
        norm={"momentum": 0.97},
    ),
    stages=(
        Stage(
            data=Data(sources=("scenes/train",), crop_size=(129, 129), scales=(0.75, 1.0, 1.25)),
            steps=2000,
            batch_size=8,
            optimizer=part("adam", learning_rate=2e-3),
            l2=1e-5,
        ),
    ),
    evaluation=EvalSpec("scenes/val"),
    log_every=25,
    checkpoint_every=500,
)

SCENES = {
    "scenes_ksac": KSAC,
    "scenes_aspp": dataclasses.replace(
        KSAC, name="scenes_aspp", model=dataclasses.replace(KSAC.model, head=part("deeplabv3", filters=64))
    ),
}
