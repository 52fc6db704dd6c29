"""What a process computes on, and why that is no GPU where a GPU could be used."""

import collections
import contextlib
import importlib.metadata
import os
import pathlib
import re
from collections.abc import Iterator

import tensorflow as tf

DRIVER = pathlib.Path("/proc/driver/nvidia/version")  # is there while NVIDIA's driver is loaded
LIBRARIES = "and-cuda"  # TensorFlow's extra that has CUDA's libraries


def set_memory_growth(enabled: bool) -> None:
    """Whether GPU memory is taken as it is needed, or all of it at once; before TensorFlow first uses a GPU.

    Raises:
        ValueError: TensorFlow has already computed something in this process.
    """
    with before_all_else("memory_growth"):
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, enabled)


@contextlib.contextmanager
def before_all_else(name: str) -> Iterator[None]:
    """Inside is what TensorFlow takes only as long as it has computed nothing in this process.

    Args:
        name: of what is asked for.

    Raises:
        ValueError: it has.
    """
    try:
        yield
    except RuntimeError as error:
        raise ValueError(
            f"{name} comes first, and TensorFlow has already computed something in this process; let no file of your "
            "own compute, or make tensors, while it is imported"
        ) from error


def describe() -> str:
    """The devices that TensorFlow uses in this process: "2 x NVIDIA H100 80GB HBM3", or "CPU with 8 cores"."""
    gpus = tf.config.list_physical_devices("GPU")
    names = collections.Counter(
        tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus
    )
    if names:
        return ", ".join(f"{count} x {name}" if count > 1 else name for name, count in names.items())
    return f"CPU with {len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()} cores"


def why_no_gpu(driver: str | os.PathLike = DRIVER) -> str | None:
    """Why TensorFlow uses no GPU though NVIDIA's driver is there, and the way out; None where all is well.

    A GPU that is hidden on purpose (CUDA_VISIBLE_DEVICES) is none.

    Args:
        driver: the file by which the driver is known.
    """
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    if hidden or tf.config.list_physical_devices("GPU") or not os.path.exists(driver):
        return None
    version = tf.__version__
    install = f"pip install 'tensorflow[{LIBRARIES}]=={version}'"
    if not tf.test.is_built_with_cuda():
        reason = f"TensorFlow {version} is built without CUDA here; uninstall it, then {install}"
    elif missing := missing_libraries():
        reason = f"CUDA's libraries are not installed, {missing[0]} and {len(missing) - 1} more; {install}"
    else:
        reason = (
            f"TensorFlow {version} could not open it; the driver may be older than its CUDA. What it says itself: "
            "TF_CPP_MIN_LOG_LEVEL=0 python -c 'import tensorflow as tf; tf.config.list_physical_devices()'"
        )
    return f"this machine has an NVIDIA GPU that is not used: {reason}"


def missing_libraries() -> list[str]:
    """Packages of TensorFlow's extra with CUDA's libraries that are not installed."""
    needed = [
        re.match(r"[\w.-]+", requirement)[0]
        for requirement in importlib.metadata.requires("tensorflow") or ()
        if re.search(rf"extra == ['\"]{LIBRARIES}['\"]", requirement)
    ]
    return [name for name in needed if not _is_installed(name)]


def _is_installed(name):
    try:
        importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
