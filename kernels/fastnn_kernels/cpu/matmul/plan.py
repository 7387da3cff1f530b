"""Plans of matrix products and of the linear layer: kernels, blocks for threads, workspace for packed panels."""

from __future__ import annotations

from functools import lru_cache, partial
from math import prod

import numpy as np

from ...formulas.activation import FUSED
from ...ground import memory
from ...ground.backend import plans
from ...ground.checks import F4, F8, contiguous
from ...ground.memory import SMALL as WARM
from ...ground.memory import empty
from ...ground.outputs import deliver
from ...ground.plans import ghost
from ...ground.threads import tasks
from ..activation import FUNCTIONS
from ..elementwise import dense, order_of_result
from ..grains import PRODUCT as GRAIN
from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.gemv_tile import ROWS as FEW  # fewer rows take as long as these: memory is what they wait for
from ..vector.simd import vector_bytes
from .blocks import K_BYTES, M_ROWS, N_BYTES
from .kernels import (
    STACK,
    linear__packed,
    linear__small,
    matmul__blocked,
    matmul__small,
)
from .linear import linear_backward__small
from .prepared import panels_of

SMALL = 1 << 19  # multiplications; up to here one thread is fastest, its panels on its stack
NO_BIAS = {dtype: np.empty(0, dtype) for dtype in (F4, F8)}
NO_WORK = {dtype: np.empty((0, 0), dtype) for dtype in (F4, F8)}


@plans("matmul")
def plan_matmul(problem):
    """Plan the product of two operands, of stacks of them, or with a packed one."""
    a, b, (shape, dtype) = problem.a, problem.b, problem.result
    if b.prepared:
        rows, (k, n) = prod(a.shape[:-1]), b.shape
        multiply = plan_packed(rows, n, k, dtype, 0, False)
        return _into(problem, lambda a, b, y: multiply(a.reshape(rows, k), b, NO_BIAS[dtype], y), (rows, n))
    if a.ndim == b.ndim == 2:
        return _into(problem, plan_product(a.ghost(), b.ghost()), shape)
    left = a.ghost() if a.ndim > 1 else a.ghost()[np.newaxis]
    right = b.ghost() if b.ndim > 1 else b.ghost()[:, np.newaxis]
    left, right = (np.broadcast_to(x, problem.stack + x.shape[-2:]) for x in (left, right))
    full = (*problem.stack, left.shape[-2], right.shape[-1])
    multiply = _plan_stack(left, right, full)

    def compute(a, b, y):
        multiply(a if a.ndim > 1 else a[np.newaxis], b if b.ndim > 1 else b[:, np.newaxis], y)

    return _into(problem, compute, full)


def _into(problem, compute, full):
    """Plan run(out, *arrays): compute(*arrays, y) into `out` or a new contiguous y, seen as one of shape `full`."""
    (shape, dtype), size = problem.result, prod(full)
    direct = problem.out is None or problem.out.ghost().flags.c_contiguous
    warm, same = size * dtype.itemsize < WARM, full == shape

    def run(out, *arrays):
        if out is None or not direct:
            y = memory.fresh(shape, dtype) if warm else empty(shape, dtype)
        else:
            y = out
        if size:
            compute(*arrays, y if same else y.reshape(full))
        return y if direct else deliver(out, y)

    return run


def plan_product(a, b):
    """Plan f(a, b, out) for a product of matrices; a(M,K), b(K,N): ghosts. Rows of out(M,N) must be contiguous."""
    (m, k), n, dtype = a.shape, b.shape[1], a.dtype
    if max(m, FEW) * n * k <= SMALL:
        return matmul__small[dtype]
    if n == 1 < m:  # as a row times a matrix, which reads a where it is
        multiply = plan_product(b.T, a.T)
        return lambda a, b, out: multiply(b.T, a.T, out.T)
    multiply = _plan_blocks(m, n, k, dtype)
    return lambda a, b, out: multiply(a, b, NO_WORK[dtype], out)


