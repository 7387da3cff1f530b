"""Distances between the rows of two stacks of matrices."""

from __future__ import annotations

from typing import NamedTuple

from .ground.checks import needed, number
from .ground.operation import Layout, operation


def cdist(x1, x2, p=2.0, eps=0.0):
    """Return the distance of each row of x1 from each row of x2: (sum |a - b + eps|^p)^(1/p).

    x1 (B, P, M), x2 (B, R, M), float32 or float64 of any strides -> (B, P, R); or without B. p: a number from 0; the
    largest difference for infinity, how many are not 0 for 0. Differences are taken before they are squared, so that
    close rows lose no digits: the error is a few eps sqrt(M) of the distance. Raises ValueError for other shapes and p.
    """
    return _cdist.run(None, x1, x2, p, eps)


def cdist_backward(dy, x1, x2, y, p=2.0, eps=0.0, *, needs=(True, True)):
    """Return the gradients of cdist's x1 and x2 from those of its output y; None for those not needed.

    0 where the distance is 0, as in PyTorch. For p = inf each largest difference gets the whole gradient.
    """
    return _cdist_backward.run(None, dy, x1, x2, y, p, eps, needs)


class Distances(NamedTuple):
    """Stacks of rows (B, P, M) and (B, R, M), or without B."""

    x1: Layout
    x2: Layout
    p: float
    needs: tuple[bool, ...] = ()

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the shape of the distances."""
        return (*self.x1.shape[:-1], self.x2.shape[-2])


def _distances(function, x1, x2, p, needs=()):
    a, b = x1.shape, x2.shape
    if len(a) not in (2, 3) or len(a) != len(b) or a[:-2] != b[:-2] or a[-1] != b[-1]:
        raise ValueError(f"{function}: x1 has shape {a} and x2 {b}; expected (B, P, M) and (B, R, M), or without B")
    p = number(function, "p", p)
    if not p >= 0:
        raise ValueError(f"{function}: p must not be negative, got {p}")
    return Distances(x1, x2, p, needs)


@operation("x1 x2", numbers="eps")
def _cdist(x1, x2, p, eps):
    return _distances("cdist", x1, x2, p)


@operation("dy x1 x2 y", numbers="eps")
def _cdist_backward(dy, x1, x2, y, p, eps, needs):
    name = "cdist_backward"
    problem = _distances(name, x1, x2, p, needed(name, needs, 2))
    if not dy.shape == y.shape == problem.shape:
        raise ValueError(f"{name}: dy has shape {dy.shape} and y {y.shape}; the inputs give {problem.shape}")
    return problem
