"""How far something is: tqdm's bar on a terminal and in a notebook, a plain line now and then everywhere else."""

import sys
import time
import warnings
from typing import TextIO

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of a notebook without ipywidgets, where the bar is text
    from tqdm import auto

LINE_SECONDS = 10.0


class Progress:
    """Counts, speed and the time left, shown on a stream during the work.

        with Progress(1000, "train") as progress:
            progress.update(loss=0.7)

    On a terminal and in a notebook it is a bar; elsewhere a line is written every `every` seconds, and one at the end.

    Args:
        total: how many units of work there are.
        label: text in front.
        stream: where to write.
        start: units that were done before; they count as done, not as speed.
        every: seconds between plain lines.
    """

    def __init__(
        self, total: int, label: str, *, stream: TextIO = sys.stderr, start: int = 0, every: float = LINE_SECONDS
    ):
        self.total, self.label, self.stream, self.every = total, label, stream, every
        self.done = self.start = start
        self.shown, self.closed, self.last = {}, False, None
        self.started = self.written = time.monotonic()
        self.bar = None
        if stream.isatty() or is_notebooks():
            self.bar = auto.tqdm(
                total=total, desc=label, initial=start, file=stream, unit="", miniters=1, dynamic_ncols=True
            )

    def update(self, n: int = 1, **shown: float | str) -> None:
        """`n` more units are done; `shown` (numbers or text) is printed after the counts from now on."""
        self.done += n
        self.shown.update(shown)
        if self.bar is not None:
            self.bar.set_postfix_str(self._shown(), refresh=False)
            self.bar.update(n)
        elif time.monotonic() - self.written >= self.every:
            self._write()

    def close(self) -> None:
        """Shows the last state and ends the line; further calls do nothing."""
        if self.closed:
            return
        self.closed = True
        if self.bar is not None:
            self.bar.close()
        elif self.last != self.done:
            self._write()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def line(self) -> str:
        """The state as text: `train 120/1000 12% 8.1/s 1:49 left loss 0.532`."""
        elapsed = time.monotonic() - self.started
        speed = (self.done - self.start) / elapsed if elapsed > 0 else 0.0
        pace = f"{speed:.3g}/s" if speed else ""
        share = self.done / self.total if self.total else 1.0
        left = f"{clock((self.total - self.done) / speed)} left" if speed and self.done < self.total else ""
        taken = f"{clock(elapsed)} taken" if self.done >= self.total else ""
        words = (self.label, f"{self.done}/{self.total} {share:.0%}", pace, left or taken, self._shown())
        return " ".join(word for word in words if word)

    def _shown(self):
        return " ".join(f"{name} {_short(value)}" for name, value in self.shown.items())

    def _write(self):
        self.stream.write(self.line() + "\n")
        self.stream.flush()
        self.written, self.last = time.monotonic(), self.done


class SplitProgress:
    """A `progress(split, done, total)` callback of `datasets`: one `Progress` for each split.

    What is done at the first call for a split counts as done, not as speed.

    Args:
        verb: text in front of the split.
        stream: where to write.
    """

    def __init__(self, verb: str, *, stream: TextIO = sys.stderr):
        self.verb, self.stream, self.split, self.bar = verb, stream, None, None

    def __call__(self, split: str, done: int, total: int) -> None:
        if split != self.split:
            self.close()
            self.split = split
            self.bar = Progress(total, f"{self.verb} {split}", stream=self.stream, start=done)
        self.bar.update(done - self.bar.done)

    def close(self) -> None:
        """Ends the line of the last split."""
        if self.bar is not None:
            self.bar.close()


def is_notebooks() -> bool:
    """Whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")  # not imported for this
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")


def clock(seconds: float) -> str:
    """Seconds as h:mm:ss, or m:ss below an hour."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
