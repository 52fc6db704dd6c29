"""The thesis's claims on photographs, with a frozen backbone whose features are cached: as docs/claims.md says."""

import dataclasses
from collections.abc import Mapping

from deeplab_ksac.experiment import Data, EvalSpec, Experiment, ModelSpec, Part, Stage, part
from deeplab_ksac.experiments.common import with_model

ALL, HELD_OUT, LABELED, UNLABELED = (
    "animals/train_aug",
    "animals_held_out/train",  # without the pictures of its splits inside, unseen and seen
    "animals_few/labeled",
    "animals_few/unlabeled",  # all pictures, with empty masks
)
VIEWS, FILTERS, BATCH_SIZE = 4, 128, 8
STRIDE = 4  # of the rows and columns that the losses take
RATES, FIVE_RATES = (6, 12, 18), (1, 6, 12, 18, 24)


def on_features(name: str, head: Part, *, sources: tuple[str, ...] = (ALL,), projected: bool = False) -> Experiment:
    """A head and its classifier, trained on the cached features of EfficientNet-Lite0.

    Of each of the sources a step has as many pictures as of the others, 8 on average.
    """
    several = len(sources) > 1
    return Experiment(
        name=f"pictures_{name}",
        model=ModelSpec(
            backbone=part("efficientnet_lite0"),
            head=head,
            projection=part("linear", filters=FILTERS) if projected else None,
            bottleneck={"filters": FILTERS, "kernel_size": 1},
            output_stride=16,
            norm={"momentum": 0.99},
        ),
        stages=(
            Stage(
                data=Data(
                    sources=sources,
                    crop_size=(321, 321),
                    scales=(0.5, 0.75, 1.0, 1.25, 1.5, 2.0),
                    weights=(1.0,) * len(sources) if several else (),
                ),
                steps=1500,
                batch_size=BATCH_SIZE * len(sources),
                optimizer=part("adamw", learning_rate=1e-3, weight_decay=0.05),
                l2=0.0,
                freeze="c5",
                features="_".join(["lite0", *(source.replace("/", "_") for source in sources)]),
            ),
        ),
        losses=(part("cross_entropy", stride=STRIDE),),
        evaluation=EvalSpec("animals/val"),
    )


def regularized(experiment: Experiment, name: str, **arguments: object) -> Experiment:
    """The experiment with CAR; `arguments` are those of the loss "class_aware"."""
    losses = (*experiment.losses, part("class_aware", **arguments))
    return dataclasses.replace(experiment, name=f"pictures_{name}", losses=losses)


@dataclasses.dataclass(frozen=True)
class Comparison:
    """A sum of a measure of several variants, with coefficients, such as the difference of two.

    Attributes:
        variants: {variant: its coefficient}.
        measure: of `runs.picture_measures.MEASURES`.
        primary: whether it is what its study is about; the others are corrected for their number.
    """

    variants: Mapping[str, int]
    measure: str
    primary: bool = False


@dataclasses.dataclass(frozen=True)
class PairedStudy:
    """Networks that are trained with the same seeds, and what is compared of them: no other comparisons than these.

    Attributes:
        variants: {variant: its experiment}.
        comparisons: {name: what is compared}.
        described: measures that are told of every variant and not compared.
    """

    variants: Mapping[str, Experiment]
    comparisons: Mapping[str, Comparison]
    described: tuple[str, ...] = ()

    @property
    def primary(self) -> str:
        """The name of the comparison that the study is about."""
        return next(name for name, comparison in self.comparisons.items() if comparison.primary)

    @property
    def pilot(self) -> "PairedStudy":
        """The primary comparison alone, with its variants."""
        comparison = self.comparisons[self.primary]
        variants = {name: self.variants[name] for name in comparison.variants}
        return PairedStudy(variants, {self.primary: comparison})


def difference(first: str, second: str, measure: str = "overall", *, primary: bool = False) -> Comparison:
    """The first variant minus the second."""
    return Comparison({first: 1, second: -1}, measure, primary)


def held_out(name: str, head: Part, *, projected: bool = False) -> Experiment:
    """As `on_features`, trained without the pictures that its study is tested on."""
    return on_features(name, head, sources=(HELD_OUT,), projected=projected)


def conflicting(name: str, head: Part, *outputs: str) -> Experiment:
    """A network of two attentions, of which those `outputs` say what one would predict alone (Sect. 3.2.1)."""
    plain = held_out(name, head)
    alone = (part("cross_entropy", output=output, stride=STRIDE) for output in outputs)
    return dataclasses.replace(plain, losses=(*plain.losses, *alone))


