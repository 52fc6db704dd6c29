"""The few layers that every backbone, head and decoder is made of."""

from deeplab_ksac.layers.conv import AtrousConv2D, AtrousDepthwiseConv2D, ConvNormAct, SeparableConvNormAct
from deeplab_ksac.layers.norm import BatchNorm, deserialize_norm, serialize_norm
from deeplab_ksac.layers.pooling import ImagePooling, PyramidPooling
from deeplab_ksac.layers.resize import ResizeLike
from deeplab_ksac.tensor_ops import ops
from deeplab_ksac.tensor_ops.maps import (
    at_least_float32,
    flatten_pixels,
    resize_bilinear,
    resize_labels,
    spatial_size,
    unflatten_pixels,
)

atrous_conv2d = ops.atrous_conv2d

__all__ = [
    "AtrousConv2D",
    "AtrousDepthwiseConv2D",
    "BatchNorm",
    "ConvNormAct",
    "ImagePooling",
    "PyramidPooling",
    "ResizeLike",
    "SeparableConvNormAct",
    "at_least_float32",
    "atrous_conv2d",
    "deserialize_norm",
    "flatten_pixels",
    "resize_bilinear",
    "resize_labels",
    "serialize_norm",
    "spatial_size",
    "unflatten_pixels",
]
