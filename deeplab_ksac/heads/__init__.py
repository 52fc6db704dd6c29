"""Context heads: a head maps a pyramid {"c2"…"c5"} to {"features", …} and never sees a label.

`features` [N, h, w, C] is the thesis's X (a tuple of two for DANet). The class attribute `bottleneck` holds the
arguments of its paper's second-last convolution, or None where there is none.
"""

from deeplab_ksac.heads.deeplabv3 import DeepLabV3Head
from deeplab_ksac.heads.fcn import FCNHead
from deeplab_ksac.heads.ksac import KSACHead

HEADS = {
    "fcn": FCNHead,
    "deeplabv3": DeepLabV3Head,
    "ksac": KSACHead,
}
