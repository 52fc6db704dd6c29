"""Files of what was counted picture by picture: of one network, and of all networks of a study."""

import io
import os
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from deeplab_ksac.errors import in_one_line
from deeplab_ksac.whole_files import read_whole, write_whole

SEEDS = "seeds"  # an array of a study's file

Counts = Mapping[str, np.ndarray]  # {measure: counts [pictures, scales, …], of a study [seeds, pictures, scales, …]}


def write_counts(path: str | os.PathLike, counts: Counts) -> None:
    """Writes the counts of a network as npz.

    Raises:
        OSError: it cannot be written.
    """
    stream = io.BytesIO()
    np.savez_compressed(stream, **{name: narrowed(each) for name, each in counts.items()})
    write_whole(path, stream.getvalue())


def read_counts(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """What `write_counts` wrote.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds something else.
    """
    try:
        counts = _arrays(path)
        if any(each.ndim < 3 for each in counts.values()):
            raise ValueError("arrays [pictures, scales, …] are expected")
    except ValueError as error:
        raise ValueError(f"{path} cannot be read ({in_one_line(error)}); remove it, and it is made again") from error
    return counts


def write_study_counts(
    path: str | os.PathLike, seeds: Sequence[int], counts: Mapping[str, Counts], compared: Iterable[str]
) -> None:
    """Writes the counts of a study, {variant: {measure: …}}, as npz, of which its tables can be computed anew.

    Args:
        path: of the file.
        seeds: of the trainings.
        counts: of all variants.
        compared: the measures of which single pictures are kept; of the others their sums are.

    Raises:
        OSError: it cannot be written.
    """
    compared = set(compared)
    arrays = {
        f"{variant}/{name}": each if name in compared else each.sum(axis=1, keepdims=True)
        for variant, measures in counts.items()
        for name, each in measures.items()
    }
    write_counts(path, {SEEDS: np.array(seeds), **arrays})


def read_study_counts(
    path: str | os.PathLike, measures: Mapping[str, Sequence[str]]
) -> tuple[list[int], dict[str, dict[str, np.ndarray]]]:
    """(seeds, counts) that `write_study_counts` wrote.

    Args:
        path: of the file.
        measures: {variant: those that are read}.

    Raises:
        OSError: it cannot be read.
        ValueError: it holds something else, such as the counts of another study.
    """
    try:
        arrays = _arrays(path)
        wanted = {(variant, name): f"{variant}/{name}" for variant, names in measures.items() for name in names}
        missing = [key for key in (SEEDS, *wanted.values()) if key not in arrays]
        if missing:
            raise ValueError(f"there is no {missing[0]!r}")
        seeds = arrays[SEEDS]
        if seeds.ndim != 1 or not seeds.size or not np.issubdtype(seeds.dtype, np.integer):
            raise ValueError("its seeds are no list of integers")
        wrong = [key for key in wanted.values() if arrays[key].ndim < 4 or len(arrays[key]) != len(seeds)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is not of shape [{len(seeds)}, pictures, scales, …]")
        shapes = {name: {arrays[key].shape for (_, each), key in wanted.items() if each == name} for _, name in wanted}
        differing = [name for name, several in shapes.items() if len(several) > 1]
        if differing:
            raise ValueError(f"{differing[0]!r} is not of one shape in all networks")
    except ValueError as error:
        raise ValueError(f"{path} does not hold the counts of this study ({in_one_line(error)})") from error
    counts = {variant: {name: arrays[wanted[variant, name]] for name in names} for variant, names in measures.items()}
    return seeds.tolist(), counts


def narrowed(array: np.ndarray) -> np.ndarray:
    """The same numbers in the smallest type of unsigned integers; as they are, where they are none."""
    array = np.asarray(array)
    if not array.size or not np.array_equal(array, np.floor(array)) or not 0 <= array.min() <= array.max() < 2**53:
        return array
    return array.astype(np.min_scalar_type(int(array.max())))


def _arrays(path):
    """The arrays of an npz, all of finite numbers; ValueError for whatever is wrong with what it holds."""
    content = read_whole(path)
    try:
        file = np.load(io.BytesIO(content))
        arrays = dict(file) if isinstance(file, np.lib.npyio.NpzFile) else None
        if arrays is None or not all(isinstance(each, np.ndarray) for each in arrays.values()):
            raise ValueError("an npz of arrays is expected")
        if any(not np.issubdtype(each.dtype, np.number) or not np.isfinite(each).all() for each in arrays.values()):
            raise ValueError("finite numbers are expected")
    except (KeyError, EOFError, OSError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(in_one_line(error)) from error
    return arrays
