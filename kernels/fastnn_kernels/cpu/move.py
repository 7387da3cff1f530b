"""Copies from one memory layout to the other: channels-first to channels-last and back, a transpose per image."""

import numpy as np
from numpy import ndarray

from ..ground.backend import plans
from ..ground.checks import contiguous
from ..ground.jit import jitted, kernel
from ..ground.layout import channels_last
from ..ground.memory import empty
from ..ground.plans import ghost
from ..ground.threads import tasks
from .grains import MOVES
from .vector.simd import address, itemsize, lanes
from .vector.transpose import transpose_block
from .vector.values import lanes_before, pointer_at, read, width, write, zeros


@jitted
def copy_row(number, source, target, n):
    """Copy n numbers from one address to another."""
    x, y = pointer_at(number, source), pointer_at(number, target)
    for j in range(0, n, width(zeros(x))):  # with masks LLVM calls no memcpy, which takes longer for rows of 14 KB
        inside = lanes_before(zeros(x), n - j)
        write(y, j, read(x, j, inside), inside)


@kernel("S[:,:,::1], T, S[:,:,::1]", writes="out", parallel=True)
def contiguous__blocks(x, number, out, lo, hi):
    """x(B,R,S) -> out(B,S,R). The range is over B.

    Transpose square blocks of vectors; copy the edges number by number.
    """
    size, step = itemsize(number), lanes(number)
    rows, columns = x.shape[1:]
    whole_rows, whole_columns = rows - rows % step, columns - columns % step
    for b in range(lo, hi):
        for i in range(0, whole_rows, step):
            for j in range(0, whole_columns, step):
                source = address(x) + ((b * rows + i) * columns + j) * size
                target = address(out) + ((b * columns + j) * rows + i) * size
                transpose_block(number, source, columns, target, rows)
        for i in range(rows):
            for j in range(whole_columns if i < whole_rows else 0, columns):
                out[b, j, i] = x[b, i, j]


def pixels(x: ndarray) -> ndarray:
    """Return images (B, C, H, W) as a contiguous (B, H, W, C): a view if they are channels-last."""
    last = x.transpose(0, 2, 3, 1)
    if last.flags.c_contiguous or not x.flags.c_contiguous or not x.size:
        return contiguous(last)
    return _relayout(x, x.shape[1], last.shape)


def planes(x: ndarray) -> ndarray:
    """Return an array C-contiguous: itself if it is; channels-last images are copied fast."""
    if x.ndim != 4 or not channels_last(x) or x.dtype not in (np.float32, np.float64) or not x.size:
        return contiguous(x)
    return _relayout(x.transpose(0, 2, 3, 1), x.shape[2] * x.shape[3], x.shape)


def empty_last(shape: tuple[int, ...], dtype) -> ndarray:
    """Return memory for an array (B, C, ...) that is channels-last."""
    return empty((shape[0], *shape[2:], shape[1]), dtype).transpose(0, len(shape) - 1, *range(1, len(shape) - 1))


def ghost_last(shape: tuple[int, ...], dtype) -> ndarray:
    """Return the ghost of such an array, see `plans.ghost`."""
    return np.moveaxis(ghost((shape[0], *shape[2:], shape[1]), dtype), -1, 1)


def _relayout(x, rows, shape):
    out = empty(shape, x.dtype)
    plan_transpose(shape[0], rows, x[0].size // rows, x.dtype)(x, out)
    return out


def plan_transpose(count: int, rows: int, columns: int, dtype):
    """Return what writes the transposes of `count` matrices, f(x, out), both contiguous and of any shape."""
    kernel, number = contiguous__blocks[dtype], tasks(count * rows * columns, MOVES)
    before, after = (count, rows, columns), (count, columns, rows)

    def transpose(x, out):
        kernel(x.reshape(before), 0.0, out.reshape(after), count, number)

    return transpose


@plans("contiguous")
def _plan_contiguous(problem):
    return lambda out, x: planes(x)
