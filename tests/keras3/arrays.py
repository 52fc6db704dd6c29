"""Between arrays of NumPy and tensors of the backend; gradients by the backend's own means."""

import contextlib

import numpy as np

from deeplab_ksac.any_keras import BACKEND, KERAS_3, keras
from deeplab_ksac.tensor_ops import ops

TENSORFLOW, JAX, TORCH = (name == BACKEND for name in ("tensorflow", "jax", "torch"))
POLICIES = ("float32", "mixed_bfloat16", "mixed_float16")


def to_numpy(x):
    """An array of a tensor; half precision becomes float32."""
    x = ops.cast(x, "float32") if ops.item_bytes(x) == 2 else x
    return keras.ops.convert_to_numpy(x) if KERAS_3 else x.numpy()


def values_and_gradients(function, arrays, dtype="float64"):
    """What `function` makes of tensors, and the gradients of the sum of it all by each, zero where there are none."""
    if TENSORFLOW:
        import tensorflow as tf

        tensors = [tf.constant(x, dtype) for x in arrays]
        with tf.GradientTape() as tape:
            tape.watch(tensors)
            values = function(*tensors)
            total = tf.add_n([tf.reduce_sum(value) for value in values])
        gradients = tape.gradient(total, tensors, unconnected_gradients="zero")
    elif JAX:
        import jax

        tensors = [jax.numpy.asarray(x, dtype) for x in arrays]

        def total(*tensors):
            values = function(*tensors)
            return sum(value.sum() for value in values), values

        compiled = jax.jit(jax.grad(total, argnums=tuple(range(len(tensors))), has_aux=True))
        gradients, values = compiled(*tensors)
    else:
        import torch

        tensors = [torch.tensor(x, dtype=getattr(torch, dtype), requires_grad=True) for x in arrays]
        values = function(*tensors)
        total = sum(value.sum() for value in values)
        gradients = torch.autograd.grad(total, tensors, allow_unused=True)
        gradients = [torch.zeros_like(x) if g is None else g for x, g in zip(tensors, gradients, strict=True)]
    return [to_numpy(value) for value in values], [to_numpy(gradient) for gradient in gradients]


def double_precision():
    """A context in which layers are float64, on JAX too."""
    stack = contextlib.ExitStack()
    if JAX:
        import jax

        stack.enter_context(jax.enable_x64(True))
    before = keras.mixed_precision.global_policy() if not KERAS_3 else keras.config.dtype_policy()
    set_policy("float64")
    stack.callback(set_policy, before)
    return stack


def set_policy(policy):
    keras.mixed_precision.set_global_policy(policy)


def random(shape, seed=0, dtype="float32"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)
