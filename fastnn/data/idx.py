"""The IDX file format, in which MNIST and its relatives are published."""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

# Third byte of the magic number -> element type; IDX is big-endian.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """Read one IDX file, gzip-compressed or not (told by its content, not by its name).

    Parameters
    ----------
    path : path
        The file: two zero bytes, element type, number of dimensions, the sizes as big-endian uint32, the elements.

    Returns
    -------
    ndarray
        In the machine's byte order, writable.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not IDX, is truncated, or has bytes left over; the message names the file and both byte counts.
    """
    path = Path(path)
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f"read_idx: {path} is a damaged or truncated gzip file ({error})") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES:
        raise ValueError(
            f"read_idx: {path} is not an IDX file: it starts with {content[:4].hex(' ') or 'nothing'}, "
            "expected 00 00, a type (08, 09, 0b, 0c, 0d, 0e) and a number of dimensions"
        )
    dtype, ndim = np.dtype(_TYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"read_idx: {path} is truncated within its header: {len(content)} of {start} bytes")
    shape = tuple(int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4))
    expected = start + math.prod(shape) * dtype.itemsize  # Python integers: a hostile header cannot overflow them
    if len(content) != expected:
        what = "truncated" if len(content) < expected else "longer than its header says"
        raise ValueError(f"read_idx: {path} is {what}: {len(content)} bytes, but shape {shape} needs {expected}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
