"""Bringing maps to the size of an image, as a layer."""

from collections.abc import Sequence

from deeplab_ksac.any_keras import keras
from deeplab_ksac.tensor_ops import Tensor
from deeplab_ksac.tensor_ops.maps import resize_bilinear, spatial_size


@keras.saving.register_keras_serializable("deeplab_ksac")
class ResizeLike(keras.layers.Layer):
    """Brings maps to the size of an image: ([N, h, w, C], [N, H, W, 3]) -> [N, H, W, C] in the layer's own type."""

    def call(self, inputs: Sequence[Tensor]) -> Tensor:
        maps, image = inputs
        return resize_bilinear(maps, spatial_size(image))
