"""A model whose backbone's features are rounded as kept ones are, so that results can be compared exactly."""

import tensorflow as tf

from deeplab_ksac.keras2 import keras
from deeplab_ksac.training.backbone_part import backbone_of
from deeplab_ksac.training.cached_backbone import behind_backbone


def with_half_features(model):
    """The model, with its layers, computing from features of half precision."""
    rounding = keras.layers.Lambda(lambda maps: tf.cast(tf.cast(maps, tf.float16), tf.float32))
    pyramid = {level: rounding(maps) for level, maps in backbone_of(model).output.items()}
    return keras.Model(model.input, behind_backbone(model)({"image": model.input, **pyramid}))
