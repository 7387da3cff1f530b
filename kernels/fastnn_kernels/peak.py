"""The limit to hold kernels against: this machine's multiply-adds per second."""

from time import perf_counter
from typing import NamedTuple

import numpy as np

from .ground.operation import operation
from .ground.threads import get_num_threads


def measure(dtype=np.float32, threads=None, seconds=0.2):
    """Return the floating-point operations per second of a tile that is multiplied and added in registers.

    dtype: float32 or float64; threads: how many (default: `get_num_threads()`); seconds: for how long at least; the
    best of many short runs counts. TypeError for another dtype.
    """
    name, threads = np.dtype(dtype).newbyteorder("=").name, threads or get_num_threads()
    _peak.run(None, name, threads, 1)  # compiles
    best, end = 0.0, perf_counter() + seconds
    while not best or perf_counter() < end:  # once at least, however late it is by now
        started = perf_counter()
        operations = _peak.run(None, name, threads, 50_000)
        best = max(best, operations / (perf_counter() - started))
    return best


class Peak(NamedTuple):
    """Products that each of several threads adds to every number of a tile."""

    dtype: np.dtype
    threads: int
    products: int


@operation()
def _peak(dtype, threads, products):
    return Peak(np.dtype(dtype), threads, products)
