"""No gradient copies features before it is its turn.

TensorFlow runs an operation as soon as its inputs are there. What a backward pass makes of the features alone would be
made for all layers right after the forward pass, and kept until each layer's turn.
"""

import pytest
import tensorflow as tf

from deeplab_ksac.keras2 import keras
from caa import AxialAttention, ChannelizedAxialAttention
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.flops.memory import SAME_MEMORY
from deeplab_ksac.ksac import KSAC
from deeplab_ksac.layers import AtrousConv2D, BatchNorm

SIZE, CHANNELS = (2, 9, 11), 8
HALF = 2 * 9 * 11 * CHANNELS // 2  # of the features: kernels are smaller
LAYERS = {
    "atrous convolution": lambda: AtrousConv2D(CHANNELS, 3, dilation_rate=2, padding="same"),
    "KSAC": lambda: KSAC(CHANNELS, atrous_rates=(2, 4)),
    "ASPP": lambda: ASPP(CHANNELS, atrous_rates=(2, 4)),
    "axial attention": lambda: AxialAttention(CHANNELS, key_filters=4),
    "CAA": lambda: ChannelizedAxialAttention(CHANNELS, key_filters=4),
    "Keras' normalization": lambda: keras.layers.BatchNormalization(),
    "normalization": lambda: BatchNorm()(),
    "fixed normalization": lambda: BatchNorm(fixed=True)(),
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_backward_pass_waits_for_the_gradient_that_arrives(name):
    layer = LAYERS[name]()
    layer.build([*SIZE, CHANNELS])
    forward = {}

    @tf.function(autograph=False)
    def gradients(features, upstream):
        with tf.GradientTape() as tape:
            tape.watch(features)
            outputs = layer(features, training=True)
        forward["operations"] = {op.name for op in tf.compat.v1.get_default_graph().get_operations()}
        return tape.gradient(outputs, [features, *layer.trainable_variables], tf.identity(upstream, name="arriving"))

    graph = gradients.get_concrete_function(tf.TensorSpec([*SIZE, CHANNELS]), tf.TensorSpec([*SIZE, CHANNELS])).graph
    after, early = {"arriving"}, []
    for op in graph.get_operations():
        if any(source.op.name in after for source in op.inputs) or any(c.name in after for c in op.control_inputs):
            after.add(op.name)
        elif op.name not in forward["operations"] and op.type not in SAME_MEMORY and is_read(op):
            early += [
                (op.name, result.shape.as_list()) for result in op.outputs if (result.shape.num_elements() or 0) >= HALF
            ]
    assert not early


def is_read(op):
    """Zeros for arguments that have no gradient are made, read by none, and never computed."""
    return any(result.consumers() for result in op.outputs)
