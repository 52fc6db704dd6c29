"""Run lengths: masks as the lengths of their runs, in turn outside and inside, beginning outside."""

from collections.abc import Sequence

import numpy as np

Runs = tuple[np.ndarray, np.ndarray]  # (first, behind the last) of each run inside, int64


def decode(counts: Sequence[int] | str | bytes, pixels: int) -> Runs:
    """The runs inside of a mask of `pixels` pixels.

    Args:
        counts: the lengths, or COCO's compressed text of them (as pycocotools writes).
        pixels: how many pixels the mask has.

    Raises:
        ValueError: lengths that are none, or that add up to another number of pixels.
    """
    lengths = decompress(counts) if isinstance(counts, str | bytes) else np.asarray(counts)
    if lengths.ndim != 1 or (lengths.size and lengths.dtype.kind not in "iu") or (lengths < 0).any():
        raise ValueError("run lengths are not whole numbers from 0")
    ends = np.cumsum(lengths, dtype=np.int64)
    covered = int(ends[-1]) if len(ends) else 0
    if covered != pixels:
        raise ValueError(f"run lengths cover {covered} pixels of {pixels}")
    stop = ends[1::2]
    return ends[::2][: len(stop)], stop


def decompress(text: str | bytes) -> np.ndarray:
    """The lengths of COCO's compressed text: int64 [n].

    Each character holds five bits of a number, lowest first, and whether there are more; from the fourth number on, the
    difference from the one two before is stored.

    Raises:
        ValueError: other characters than it can have, or an end inside a number.
    """
    lengths, value, shift = [], 0, 0
    for letter in map(ord, text) if isinstance(text, str) else text:
        bits = letter - 48
        if not 0 <= bits < 64:
            raise ValueError(f"compressed run lengths have the character {chr(letter)!r}")
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        lengths.append(value + (lengths[-2] if len(lengths) > 2 else 0))
        value, shift = 0, 0
    if shift:
        raise ValueError("compressed run lengths end inside a number")
    return np.array(lengths, np.int64)


def encode(mask: np.ndarray) -> list[int]:
    """The lengths of the runs of a flat mask, bool [n], that `decode` takes."""
    borders = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    lengths = np.diff(np.concatenate([[0], borders, [len(mask)]])).tolist()
    return [0, *lengths] if len(mask) and mask[0] else lengths


def union(parts: Sequence[Runs]) -> Runs:
    """The runs that at least one of the parts covers, sorted."""
    first = np.concatenate([np.zeros(0, np.int64), *(part[0] for part in parts)])
    stop = np.concatenate([np.zeros(0, np.int64), *(part[1] for part in parts)])
    if not len(first):
        return first, stop
    order = np.argsort(first, kind="stable")
    first, stop = first[order], np.maximum.accumulate(stop[order])
    apart = np.flatnonzero(first[1:] > stop[:-1])
    return first[np.append(0, apart + 1)], stop[np.append(apart, len(stop) - 1)]
