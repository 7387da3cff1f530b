"""Padding and cropping of two neighbouring axes at a time, by tables of where each row and column comes from.

A table holds the source of every row or column of the result, -1 for the constant. `run` says which columns
[first, last) are neighbours in the source, too, and where they start there; and how many numbers make up a column.
"""

from math import prod

import numpy as np

from ...ground.backend import plans
from ...ground.checks import contiguous
from ...ground.jit import kernel
from ...ground.memory import empty
from ...ground.outputs import deliver, into
from ...ground.threads import tasks
from ..grains import COPIES as GRAIN
from ..move import copy_row
from ..vector.simd import address, part


@kernel("S[:,:,::1], i8[::1], i8[::1], i8[::1], T, S[:,:,::1]", writes="y", parallel=True)
def pad__runs(x, rows, columns, run, value, y, lo, hi):
    """x(P,H,W*S) -> y(P,OH,OW*S). The range is over the P * OH rows."""
    first, last, start, size = run
    length = (last - first) * size
    for r in range(lo, hi):
        p, i = divmod(r, y.shape[1])
        out = y[p, i]
        if rows[i] < 0:
            for j in range(out.size):
                out[j] = value
            continue
        row = x[p, rows[i]]
        source, target = part(row, start * size, length), part(out, first * size, length)
        copy_row(value, address(source), address(target), length)
        for j in range(columns.size - (last - first)):
            column = j if j < first else j + last - first
            if size == 1:  # a loop costs more than the number it would copy
                out[column] = value if columns[column] < 0 else row[columns[column]]
                continue
            target = part(out, column * size, size)
            if columns[column] < 0:
                for c in range(target.size):
                    target[c] = value
            else:
                source = part(row, columns[column] * size, size)
                for c in range(target.size):
                    target[c] = source[c]


@kernel("S[:,:,::1], i8[::1], i8[::1], i8[::1], S[:,:,::1]", writes="dx", parallel=True)
def pad_backward__runs(dy, rows, columns, run, dx, lo, hi):
    """dy(P,OH,OW*S) -> dx(P,H,W*S): gradients of copies add up. The range is over P."""
    first, last, start, size = run
    length = (last - first) * size
    for p in range(lo, hi):
        image = dx[p]
        for i in range(image.shape[0]):
            for j in range(image.shape[1]):
                image[i, j] = 0
        for i in range(rows.size):
            grad, row = dy[p, i], image[rows[i]]
            source, target = part(grad, first * size, length), part(row, start * size, length)
            for j in range(target.size):
                target[j] += source[j]
            for j in range(columns.size - (last - first)):
                column = j if j < first else j + last - first
                if size == 1:
                    row[columns[column]] += grad[column]
                    continue
                source, target = part(grad, column * size, size), part(row, columns[column] * size, size)
                for c in range(target.size):
                    target[c] += source[c]


@plans("pad")
def pad(problem):
    """Plan padding: run(out, x, pad, mode, value)."""
    x, order = problem.x, _memory_order(problem.x)
    steps = _passes([x.shape[axis] for axis in order], [problem.pads[axis] for axis in order], problem.mode, x.dtype)
    return _in_order(x, order, steps)


@plans("pad_backward")
def pad_backward(problem):
    """Plan gradients: run(out, dy, ...). A constant's go; what was cut off had no influence."""
    dy, order = problem.x, _memory_order(problem.x)
    shape, pads = tuple(dy.shape[axis] for axis in order), [problem.pads[axis] for axis in order]
    if problem.mode == "constant":
        steps = _passes(shape, [(-before, -after) for before, after in pads], "constant", dy.dtype)
    else:
        steps = []
        for axis in reversed(_axes(pads)):
            cut = _padded(shape, axis, pads, -1)
            steps.append(_pass_back(shape, cut, axis, pads, problem.mode, dy.dtype))
            shape = cut
    run = _in_order(dy, order, steps)
    return lambda out, dy, *_: run(out, dy, 0.0)


