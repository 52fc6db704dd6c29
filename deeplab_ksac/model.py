"""A model is its parts in a row: backbone, neck, head, projection, bottleneck, decoder, classifier."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.backbones import BACKBONES
from deeplab_ksac.bands import RGB, Bands
from deeplab_ksac.construct import at, construct, construct_with
from deeplab_ksac.experiment import ModelSpec
from deeplab_ksac.foreign_code import names_foreign_code
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.auxiliary import AuxiliaryClassifier
from deeplab_ksac.heads.decoders import DECODERS, Bottleneck
from deeplab_ksac.heads.necks import NECKS
from deeplab_ksac.heads.projection import PROJECTIONS
from deeplab_ksac.layers import BatchNorm, ResizeLike
from deeplab_ksac.losses.reading import before_resize
from deeplab_ksac.zero_weights import zero_weights


def segmentation_model(
    backbone: keras.Model,
    head: keras.layers.Layer,
    *,
    num_classes: int,
    projection: Sequence[keras.layers.Layer] | None = None,
    bottleneck: Sequence[keras.layers.Layer] | None = None,
    neck: keras.layers.Layer | None = None,
    decoder: keras.layers.Layer | None = None,
    auxiliary: keras.layers.Layer | None = None,
) -> keras.Model:
    """Joins parts to one functional model: image [N, H, W, C] float32, RGB 0…255 -> a dict of named outputs.

    "logits" [N, H, W, K] float32, and every other output of the head whose name ends in "logits", at the image's size;
    "features" (projected, where there is a projection) and the rest as the head gives them. Losses and figures name the
    output they read; an output that nothing asks for costs nothing.

    Args:
        backbone: model, image -> pyramid {"c2"…"c5"}.
        head: layer, pyramid -> {"features", …}.
        num_classes: K.
        projection: layers, features -> features, one for each of the head's features (a list); None for none.
        bottleneck: layers, features -> features, one for each of the head's features (a list); None for none.
        neck: layer, pyramid -> pyramid.
        decoder: layer, (features, pyramid) -> features.
        auxiliary: layer, pyramid -> logits [N, h, w, K] of the auxiliary loss: the output "aux_logits".

    Raises:
        ValueError: more or fewer projections or bottlenecks than the head has features; a backbone, neck or head that
            gives something else than a pyramid or outputs by name.
    """
    image = backbone.input
    pyramid = _named_maps(backbone.output, "c5", "backbone")
    if neck is not None:
        pyramid = _named_maps(neck(pyramid), "c5", "neck")
    outputs = dict(_named_maps(head(pyramid), "features", "head"))
    features = outputs["features"]
    branches = list(features) if isinstance(features, list | tuple) else [features]
    if projection is not None:
        branches = _of_each(projection, branches, "projections")
        outputs["features"] = branches[0] if len(branches) == 1 else tuple(branches)
    if bottleneck is not None:
        branches = _of_each(bottleneck, branches, "bottlenecks")
    joined = branches[0] if len(branches) == 1 else keras.layers.Add(name="join")(branches)
    if decoder is not None:
        joined = decoder(joined, pyramid)
    outputs["logits"] = keras.layers.Conv2D(num_classes, 1, name="classifier")(joined)
    if auxiliary is not None:
        outputs["aux_logits"] = auxiliary(pyramid)
    for name in outputs:
        if name.endswith("logits"):
            outputs[name] = ResizeLike(dtype="float32", name=f"resize_{name}")([outputs[name], image])
    return keras.Model(image, outputs, name="segmentation")


def with_small_logits(model: keras.Model) -> keras.Model:
    """The same model, layers and all, that also gives its logits as they are before they are brought to the image's
    size, under the names of `losses.reading.before_resize`.

    Other models than those of `segmentation_model` are returned with the outputs that they have.
    """
    layers = {layer.name: layer for layer in model.layers}
    resized = {name: layers.get(f"resize_{name}") for name in model.output}
    of_ours = {name: layer for name, layer in resized.items() if isinstance(layer, ResizeLike)}
    # of its first call: a layer is called again where another model is made of inner tensors
    small = {before_resize(name): layer.get_input_at(0)[0] for name, layer in of_ours.items()}
    return keras.Model(model.input, {**model.output, **small}, name=model.name)


def _named_maps(outputs: Any, least: str, kind: str) -> Mapping[str, Any]:
    """The outputs of a part, if they are maps by name with one of the name `least`."""
    if not isinstance(outputs, Mapping) or least not in outputs:
        given = f"a dict of {', '.join(map(str, outputs))}" if isinstance(outputs, Mapping) else type(outputs).__name__
        raise ValueError(f"the {kind} must give a dict with {least!r}, not {given}")
    return outputs


def _of_each(layers, branches, kind):
    """What each of the `layers` makes of its branch of the head's features."""
    if len(layers) != len(branches):
        raise ValueError(f"the head gives {len(branches)} maps of features, and there are {len(layers)} {kind}")
    return [layer(branch) for layer, branch in zip(layers, branches, strict=True)]


