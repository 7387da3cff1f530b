"""The IDX file format, in which MNIST and its relatives are published."""

from __future__ import annotations

import gzip
import math
import os
import stat
import zlib
from typing import Any

import numpy as np

# Third byte of the magic number -> element type; IDX is big-endian.
_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_RATIO = 1032  # the highest compression ratio of deflate
_DIMENSIONS = 64  # NumPy's limit


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
        If it is not IDX, is truncated, has bytes left over, or is more than an array can be; the message names the file
        and both byte counts. The header is read first, and never more than it says, nor more than the file can hold.
    """
    try:
        name = os.fsdecode(path)
    except TypeError:
        raise TypeError(f"read_idx: path must be a string or a path, got {type(path).__name__}") from None
    with open(name, "rb") as file:
        status = os.fstat(file.fileno())
        most = status.st_size if stat.S_ISREG(status.st_mode) else None  # of a pipe, nobody knows
        if file.peek(2)[:2] != b"\x1f\x8b":
            return _read(name, file, most, "")
        with gzip.GzipFile(fileobj=file) as stream:
            try:
                return _read(name, stream, None if most is None else most * _RATIO, " of gzip")
            except (EOFError, gzip.BadGzipFile, zlib.error) as error:
                raise ValueError(f"read_idx: {name} is a damaged or truncated gzip file ({error})") from error


def _read(name: str, stream: Any, most: int | None, packed: str) -> np.ndarray[Any, Any]:
    """Read an array from a stream of at most `most` bytes (None: unknown)."""
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
        raise ValueError(
            f"read_idx: {name} is not an IDX file: it starts with {start.hex(' ') or 'nothing'}, "
            "expected 00 00, a type (08, 09, 0b, 0c, 0d, 0e) and a number of dimensions"
        )
    dtype, ndim = np.dtype(_TYPES[start[2]]), start[3]
    sizes = stream.read(4 * ndim)
    head = 4 + 4 * ndim
    if len(sizes) < 4 * ndim:
        raise ValueError(f"read_idx: {name} is truncated within its header: {4 + len(sizes)} of {head} bytes")
    shape = tuple(int.from_bytes(sizes[i : i + 4], "big") for i in range(0, 4 * ndim, 4))
    size = math.prod(shape) * dtype.itemsize  # Python integers: a hostile header cannot overflow them
    needs = f"but shape {shape} needs {head + size}"
    if most is not None and head + size > most:
        limit = f"at most {most} bytes{packed}" if packed else f"{most} bytes"
        raise ValueError(f"read_idx: {name} is truncated: {limit}, {needs}")
    if not packed and most is not None and head + size < most:
        raise ValueError(f"read_idx: {name} is longer than its header says: {most} bytes, {needs}")
    if ndim > _DIMENSIONS:
        raise ValueError(f"read_idx: {name} has {ndim} dimensions, an array has at most {_DIMENSIONS}")
    try:
        array = np.empty(shape, dtype)
    except (ValueError, MemoryError) as error:
        raise ValueError(f"read_idx: {name}: shape {shape} is more than an array can be ({error})") from error
    flat: Any = array.reshape(-1).view(np.uint8)
    target, filled = memoryview(flat), 0
    while filled < size and (count := stream.readinto(target[filled:])):
        filled += count
    if filled < size:
        raise ValueError(f"read_idx: {name} is truncated: {head + filled} bytes, {needs}")
    if stream.read(1):  # which also lets gzip check its checksum
        raise ValueError(f"read_idx: {name} is longer than its header says: more than {head + size} bytes, {needs}")
    return array.astype(dtype.newbyteorder("="), copy=False)
