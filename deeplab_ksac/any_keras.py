"""The Keras that `caa`, `car` and KSAC are layers of: 2 or 3, decided when the first of them is imported.

Keras 2 where it is installed as `keras` (beside TensorFlow 2.15), where the process has loaded `deeplab_ksac.keras2`,
as all of training, evaluation and export does, and where TF_USE_LEGACY_KERAS asks for it. Else Keras 3, on any backend.
"""

import os
import sys
from importlib import metadata

KERAS_3 = not (
    int(metadata.version("keras").split(".")[0]) == 2
    or "deeplab_ksac.keras2" in sys.modules
    or os.environ.get("TF_USE_LEGACY_KERAS", "").lower() in ("1", "true")
)
if KERAS_3:
    import keras
else:
    from deeplab_ksac.keras2 import keras

BACKEND = keras.backend.backend() if KERAS_3 else "tensorflow"

__all__ = ["BACKEND", "KERAS_3", "keras"]