def _plan_stack(a, b, full):
    """Plan f(a, b, out) for stacks of products, with as few kernel calls as the strides allow.

    a, b: ghosts, broadcast to the dimensions of the stack; those of the call need not be. out: contiguous.
    """
    if len(full) == 2:
        return plan_product(a, b)
    if len(full) == 3:
        if full[0] == 0:
            return lambda a, b, out: None
        steps = a.strides[0], b.strides[0], full[1] * full[2] * a.itemsize
        multiply, nothing = _plan_blocks(*full[1:], a.shape[-1], a.dtype, items=full[0], steps=steps), NO_WORK[a.dtype]
        return lambda a, b, out: multiply(a if a.ndim == 2 else a[0], b if b.ndim == 2 else b[0], nothing, out[0])
    if all(x.strides[0] == x.strides[1] * x.shape[1] or x.shape[0] == 1 for x in (a, b)):
        folded = (full[0] * full[1], *full[2:])  # not -1, which fails without elements
        shapes = [(folded[0], *x.shape[2:]) for x in (a, b)]
        multiply = _plan_stack(a.reshape(shapes[0]), b.reshape(shapes[1]), folded)
        whole = a.shape[:-2], b.shape[:-2]

        def fold(a, b, out):
            given = zip((a, b), whole, shapes, strict=True)
            a, b = (np.broadcast_to(x, stack + x.shape[-2:]).reshape(shape) for x, stack, shape in given)
            multiply(a, b, out.reshape(folded))

        return fold
    each = _plan_stack(a[0], b[0], full[1:]) if full[0] else None
    stack = full[:-2]

    def one_by_one(a, b, out):
        a, b = (np.broadcast_to(x, stack + x.shape[-2:]) for x in (a, b))
        for item in zip(a, b, out, strict=True):
            each(*item)

    return one_by_one


@plans("linear")
def plan_linear(problem):
    """Plan activation(input @ weight.T + bias)."""
    (*lead, k), (n, _), dtype = problem.input.shape, problem.weight.shape, problem.input.dtype
    m, code, prepared = prod(lead), FUSED.index(problem.activation), problem.weight.prepared
    if prepared:
        multiply = plan_packed(m, n, k, dtype, code, True)
    elif max(m, FEW) * n * k <= SMALL:
        kernel = linear__small[dtype]
        if (
            len(lead) == 1
            and m
            and n
            and all(x is None or x.ghost().flags.c_contiguous for x in (problem.bias, problem.out))
        ):
            return _plan_small_linear(problem, kernel, code)
        multiply = lambda x, weight, bias, y: kernel(x, weight, bias, y, code)  # noqa: E731
    else:
        blocks, no_bias = _plan_blocks(m, n, k, dtype, code=code), NO_WORK[dtype]
        multiply = lambda x, weight, bias, y: blocks(  # noqa: E731
            x, weight.T, bias[np.newaxis] if bias.size else no_bias, y
        )
    is_matrix, nothing = len(lead) == 1, NO_BIAS[dtype]
    plain_bias = problem.bias is None or problem.bias.ghost().flags.c_contiguous

    def compute(x, weight, bias, activation, y):
        bias = nothing if bias is None else bias if plain_bias else contiguous(bias)
        multiply(x if is_matrix else x.reshape(m, k), weight, bias, y)

    return _into(problem, compute, (m, n))


def _plan_small_linear(problem, kernel, code):
    """Plan a matrix of rows that one thread multiplies: a frame of Python and a kernel."""
    (shape, dtype), nothing = problem.result, NO_BIAS[problem.input.dtype]
    warm = prod(shape) * dtype.itemsize < WARM

    def run(out, x, weight, bias, activation):
        y = out
        if y is None:
            y = memory.fresh(shape, dtype) if warm else empty(shape, dtype)
        kernel(x, weight, nothing if bias is None else bias, y, code)
        return y

    return run


def plan_packed(m, n, k, dtype, code, transposed):
    """Plan f(a, prepared, bias, out): activation(a b + bias) with the panels of b(K,N), or of its transpose."""
    if m * n * k <= SMALL:
        kernel = linear__packed[dtype]
        return lambda a, prepared, bias, out: kernel(a, panels_of(prepared, transposed), bias, out, code)
    blocks, no_bias = _plan_blocks(m, n, k, dtype, code=code, packed=True), NO_WORK[dtype]

    def run(a, prepared, bias, out):
        blocks(a, panels_of(prepared, transposed), bias[np.newaxis] if bias.size else no_bias, out)

    return run


