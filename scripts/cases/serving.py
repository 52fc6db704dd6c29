"""A served model under load: so many clients at a time, a broken picture among the others now and then."""

import atexit
import concurrent.futures
import contextlib
import functools
import io
import statistics
import tempfile
import time

import numpy as np
from PIL import Image

from deeplab_ksac.datasets.info import DatasetInfo
from deeplab_ksac.datasets.palettes import voc_palette
from deeplab_ksac.experiment import ModelSpec, part
from deeplab_ksac.export import export_saved_model
from deeplab_ksac.model import build_model
from deeplab_ksac.scripts.cases import Bound, Case
from deeplab_ksac.scripts.cases.running_server import running
from deeplab_ksac.serving.client import Client
from deeplab_ksac.serving.failures import PictureError

CLASSES, NAME = 21, "scenes"
SIZES = ((193, 257), (161, 193), (257, 193), (129, 129))
CLIENTS = (1, 4, 16)
PICTURES, BROKEN_EVERY = 48, 12  # of a run: each so-manieth is broken
SECONDS = {}  # by the number of clients: what each request took, and how long all of them
KEPT = contextlib.ExitStack()
atexit.register(KEPT.close)


@functools.cache
def server():
    """A server of a network with KSAC on MobileNetV2; it runs until the process ends."""
    info = DatasetInfo("any", tuple(f"class {k}" for k in range(CLASSES)), voc_palette(CLASSES))
    model = build_model(ModelSpec(backbone=part("mobilenet_v2"), head=part("ksac")), CLASSES)
    folder = KEPT.enter_context(tempfile.TemporaryDirectory(prefix="benchmark_"))
    export_saved_model(model, f"{folder}/1", info=info, check=False)
    return KEPT.enter_context(running(folder, NAME))


@functools.cache
def files():
    """JPEGs of several sizes, and what the server alone says of each: (file, its classes; None for a broken one)."""
    rng, found = np.random.default_rng(0), []
    with Client(server().rest) as client:
        for number in range(PICTURES):
            picture = Image.fromarray(rng.integers(0, 256, (9, 9, 3), np.uint8))
            buffer = io.BytesIO()
            picture.resize(SIZES[number % len(SIZES)][::-1]).save(buffer, "jpeg", quality=90)
            content, is_broken = buffer.getvalue(), number % BROKEN_EVERY == BROKEN_EVERY - 1
            content = content[: len(content) // 3] if is_broken else content
            found.append((content, None if is_broken else client.segment(content)))
    return found


def prepare(clients, scheme="rest"):
    """All pictures once, by so many clients at a time."""
    work, url = files(), getattr(server(), scheme)
    of_all = SECONDS.setdefault(clients, {"each": [], "all": []})
    opened = [KEPT.enter_context(Client(url)) for _ in range(clients)]

    def ask(client, waiting):
        """One client's share: (seconds, whether the answer is right) of each request."""
        answered = []
        while waiting:
            try:
                content, expected = waiting.pop()
            except IndexError:  # another client took the last
                break
            start = time.perf_counter()
            try:
                found = client.segment(content)
            except PictureError:
                found = None
            seconds = time.perf_counter() - start
            answered.append((seconds, found is None if expected is None else np.array_equal(found, expected)))
        return answered

    def run():
        waiting = list(work)
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            shares = list(pool.map(ask, opened, [waiting] * clients))
        of_all["all"].append(time.perf_counter() - start)
        answered = [one for share in shares for one in share]
        of_all["each"].extend(seconds for seconds, _ in answered)
        if len(answered) < len(work) or not all(is_right for _, is_right in answered):
            right = sum(is_right for _, is_right in answered)
            raise ValueError(f"{right} of {len(work)} answers are there and right at {clients} clients")

    return run


def told():
    """Pictures per second and the time that one takes."""
    for clients, seconds in SECONDS.items():
        cuts = statistics.quantiles(seconds["each"], n=100)
        rate = PICTURES / statistics.median(seconds["all"])
        yield (
            f"{server().kind}, REST, {clients} clients: {rate:.1f} pictures/s, p50 {1e3 * cuts[49]:.0f} ms, "
            f"p99 {1e3 * cuts[98]:.0f} ms, {len(seconds['each'])} requests, none lost or wrong"
        )


CASES = {
    "serving_load": Case(
        title="served, 129…257 a side, 1 of 12 broken",
        sides={f"{n} clients": functools.partial(prepare, n) for n in CLIENTS},
        bounds=tuple(Bound(f"{n} clients", "1 clients", None) for n in CLIENTS[1:]),
        told=lambda: tuple(told()),
    ),
}
