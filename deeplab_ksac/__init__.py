"""Context-aware semantic segmentation: KSAC here, CAA and CAR in the packages `caa` and `car`."""

import importlib

__all__ = ["KSAC", "KernelSharingAtrousConv"]


def __getattr__(name: str):
    """Loads a public name when it is asked for: what needs no TensorFlow does not wait for it."""
    if name in __all__:
        return getattr(importlib.import_module("deeplab_ksac.ksac"), name)
    raise AttributeError(f"module 'deeplab_ksac' has no attribute {name!r}")
