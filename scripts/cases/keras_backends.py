"""KSAC and CAA as layers of Keras 3 on JAX and on PyTorch beside TensorFlow's form; no bound is asked for.

Each backend has a process of its own, of the interpreter that has Keras 3: this one, or the one that
KSAC_KERAS_3_PYTHON names. Of a backend that is not installed there is no side, and without two of them no case.
TensorFlow runs a `tf.function` and JAX a jitted function, PyTorch as it is written.
"""

import functools
import os
import subprocess
import sys
from importlib import metadata

from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.peer_process import prepare_process

BACKENDS = ("jax", "torch", "tensorflow")
LAYERS = {  # name -> (title, the layer, side of the map, channels)
    "ksac": ("KSAC 33×33, rates 6 12 18", "deeplab_ksac.KSAC(256)", 33, 2048),
    "caa": ("CAA 65×65", "caa.ChannelizedAxialAttention(512)", 65, 512),
}
SIDE = """
import os, sys
import numpy as np
import keras
import caa, deeplab_ksac

layer, side, channels, training, threads = eval(sys.argv[1]), *map(int, sys.argv[2:])
values = np.random.default_rng(0).standard_normal([1, side, side, channels], np.float32)
layer.build(values.shape)
backend = keras.backend.backend()
if backend == "tensorflow":
    import tensorflow as tf
    features = tf.constant(values)
    @tf.function
    def once():
        if not training:
            return layer(features, training=False)
        with tf.GradientTape() as tape:
            tape.watch(features)
            loss = tf.reduce_sum(layer(features, training=True))
        return tape.gradient(loss, [features, *(v.value for v in layer.trainable_variables)])
elif backend == "jax":
    import jax
    features = jax.numpy.asarray(values)
    trained, fixed = ([v.value for v in vs] for vs in (layer.trainable_variables, layer.non_trainable_variables))
    def total(trained, features, fixed):
        outputs, fixed = layer.stateless_call(trained, fixed, features, training=True)
        return outputs.sum(), fixed
    if training:
        compiled = jax.jit(jax.grad(total, argnums=(0, 1), has_aux=True))
    else:
        compiled = jax.jit(lambda trained, features, fixed: layer.stateless_call(trained, fixed, features)[0])
    once = lambda: jax.block_until_ready(compiled(trained, features, fixed))
else:
    import torch
    torch.set_num_threads(threads)
    features = torch.tensor(values, requires_grad=bool(training))
    def once():
        if training:
            layer.zero_grad()
            layer(features, training=True).sum().backward()
        else:
            with torch.inference_mode():
                layer(features, training=False)
once()
print("ready", flush=True)
for line in sys.stdin:
    once()
    print("done", flush=True)
"""
HAS = "import importlib.util as u; print(*(n for n in {names} if u.find_spec(n)))"


def keras_3_python():
    """The interpreter that has Keras 3, None if none is known."""
    named = os.environ.get("KSAC_KERAS_3_PYTHON")
    return named or (sys.executable if int(metadata.version("keras").split(".")[0]) > 2 else None)


def installed_backends():
    """The backends that the interpreter has, TensorFlow last."""
    python = keras_3_python()
    if python is None:
        return []
    command = [python, "-c", HAS.format(names=BACKENDS)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()


def prepare(backend, layer, training):
    """A callable that has the process of a backend make one pass: forward, or with all gradients."""
    _, made, side, channels = LAYERS[layer]
    arguments = (made, side, channels, int(training), len(os.sched_getaffinity(0)))
    variables = {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"}
    return prepare_process(SIDE, arguments, f"Keras 3 on {backend}", python=keras_3_python(), **variables)


def case(layer, backends, training):
    """One layer on all backends, against TensorFlow."""
    return Case(
        title=f"Keras 3, {LAYERS[layer][0]}, {'forward+backward' if training else 'forward'}",
        sides={backend: functools.partial(prepare, backend, layer, training) for backend in backends},
        bounds=tuple(Bound(backend, "tensorflow", None) for backend in backends if backend != "tensorflow"),
    )


INSTALLED = installed_backends()
CASES = {
    f"keras_3_{layer}{'_training' if training else ''}": case(layer, INSTALLED, training)
    for layer in (LAYERS if "tensorflow" in INSTALLED and len(INSTALLED) > 1 else ())
    for training in (False, True)
}
