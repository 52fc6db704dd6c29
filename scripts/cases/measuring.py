"""How the benchmark measures: sides that take turns, ratios of their times and memory, and the table of them."""

import ctypes
import os
import pathlib
import platform
import re
import statistics
import time

import tensorflow as tf

from deeplab_ksac import devices
from deeplab_ksac.scripts.cases import (
    attention,
    backbones,
    cached_features,
    class_aware,
    conversion,
    depthwise,
    export,
    figures,
    formats,
    fractional_rates,
    inference,
    keras_backends,
    peer_evaluation,
    peer_input,
    peers,
    pipeline,
    pyramid,
    record_index,
    serving,
    start,
    training,
    training_memory,
)
from deeplab_ksac.scripts.cases.interpreters import run_python
from deeplab_ksac.scripts.cases.process_memory import forget_peak, resident_memory

CASES = {  # name -> Case, in the order in which they are measured
    **pyramid.CASES,
    **fractional_rates.CASES,
    **attention.CASES,
    **pipeline.CASES,
    **record_index.CASES,
    **class_aware.CASES,
    **training.CASES,
    **training_memory.CASES,
    **cached_features.CASES,
    **conversion.CASES,
    **inference.CASES,
    **export.CASES,
    **formats.CASES,
    **serving.CASES,
    **start.CASES,
    **figures.CASES,
    **backbones.CASES,
    **depthwise.CASES,
    **keras_backends.CASES,
    **peers.CASES,
    **peer_input.CASES,
    **peer_evaluation.CASES,
}
WARM_UP = 2
MEANING = (
    "ratio: what the first side takes divided by what the second takes; below 1 it is faster (time) or smaller (memory)"
)
HEADER = f"{'case':<52}{'sides':<28}{'of':<8}{'ratio':>7}  {'quartiles':<15}{'asked':>6}"


def measure(name, case, *, rounds, processes):
    """Times and memory of a case's sides, and the ratios that its bounds ask for."""
    seconds = alternate(case, rounds)
    memory = {
        side: [memory_in_fresh_process(name, side) for _ in range(processes)]
        for side in case.sides_measured_in("memory")
        if processes
    }
    ratios = []
    for bound in case.bounds:
        samples = seconds if bound.of == "time" else memory
        if bound.side in samples:
            ratios.append(ratio(bound, samples[bound.side], samples[bound.against]))
    return {
        "title": case.title,
        "milliseconds": {side: 1e3 * statistics.median(values) for side, values in seconds.items()},
        "mebibytes": {side: statistics.median(values) / 2**20 for side, values in memory.items()},
        "ratios": ratios,
        "told": list(case.told()),
    }


def alternate(case, rounds):
    """Seconds per unit of work of every side, one value a round; the sides take turns."""
    ready = {side: case.sides[side]() for side in case.sides_measured_in("time")}
    for _ in range(WARM_UP):
        for side in ready.values():
            side()
            wait_for_gpus()
    seconds = {side: [] for side in ready}
    for _ in range(rounds):
        for name, side in ready.items():
            begin = time.perf_counter()
            measured = side()
            wait_for_gpus()
            measured = measured if isinstance(measured, float) else time.perf_counter() - begin
            seconds[name].append(measured / case.work.get(name, 1))
    return seconds


def ratio(bound, side, against):
    """The ratio of two sides' samples, pair by pair for times, of the medians for memory, with its quartiles."""
    pairs = [a / b for a, b in zip(side, against, strict=True)]
    low, _, high = statistics.quantiles(pairs, n=4) if len(pairs) > 1 else 3 * pairs
    median = statistics.median(pairs) if bound.of == "time" else statistics.median(side) / statistics.median(against)
    return {
        "of": bound.of,
        "sides": f"{bound.side} / {bound.against}",
        "median": median,
        "quartiles": [low, high],
        "at_most": bound.at_most,
        "reached": bound.at_most is None or median <= bound.at_most,
    }


def memory_in_fresh_process(case, side):
    """`memory_growth` of a side in a process of its own.

    Raises:
        ValueError: the process fails; the message has its last line.
    """
    return int(run_python("-m", "deeplab_ksac.scripts.benchmark", f"--memory_of={case}/{side}").split()[-1])


def memory_growth(prepare):
    """Bytes by which the peak memory of the first GPU, or else of this process, grows while a side is run once."""
    side = prepare()
    if tf.config.list_physical_devices("GPU"):
        wait_for_gpus()
        tf.config.experimental.reset_memory_stats("GPU:0")
        before = tf.config.experimental.get_memory_info("GPU:0")["current"]
        side()
        wait_for_gpus()
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] - before
    ctypes.CDLL(None).malloc_trim(0)  # what glibc holds in reserve would hide part of the growth
    forget_peak()  # what the preparation needed for a moment is not the side's
    before = resident_memory("VmRSS")
    side()
    return resident_memory("VmHWM") - before


def wait_for_gpus():
    """Until what was begun on GPUs is done; operations on a CPU are done when they return."""
    if tf.config.list_physical_devices("GPU"):
        tf.test.experimental.sync_devices()


def table_lines(result):
    """The lines of one case in the printed table."""
    for number, entry in enumerate(result["ratios"]):
        title = result["title"] if number == 0 else ""
        quartiles = "–".join(f"{value:.3f}" for value in entry["quartiles"])
        verdict = "" if entry["reached"] else "  not reached"
        asked = "" if entry["at_most"] is None else f"{entry['at_most']:.3f}"
        yield (
            f"{title:<52}{entry['sides']:<28}{entry['of']:<8}{entry['median']:>7.3f}  {quartiles:<15}"
            f"{asked:>6}{verdict}"
        )
    yield from (f"  {line}" for line in result["told"])


def machine():
    """What the figures were measured on."""
    model = re.search(r"model name\s+: (.+)", pathlib.Path("/proc/cpuinfo").read_text())
    return {
        "cpu": model.group(1) if model else platform.processor(),
        "computes_on": devices.describe(),
        "logical_devices": [device.name for device in tf.config.list_logical_devices()],
        "threads": len(os.sched_getaffinity(0)),
        "tensorflow": tf.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
