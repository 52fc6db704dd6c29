"""Backbones: image [N, H, W, 3] float32, RGB 0…255 -> {"c2", "c3", "c4", "c5"}, feature maps of falling resolution.

A row of `BACKBONES` is a function `f(output_stride=16, *, norm=BatchNorm(), bands=RGB, **arguments) -> keras.Model`.
The model takes any N, H and W, images of other bands than RGB where it is told so, normalizes the image itself, and
gives maps of ⌈H / s⌉ × ⌈W / s⌉ pixels with s = 4, 8, 16, 32 or
`output_stride` (8, 16 or 32) where that is smaller. A stage keeps its number when its stride is taken away: its kernels
are dilated instead, so that every pixel which the strided network has is there unchanged (atrous consistency).
Swin, ConvNeXt and HRNet cannot be dilated and have output stride 32 alone; for the first two the neck
`joint_pyramid_upsampling` brings c5 to c3's size. Swin and ConvNeXt know layer normalization only and take no `norm`.
A new backbone is one module and one line here.
"""

from deeplab_ksac.backbones.atrous import with_output_stride
from deeplab_ksac.backbones.convnext import CONVNEXTS
from deeplab_ksac.backbones.efficientnet import EFFICIENTNETS
from deeplab_ksac.backbones.efficientnet_lite import EFFICIENTNET_LITES
from deeplab_ksac.backbones.hrnet import HRNETS
from deeplab_ksac.backbones.mobilenet_v2 import mobilenet_v2
from deeplab_ksac.backbones.resnet import resnet50, resnet101
from deeplab_ksac.backbones.swin import SWINS
from deeplab_ksac.backbones.xception import xception65

BACKBONES = {
    **CONVNEXTS,
    **EFFICIENTNETS,
    **EFFICIENTNET_LITES,
    **HRNETS,
    **SWINS,
    "mobilenet_v2": mobilenet_v2,
    "resnet50": resnet50,
    "resnet101": resnet101,
    "xception65": xception65,
}

__all__ = ["BACKBONES", "mobilenet_v2", "resnet50", "resnet101", "with_output_stride"]
