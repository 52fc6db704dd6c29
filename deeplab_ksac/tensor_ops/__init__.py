"""Operations on tensors, of TensorFlow where the layers run on it, else of `keras.ops`, for JAX and PyTorch.

`ops` has the same functions of the same arguments for all of them, most under their names in `keras.ops`. A function
that takes shapes takes what `ops.shape` gives: a tensor with TensorFlow, whose sizes may be unknown while a graph is
made, and integers elsewhere.
"""

from typing import Any

from deeplab_ksac.any_keras import BACKEND

if BACKEND == "tensorflow":
    from deeplab_ksac.tensor_ops import of_tensorflow as ops
else:
    from deeplab_ksac.tensor_ops import of_keras as ops

Tensor = Any  # of the backend: tf.Tensor, jax.Array or torch.Tensor

__all__ = ["Tensor", "ops"]
