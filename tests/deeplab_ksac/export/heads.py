"""Models with the thesis's heads, tiny and at random."""

from deeplab_ksac.keras2 import keras
from deeplab_ksac.heads import HEADS
from deeplab_ksac.heads.decoders import Bottleneck
from deeplab_ksac.layers import ConvNormAct
from deeplab_ksac.model import segmentation_model
from tests.random_layers import randomize

ARGUMENTS = {  # 16 · 64 numbers: the least that dynamic-range quantization touches
    "ksac": {"filters": 16, "atrous_rates": (2, 4)},
    "experimental_ksac_dynamic": {"filters": 16, "atrous_rates": (2, 4)},
    "caa": {"filters": 16, "key_filters": 4, "gate_width": 4, "gate_depth": 2},
    "self_attention": {"filters": 16, "key_filters": 4},
}


def build_head_model(name, num_classes=5):
    """A model with an atrous convolution before the head `name`."""
    keras.utils.set_random_seed(0)
    image = keras.Input([None, None, 3], name="image")
    x = ConvNormAct(8, 3, strides=2)(keras.layers.Rescaling(1 / 127.5, offset=-1.0)(image))
    c5 = ConvNormAct(64, 3, atrous_rate=2)(ConvNormAct(8, 3, strides=2)(x))
    backbone = keras.Model(image, {"c5": c5})
    head = HEADS[name](**ARGUMENTS[name], name="head")
    bottleneck = [Bottleneck(8, 1, name="bottleneck_0")]
    return randomize(segmentation_model(backbone, head, num_classes=num_classes, bottleneck=bottleneck))