KSAC_HEAD = part("ksac", filters=FILTERS, atrous_rates=RATES)
SELF_ATTENTION = part("self_attention", filters=FILTERS)
ATTENTIVE = held_out("attention", SELF_ATTENTION, projected=True)
DEEPLAB = held_out("deeplabv3", part("deeplabv3", filters=FILTERS, atrous_rates=RATES), projected=True)
SUPERVISED = on_features("few", SELF_ATTENTION, sources=(LABELED,), projected=True)
COMPLETED = on_features("few_completed", SELF_ATTENTION, sources=(LABELED, UNLABELED), projected=True)

STUDIES = {
    "ksac": PairedStudy(  # Tables 2.1–2.3, Sect. 2.4.3
        {
            "ksac": on_features("ksac", KSAC_HEAD),
            "aspp": on_features("aspp", part("deeplabv3", filters=FILTERS, atrous_rates=RATES)),
            "ksac5": on_features("ksac5", part("ksac", filters=FILTERS, atrous_rates=FIVE_RATES)),
            "aspp5": on_features("aspp5", part("deeplabv3", filters=FILTERS, atrous_rates=FIVE_RATES)),
        },
        {
            "K1": difference("ksac", "aspp", primary=True),
            "K2": Comparison({"ksac5": 1, "ksac": -1, "aspp5": -1, "aspp": 1}, "overall"),
            "K3": difference("ksac", "aspp", "unusual sizes"),
            "K4": difference("ksac", "aspp", "scales"),
        },
        ("small", "usual", "large"),
    ),
    "caa": PairedStudy(  # Table 3.2; filters by which the parameters differ by less than 2 %
        {
            "caa": held_out("caa", part("caa", filters=128)),
            "axial": held_out("axial", part("axial", filters=185)),
            "axial_se": held_out("axial_se", part("axial_squeeze_excite", filters=184)),
        },
        {
            "A1": difference("caa", "axial", primary=True),
            "A2": difference("caa", "axial_se"),
            "A3": difference("caa", "axial", "inside"),
        },
    ),
    "car": PairedStudy(  # Tables 4.1 and 4.5, Fig. 4.1
        {
            "attention_car": regularized(ATTENTIVE, "attention_car"),
            "attention": ATTENTIVE,
            "deeplabv3_car": regularized(DEEPLAB, "deeplabv3_car"),
            "deeplabv3": DEEPLAB,
        },
        {
            "R1": difference("attention_car", "attention", primary=True),
            "R2": difference("deeplabv3_car", "deeplabv3"),
            "R3": difference("attention_car", "attention", "unseen"),
        },
        ("seen", "intra-class variance", "center similarity"),
    ),
    "learned_rates": PairedStudy(  # Sect. 2.5
        {
            "learned": on_features(
                "learned_rates", part("experimental_ksac_learned", filters=FILTERS, atrous_rates=RATES)
            ),
            "ksac": on_features("ksac", KSAC_HEAD),
        },
        {
            "E1": difference("learned", "ksac", primary=True),
            "E1 at other scales": difference("learned", "ksac", "scales"),
        },
    ),
    "dynamic_rates": PairedStudy(
        {
            "dynamic": on_features(
                "dynamic_rates", part("experimental_ksac_dynamic", filters=FILTERS, atrous_rates=RATES)
            ),
            "ksac": on_features("ksac", KSAC_HEAD),
        },
        {
            "E2": difference("dynamic", "ksac", primary=True),
            "E2 at other scales": difference("dynamic", "ksac", "scales"),
        },
    ),
    "few_labels": PairedStudy(  # Sect. 4.7
        {
            "completed": regularized(COMPLETED, "few_completed", labels="completed"),
            "supervised": SUPERVISED,
            "supervised_car": regularized(SUPERVISED, "few_car"),
        },
        {"E3": difference("completed", "supervised", primary=True)},
        ("overall",),
    ),
}
FIGURE_NETWORKS = (  # Figs. 3.3 and 3.4: compared with nothing
    with_model(
        conflicting("danet", part("danet", filters=FILTERS), "position_logits", "channel_logits"), bottleneck=None
    ),
    conflicting("sequential", part("sequential", filters=FILTERS), "channel_logits"),
)
CLAIMS_ON_PICTURES = {
    experiment.name: experiment
    for experiment in (
        *(experiment for study in STUDIES.values() for experiment in study.variants.values()),
        *FIGURE_NETWORKS,
    )
}
