"""Multiply-adds and nothing else: what the CPU's vector units can do at most."""

import numpy as np

from ..ground.backend import plans
from ..ground.jit import kernel
from .vector.gemm_tile import TILE_ROWS, TILE_VECTORS, full_tile
from .vector.simd import address, lanes, vector_bytes


@kernel("S[:,:,::1], int, int", writes="scratch", parallel=True)
def peak__tile(scratch, k, step, lo, hi):
    """scratch(tasks, 3, numbers of a tile): each task adds k products to every number of its tile.

    step: 0, how far the operands move from product to product. Were it known here, LLVM would keep the operands in
    registers, and the sums, which are more, in memory.
    """
    for task in range(lo, hi):
        a, b, c = scratch[task, 0], scratch[task, 1], scratch[task, 2]
        number = scratch.dtype.type(0)
        row = TILE_VECTORS * lanes(number)
        full_tile(number, k, address(a), 1, step, address(b), step, address(c), row, address(c), row)


@plans("peak")
def peak(problem):
    """Plan a measurement: run(out, ...) -> the number of floating-point operations."""
    dtype, threads, products = problem
    numbers = TILE_ROWS * TILE_VECTORS * vector_bytes() // dtype.itemsize
    scratch, kernel = np.full((threads, 3, numbers), 1e-3, dtype), peak__tile[dtype]

    def run(out, *_):
        kernel(scratch, products, 0, threads, threads)
        return 2.0 * numbers * products * threads

    return run
