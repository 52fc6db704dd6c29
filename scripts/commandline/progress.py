"""How far something is: a bar that is redrawn on a terminal, a plain line now and then everywhere else."""

import sys
import time

BAR_WIDTH = 28
REDRAW_SECONDS = 0.1
LINE_SECONDS = 10.0


class Progress:
    """Counts, speed and the time left, shown on a stream while the work goes on.

        with Progress(1000, "train") as progress:
            progress.update(loss=0.7)

    On a terminal one line is redrawn at most ten times a second; elsewhere a line is written every `every` seconds,
    and one at the end.

    Args:
        total: how many units of work there are.
        label: what stands in front.
        stream: where to write.
        start: units that were done before; they count as done, not as speed.
        every: seconds between plain lines.
    """

    def __init__(self, total, label, *, stream=sys.stderr, start=0, every=LINE_SECONDS):
        self.total, self.label, self.stream = total, label, stream
        self.done = self.start = start
        self.every = every
        self.on_terminal = stream.isatty()
        self.shown, self.width, self.closed, self.last = {}, 0, False, None
        self.started = self.drawn = time.monotonic()

    def update(self, n=1, **shown):
        """`n` more units are done; `shown` (numbers or text) stands behind the counts from now on."""
        self.done += n
        self.shown.update(shown)
        wait = REDRAW_SECONDS if self.on_terminal else self.every
        if time.monotonic() - self.drawn >= wait:
            self._draw()

    def close(self):
        """Writes the last state and ends the line; further calls do nothing."""
        if not self.closed:
            if self.on_terminal or self.last != self.done:
                self._draw()
            if self.on_terminal:
                self.stream.write("\n")
            self.stream.flush()
            self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def line(self):
        """The state in words: `train 120/1000 12% 8.1/s 1:49 left loss 0.532`."""
        elapsed = time.monotonic() - self.started
        speed = (self.done - self.start) / elapsed if elapsed > 0 else 0.0
        pace = f"{speed:.3g}/s" if speed else ""
        share = self.done / self.total if self.total else 1.0
        left = f"{clock((self.total - self.done) / speed)} left" if speed and self.done < self.total else ""
        taken = f"{clock(elapsed)} taken" if self.done >= self.total else ""
        shown = " ".join(f"{name} {_short(value)}" for name, value in self.shown.items())
        bar = f"[{'=' * int(share * BAR_WIDTH):<{BAR_WIDTH}}]" if self.on_terminal else ""
        words = (self.label, bar, f"{self.done}/{self.total} {share:.0%}", pace, left or taken, shown)
        return " ".join(word for word in words if word)

    def _draw(self):
        line = self.line()
        self.stream.write("\r" + line.ljust(self.width) if self.on_terminal else line + "\n")
        self.width = len(line)
        self.stream.flush()
        self.drawn, self.last = time.monotonic(), self.done


class SplitProgress:
    """A `progress(split, done, total)` callback of `datasets`: one `Progress` for each split.

    What is done at the first call for a split counts as done, not as speed.

    Args:
        verb: what stands in front of the split.
        stream: where to write.
    """

    def __init__(self, verb, *, stream=sys.stderr):
        self.verb, self.stream, self.split, self.bar = verb, stream, None, None

    def __call__(self, split, done, total):
        if split != self.split:
            self.close()
            self.split = split
            self.bar = Progress(total, f"{self.verb} {split}", stream=self.stream, start=done)
        self.bar.update(done - self.bar.done)

    def close(self):
        """Ends the line of the last split."""
        if self.bar is not None:
            self.bar.close()


def clock(seconds):
    """Seconds as h:mm:ss, or m:ss below an hour."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
