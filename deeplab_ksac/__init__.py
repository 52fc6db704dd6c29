"""Context-aware semantic segmentation: KSAC here, CAA and CAR in the packages `caa` and `car`.

The names below are loaded when they are first asked for, so that what needs no TensorFlow starts without it.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deeplab_ksac.ksac import KSAC, KernelSharingAtrousConv
    from deeplab_ksac.model import build_model
    from deeplab_ksac.prediction.predictor import Predictor
    from deeplab_ksac.training.listeners import Listener
    from deeplab_ksac.training.loop import train
    from deeplab_ksac.training.mlflow_listener import MLflowListener

__version__ = "0.1.0"
__all__ = [
    "KSAC",
    "KernelSharingAtrousConv",
    "Listener",
    "MLflowListener",
    "Predictor",
    "__version__",
    "build_model",
    "train",
]

_MODULES = {
    "KSAC": "deeplab_ksac.ksac",
    "KernelSharingAtrousConv": "deeplab_ksac.ksac",
    "Listener": "deeplab_ksac.training.listeners",
    "MLflowListener": "deeplab_ksac.training.mlflow_listener",
    "Predictor": "deeplab_ksac.prediction.predictor",
    "build_model": "deeplab_ksac.model",
    "train": "deeplab_ksac.training.loop",
}

if not TYPE_CHECKING:  # a type checker that saw `__getattr__` would accept every name

    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
