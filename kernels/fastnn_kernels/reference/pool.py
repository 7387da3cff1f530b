"""Pooling and its gradients, window by window."""

from itertools import product
from math import inf, prod

import numpy as np

from ..ground.backend import plans
from ..ground.checks import in_range
from ..ground.outputs import deliver


def _dims(name):
    return [name.format(f"{n}d") for n in (1, 2, 3)]


def _taps(axis):
    """Return for each window of an axis its taps, and how many they are with those in the padding."""
    n, count = axis.length, axis.count
    if not axis.kernel:
        ranges = [range(i * n // count, -(-(i + 1) * n // count)) for i in range(count)]
        return [(list(taps), len(taps)) for taps in ranges]
    found = []
    for i in range(count):
        taps = [i * axis.stride - axis.padding + t * axis.dilation for t in range(axis.kernel)]
        found.append(([t for t in taps if 0 <= t < n], sum(t < n + axis.padding for t in taps)))
    return found


def _windows(axes):
    """Yield the output, the flat indices of the taps in the image, and the number of taps with padding."""
    lengths = [axis.length for axis in axes]
    for output in product(*[range(axis.count) for axis in axes]):
        taps, counts = zip(*(_taps(axis)[i] for axis, i in zip(axes, output, strict=True)), strict=True)
        flat = [np.ravel_multi_index(index, lengths) for index in product(*taps)]
        yield output, np.array(flat, np.int64), prod(counts)


def _flat(x, dims):
    """Return images as (..., pixels)."""
    return x.reshape(*x.shape[:-dims], prod(x.shape[-dims:]))


def _maxima(x, axes, floor):
    """Return the largest values of windows, the last NaN, and their indices; -1 for the floor and empty windows."""
    shape = *x.shape[: -len(axes)], *[axis.count for axis in axes]
    y, indices = np.full(shape, floor, x.dtype), np.full(shape, -1)
    flat = _flat(x, len(axes))
    for output, taps, _ in _windows(axes):
        for t, tap in enumerate(taps):
            value, best, index = flat[..., tap], y[..., *output], indices[..., *output]
            take = (value > best) | np.isnan(value) | (floor == -inf and t == 0)
            y[..., *output], indices[..., *output] = np.where(take, value, best), np.where(take, tap, index)
    return y, indices


@plans(*_dims("max_pool{}"), *_dims("adaptive_max_pool{}"))
def max_pool(problem):
    """The largest value, from the first tap on."""

    def run(out, x, *_):
        y, indices = _maxima(x, problem.axes, 0 if problem.relu and problem.indices is not True else -inf)
        y = deliver(out, np.where(y < 0, 0, y) if problem.relu else y)
        return (y, indices) if problem.indices else y

    return run


@plans(*_dims("max_pool{}_backward"), *_dims("adaptive_max_pool{}_backward"))
def max_pool_backward(problem):
    """Add every gradient at its index."""
    dims = len(problem.axes)

    def run(out, dy, x, indices, *_):
        if indices is None:
            _, indices = _maxima(x, problem.axes, 0 if problem.relu else -inf)
        elif problem.check:
            in_range(problem.name, "indices", indices, prod(x.shape[-dims:]), -1)
        dx = np.zeros_like(_flat(x, dims))
        for at in np.ndindex(dy.shape):
            if indices[at] >= 0:
                dx[(*at[:-dims], indices[at])] += dy[at]
        return deliver(None, dx.reshape(x.shape))

    return run


@plans(*_dims("max_unpool{}"))
def max_unpool(problem):
    """Write every value at its index."""
    dims, limit = len(problem.size), prod(problem.size)

    def run(out, x, indices, *_):
        if x.size and not 0 <= indices.min() <= indices.max() < limit:
            raise ValueError(f"{problem.name}: indices must be from 0 to {limit - 1} for output size {problem.size}")
        y = np.zeros((*x.shape[:-dims], limit), x.dtype)
        for at in np.ndindex(x.shape):
            y[(*at[:-dims], indices[at])] = x[at]
        return deliver(None, y.reshape(*x.shape[:-dims], *problem.size))

    return run


@plans(*_dims("max_unpool{}_backward"))
def max_unpool_backward(problem):
    """Read every gradient at its index."""

    def run(out, dy, indices):
        flat = _flat(dy, problem.dims)
        in_range(problem.name, "indices", indices, flat.shape[-1])
        index = _flat(indices, problem.dims).astype(np.int64)
        return deliver(None, np.take_along_axis(flat, index, -1).reshape(indices.shape))

    return run


def _divisor(problem, taps, whole):
    return problem.divisor or (whole if problem.padded else max(len(taps), 1))


def _sums(x, axes):
    """Yield the outputs, the sums of their windows, the taps and their number with padding."""
    flat = _flat(x, len(axes))
    for output, taps, whole in _windows(axes):
        yield output, flat[..., taps].sum(-1), taps, whole


@plans(*_dims("avg_pool{}"), *_dims("adaptive_avg_pool{}"), "sum_pool2d")
def avg_pool(problem):
    """Sum, divide."""

    def run(out, x, *_):
        y = np.empty(problem.result[0], x.dtype)
        for output, total, taps, whole in _sums(x, problem.axes):
            y[..., *output] = total / _divisor(problem, taps, whole)
        return deliver(out, y)

    return run


@plans(*_dims("avg_pool{}_backward"), *_dims("adaptive_avg_pool{}_backward"))
def avg_pool_backward(problem):
    """Divide, add to every tap."""

    def run(out, dy, *_):
        dx = np.zeros(problem.shape, dy.dtype)
        flat = _flat(dx, len(problem.axes))
        for output, taps, whole in _windows(problem.axes):
            flat[..., taps] += (dy[..., *output] / _divisor(problem, taps, whole))[..., None]
        return deliver(None, dx)

    return run


@plans(*_dims("lp_pool{}"))
def lp_pool(problem):
    """(taps * mean of powers)^(1 / p)."""
    p = problem.power

    def run(out, x, *_):
        y = np.empty((*x.shape[: -len(problem.axes)], *[axis.count for axis in problem.axes]), x.dtype)
        for output, total, _, whole in _sums(x**p, problem.axes):
            y[..., *output] = (total / whole * problem.taps) ** (1 / p)
        return deliver(None, y)

    return run


@plans(*_dims("lp_pool{}_backward"))
def lp_pool_backward(problem):
    """Dy (x / y)^(p - 1), 0 where y is."""
    p = problem.power

    def run(out, dy, x, y, *_):
        share, dx = np.where(y == 0, 0, dy * y ** (1 - p) * problem.taps), np.zeros_like(x, order="C")
        flat = _flat(dx, len(problem.axes))
        for output, taps, whole in _windows(problem.axes):
            flat[..., taps] += (share[..., *output] / whole)[..., None]
        return deliver(None, dx * x ** (p - 1))

    return run
