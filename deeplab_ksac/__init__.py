"""Context-aware semantic segmentation: KSAC here, CAA and CAR in the packages `caa` and `car`."""

from deeplab_ksac.ksac import KSAC, KernelSharingAtrousConv

__all__ = ["KSAC", "KernelSharingAtrousConv"]
