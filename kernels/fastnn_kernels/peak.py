"""The limit to hold kernels against: this machine's multiply-adds per second."""

from time import perf_counter

import numpy as np

from .cpu.peak import peak__tile
from .cpu.vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from .cpu.vector.simd import vector_bytes
from .ground.threads import get_num_threads


def measure(dtype=np.float32, threads=None, seconds=0.2):
    """Return the floating-point operations per second of a tile that is multiplied and added in registers.

    dtype: float32 or float64; threads: how many (default: `get_num_threads()`); seconds: for how long at least; the
    best of many short runs counts. TypeError for another dtype.
    """
    dtype = np.dtype(dtype).newbyteorder("=")
    threads = threads or get_num_threads()
    numbers = TILE_ROWS * TILE_VECTORS * vector_bytes() // dtype.itemsize
    scratch = np.full((threads, 3, numbers), 1e-3, dtype)
    run, k = peak__tile[dtype], 50_000
    best, end = float("inf"), perf_counter() + seconds
    while best == float("inf") or perf_counter() < end:  # once at least, however late it is by now
        started = perf_counter()
        run(scratch, k, 0, threads, threads)
        best = min(best, perf_counter() - started)
    return 2.0 * numbers * k * threads / best
