"""Arrays in MATLAB files."""

import os

import numpy as np
from scipy import io

from deeplab_ksac.datasets.info import DatasetError
from deeplab_ksac.errors import in_one_line


def read_matlab(path: str | os.PathLike, variable: str, *fields: str) -> np.ndarray:
    """The matrix called `variable`, or the one in its struct's `fields`.

    Raises:
        DatasetError: the file cannot be read, is of version 7.3, or lacks the matrix.
    """
    try:
        content = io.loadmat(path, variable_names=[variable])
    except NotImplementedError as error:
        raise DatasetError(
            f"{path} is a MATLAB file of version 7.3 (HDF5), which cannot be read; expected version 5 to 7 as in the "
            f"official download (MATLAB: save(file, '-v7'))"
        ) from error
    except Exception as error:  # SciPy raises a dozen unrelated types on broken files
        raise DatasetError(f"{path} cannot be read as a MATLAB file: {in_one_line(error)}") from error
    value, name = content.get(variable), variable
    for field in fields:
        value = _field(value, field)
        name = f"{name}.{field}"
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind not in "biuf":
        raise DatasetError(f"{path} holds no matrix {name}{_found(path)}")
    return value


def _field(struct, name):
    """A field of a MATLAB struct of one element, or None."""
    if not isinstance(struct, np.ndarray) or struct.size != 1 or name not in (struct.dtype.names or ()):
        return None
    return struct[name].flat[0]


def _found(path):
    names = ", ".join(name for name, *_ in io.whosmat(path))
    return f" (variables: {names or 'none'})"