@plans("linear_backward")
def plan_linear_backward(problem):
    """Plan the gradients of a linear layer: small ones in one kernel, others as products."""
    arrays = [x.ghost() for x in (problem.dy, problem.input, problem.weight, problem.output or problem.dy)]
    dy, x, weight, _ = arrays
    (n, k), dtype, needs, out = weight.shape, dy.dtype, problem.needs, problem.out
    m = prod(dy.shape[:-1])
    plain_out = out is None or out.ghost().flags.c_contiguous
    if x.ndim == 2 and m * n * k <= SMALL and plain_out and all(each.flags.c_contiguous for each in arrays):
        return _plan_small_gradients(problem, m, n, k)
    activate = None if problem.activation is None else FUNCTIONS[problem.activation]
    slope = activate and dense(activate.backward_kernel, activate.grain, arrays[::3])
    order = dy if slope is None else order_of_result(arrays[::3])
    rows = order.reshape(m, n)
    to_input = plan_product(rows, weight) if needs[0] else None
    to_weight = plan_product(rows.T, x.reshape(m, k)) if needs[1] else None
    to_bias, ones = plan_product(ghost((1, m), dtype), rows), np.ones((1, m if needs[2] else 0), dtype)

    def run(out, dy, x, weight, y, activation, needs):
        if slope is not None:
            dy = slope(None, dy, y, *activate.usual_parameters)
        dx = dw = db = None
        rows = dy.reshape(m, n)
        if to_input:
            dx = empty(x.shape, dtype)
            if dx.size:
                to_input(rows, weight, dx.reshape(m, k))
        if to_weight:
            dw = out if plain_out and out is not None else empty((n, k), dtype)
            if dw.size:
                to_weight(rows.T, x.reshape(m, k), dw)
            dw = dw if plain_out else deliver(out, dw)
        if needs[2]:
            db = empty((n,), dtype)
            if n:
                to_bias(ones, rows, db[np.newaxis])
        return dx, dw, db

    return run


def _plan_small_gradients(problem, m, n, k):
    """Plan the gradients of a small layer: one kernel for all of them."""
    needs, dtype, code = problem.needs, problem.dy.dtype, FUSED.index(problem.activation)
    kernel, nothing, no_bias = linear_backward__small[dtype], NO_WORK[dtype], NO_BIAS[dtype]
    wanted = needs[0] + 2 * needs[1] + 4 * needs[2]

    def run(out, dy, x, weight, y, activation, _):
        new = memory.fresh
        dz = new((m, n), dtype) if code else nothing
        dx = new((m, k), dtype) if needs[0] else nothing
        db = new((n,), dtype) if needs[2] else no_bias
        dw = nothing if not needs[1] else out if out is not None else new((n, k), dtype)
        kernel(dy, y if code else dy, x, weight, code, wanted, dz, dw, db, dx)
        return dx if needs[0] else None, dw if needs[1] else None, db if needs[2] else None

    return run


def plan_products(a, b, out, code, *, transposed=False, packed=False, per_row=False):
    """Return what writes activation(a b + bias) for a stack of products: f(a, b, bias, out), the first of each stack.

    a, b, out: ghosts of the stacks (items, rows, columns), or of a matrix (rows, columns) that all items share.
    transposed: b is given as (N, K); packed: as its panels. bias (N,) or, if per_row, (M,), contiguous. Rows of `out`
    must be contiguous.
    """
    items, m, n = out.shape
    k, dtype = a.shape[-1], out.dtype
    if items == 1 and not per_row:
        if transposed and max(m, FEW) * n * k <= SMALL:
            return partial(_linear_small, linear__small[dtype], code)
        if packed and m * n * k <= SMALL:
            return partial(_linear_small, linear__packed[dtype], code)
    steps = [x.strides[0] if x.ndim == 3 else 0 for x in (a, b, out)]
    blocks = _plan_blocks(m, n, k, dtype, code=code, items=items, steps=steps, packed=packed)
    width = TILE_VECTORS * vector_bytes() // dtype.itemsize
    bias_shape = (m, width if m > 1 else max(width, n)) if per_row else (1, n)

    def run(a, b, bias, out):
        if per_row:
            rows = empty(bias_shape, dtype)
            rows[...] = bias[:, np.newaxis]
        else:
            rows = bias.reshape(bias_shape)
        blocks(a, b.T if transposed else b, rows, out)

    return run


def _linear_small(kernel, code, a, b, bias, out):
    kernel(a, b, bias, out, code)


def _plan_blocks(m, n, k, dtype, *, code=0, items=1, steps=(0, 0, 0), packed=False):
    """Plan f(a, b, bias, out), the blocked product for threads; bias: (1, N), (M, tile's width) or nothing (0, 0).

    steps: bytes from one operand and result of a stack of `items` to the next.
    """
    grid_m, grid_n, number, words = _cut(m, n, k, dtype, items)
    counts = int(packed), code, *steps, items, grid_m, grid_n, items * grid_m * grid_n, number
    kernel, nothing = matmul__blocked[dtype], NO_WORK[dtype]
    if not words:
        return lambda a, b, bias, out: kernel(a, b, bias, out, nothing, *counts)
    return lambda a, b, bias, out: kernel(a, b, bias, out, empty((number, words), dtype), *counts)


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
