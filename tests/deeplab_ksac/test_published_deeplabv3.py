"""TensorFlow's published DeepLabV3 from our parts, against its graph run directly and against VOC's labels.

The network (MobileNetV2 × 0.5, output stride 8, of ASPP the 1×1 and the image-level branch) was trained on PASCAL VOC
by others, so that it checks preprocessing, corners, order of the classes, resizing and evaluation from outside.
"""

import os

import numpy as np
import pytest
import tensorflow as tf

from deeplab_ksac.datasets.sources import voc2012
from deeplab_ksac.evaluation import evaluate
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.layers import resize_bilinear, resize_labels
from deeplab_ksac.model import build_model
from tests.datasets.samples import sample
from tests.deeplab_ksac.backbones.photographs import FOLDER, PHOTOGRAPHS

SIDE = 257
STRIDES = {0: 1, 1: 2, 3: 2, 6: 2, 13: 2}  # of the inverted bottlenecks; all others keep the size
SPEC = ModelSpec(backbone=part("mobilenet_v2", alpha=0.5), head=part("deeplabv3", atrous_rates=()), output_stride=8)


@pytest.fixture(scope="module")
def tensors():
    """{name|kernel, name|bias: array} of the published file; normalization is folded in."""
    with np.load(sample("weights/deeplabv3_257_mv_gpu.npz")) as stored:
        return dict(stored)


def published_graph(tensors, images):
    """The published graph, operation by operation: images [N, 257, 257, 3], RGB 0…255 -> logits of the same size."""

    def conv(x, name, stride=1, activation=tf.nn.relu6):
        return activation(tf.nn.conv2d(x, tensors[f"{name}|kernel"], stride, "SAME") + tensors[f"{name}|bias"])

    x = conv(images / 127.5 - 1, "MobilenetV2/Conv", 2)
    kept, rate = 2, 1
    for number in range(17):
        name = f"MobilenetV2/expanded_conv_{number}" if number else "MobilenetV2/expanded_conv"
        y = conv(x, f"{name}/expand") if number else x
        stride = STRIDES.get(number, 1)
        removed = kept * stride > 8
        steps = [1, 1, 1, 1] if removed else [1, stride, stride, 1]
        kernel = tensors[f"{name}/depthwise|kernel"]
        y = tf.nn.depthwise_conv2d(y, kernel, steps, "SAME", dilations=[rate, rate])
        y = conv(tf.nn.relu6(y + tensors[f"{name}/depthwise|bias"]), f"{name}/project", activation=tf.identity)
        x = x + y if stride == 1 and x.shape[-1] == y.shape[-1] else y
        kept, rate = (kept, rate * stride) if removed else (kept * stride, rate)
    pooled = conv(tf.reduce_mean(x, [1, 2], keepdims=True), "image_pooling", activation=tf.nn.relu)
    pooled = tf.broadcast_to(pooled, [*x.shape[:3], 256])
    context = tf.concat([pooled, conv(x, "aspp0", activation=tf.nn.relu)], -1)
    logits = conv(conv(context, "concat_projection", activation=tf.nn.relu), "logits/semantic", activation=tf.identity)
    rows, columns = (between_corners(*sizes) for sizes in zip(logits.shape[1:3], images.shape[1:3]))
    return np.einsum("Hh,nhwk,Ww->nHWk", rows, logits, columns, optimize=True)


def between_corners(size, resized):
    """Linear interpolation along one side as a matrix [resized, size]; first and last pixels stay where they are."""
    distances = np.linspace(0, size - 1, resized)[:, np.newaxis] - np.arange(size)
    return np.maximum(0, 1 - np.abs(distances))


@pytest.fixture(scope="module")
def model(tensors):
    """Our network with the published tensors, each of which has a place."""
    model, unused = build_model(SPEC, 21), dict(tensors)
    layer, head = model.get_layer, model.get_layer("head").context.branches
    places = {
        "MobilenetV2/Conv": (layer("Conv1"), layer("bn_Conv1")),
        "image_pooling": (head[0].conv.conv, head[0].conv.norm),
        "aspp0": (head[1].conv, head[1].norm),
        "concat_projection": (layer("bottleneck_0").conv.conv, layer("bottleneck_0").conv.norm),
    }
    for number in range(17):
        theirs, ours = (f"expanded_conv_{number}", f"block_{number}") if number else ["expanded_conv"] * 2
        for step in ("expand", "depthwise", "project") if number else ("depthwise", "project"):
            places[f"MobilenetV2/{theirs}/{step}"] = layer(f"{ours}_{step}"), layer(f"{ours}_{step}_BN")
    for name, (conv, norm) in places.items():
        kernel, bias = unused.pop(f"{name}|kernel"), unused.pop(f"{name}|bias")
        conv.set_weights([filled_up(kernel, conv.weights[0].shape)])
        ones = np.ones(norm.gamma.shape)
        # variance + epsilon = 1: a normalization that adds the bias and nothing else
        norm.set_weights([ones, filled_up(bias, norm.beta.shape), 0 * ones, ones - norm.epsilon])
    layer("classifier").set_weights([unused.pop("logits/semantic|kernel"), unused.pop("logits/semantic|bias")])
    assert not unused
    return model


def filled_up(tensor, shape):
    """A tensor with zeros for the channels that Keras' network has more: 16 where the published one has 12."""
    assert all(have == want or (have, want) in ((12, 16), (72, 96)) for have, want in zip(tensor.shape, shape))
    return np.pad(tensor, [(0, want - have) for have, want in zip(tensor.shape, shape)])


def picture(path):
    """A photograph at the size of the network: [1, 257, 257, 3] float32."""
    image = tf.cast(tf.io.decode_jpeg(tf.io.read_file(str(path))), tf.float32)
    return resize_bilinear(image[tf.newaxis], [SIDE, SIDE])


def test_logits_are_those_of_the_published_graph(model, tensors):
    images = tf.concat([picture(sample(FOLDER) / f"{name}.jpg") for name in list(PHOTOGRAPHS)[:4]], 0)
    expected = published_graph(tensors, images)
    assert len(np.unique(expected.argmax(-1))) > 2
    np.testing.assert_allclose(model(images)["logits"], expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.fixture(scope="module")
def val():
    """The 300 pictures of VOC's val: VOC_SUBSET names the folder VOCdevkit that shared/tools/voc_subset.py wrote."""
    folder = os.environ.get("VOC_SUBSET") or sample("voc_subset/VOCdevkit")
    examples = voc2012.examples(folder, "val")
    assert len(examples) == 300
    return examples


def test_mean_iou_on_voc_is_what_the_published_network_has(model, val):
    def batches(size=10):
        for first in range(0, len(val), size):
            examples = [val[index] for index in range(first, first + size)]
            labels = [tf.cast(example["label"], tf.int32)[tf.newaxis] for example in examples]
            yield {
                "image": tf.concat([picture(example["image"]) for example in examples], 0),
                "labels": tf.concat([resize_labels(one, [SIDE, SIDE]) for one in labels], 0),
            }

    result = evaluate(model, batches(), num_classes=21)
    occurring = np.array(result["share"]) > 0
    assert occurring.sum() == 18  # background and 17 kinds of objects: no aeroplane, boat and train
    assert np.mean(np.array(result["iou"])[occurring]) == pytest.approx(0.50, abs=0.01)
