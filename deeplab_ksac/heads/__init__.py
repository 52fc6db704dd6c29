"""Context heads: a head maps a pyramid {"c2"…"c5"} to {"features", …} and never sees a label.

`features` [N, h, w, C] is the thesis's X (a tuple of two for DANet). The class attribute `bottleneck` holds the
arguments of its paper's second-last convolution, or None where there is none.
"""

from deeplab_ksac.heads.axial import (
    AxialHead,
    AxialSqueezeExciteHead,
    ChannelizedAxialHead,
    ChannelizedSelfAttentionHead,
)
from deeplab_ksac.heads.ccnet import CCNetHead
from deeplab_ksac.heads.context import DeepLabV3Head, FCNHead, KSACHead, PSPNetHead
from deeplab_ksac.heads.cpnet import CPNetHead
from deeplab_ksac.heads.danet import DANetHead
from deeplab_ksac.heads.fractional_rates import ExperimentalDynamicRatesHead, ExperimentalLearnedRatesHead
from deeplab_ksac.heads.ocr import OCRHead
from deeplab_ksac.heads.self_attention import SelfAttentionHead
from deeplab_ksac.heads.sequential import SequentialHead
from deeplab_ksac.heads.upernet import UperNetHead

HEADS = {
    "fcn": FCNHead,
    "deeplabv3": DeepLabV3Head,
    "ksac": KSACHead,
    "experimental_ksac_learned": ExperimentalLearnedRatesHead,
    "experimental_ksac_dynamic": ExperimentalDynamicRatesHead,
    "axial": AxialHead,
    "axial_squeeze_excite": AxialSqueezeExciteHead,
    "caa": ChannelizedAxialHead,
    "self_attention": SelfAttentionHead,
    "channelized_self_attention": ChannelizedSelfAttentionHead,
    "ccnet": CCNetHead,
    "danet": DANetHead,
    "sequential": SequentialHead,
    "cpnet": CPNetHead,
    "ocr": OCRHead,
    "upernet": UperNetHead,
    "pspnet": PSPNetHead,
}
