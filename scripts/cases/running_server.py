"""A server of a SavedModel on this machine, in a process of its own: TensorFlow Serving, or the stand-in for it."""

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

LOOPBACK = "127.0.0.1"
REAL = "tensorflow_model_server"
STAND_IN = Path(__file__).with_name("model_server.py")
PATIENCE = 120.0  # seconds until it serves


@dataclasses.dataclass(frozen=True)
class Running:
    """A server that runs.

    Attributes:
        kind: "tensorflow_model_server", or "model_server.py" for the stand-in.
        rest, grpc: URLs of the model.
        process: of the server.
    """

    kind: str
    rest: str
    grpc: str
    process: subprocess.Popen


@contextlib.contextmanager
def running(folder: str | os.PathLike, name: str) -> Iterator[Running]:
    """Serves the model whose versions are in `folder`, as long as it is entered.

    Raises:
        OSError: it does not begin to serve.
    """
    with contextlib.ExitStack() as stack:
        started = _real(folder, name, stack) if shutil.which(REAL) else _stand_in(folder, name, stack)
        kind, process, rest, grpc = started
        path = f"/v1/models/{name}"
        yield Running(kind, f"http://{LOOPBACK}:{rest}{path}", f"grpc://{LOOPBACK}:{grpc}{path}", process)


def _stand_in(folder, name, stack):
    """(kind, process, port of REST, port of gRPC)."""
    words = [sys.executable, "-I", str(STAND_IN), str(folder), name]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = stack.enter_context(subprocess.Popen(words, env=quiet, text=True, **pipes))
    stack.callback(process.kill)
    ports = process.stdout.readline().split()
    if len(ports) != 2:
        raise OSError(f"{STAND_IN} ended with status {process.wait()} before it served {folder}")
    return STAND_IN.name, process, *map(int, ports)


def _real(folder, name, stack):
    """(kind, process, port of REST, port of gRPC)."""
    rest, grpc = _free_port(), _free_port()
    words = [REAL, f"--rest_api_port={rest}", f"--port={grpc}", f"--model_name={name}"]
    words.append(f"--model_base_path={os.path.abspath(folder)}")
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = stack.enter_context(subprocess.Popen(words, **quiet))
    stack.callback(process.kill)
    deadline = time.monotonic() + PATIENCE
    while not _listens(rest):
        if process.poll() is not None or time.monotonic() > deadline:
            raise OSError(f"{REAL} does not serve {folder} (status {process.poll()})")
        time.sleep(0.1)
    return REAL, process, rest, grpc


def _free_port():
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        return listening.getsockname()[1]


def _listens(port):
    with contextlib.suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False
