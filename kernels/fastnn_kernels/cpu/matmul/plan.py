"""Plans of matrix products: how they are cut into blocks for threads, and what memory packing takes."""

from __future__ import annotations

from functools import lru_cache, partial

import numpy as np
from numpy import ndarray

from ...ground.checks import F4, F8
from ...ground.memory import empty
from ...ground.threads import tasks
from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.gemv_tile import ROWS as FEW  # fewer rows take as long as these: memory is what they wait for
from ..vector.simd import vector_bytes
from .kernels import (
    K_BYTES,
    M_ROWS,
    N_BYTES,
    STACK,
    linear__packed,
    linear__small,
    matmul__blocked,
    matmul__small,
)

SMALL = 1 << 19  # multiplications; up to here one thread is fastest, its panels on its stack
GRAIN = 1 << 18  # multiplications of a task, at least
NO_BIAS = {dtype: np.empty(0, dtype) for dtype in (F4, F8)}
NO_WORK = {dtype: np.empty((0, 0), dtype) for dtype in (F4, F8)}


def product(a, b, bias, out, packed=0, code=0, steps=(0, 0, 0), items=1):
    """Compute a stack of products with threads and working memory to measure.

    bias: a number per column, or a number per row, each repeated as often as a tile has columns; or none.
    """
    m, n = out.shape
    k = a.shape[1]
    dtype = out.dtype
    if items == 1 and not packed and bias.size == 0 == code and max(m, FEW) * n * k <= SMALL:
        matmul__small[dtype](a, b, out)
        return
    if items == 1 and not packed and n == 1 < m and bias.size == 0 == code:
        product(b.T, a.T, bias, out.T)
        return
    grid_m, grid_n, number, words = _cut(m, n, k, dtype, items)
    work = empty((number, words), dtype) if words else NO_WORK[dtype]
    bias = bias if bias.ndim == 2 else bias[np.newaxis] if bias.size else NO_WORK[dtype]
    matmul__blocked[dtype](
        a, b, bias, out, work, packed, code, *steps, items, grid_m, grid_n, items * grid_m * grid_n, number
    )


def stack_of_products(a, b, out):
    """Compute a stack of products into a contiguous `out`, as few kernel calls as the strides allow."""
    if out.ndim == 2:
        product(a, b, NO_BIAS[out.dtype], out)
    elif out.ndim == 3:
        steps = a.strides[0], b.strides[0], out.strides[0]
        product(a[0], b[0], NO_BIAS[out.dtype], out[0], steps=steps, items=len(out))
    elif _folds(a) and _folds(b):
        # not -1, which fails without elements
        stack_of_products(*(x.reshape(x.shape[0] * x.shape[1], *x.shape[2:]) for x in (a, b, out)))
    else:
        for item in zip(a, b, out, strict=True):
            stack_of_products(*item)


def _folds(x):
    """Say whether the two first dimensions can be one without a copy."""
    return x.strides[0] == x.strides[1] * x.shape[1] or x.shape[0] == 1


def plan_products(a, b, out, code, *, turned=False, packed=False, per_row=False):
    """Return what writes activation(a b + bias) for a stack of products: f(a, b, bias, out), the first of each stack.

    a, b, out: ghosts of the stacks (items, rows, columns), or of a matrix (rows, columns) that all items share. turned:
    b is given as (N, K); packed: as panels of a `PreparedMatmul`. bias (N,) or, if per_row, (M,), contiguous. Rows of
    `out` must be contiguous.
    """
    items, m, n = out.shape
    k, dtype = a.shape[-1], out.dtype
    if items == 1 and not per_row:
        if turned and max(m, FEW) * n * k <= SMALL:
            return partial(_linear_small, linear__small[dtype], code)
        if packed and m * n * k <= SMALL:
            return partial(_linear_small, linear__packed[dtype], code)
    grid_m, grid_n, number, words = _cut(m, n, k, dtype, items)
    counts = [x.strides[0] if x.ndim == 3 else 0 for x in (a, b, out)]
    counts = int(packed), code, *counts, items, grid_m, grid_n, items * grid_m * grid_n, number
    width, kernel = TILE_VECTORS * vector_bytes() // dtype.itemsize, matmul__blocked[dtype]
    bias_shape = (m, width if m > 1 else max(width, n)) if per_row else (1, n)

    def run(a, b, bias, out):
        if per_row:
            rows = empty(bias_shape, dtype)
            rows[...] = bias[:, np.newaxis]
        else:
            rows = bias.reshape(bias_shape)
        kernel(a, b.T if turned else b, rows, out, empty((number, words), dtype) if words else NO_WORK[dtype], *counts)

    return run


def _linear_small(kernel, code, a, b, bias, out):
    kernel(a, b, bias, out, code)


def _cut(m, n, k, dtype, items):
    """Return (rows and columns of blocks, tasks, numbers of working memory of each) for a stack of products."""
    number = tasks(items * max(m, FEW) * n * k, GRAIN)
    grid_m, grid_n = (1, 1) if items >= number else _grid(m, n, number, dtype)
    number, words = min(number, items * grid_m * grid_n), 0
    if m > FEW and m * n * k > SMALL:
        words = _work_size(-(-m // grid_m), -(-n // grid_n), k, dtype)
    return grid_m, grid_n, number, words


@lru_cache(maxsize=1024)
def _grid(m: int, n: int, number: int, dtype) -> tuple[int, int]:
    """Return into how many rows and columns of blocks `number` threads cut an m x n product."""
    width = TILE_VECTORS * vector_bytes() // dtype.itemsize
    tiles_m, tiles_n = -(-m // TILE_ROWS), -(-n // width)

    def cost(grid_m: int) -> float:  # of the largest block: its tiles, and packing a row and a column of blocks
        block_m, block_n = -(-tiles_m // grid_m), -(-tiles_n // (number // grid_m))
        return block_m * block_n + 0.25 * block_m + 0.5 * block_n

    best = min((g for g in range(1, number + 1) if number % g == 0), key=cost)
    return best, number // best


@lru_cache(maxsize=1024)
def _work_size(m: int, n: int, k: int, dtype) -> int:
    """Return how many numbers a task needs to pack a block of A and one of B, with room for rounding up."""
    lanes = vector_bytes() // dtype.itemsize
    k = min(k, K_BYTES // dtype.itemsize)
    column, row = (
        -(-TILE_ROWS // lanes) * lanes,
        k + 2 * lanes,
    )  # how far apart `pack_a` puts them at most
    block_a = -(-min(m, M_ROWS) // TILE_ROWS) * max(column * k, TILE_ROWS * row)
    block_b = min(n + 4 * TILE_VECTORS * lanes, N_BYTES // dtype.itemsize) * k
    return max(block_a + block_b, STACK // dtype.itemsize)


@lru_cache(maxsize=64)
def ones_row(count: int, dtype) -> ndarray:
    """Return a row of ones: the sum of columns is a product with it."""
    return np.ones((1, count), dtype)
