"""Processes of Python: one that runs to its end, and a case's sides in two environments, taking turns."""

import os
import pathlib
import subprocess
import sys
import time
import weakref

import deeplab_ksac
from deeplab_ksac.scripts.cases import Bound, Case

READY = "ready"
PLACE = pathlib.Path(deeplab_ksac.__file__).resolve().parents[1]


def between(python, name, case):
    """The case that compares this interpreter with another: every side of `case` that is timed, here and there."""
    sides, bounds, work = {}, [], {}
    for side in case.sides_measured_in("time"):
        here, there = f"{side} here", f"{side} there"
        sides[here] = in_process(sys.executable, name, side)
        sides[there] = in_process(python, name, side)
        bounds.append(Bound(here, there, None))
        work |= {where: case.work.get(side, 1) for where in (here, there)}
    return Case(f"{case.title}: here / {python}", sides, tuple(bounds), work)


def in_process(python, name, side):
    """A side that is prepared and run by a process of `python`, which tells the seconds of each run."""

    def prepare():
        command = [python, "-m", "deeplab_ksac.scripts.benchmark", f"--serve={name}/{side}"]
        places = os.pathsep.join([str(PLACE), *filter(None, [os.environ.get("PYTHONPATH")])])
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": places},
        )
        answer(process, READY)

        def run():
            process.stdin.write("\n")
            process.stdin.flush()
            return float(answer(process))

        weakref.finalize(run, process.communicate)  # with its case the process ends, and frees its memory
        return run

    return prepare


def answer(process, wanted=""):
    """The process's next line that begins with `wanted`; ValueError if it ends before."""
    for line in process.stdout:
        if line.startswith(wanted):
            return line
    raise ValueError(f"{' '.join(process.args)} ended with status {process.wait()} before it answered")


def serve(prepare):
    """Runs a side once for each line of standard input, and prints the seconds of each run."""
    side = prepare()
    print(READY, flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        measured = side()
        print(measured if isinstance(measured, float) else time.perf_counter() - start, flush=True)


def run_python(*words) -> str:
    """What a process of this interpreter prints on its standard output.

    Raises:
        ValueError: it ends with another status than 0; the message has the last line of its errors.
    """
    command = [sys.executable, *map(str, words)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        *_, said = ["no word", *filter(None, map(str.strip, done.stderr.splitlines()))]
        raise ValueError(f"{' '.join(command)} ended with status {done.returncode}: {said}")
    return done.stdout
