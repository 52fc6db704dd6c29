"""DeepLabV3+ against other toolkits' on the same work: layer by layer the same network, and KSAC in place of its ASPP.

320×320 pixels, 21 classes, one image forward, two in a training step: cross-entropy, gradients, SGD with momentum. Both
sides have as many threads as there are cores. A case refuses to begin if the sides' weights or multiply-adds differ.

- segmentation_models_pytorch, at output stride 16. "smp" is its network in the published form, which ours has: both
  3×3 convolutions of the decoder at stride 4, depthwise ones with a normalization of their own, and no convolution of
  the encoder's classifier. "smp as shipped" has one of the two at stride 16, and no such normalization; that is other
  work, so nothing is asked of it. Needs an interpreter that has the package, this one or the one that KSAC_TORCH_PYTHON
  names.
- torchvision, whose DeepLabV3 is at output stride 8 and has no decoder, with plain kernels: in the same interpreter.
- keras-cv, whose network exists at output stride 32 alone, with a decoder of a 1×1 convolution, and classifier and
  softmax at the image's size.

Of a peer that is not installed there is no case.
"""

import functools
import importlib.util
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.flops.count import by_part, count_multiply_adds, count_parameters, model_graph
from deeplab_ksac.layers import BatchNorm, ConvNormAct, resize_bilinear, spatial_size
from deeplab_ksac.losses import build_objective
from deeplab_ksac.model import build_model
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.peer_process import prepare_process, torch_has
from deeplab_ksac.training.optimizers import build_optimizer
from deeplab_ksac.training.step import TrainStep
from deeplab_ksac.zero_weights import zero_weights

SIZE, NUM_CLASSES = (320, 320), 21
TORCH_SIDE = pathlib.Path(__file__).with_name("torch_deeplab.py")
BACKBONES = {  # as the peers have them
    "resnet50": part("resnet50", variant="v1.5", stem="7x7", multi_grid=(1, 1, 1)),
    "efficientnet_lite0": part("efficientnet_lite0"),
    "efficientnet_b0": part("efficientnet_b0"),
    "mobilenet_v2": part("mobilenet_v2", endpoints="narrow"),
}
HEADS = {
    "ASPP": part("deeplabv3", separable=True),
    "KSAC": part("ksac"),
    "KSAC separable": part("ksac", separable=True),
}
SAME, REPLACED = 0.95, 0.9  # what is asked of the same network, and of one with KSAC in place of ASPP
OF_KERAS_CV = 0.6
CONTEXT = ("head", "bottleneck", "decoder")  # what the peers have as one part


def published(backbone: str, head: str) -> ModelSpec:
    """DeepLabV3+ as it was published, with one of `HEADS`."""
    return ModelSpec(
        BACKBONES[backbone],
        head=HEADS[head],
        bottleneck={"filters": 256, "kernel_size": 1, "dropout": 0.5},
        decoder=part("low_level", separable=True),
        output_stride=16,
    )


def counts(model: keras.Model, size: tuple[int, int] = SIZE) -> dict[str, list[int]]:
    """{part: [weights, multiply-adds]} of a segmentation model for one image, in the parts that the peers have."""
    weights, products = count_parameters(model), by_part(count_multiply_adds(model_graph(model, *size)))
    parts = {"backbone": ("backbone",), "context and decoder": CONTEXT, "classifier": ("classifier",)}
    return {
        name: [sum(counted.get(one, 0) for one in members) for counted in (weights, products)]
        for name, members in parts.items()
    }


def require_same(ours: Mapping[str, Sequence[int]], peers: Mapping[str, Sequence[int]], peer: str) -> None:
    """Raises ValueError if a part of two networks has other weights, or other multiply-adds."""
    for name, found in ours.items():
        if list(found) != list(peers[name]):
            raise ValueError(
                f"the {name} of ours has {found[0]:,} weights and {found[1]:,} multiply-adds, that of {peer} "
                f"{peers[name][0]:,} and {peers[name][1]:,}; both sides must do the same work"
            )


def told_counts(title: str, found: Mapping[str, Sequence[int]]) -> str:
    """A line on a network: millions of weights and of multiply-adds by part."""
    parts = [f"{name} {w / 1e6:.2f} M weights, {m / 1e6:,.0f} M multiply-adds" for name, (w, m) in found.items()]
    return f"{title}: {'; '.join(parts)}"


def prepare_ours(spec: ModelSpec, training: bool, told: list[str], title: str) -> Callable:
    """A turn of a network of ours, traced."""
    model = build_model(spec, NUM_CLASSES)
    told.append(told_counts(title, counts(model)))
    if training:
        return training_step(model)
    image = tf.random.stateless_uniform([1, *SIZE, 3], (0, 0), 0, 255)
    return tf.function(lambda: model(image, training=False)["logits"])


