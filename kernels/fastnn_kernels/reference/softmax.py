"""Softmax and its gradients, row by row."""

from math import prod

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver


def _rows(x, dim):
    """Return a view of x as rows along `dim`: (rows, length)."""
    moved = np.moveaxis(np.atleast_1d(x), dim, -1)
    return moved.reshape(prod(moved.shape[:-1]), moved.shape[-1]), moved.shape


def _plan(row_of):
    """Return what plans an operation that computes each row by `row_of(*rows)`."""

    def plan(problem):
        def run(out, *arguments):
            *arrays, dim = arguments
            rows, shape = zip(*(_rows(x, dim) for x in arrays), strict=True)
            made = np.empty_like(rows[0])
            for i in range(len(made)):
                made[i] = row_of(*[each[i] for each in rows])
            y = np.moveaxis(made.reshape(shape[0]), -1, dim)
            return deliver(out, y.reshape(problem.result[0]))

        return run

    return plan


@plans("softmax")
@_plan
def softmax(x):
    """e^(x - max) / sum."""
    e = np.exp(x - np.max(x, initial=-np.inf))
    return e / e.sum()


@plans("log_softmax")
@_plan
def log_softmax(x):
    """x - max - log(sum e^(x - max))."""
    centred = x - np.max(x, initial=-np.inf)
    return centred - np.log(np.exp(centred).sum())


@plans("softmax_backward")
@_plan
def softmax_backward(dy, y):
    """y (dy - sum(dy y))."""
    return y * (dy - (dy * y).sum())


@plans("log_softmax_backward")
@_plan
def log_softmax_backward(dy, y):
    """dy - e^y sum(dy)."""
    return dy - np.exp(y) * dy.sum()
