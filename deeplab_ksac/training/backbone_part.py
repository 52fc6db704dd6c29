"""The backbone inside a model: its variables, and a part of it that is not trained."""

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import BACKBONE_STAGES


def backbone_of(model: keras.Model, stage: str | None = None) -> keras.Model:
    """The part of a `deeplab_ksac.model.segmentation_model` from the image to the pyramid; it shares the layers.

    Args:
        model: the model.
        stage: a key of the pyramid, "c2" … "c5", at which the part ends; None for the whole backbone.

    Raises:
        ValueError: a model that has no layer "head"; a stage that its pyramid has not.
    """
    names = {layer.name for layer in model.layers}
    first = next((name for name in ("neck", "head") if name in names), None)
    if first is None:
        raise ValueError(f"{model.name} has no layer 'head', so it is not known where its backbone ends")
    pyramid = model.get_layer(first).input
    if stage is not None and stage not in pyramid:
        raise ValueError(f"the backbone has the stages {', '.join(pyramid)}, not {stage!r}")
    return keras.Model(model.input, pyramid if stage is None else pyramid[stage])


def freeze_backbone(model: keras.Model, stage: str) -> None:
    """Makes the backbone up to a stage compute as in prediction, and its weights no longer trainable.

    Up to "c5" that is all of it: HRNet has layers that its other stages are computed from and c5 is not.

    Raises:
        ValueError: as `backbone_of`.
    """
    backbone_of(model, None if stage == BACKBONE_STAGES[-1] else stage).trainable = False
