"""Distances between the rows of two stacks of matrices."""

from math import inf

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver


def _distance(d, p):
    if p == inf:
        return np.abs(d).max(initial=0)
    return np.count_nonzero(d) if p == 0 else (np.abs(d) ** p).sum() ** (1 / p)


def _slope(d, size, p):
    """Return the derivative of the distance by its differences."""
    if size == 0 or p == 0:
        return np.zeros_like(d)
    if p == inf:
        return np.sign(d) * (np.abs(d) == size)
    return np.sign(d) * np.where(d == 0, 0, (np.abs(d) / size) ** (p - 1))


@plans("cdist")
def cdist(problem):
    """Take one pair of rows after the other."""

    def run(out, x1, x2, p, eps):
        y = np.empty(problem.shape, x1.dtype)
        for *b, i, j in np.ndindex(y.shape):
            y[*b, i, j] = _distance(x1[*b, i] - x2[*b, j] + eps, problem.p)
        return deliver(None, y)

    return run


@plans("cdist_backward")
def cdist_backward(problem):
    """Add dy times the slope, pair by pair."""

    def run(out, dy, x1, x2, y, p, eps, needs):
        first, second = np.zeros_like(x1), np.zeros_like(x2)
        for *b, i, j in np.ndindex(y.shape):
            part = dy[*b, i, j] * _slope(x1[*b, i] - x2[*b, j] + eps, y[*b, i, j], problem.p)
            first[*b, i] += part
            second[*b, j] -= part
        given = zip((first, second), problem.needs, strict=True)
        return tuple(deliver(None, dx) if needed else None for dx, needed in given)

    return run
