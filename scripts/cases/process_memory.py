"""The memory of this process, as Linux counts it."""

import pathlib
import re


def resident_memory(field: str) -> int:
    """This process's resident memory in bytes: `field` is "VmRSS" (now) or "VmHWM" (its peak).

    `getrusage` would not do: its peak is inherited from the process that started this one.
    """
    return 1024 * int(re.search(rf"{field}:\s+(\d+) kB", pathlib.Path("/proc/self/status").read_text()).group(1))


def forget_peak() -> None:
    """Makes this process's "VmHWM" its resident memory of now, so that it tells the peak of what follows.

    Raises:
        OSError: the kernel does not offer that.
    """
    pathlib.Path("/proc/self/clear_refs").write_text("5")