def _in_order(x, order, steps):
    """Return run(out, x, ..., value), which takes one step after the other: of (shape, step(x, value, y))."""
    back, direct, dtype = tuple(np.argsort(order)), order == tuple(range(x.ndim)), x.dtype

    def run(out, x, *options):
        memory = x if direct else x.transpose(order)
        if not steps:
            y = deliver(None, memory)
            return y.transpose(back) if out is None else into(out, y.transpose(back))
        memory = contiguous(memory)
        for shape, step in steps:
            y = out if direct and out is not None and step is last else empty(shape, dtype)
            step(memory, options[-1], y)
            memory = y
        if direct:
            return memory
        return memory.transpose(back) if out is None else into(out, memory.transpose(back))

    last = steps[-1][1] if steps else None
    return run


def _memory_order(x) -> tuple[int, ...]:
    """Return the axes in the order of memory, outermost first: channels last if that makes `x` contiguous."""
    ghost, last = x.ghost(), (0, *range(2, x.ndim), 1)
    if x.ndim > 2 and not ghost.flags.c_contiguous and ghost.transpose(last).flags.c_contiguous:
        return last
    return tuple(range(x.ndim))


def _axes(pads) -> list[int]:
    """Return the lower of each two neighbouring axes that one pass pads, from the last on."""
    found = []
    axis = len(pads) - 1
    while axis >= 0:
        if pads[axis] != (0, 0):
            found.append(axis)
            axis -= 1
        axis -= 1
    return found


def _padded(shape, axis, pads, sign):
    return tuple(
        n + sign * sum(p) if axis - 1 <= a <= axis else n for a, (n, p) in enumerate(zip(shape, pads, strict=True))
    )


def _passes(shape, pads, mode, dtype):
    """Return the steps that pad a contiguous array, two neighbouring axes at a time."""
    found = []
    for axis in _axes(pads):
        padded = _padded(shape, axis, pads, 1)
        empty(padded, dtype)  # which says what does not fit into memory before tables fill it
        tables = _tables(shape, axis, pads, mode) if prod(padded) else ()
        found.append(_pass(pad__runs, shape, padded, axis, tables, dtype))
        shape = padded
    return found


def _pass(kernel, shape, padded, axis, tables, dtype):
    """Return (shape, step) of a kernel for two axes."""
    source, target, size = _view(shape, axis), _view(padded, axis), prod(padded)
    compute, rows, number = kernel[dtype], target[0] * target[1], tasks(size, GRAIN)

    def step(x, value, y):
        if size:
            compute(x.reshape(source), *tables, value, y.reshape(target), rows, number)

    return padded, step


def _pass_back(shape, cut, axis, pads, mode, dtype):
    """Return (shape, step) that adds up what a pass copied."""
    source, target, size = _view(shape, axis), _view(cut, axis), prod(cut)
    tables = _tables(cut, axis, pads, mode) if size else ()
    compute, number = pad_backward__runs[dtype], tasks(prod(shape), GRAIN)

    def step(dy, _, dx):
        if size:
            compute(dy.reshape(source), *tables, dx.reshape(target), target[0], number)

    return cut, step


def _view(shape, axis):
    """Return a shape as (P, H, W * S): `axis` is W, the one before it H."""
    high = shape[axis - 1] if axis else 1
    return prod(shape[: max(axis - 1, 0)]), high, prod(shape[axis:])


def _tables(shape, axis, pads, mode):
    """Return the sources of the rows and of the columns of a padded array, and which columns stay neighbours."""
    rows, _ = _table(shape[axis - 1], *pads[axis - 1], mode) if axis else _table(1, 0, 0, mode)
    columns, run = _table(shape[axis], *pads[axis], mode)
    return rows, columns, np.array([*run, prod(shape[axis + 1 :])], np.int64)


def _table(length, before, after, mode):
    """Return the source of every element of an axis, -1 for the constant; first, last and first source of those kept.

    Circular padding goes around what cropping leaves, as in PyTorch.
    """
    source = np.arange(length + before + after) - before
    inside = (source >= 0) & (source < length)
    first, start = max(before, 0), max(-before, 0)
    run = first, first + int(inside.sum()), start
    if mode == "constant":
        source[~inside] = -1
    elif mode == "reflect":
        source = np.where(source < 0, -source, np.where(source < length, source, 2 * (length - 1) - source))
    elif mode == "replicate":
        source = source.clip(0, length - 1)
    else:
        source = (source - start) % (length + min(before, 0) + min(after, 0)) + start
    return source.astype(np.int64), run
