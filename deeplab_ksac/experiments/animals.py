"""People and five kinds of animals in VOC's photographs, from ImageNet's weights: the network that is shipped.

`data/animals` is `ksac convert --dataset=voc2012 --name=animals --classes=background,person,cat,dog,horse,cow,sheep`;
the backbone starts from `--backbone_weights`, a file of timm's tf_efficientnet_lite0.
"""

import dataclasses

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Stage, part

KSAC = Experiment(
    name="animals_ksac_lite0",
    model=ModelSpec(
        backbone=part("efficientnet_lite0"),
        head=part("ksac", filters=128),
        bottleneck={"filters": 128, "kernel_size": 1},
        decoder=part("low_level", filters=128, low_level_filters=32, separable=True),
        output_stride=16,
        norm={"momentum": 0.99},
    ),
    stages=(
        Stage(
            data=Data(
                sources=("animals/train_aug",),
                crop_size=(321, 321),
                scales=(0.5, 0.75, 1.0, 1.25, 1.5),
                brightness=24.0,
                contrast=0.2,
                saturation=0.3,
                hue=10.0,
            ),
            steps=5000,
            batch_size=8,
            optimizer=part("adamw", learning_rate=1e-3, weight_decay=0.05, backbone_lr=0.1),
            l2=0.0,
            ema_decay=0.999,
        ),
    ),
    evaluation=EvalSpec("animals/val"),
    checkpoint_every=250,
    evaluate_every=1000,
)

ANIMALS = {
    "animals_ksac_lite0": KSAC,
    "animals_aspp_lite0": dataclasses.replace(
        KSAC,
        name="animals_aspp_lite0",
        model=dataclasses.replace(KSAC.model, head=part("deeplabv3", filters=128)),
    ),
}