def build_model(spec: ModelSpec, num_classes: int, bands: Bands = RGB, *, blank: bool = False) -> keras.Model:
    """The model of a `ModelSpec`, with `num_classes` logits.

    Args:
        spec: what it is made of.
        num_classes: K; like the bands, of the data set and not of the `ModelSpec`.
        bands: of the images, with their mean and deviation (`MeasuredBands`) where they are no RGB.
        blank: whether the weights may begin as zeros, since all of them are read next; a model with parts of one's own
            begins as these want it.

    Raises:
        ValueError: a part that its registry does not have, an argument that a part does not take, or an invalid
            value; a projection without the bottleneck that it is folded into.
    """
    if names_foreign_code(spec):
        return _built(spec, num_classes, bands)
    with zero_weights() if blank else contextlib.nullcontext():
        return tf.autograph.experimental.do_not_convert(_built)(spec, num_classes, bands)


def _built(spec, num_classes, bands):
    with at("model.norm"):
        norm = construct_with(spec.norm, BatchNorm, "norm")
    shared = {"norm": norm, "output_stride": spec.output_stride, "num_classes": num_classes}
    with at("model.backbone"):
        backbone = construct(BACKBONES, spec.backbone, bands=bands, **shared)
        if not isinstance(backbone, keras.Model):
            raise ValueError(f"{spec.backbone.name!r} must make a keras.Model, not {type(backbone).__name__}")
        if backbone.input_shape[-1] != bands.number:
            raise ValueError(
                f"{spec.backbone.name!r} takes images of {backbone.input_shape[-1]} channels, and the data set has "
                f"pictures of {bands.describe()}"
            )
    with at("model.head"):
        head = construct(HEADS, spec.head, name="head", **shared)
    branches = range(getattr(head, "branches", 1))
    arguments = getattr(head, "bottleneck", None) if spec.bottleneck is None else spec.bottleneck
    bottleneck = projection = neck = decoder = auxiliary = None
    if arguments is not None:
        with at("model.bottleneck"):
            bottleneck = [
                construct_with(arguments, Bottleneck, "bottleneck", norm=norm, name=f"bottleneck_{i}") for i in branches
            ]
    if spec.projection is not None:
        if bottleneck is None:
            raise ValueError(f"a projection needs a bottleneck after it, and {spec.head.name!r} has none; give one")
        shared["use_bias"] = bottleneck[0].kernel_size == 1
        with at("model.projection"):
            projection = [construct(PROJECTIONS, spec.projection, name=f"projection_{i}", **shared) for i in branches]
    if spec.auxiliary is not None:
        with at("model.auxiliary"):
            auxiliary = construct_with(spec.auxiliary, AuxiliaryClassifier, "auxiliary", name="auxiliary", **shared)
    if spec.neck is not None:
        with at("model.neck"):
            neck = construct(NECKS, spec.neck, name="neck", **shared)
    if spec.decoder is not None:
        with at("model.decoder"):
            decoder = construct(DECODERS, spec.decoder, name="decoder", **shared)
    with at("model"):
        return segmentation_model(
            backbone,
            head,
            num_classes=num_classes,
            projection=projection,
            bottleneck=bottleneck,
            neck=neck,
            decoder=decoder,
            auxiliary=auxiliary,
        )