def random_batch(images: int, size: tuple[int, int], num_classes: int) -> dict[str, tf.Tensor]:
    """Random images with random labels."""
    return {
        "image": tf.random.stateless_uniform([images, *size, 3], (0, 0), 0, 255),
        "labels": tf.random.stateless_uniform([images, *size], (0, 1), 0, num_classes, tf.int32),
    }


def training_step(model: keras.Model) -> Callable:
    """A turn: a training step of two images, as `ksac train` takes it."""
    objective = build_objective((part("cross_entropy"),), NUM_CLASSES)
    objective.build(model.output)
    step = TrainStep(model, objective, build_optimizer(part("sgd"), 10**6), tf.distribute.get_strategy())
    batch = random_batch(2, SIZE, NUM_CLASSES)
    step.concrete(batch)
    return lambda: step(batch)


def prepare_torch(
    title: str, network: str, form: str, training: bool, told: list[str], *, same: ModelSpec | None = None
) -> Callable:
    """A turn of PyTorch in a process of its own.

    Args:
        title: what the peer is called.
        network, form: of `torch_deeplab.ENCODERS` and `FORMS`.
        training: a training step of two images in place of a forward pass of one.
        told: gets a line on what the peer has built.
        same: the network of ours that it must be, in weights and multiply-adds.

    Raises:
        ValueError: it is not that network.
    """

    def greeted(line):
        greeting = json.loads(line)
        told.append(told_counts(f"{title}, {greeting['order']} (faster here)", greeting["counts"]))
        if same is not None:
            with zero_weights():
                ours = build_model(same, NUM_CLASSES)
            require_same(counts(ours), greeting["counts"], title)

    options = {
        "network": network,
        "form": form,
        "mode": "training" if training else "forward",
        "images": 2 if training else 1,
        "size": SIZE,
        "threads": len(os.sched_getaffinity(0)),
    }
    return prepare_process(TORCH_SIDE, [json.dumps(options)], title, greeted=greeted)


def prepare_heads(specs: Mapping[str, ModelSpec], training: bool, told: list[str]) -> dict[str, Callable]:
    """{name: what prepares a turn of the network of ours} for a case's sides."""
    return {name: functools.partial(prepare_ours, spec, training, told, name) for name, spec in specs.items()}


def smp_case(network: str, training: bool) -> Case:
    """Our three heads on one backbone against segmentation_models_pytorch's network in both forms."""
    told: list[str] = []
    specs = {head: published(network, head) for head in HEADS}
    peers = {
        "smp": functools.partial(prepare_torch, "smp", network, "published", training, told, same=specs["ASPP"]),
        "smp as shipped": functools.partial(prepare_torch, "smp as shipped", network, "shipped", training, told),
    }
    return Case(
        title=f"DeepLabV3+, {network}, {'training' if training else 'forward'}",
        sides={**prepare_heads(specs, training, told), **peers},
        bounds=(
            *(Bound(head, "smp", SAME if head == "ASPP" else REPLACED) for head in specs),
            Bound("ASPP", "smp as shipped", None),
        ),
        told=lambda: told,
    )


class ConvolutionDecoder(keras.layers.Layer):
    """What torchvision has behind its pyramid and projection: a 3×3 convolution.

    (features [N, h, w, C], pyramid) -> [N, h, w, 256].
    """

    def __init__(self, norm=BatchNorm(), **kwargs):
        super().__init__(**kwargs)
        self.mix = ConvNormAct(256, 3, norm=norm, name="mix")

    def call(self, features, pyramid, training=None):
        """At the size of the features; the pyramid is not read."""
        return self.mix(features, training=training)


def like_torchvision(backbone: str, head: str) -> ModelSpec:
    """Our layers in the arrangement of torchvision's DeepLabV3."""
    return ModelSpec(
        BACKBONES[backbone],
        head=part(head, atrous_rates=(12, 24, 36)),
        bottleneck={"filters": 256, "kernel_size": 1, "dropout": 0.5},
        decoder=part(ConvolutionDecoder),
        output_stride=8,
    )


def torchvision_case(network: str, training: bool) -> Case:
    """Our ASPP and KSAC in torchvision's arrangement against its network."""
    told: list[str] = []
    specs = {"ASPP": like_torchvision(network, "deeplabv3"), "KSAC": like_torchvision(network, "ksac")}
    peer = functools.partial(prepare_torch, "torchvision", network, "torchvision", training, told, same=specs["ASPP"])
    return Case(
        title=f"torchvision's DeepLabV3, {network}, {'training' if training else 'forward'}",
        sides={**prepare_heads(specs, training, told), "torchvision": peer},
        bounds=(Bound("ASPP", "torchvision", SAME), Bound("KSAC", "torchvision", REPLACED)),
        told=lambda: told,
    )


