"""Keras 2, on which everything stands but the layers of `deeplab_ksac.any_keras`: TensorFlow's own up to 2.15, the
package `tf_keras` after it.

It is taken by its own name, so that nobody has to set TF_USE_LEGACY_KERAS. A module that needs it imports it first.

Raises:
    ImportError: `caa`, `car` or KSAC are layers of Keras 3 in this process, or `tf_keras` is not installed.
"""

import importlib
import sys
from importlib import metadata

CHOICE = "deeplab_ksac.any_keras"  # by name: that module looks whether this one is loaded

if int(metadata.version("keras").split(".")[0]) == 2:
    from tensorflow import keras
else:
    if CHOICE in sys.modules and sys.modules[CHOICE].KERAS_3:
        raise ImportError(
            "training, evaluation and export use Keras 2, and caa, car or KSAC were imported first, as layers of "
            "Keras 3: write `import deeplab_ksac.keras2` above them, or set TF_USE_LEGACY_KERAS=1"
        )
    try:
        keras = importlib.import_module("tf_keras")
    except ModuleNotFoundError as error:
        raise ImportError(
            "training, evaluation and export need Keras 2: pip install tf-keras of TensorFlow's own version "
            f"({metadata.version('tensorflow')})"
        ) from error

__all__ = ["keras"]
