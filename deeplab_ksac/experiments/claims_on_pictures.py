"""The thesis's claims on photographs, with a frozen backbone whose features are cached: the design is docs/claims.md.

So far the first study: KSAC against ASPP (Tables 2.1–2.3), with three rates.
"""

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Part, Stage, part

FEATURES, VIEWS = "animals_lite0_4views", 4
FILTERS = 128


def on_features(name: str, head: Part) -> Experiment:
    """A head and its decoder, trained on the cached features of EfficientNet-Lite0."""
    return Experiment(
        name=f"pictures_{name}",
        model=ModelSpec(
            backbone=part("efficientnet_lite0"),
            head=head,
            bottleneck={"filters": FILTERS, "kernel_size": 1},
            decoder=part("low_level", filters=FILTERS, low_level_filters=32, separable=True),
            output_stride=16,
            norm={"momentum": 0.99},
        ),
        stages=(
            Stage(
                data=Data(
                    sources=("animals/train_aug",),
                    crop_size=(321, 321),
                    scales=(0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
                ),
                steps=3000,
                batch_size=8,
                optimizer=part("adamw", learning_rate=1e-3, weight_decay=0.05),
                l2=0.0,
                freeze="c5",
                features=FEATURES,
            ),
        ),
        evaluation=EvalSpec("animals/val"),
    )


PAIRS = {  # study -> {variant: its experiment}, of which the second is subtracted from the first
    "ksac": {
        "ksac": on_features("ksac", part("ksac", filters=FILTERS)),
        "aspp": on_features("aspp", part("deeplabv3", filters=FILTERS)),
    },
}
CLAIMS_ON_PICTURES = {experiment.name: experiment for pair in PAIRS.values() for experiment in pair.values()}