class OneByOneDecoder(keras.layers.Layer):
    """keras-cv's decoder: stride 4 reduced to 48 channels, beside what is upsampled, a 1×1 convolution.

    (features [N, h, w, C], pyramid) -> [N, H/4, W/4, 256].
    """

    def __init__(self, norm=BatchNorm(), **kwargs):
        super().__init__(**kwargs)
        self.reduce = ConvNormAct(48, 1, norm=norm, name="reduce")
        self.mix = ConvNormAct(256, 1, norm=norm, name="mix")

    def call(self, features, pyramid, training=None):
        """Joined at the size of stride 4."""
        low_level = self.reduce(pyramid["c2"], training=training)
        features = resize_bilinear(features, spatial_size(low_level))
        return self.mix(tf.concat([features, low_level], axis=-1), training=training)


def like_keras_cv(head: str) -> ModelSpec:
    """Our layers in keras-cv's arrangement: rates 6, 12, 18 at output stride 32, a block strides in its first layer."""
    return ModelSpec(
        part("resnet50", variant="std", stem="7x7", multi_grid=(1, 1, 1)),
        head=part(head, atrous_rates=(12, 24, 36)),
        decoder=part(OneByOneDecoder),
        output_stride=32,
    )


def keras_cv_model() -> keras.Model:
    """keras-cv's DeepLabV3+ on its ResNet-50, which is put together here: the ready-made one asks the network."""
    import keras_cv  # not every environment has it, and it loads much

    backbone = keras_cv.models.ResNetBackbone(
        stackwise_filters=[64, 128, 256, 512],
        stackwise_blocks=[3, 4, 6, 3],
        stackwise_strides=[1, 2, 2, 2],
        include_rescaling=False,
        input_shape=(*SIZE, 3),
    )
    return keras_cv.models.DeepLabV3Plus(backbone=backbone, num_classes=NUM_CLASSES)


def prepare_keras_cv(training: bool, told: list[str]) -> Callable:
    """A turn of keras-cv's network; all but the classifier must have the weights of ours with ASPP.

    Its classifier is ours without a bias, on 256 channels that are brought to the image's size before.
    """
    model = keras_cv_model()
    ours, bias = build_model(like_keras_cv("deeplabv3"), NUM_CLASSES).count_params(), NUM_CLASSES
    told.append(f"keras-cv: {model.count_params():,} weights, ours with ASPP {ours:,}, of them {bias} biases more")
    if model.count_params() != ours - bias:
        raise ValueError(
            f"keras-cv's network has {model.count_params():,} weights, ours {ours:,}; both must be the same but for "
            f"the classifier's {bias} biases"
        )
    batch = random_batch(2 if training else 1, SIZE, NUM_CLASSES)
    if not training:
        return tf.function(lambda: model(batch["image"], training=False))
    loss, optimizer = keras.losses.SparseCategoricalCrossentropy(), keras.optimizers.SGD(0.01, momentum=0.9)
    optimizer.build(model.trainable_variables)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            value = loss(batch["labels"], model(batch["image"], training=True))
        gradients = tape.gradient(value, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return value

    return step


def keras_cv_case(training: bool) -> Case:
    """Our ASPP and KSAC in its arrangement against its network."""
    told: list[str] = []
    specs = {"ASPP": like_keras_cv("deeplabv3"), "KSAC": like_keras_cv("ksac")}
    return Case(
        title=f"keras-cv's DeepLabV3+, resnet50, {'training' if training else 'forward'}",
        sides={**prepare_heads(specs, training, told), "keras-cv": functools.partial(prepare_keras_cv, training, told)},
        bounds=tuple(Bound(head, "keras-cv", OF_KERAS_CV) for head in specs),
        told=lambda: told,
    )


MODES = {"": False, "_training": True}
TORCH_CASES = {
    f"peers_{peer}_{network}{mode}": case(network, training)
    for peer, case, networks in (("smp", smp_case, BACKBONES), ("torchvision", torchvision_case, ("resnet50",)))
    for network in (networks if torch_has("segmentation_models_pytorch") else ())
    for mode, training in MODES.items()
}
KERAS_CV_CASES = {
    f"peers_keras-cv{mode}": keras_cv_case(training)
    for mode, training in (MODES if importlib.util.find_spec("keras_cv") else {}).items()
}
CASES = {**KERAS_CV_CASES, **TORCH_CASES}
