"""MobileNetV2 with DeepLab's endpoints, made dense by the output-stride rewrite."""

from tensorflow import keras

from deeplab_ksac.backbones.atrous import with_output_stride
from deeplab_ksac.backbones.contract import image_input, require_output_stride
from deeplab_ksac.layers import BatchNorm


def mobilenet_v2(output_stride=16, *, norm=BatchNorm(), alpha=1.0, weights=None):
    """MobileNetV2: image [N, H, W, 3], RGB 0…255 -> {"c2", "c3", "c4", "c5"} of 144, 192, 576, 320 channels.

    c2, c3, c4 are the expanded activations before the next stride; c5 is the last bottleneck, linear, without the
    1×1 convolution to 1280 channels that belongs to the classifier (DeepLab takes the same).

    Args:
        output_stride: ratio of the image's size to c5's, 8, 16 or 32.
        norm: factory of the normalization layers; the epsilon stays Keras' 1e-3.
        alpha: factor of all channel counts, above 0.
        weights: None for random ones, "imagenet", or the path of a Keras file of the network without its top.

    Raises:
        ValueError: another output stride, weights that are no file.
    """
    require_output_stride(output_stride)
    _, normalized = image_input()
    strided = keras.applications.MobileNetV2(input_tensor=normalized, alpha=alpha, include_top=False, weights=weights)
    return with_output_stride(strided, output_stride, endpoints={"c5": "block_16_project_BN"}, norm=norm)
