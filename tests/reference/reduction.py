"""Reductions, exactly: by math.fsum and with rational numbers."""

import math
from fractions import Fraction

import numpy as np


def ulps(result, exact):
    """Return how many units in the last place of its dtype a result is from an exact number (or float64)."""
    result = np.asarray(result)
    distance = np.spacing(np.maximum(np.abs(np.asarray(exact, result.dtype)), np.finfo(result.dtype).tiny))
    return abs(result.astype(np.longdouble) - np.asarray(exact, np.longdouble)) / distance


def moved(x, axis):
    """Return a matrix of what is reduced, a row per result in C order."""
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    kept = [d for d in range(x.ndim) if d not in axes]
    rows = math.prod(x.shape[d] for d in kept)
    return x.transpose(*kept, *sorted(axes)).reshape(rows, math.prod(x.shape[d] for d in axes))


def shape(x, axis, keepdims=False):
    """Return the shape of the result."""
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in (axis if isinstance(axis, tuple) else (axis,))]
    return tuple(1 if d in axes else n for d, n in enumerate(x.shape) if keepdims or d not in axes)


def _sum(row):
    return math.fsum(row) if np.isfinite(row).all() else float(np.sum(row.astype(np.float64)))


def _mean(row):
    return _sum(row) / len(row)


def _var(row, ddof=0):
    values = [Fraction(v) for v in row.tolist()]
    mean = sum(values) / len(values)
    return float(sum((v - mean) ** 2 for v in values) / (len(values) - ddof))


def _prod(row):
    value = Fraction(1)
    for v in row.tolist():
        value *= Fraction(v)
    return float(value)


OF_ROW = {
    "sum": _sum,
    "mean": _mean,
    "var": _var,
    "std": lambda row, ddof=0: math.sqrt(_var(row, ddof)),
    "prod": _prod,
    "max": lambda row: np.max(row),
    "min": lambda row: np.min(row),
    "argmax": lambda row: np.argmax(row),
    "argmin": lambda row: np.argmin(row),
}


def reduce(name, x, axis=None, keepdims=False, **options):
    """Return a reduction in float64, or indices."""
    of_row = OF_ROW[name]
    values = [of_row(row, **options) for row in moved(x, axis)]
    return np.array(values, np.int64 if name.startswith("arg") else np.float64).reshape(shape(x, axis, keepdims))
