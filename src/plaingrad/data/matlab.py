"""MATLAB's files (.mat, up to version 7.2), read with SciPy."""

import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from plaingrad.data.layout import MOST_COPIED
from plaingrad.data.opened import GZIP_BEST, decoded, opened
from plaingrad.errors import DataError, MissingError

HDF = b"\x89HDF\r\n\x1a\n"  # version 7.3 is another format: behind 512 bytes of text, or none
PLACES = (0, 512)
BYTES = {"double": 8, "single": 4, "logical": 1} | {f"{u}int{n}": n // 8 for u in ("", "u") for n in (8, 16, 32, 64)}


def read_mat(path: str | Path) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """Name by name the arrays of numbers in a MATLAB file; cells, structures and functions are left out."""
    path = Path(path)
    try:
        from scipy.io import loadmat, whosmat
    except ImportError:
        raise MissingError("reading MATLAB files", "SciPy", "mat") from None
    with opened(path) as file:
        head = file.stream.read(PLACES[-1] + len(HDF))
        if any(head[place : place + len(HDF)] == HDF for place in PLACES):
            raise DataError(f"{path}: a MATLAB file of version 7.3; save it with save(file, '-v7') in MATLAB")
        if file.is_packed:
            raise DataError(f"{path}: is gzipped; unpack it with gunzip first")
        if not head.startswith(b"MATLAB 5.0"):  # of the others SciPy believes whatever the first bytes say
            raise DataError(f"{path}: not a MATLAB file of version 5 to 7.2; save it with save(file, '-v7') in MATLAB")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what SciPy leaves out
            listed = decoded(path, "MATLAB file", lambda: whosmat(str(path)))
            for name, shape, kind in listed:
                if kind not in BYTES:
                    continue
                most = min(MOST_COPIED, file.room * GZIP_BEST * BYTES[kind])  # a double may be kept as one byte
                if min(shape, default=0) < 0 or math.prod(map(int, shape)) * BYTES[kind] > most:
                    what = " x ".join(map(str, shape))
                    raise DataError(f"{path}, {name}: {what} {kind} are more than the file can hold, or than is read")
                read = decoded(path, "MATLAB file", lambda: loadmat(str(path), variable_names=[name]))  # noqa: B023
                if isinstance(read.get(name), np.ndarray) and read[name].dtype.kind in "biuf":
                    yield name, read[name]
