"""The progress line, on a terminal and elsewhere."""

import io
import re
import sys
import types
from time import sleep

import pytest

from deeplab_ksac.scripts.commandline import progress as module
from deeplab_ksac.scripts.commandline.progress import Progress, SplitProgress, clock


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


@pytest.fixture
def time(monkeypatch):
    """A clock that the test moves: `time.now`."""

    class Time:
        now = 100.0

    monkeypatch.setattr(module.time, "monotonic", lambda: Time.now)
    return Time


def test_elsewhere_a_plain_line_is_written_now_and_then(time):
    stream = io.StringIO()
    progress = Progress(100, "train", stream=stream, every=10)
    for _ in range(30):
        time.now += 1
        progress.update(loss=0.5)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "train 10/100 10% 1/s 1:30 left loss 0.5",
        "train 20/100 20% 1/s 1:20 left loss 0.5",
        "train 30/100 30% 1/s 1:10 left loss 0.5",
    ]


def redrawn(stream):
    """What a terminal shows, one state after another."""
    return stream.getvalue().split("\r")[1:]


def test_on_a_terminal_one_line_is_redrawn():
    stream = Terminal()
    with Progress(4, "write", stream=stream) as progress:
        for _ in range(4):
            sleep(0.15)
            progress.update(loss=0.25)
    text = stream.getvalue()
    assert text.count("\n") == 1 and text.endswith("\n")
    states = redrawn(stream)
    for state, share in zip(states, (0, 25, 50, 75, 100)):
        assert state.startswith(f"write: {share:3}%|") and f"| {share // 25}/4 [" in state
        assert ("loss 0.25" in state) == (share > 0)
    assert re.search(r"4/4 \[00:00<00:00, +\d+\.\d+/s, loss 0\.25\]\n$", states[-1])


@pytest.mark.parametrize("shell", (types.SimpleNamespace(kernel=None), None))
def test_in_a_notebook_it_is_a_bar_too(monkeypatch, shell):
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    stream = io.StringIO()
    with Progress(4, "write", stream=stream) as progress:
        progress.update(4)
    assert stream.getvalue().startswith("\rwrite:   0%|" if shell else "write 4/4 100%")


def test_a_shorter_line_covers_the_longer_one_before():
    stream = Terminal()
    progress = Progress(2, "a", stream=stream)
    for shown in ("a long value", "x"):
        sleep(0.15)
        progress.update(state=shown)
    first, second = redrawn(stream)[1:]
    assert "a long value" in first and "a long value" not in second
    assert len(second) >= len(first.rstrip())


def test_a_bar_starts_with_what_was_done_before_and_has_not_its_speed():
    stream = Terminal()
    with Progress(100, "train", stream=stream, start=50) as progress:
        sleep(0.5)
        progress.update(2)
    states = redrawn(stream)
    assert "50/100" in states[0] and "52/100" in states[-1]
    assert float(re.search(r"([\d.]+)/s", states[-1]).group(1)) <= 2 / 0.5


def test_work_done_before_counts_as_done_but_not_as_speed(time):
    progress = Progress(100, "train", stream=io.StringIO(), start=50)
    time.now += 10
    progress.update(10)
    assert progress.line().startswith("train 60/100 60% 1/s 0:40 left")


def test_every_split_has_a_line_and_starts_with_what_was_done_before(time):
    stream = io.StringIO()
    progress = SplitProgress("writing", stream=stream)
    for split, first in (("train", 41), ("val", 1)):
        for done in range(first, 51):
            time.now += 0.1
            progress(split, done, 50)
    progress.close()
    assert stream.getvalue().splitlines() == [
        "writing train 50/50 100% 9/s 0:01 taken",  # ten tenths of a second until the next split begins
        "writing val 50/50 100% 10/s 0:05 taken",
    ]


def test_closing_twice_writes_once(time):
    stream = io.StringIO()
    progress = Progress(1, "x", stream=stream)
    progress.update()
    progress.close()
    progress.close()
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (3599, "59:59"), (3725, "1:02:05")])
def test_times_are_shown_as_a_clock(seconds, text):
    assert clock(seconds) == text
