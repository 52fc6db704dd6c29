"""CamVid from random weights: what a laptop can train on real pictures."""

import dataclasses

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part

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

CAMVID = {
    "camvid_ksac": KSAC,
    "camvid_aspp": dataclasses.replace(
        KSAC, name="camvid_aspp", model=dataclasses.replace(KSAC.model, head=part("deeplabv3", filters=96))
    ),
}
