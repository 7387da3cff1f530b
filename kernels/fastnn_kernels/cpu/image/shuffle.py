"""Rows that are interleaved: one number of each, then the next of each; and back.

Up to four rows become shuffles of vectors: their number is a constant for the compiler.
"""

from math import prod

from ...ground.backend import plans
from ...ground.checks import contiguous
from ...ground.jit import jitted, kernel
from ...ground.memory import empty
from ...ground.threads import tasks
from ..grains import SUMS as GRAIN
from ..vector.simd import address, vector_at


@jitted
def interleave(rows, count, mixed, length):
    """Interleave the first `count` of four rows."""
    a, b, c, d = rows
    if count == 1:
        for i in range(length):
            mixed[i] = a[i]
    elif count == 2:
        for i in range(length):
            mixed[2 * i], mixed[2 * i + 1] = a[i], b[i]
    elif count == 3:
        for i in range(length):
            mixed[3 * i], mixed[3 * i + 1], mixed[3 * i + 2] = a[i], b[i], c[i]
    else:
        for i in range(length):
            mixed[4 * i], mixed[4 * i + 1], mixed[4 * i + 2], mixed[4 * i + 3] = a[i], b[i], c[i], d[i]


@jitted
def deinterleave(rows, count, mixed, length):
    """Write interleaved numbers as the first `count` of four rows."""
    a, b, c, d = rows
    if count == 1:
        for i in range(length):
            a[i] = mixed[i]
    elif count == 2:
        for i in range(length):
            a[i], b[i] = mixed[2 * i], mixed[2 * i + 1]
    elif count == 3:
        for i in range(length):
            a[i], b[i], c[i] = mixed[3 * i], mixed[3 * i + 1], mixed[3 * i + 2]
    else:
        for i in range(length):
            a[i], b[i], c[i], d[i] = mixed[4 * i], mixed[4 * i + 1], mixed[4 * i + 2], mixed[4 * i + 3]


@jitted
def row_at(start, n, wide, across):
    """Return the address of row n: `wide` of them are across[1] bytes apart, and across[0] lead to the next `wide`."""
    return start + n // wide * across[0] + n % wide * across[1]


@kernel("S[:,:,:,:,:,:], T, int, S[:,:,:,:,:,:]", writes="y", parallel=True)
def pixel_shuffle__interleave(x, number, forth, y, lo, hi):
    """x(P,Q,R,M,N,O) -> y(P,Q,R,M,N,O), the same numbers. The range is over P * Q * R.

    forth: x has N * O rows of M neighbours, which y has interleaved; else the other way round.
    """
    length, high, wide = x.shape[3:]
    count = high * wide
    across = x.strides[4:] if forth else y.strides[4:]
    for r in range(lo, hi):
        outer, k = divmod(r, y.shape[2])
        i, j = divmod(outer, y.shape[1])
        source, target = address(x[i, j, k]), address(y[i, j, k])
        rows_at, mixed_at = (source, target) if forth else (target, source)
        mixed = vector_at(number, mixed_at, count * length)
        if count <= 4:
            rows = (
                vector_at(number, row_at(rows_at, 0, wide, across), length),
                vector_at(number, row_at(rows_at, 1, wide, across), length),
                vector_at(number, row_at(rows_at, 2, wide, across), length),
                vector_at(number, row_at(rows_at, 3, wide, across), length),
            )
            if forth:
                interleave(rows, count, mixed, length)
            else:
                deinterleave(rows, count, mixed, length)
            continue
        for n in range(count):
            row = vector_at(number, row_at(rows_at, n, wide, across), length)
            if forth:
                for m in range(length):
                    mixed[m * count + n] = row[m]
            else:
                for m in range(length):
                    row[m] = mixed[m * count + n]


def _plan(view, size):
    """Return a plan that copies view(x, y, factor), two views (P, Q, R, M, N, O), and whether that interleaves."""

    def plan(problem):
        x, dtype = problem.input, problem.input.dtype
        shape, channels_last = size(x.shape, problem.factor), _is_channels_last(x)
        order = (0, *range(2, x.ndim), 1)
        back = (0, x.ndim - 1, *range(1, x.ndim - 1))
        memory = tuple(shape[axis] for axis in order) if channels_last else shape
        kernel, number, factor = pixel_shuffle__interleave[dtype], tasks(prod(shape), GRAIN), problem.factor

        def run(out, x, _):
            y = empty(memory, dtype)
            if y.size:
                x = x.transpose(order) if channels_last else contiguous(x)
                source, target, forth = view(x, y, factor, channels_last)
                kernel(source, 0.0, forth, target, prod(target.shape[:3]), number)
            return y.transpose(back) if channels_last else y

        return run

    return plan


def _is_channels_last(x) -> bool:
    """Return whether images (B, C, ...) are channels-last in memory, and not channels-first as well."""
    ghost = x.ghost()
    return not ghost.flags.c_contiguous and ghost.transpose(0, *range(2, x.ndim), 1).flags.c_contiguous


def _shuffled(shape, r):
    *above, channels, height, width = shape
    return *above, channels // r**2, height * r, width * r


def _unshuffled(shape, r):
    *above, channels, height, width = shape
    return *above, channels * r**2, height // r, width // r


def _shuffle(x, y, r, channels_last):
    if channels_last:
        batch, height, width, channels = x.shape
        count = channels // r**2
        source = x.reshape(batch * height, width, 1, count, r, r)
        return source, y.reshape(len(source), r, width, r, 1, count).transpose(0, 2, 4, 5, 1, 3), False
    *above, channels, height, width = x.shape
    source = x.reshape(prod(above) * channels // r**2, r, 1, r, height, width)
    return source.transpose(0, 4, 1, 5, 2, 3), y.reshape(len(source), height, r, width, 1, r), True


def _unshuffle(x, y, r, channels_last):
    """Return the views of `_shuffle` with x and y exchanged."""
    target, source, forth = _shuffle(y, x, r, channels_last)
    return source, target, not forth


def _shuffle_channels(x, y, groups, channels_last):
    channels = x.shape[-1] if channels_last else x.shape[1]
    each = channels // groups
    if not channels_last:
        batch, pixels = x.shape[0], prod(x.shape[2:])
        source = x.reshape(batch, groups, each, pixels, 1, 1)
        return source.transpose(0, 2, 1, 3, 4, 5), y.reshape(batch, each, groups, pixels, 1, 1), True
    source, target = x.reshape(-1, 1, 1, groups, 1, each), y.reshape(-1, 1, 1, each, 1, groups)
    if groups <= each:
        return source.transpose(0, 1, 2, 5, 4, 3), target, True
    return source, target.transpose(0, 1, 2, 5, 4, 3), False


plans("pixel_shuffle")(_plan(_shuffle, _shuffled))
plans("pixel_unshuffle")(_plan(_unshuffle, _unshuffled))
plans("channel_shuffle")(_plan(_shuffle_channels, lambda shape, _: shape))
