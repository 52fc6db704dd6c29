"""The named layers that ResNet and Xception are made of."""

from tensorflow import keras

from deeplab_ksac.layers import AtrousConv2D


def conv_norm(x, filters, kernel_size, name, *, norm, stride=1, rate=1):
    """Convolution and normalization: [N, h, w, C] -> [N, ⌈h/stride⌉, ⌈w/stride⌉, filters].

    A strided kernel is centered on every `stride`-th pixel from the first one on, at odd and even sizes alike.
    """
    padding = "same"
    if stride > 1 and kernel_size > 1:
        x = keras.layers.ZeroPadding2D(kernel_size // 2, name=f"{name}_pad")(x)
        padding = "valid"
    conv = AtrousConv2D(filters, kernel_size, stride, padding, dilation_rate=rate, use_bias=False, name=f"{name}_conv")
    return norm(name=f"{name}_norm")(conv(x))


def relu(x, name):
    """The activation as a named layer."""
    return keras.layers.ReLU(name=f"{name}_relu")(x)
