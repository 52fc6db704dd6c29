"""The few layers that every backbone, head and decoder is made of."""

from deeplab_ksac.layers.atrous import atrous_conv2d
from deeplab_ksac.layers.conv import AtrousConv2D, AtrousDepthwiseConv2D, ConvNormAct, SeparableConvNormAct
from deeplab_ksac.layers.drop_path import DropPath
from deeplab_ksac.layers.dropout import Dropout
from deeplab_ksac.layers.norm import BatchNorm, deserialize_norm, serialize_norm
from deeplab_ksac.layers.pooling import ImagePooling
from deeplab_ksac.layers.resize import ResizeLike, resize_bilinear, resize_labels, spatial_size

__all__ = [
    "AtrousConv2D",
    "AtrousDepthwiseConv2D",
    "BatchNorm",
    "ConvNormAct",
    "DropPath",
    "Dropout",
    "ImagePooling",
    "ResizeLike",
    "SeparableConvNormAct",
    "atrous_conv2d",
    "deserialize_norm",
    "resize_bilinear",
    "resize_labels",
    "serialize_norm",
    "spatial_size",
]
