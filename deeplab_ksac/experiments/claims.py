"""The thesis's three claims at a size that two CPU cores can train, on splits of `scenes` made for them.

KSAC at scales not seen in training (Sect. 2.4.3), also with rates of its own (Sect. 2.5), CAA on small objects
surrounded by a large class (Sect. 3.4), CAR on combinations not seen in training (Fig. 4.1). The rates are in
proportion to the feature map: 6, 12, 18 and 24 of the thesis's 33 pixels become 2, 4, 6 and 8 of 11.
"""

import dataclasses

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Part, Stage, part
from deeplab_ksac.experiments.common import with_car

FILTERS = 64
RATES, WIDER_RATES = (2, 4, 6), (2, 4, 6, 8)


def trial(study: str, variant: str, head: Part) -> Experiment:
    """MobileNetV2 with one of the heads on the whole pictures of a study, neither scaled nor cropped.

    Training is evaluated on the study's split of training-like pictures, "seen".
    """
    return Experiment(
        name=f"claim_{study}_{variant}",
        model=ModelSpec(
            backbone=part("mobilenet_v2", alpha=0.35),
            head=head,
            bottleneck={"filters": FILTERS, "kernel_size": 1},
            decoder=part("low_level", filters=48, low_level_filters=24),
            output_stride=16,
            norm={"momentum": 0.97},
        ),
        stages=(
            Stage(
                data=Data(sources=(f"scenes_{study}/train",), crop_size=(129, 161), scales=(1.0,)),
                steps=600,
                batch_size=8,
                optimizer=part("adam", learning_rate=2e-3),
                l2=1e-5,
            ),
        ),
        evaluation=EvalSpec(f"scenes_{study}/seen"),
        log_every=100,
        checkpoint_every=300,
    )


def regularized(experiment: Experiment) -> Experiment:
    """The experiment with CAR, its projection as narrow as the features."""
    experiment = with_car(experiment)
    projection = part("linear", filters=FILTERS)
    return dataclasses.replace(experiment, model=dataclasses.replace(experiment.model, projection=projection))


def self_attention() -> Part:
    """The head that chapter 4 starts from."""
    return part("self_attention", filters=FILTERS, key_filters=32)


STUDIES = {  # study -> {variant: its experiment}
    "scales": {
        "aspp": trial("scales", "aspp", part("deeplabv3", filters=FILTERS, atrous_rates=RATES)),
        "aspp_wider": trial("scales", "aspp_wider", part("deeplabv3", filters=FILTERS, atrous_rates=WIDER_RATES)),
        "ksac": trial("scales", "ksac", part("ksac", filters=FILTERS, atrous_rates=RATES)),
        "ksac_wider": trial("scales", "ksac_wider", part("ksac", filters=FILTERS, atrous_rates=WIDER_RATES)),
        "ksac_learned": trial(
            "scales", "ksac_learned", part("experimental_ksac_learned", filters=FILTERS, atrous_rates=RATES)
        ),
        "ksac_dynamic": trial(
            "scales", "ksac_dynamic", part("experimental_ksac_dynamic", filters=FILTERS, atrous_rates=RATES)
        ),
    },
    "small": {
        "axial": trial("small", "axial", part("axial", filters=FILTERS, key_filters=32)),
        "caa": trial("small", "caa", part("caa", filters=FILTERS, key_filters=32)),
    },
    "combinations": {
        "baseline": trial("combinations", "baseline", self_attention()),
        "car": regularized(trial("combinations", "car", self_attention())),
    },
}
CLAIMS = {experiment.name: experiment for variants in STUDIES.values() for experiment in variants.values()}
