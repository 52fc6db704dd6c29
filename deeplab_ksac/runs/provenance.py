"""What a run was made with: code, packages, devices."""

import importlib.metadata
import pathlib
import platform
import socket
import subprocess
import sys
import time
from typing import Any

import tensorflow as tf

from deeplab_ksac.keras2 import keras

ROOT = pathlib.Path(__file__).resolve().parents[2]
PACKAGES = (
    "deeplab-ksac",
    "tensorflow",
    "keras",
    "tf-keras",
    "tensorflow-addons",
    "keras-cv",
    "tensorflow-datasets",
    "numpy",
)


def provenance(strategy: tf.distribute.Strategy) -> dict[str, Any]:
    """Code version, package versions and devices, as JSON can hold them."""
    return {
        "date": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "host": socket.gethostname(),
        "command": sys.argv,
        "code": code_version(),
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "strategy": type(strategy).__name__,
        "replicas": strategy.num_replicas_in_sync,
        "devices": [{"name": device.name, **_details(device)} for device in tf.config.list_physical_devices()],
        "logical_devices": [device.name for device in tf.config.list_logical_devices()],
        "precision": keras.mixed_precision.global_policy().name,
    }


def code_version() -> dict[str, Any]:
    """{"commit", "modified"} of the repository that holds this code; both None outside of one, or without git."""
    if _git("ls-files", "--error-unmatch", __file__) is None:  # installed, perhaps below another project's repository
        return {"commit": None, "modified": None}
    changes = _git("status", "--porcelain")
    return {"commit": _git("rev-parse", "HEAD"), "modified": None if changes is None else bool(changes)}


def package_version(name: str) -> str | None:
    """The installed version of a package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _details(device):
    try:
        return {key: str(value) for key, value in tf.config.experimental.get_device_details(device).items()}
    except ValueError:
        return {}


def _git(*arguments):
    """What git prints for this repository; None where it fails or there is none."""
    command = ["git", "-C", str(ROOT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
