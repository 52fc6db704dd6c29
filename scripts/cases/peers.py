"""DeepLabV3+ against other toolkits' on the same work: layer by layer the same network, and KSAC in place of its ASPP.

320×320 pixels, 21 classes, one image forward, two in a training step: cross-entropy, gradients, SGD with momentum. Both
sides have as many threads as there are cores. A case refuses to begin if the sides' weights or multiply-adds differ.

- segmentation_models_pytorch, at output stride 16. "smp" is its network in the published form, which ours has: both
  3×3 convolutions of the decoder at stride 4, depthwise ones with a normalization of their own, and no convolution of
  the encoder's classifier. "smp as shipped" has one of the two at stride 16, and no such normalization; that is other
  work, so nothing is asked of it. Needs an interpreter that has the package, this one or the one that KSAC_TORCH_PYTHON
  names.
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


def prepare_ours(make: Callable[[], keras.Model], training: bool, told: list[str], title: str) -> Callable:
    """A turn of a model of ours, traced."""
    model = make()
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


def prepare_smp(network: str, form: str, training: bool, told: list[str]) -> Callable:
    """A turn of segmentation_models_pytorch in a process of its own; its published form must be ours."""

    def greeted(line):
        greeting = json.loads(line)
        title = f"smp{' as shipped' if form == 'shipped' else ''}, {greeting['order']} (faster here)"
        told.append(told_counts(title, greeting["counts"]))
        if form == "published":
            with zero_weights():
                ours = build_model(published(network, "ASPP"), NUM_CLASSES)
            require_same(counts(ours), greeting["counts"], "smp")

    options = {
        "network": network,
        "form": form,
        "mode": "training" if training else "forward",
        "images": 2 if training else 1,
        "size": SIZE,
        "threads": len(os.sched_getaffinity(0)),
    }
    return prepare_process(TORCH_SIDE, [json.dumps(options)], "segmentation_models_pytorch", greeted=greeted)


def smp_case(network: str, training: bool) -> Case:
    """Our three heads on one backbone against the package's network in both forms."""
    told: list[str] = []
    ours = {
        head: functools.partial(
            prepare_ours, functools.partial(build_model, published(network, head), NUM_CLASSES), training, told, head
        )
        for head in HEADS
    }
    peers = {
        "smp": functools.partial(prepare_smp, network, "published", training, told),
        "smp as shipped": functools.partial(prepare_smp, network, "shipped", training, told),
    }
    return Case(
        title=f"DeepLabV3+, {network}, {'training' if training else 'forward'}",
        sides={**ours, **peers},
        bounds=(
            *(Bound(head, "smp", SAME if head == "ASPP" else REPLACED) for head in ours),
            Bound("ASPP", "smp as shipped", None),
        ),
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


def like_keras_cv(head: str) -> keras.Model:
    """Our layers in keras-cv's arrangement: rates 6, 12, 18 at output stride 32, a block strides in its first layer."""
    return build_model(
        ModelSpec(
            part("resnet50", variant="std", stem="7x7", multi_grid=(1, 1, 1)),
            head=part(head, atrous_rates=(12, 24, 36)),
            decoder=part(OneByOneDecoder),
            output_stride=32,
        ),
        NUM_CLASSES,
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
    ours, bias = like_keras_cv("deeplabv3").count_params(), NUM_CLASSES
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
    heads = {"ASPP": "deeplabv3", "KSAC": "ksac"}
    ours = {
        name: functools.partial(prepare_ours, functools.partial(like_keras_cv, head), training, told, name)
        for name, head in heads.items()
    }
    return Case(
        title=f"keras-cv's DeepLabV3+, resnet50, {'training' if training else 'forward'}",
        sides={**ours, "keras-cv": functools.partial(prepare_keras_cv, training, told)},
        bounds=tuple(Bound(name, "keras-cv", OF_KERAS_CV) for name in ours),
        told=lambda: told,
    )


MODES = {"": False, "_training": True}
SMP_CASES = {
    f"peers_smp_{network}{mode}": smp_case(network, training)
    for network in (BACKBONES if torch_has("segmentation_models_pytorch") else ())
    for mode, training in MODES.items()
}
KERAS_CV_CASES = {
    f"peers_keras-cv{mode}": keras_cv_case(training)
    for mode, training in (MODES if importlib.util.find_spec("keras_cv") else {}).items()
}
CASES = {**KERAS_CV_CASES, **SMP_CASES}
