"""Which Keras the layers are of, and what they load for it: each in a fresh process."""

import importlib.util
import os
import subprocess
import sys
from importlib import metadata

import pytest

from deeplab_ksac.any_keras import BACKEND
from tests.places import ROOT

pytestmark = pytest.mark.skipif(BACKEND != "tensorflow", reason="says the same as in the run for TensorFlow")

KERAS_3_INSTALLED = int(metadata.version("keras").split(".")[0]) > 2
HAS = {name: importlib.util.find_spec(name) is not None for name in ("jax", "torch", "tf_keras")}
needs_keras_3 = pytest.mark.skipif(not KERAS_3_INSTALLED, reason="Keras 3 is not installed")
needs_keras_2 = pytest.mark.skipif(KERAS_3_INSTALLED and not HAS["tf_keras"], reason="Keras 2 is not installed")

FORBID = """
import importlib.machinery, sys

class Forbidden:  # found, as some libraries only look whether there is one, and not loaded
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {names}:
            return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec):
        raise ImportError("forbidden: " + spec.name)
    def exec_module(self, module):
        pass

sys.meta_path.insert(0, Forbidden())
"""
USE_ALL = """
import os, tempfile
import numpy as np
import keras
from caa import ChannelizedAxialAttention, ChannelizedSelfAttention
from car import ClassAwareEndpoint, ClassAwareRegularizer
from deeplab_ksac import KSAC
from deeplab_ksac.aspp import ASPP
from deeplab_ksac.layers import PyramidPooling

image, labels = keras.Input([None, None, 3]), keras.Input([None, None], dtype="int32")
x = KSAC(4, (1,))(image)
x = ChannelizedAxialAttention(4, 2, gate_width=4, gate_depth=1)(x)
x = ClassAwareEndpoint(3)(x, labels)
model = keras.Model([image, labels], x)
model.compile("sgd", "mse", jit_compile=keras.backend.backend() == "jax")
images, truth = np.ones([2, 5, 5, 3], "float32"), np.ones([2, 5, 5], "int32")
model.fit([images, truth], np.ones([2, 5, 5, 4]), verbose=0)
path = os.path.join(tempfile.mkdtemp(), "model.keras")
model.save(path)
again = keras.models.load_model(path)
np.testing.assert_array_equal(again.predict([images, truth], verbose=0), model.predict([images, truth], verbose=0))
loaded = {"tensorflow", "tf_keras"} & {name for name, module in sys.modules.items() if hasattr(module, "__version__")}
print("loaded:", *sorted(loaded))
"""


def run(program, **variables):
    """(exit status, last line of what a fresh process prints, its last line of errors)."""
    kept = {name: value for name, value in os.environ.items() if name not in ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": "", **variables}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, timeout=300, check=False
    )
    last = [lines[-1] if (lines := text.strip().splitlines()) else "" for text in (done.stdout, done.stderr)]
    return done.returncode, *last


def keras_of(*imports, **variables):
    """The major version of the Keras of which the layers are after these imports, and where it is from."""
    base = "base = next(each for each in inspect.getmro(caa.AxialAttention) if each.__name__ == 'Layer')"
    program = "\n".join([*imports, "import caa, inspect", base])
    code, printed, error = run(f"{program}\nprint(base.__module__, hasattr(base, 'stateless_call'))", **variables)
    assert code == 0, error
    module, is_3 = printed.split()
    return 3 if is_3 == "True" else 2, module.split(".")[0]


KERAS_2 = "tf_keras" if KERAS_3_INSTALLED else "keras"


@needs_keras_2
def test_after_the_product_the_layers_are_of_keras_2():
    assert keras_of("import deeplab_ksac.model") == (2, KERAS_2)


@needs_keras_3
def test_alone_the_layers_are_of_keras_3():
    assert keras_of("from caa import AxialAttention") == (3, "keras")


@needs_keras_3  # TensorFlow 2.15 would look for tf_keras too
@needs_keras_2
def test_the_variable_for_keras_2_is_obeyed():
    assert keras_of(TF_USE_LEGACY_KERAS="1") == (2, KERAS_2)


@pytest.mark.skipif(KERAS_3_INSTALLED, reason="beside Keras 3 the layers are of Keras 3 when alone")
def test_where_keras_2_is_all_that_there_is_the_layers_are_of_it_whatever_the_backend_asked_for():
    assert keras_of("from caa import AxialAttention", KERAS_BACKEND="torch") == (2, "keras")


@needs_keras_3
@needs_keras_2
def test_the_product_after_layers_of_keras_3_says_in_one_line_what_to_do():
    code, _, error = run("import caa\nfrom deeplab_ksac import build_model")
    assert code == 1
    assert error == (
        "ImportError: training, evaluation and export use Keras 2, and caa, car or KSAC were imported first, as layers "
        "of Keras 3: write `import deeplab_ksac.keras2` above them, or set TF_USE_LEGACY_KERAS=1"
    )


@needs_keras_3
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_layers_of_keras_3_need_no_keras_2_and_on_other_backends_no_tensorflow(backend):
    if not HAS.get(backend, True):
        pytest.skip(f"{backend} is not installed")
    names = ("tf_keras",) if backend == "tensorflow" else ("tensorflow", "tf_keras")
    code, printed, error = run(FORBID.format(names=names) + USE_ALL, KERAS_BACKEND=backend)
    assert code == 0, error
    assert printed == ("loaded: tensorflow" if backend == "tensorflow" else "loaded:")


@needs_keras_3
def test_both_kinds_of_tensor_operations_have_the_same_names_and_arguments():
    program = """
import inspect
from deeplab_ksac.tensor_ops import of_keras, of_tensorflow

def public(module):
    imported = {"annotations", "Any", "Array", "BACKEND", "Callable", "Sequence"}
    values = {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return {name: value for name, value in values.items() if name not in imported and not inspect.ismodule(value)}

def arguments(value):
    return [(each.name, each.default) for each in inspect.signature(value).parameters.values()]

def ours(module):
    return {name for name, value in public(module).items() if getattr(value, "__module__", "") == module.__name__}

both = sorted(ours(of_keras) & ours(of_tensorflow))
differ = [name for name in both if arguments(vars(of_keras)[name]) != arguments(vars(of_tensorflow)[name])]
names = sorted(public(of_keras).keys() ^ public(of_tensorflow).keys())
print("of one alone:", names, "other arguments:", differ, "compared:", len(both) > 15)
"""
    code, printed, error = run(program, KERAS_BACKEND="tensorflow")
    assert code == 0, error
    assert printed == "of one alone: [] other arguments: [] compared: True"
