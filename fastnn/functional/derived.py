"""Functions that follow from others: products and statistics of vectors, sets, the most frequent element."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn.tape import Tensor, unwrap, wrap
from fastnn_kernels import checks

from .arithmetic import add, clamp, div, mul, sub, where
from .diagonals import diagonal
from .indexing import gather
from .mathematics import sqrt
from .matmul import matmul
from .rearrange import roll
from .reduction import mean, sum
from .scan import cumsum
from .shaping import check_array, getitem, squeeze, transpose, unsqueeze
from .statistics import vector_norm

__all__ = [
    "clamp_max", "clamp_min", "corrcoef", "cov", "cross", "cumulative_trapezoid", "isin", "mode", "renorm", "rsub",
    "trapezoid",
]  # fmt: skip


class Mode(NamedTuple):
    """What `mode` gives: the values, and where they were found."""

    values: Any
    indices: Any


def clamp_min(input: Any, min: Any) -> Any:
    """Give the larger of each element and `min`; see `clamp`."""
    return clamp(input, min, None)


def clamp_max(input: Any, max: Any) -> Any:
    """Give the smaller of each element and `max`; see `clamp`."""
    return clamp(input, None, max)


def rsub(input: Any, other: Any, *, alpha: float = 1) -> Any:
    """Give ``other - alpha * input``."""
    return sub(other, input if alpha == 1 else mul(input, alpha))


def cross(input: Any, other: Any, dim: int | None = None) -> Any:
    """Give the vector product along `dim`, of length 3; the first such dimension if none is given."""
    check_array("cross", "input", input)
    check_array("cross", "other", other)
    shape = tuple(input.shape)
    if dim is None and 3 in shape:
        dim = shape.index(3)
    if dim is None or input.shape[dim] != 3 or other.shape[dim] != 3:
        raise ValueError(f"cross: expected vectors of length 3, got shapes {shape} and {tuple(other.shape)}, dim {dim}")
    first = mul(roll(input, -1, dim), roll(other, -2, dim))
    return sub(first, mul(roll(input, -2, dim), roll(other, -1, dim)))


def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Any:
    """Scale the parts of `input` along `dim` whose p-norm is above `maxnorm` so that it is that."""
    check_array("renorm", "input", input)
    if not p > 0 or maxnorm < 0:
        raise ValueError(f"renorm: p must be positive and maxnorm not negative, got {p} and {maxnorm}")
    dim = checks.normalize_dim("renorm", dim, input.ndim)
    norms = vector_norm(input, p, tuple(d for d in range(input.ndim) if d != dim), True)
    factor = where(np.asarray(unwrap(norms)) > maxnorm, div(maxnorm, add(norms, 1e-7)), 1.0)
    return mul(input, factor)


def cov(input: Any, *, correction: int = 1) -> Any:
    """Give the covariances of variables, one per row of `input` (N, M), from M observations: (N, N).

    A vector, or one row, is one variable: (). The sums are divided by M - correction.
    """
    check_array("cov", "input", input)
    if input.ndim > 2:
        raise ValueError(f"cov: expected at most 2 dimensions, got shape {tuple(input.shape)}")
    rows = input if input.ndim == 2 else getitem(input, (None,) * (2 - input.ndim))
    distance = sub(rows, mean(rows, 1, True))
    count = rows.shape[1] - correction
    y = div(matmul(distance, transpose(distance, 0, 1)), float(count if count > 0 else 0))
    return y if rows.shape[0] != 1 else squeeze(y)


def corrcoef(input: Any) -> Any:
    """Give the correlations of variables, one per row of `input` (N, M): (N, N), of -1 to 1."""
    y = cov(input)
    if not y.ndim:
        return div(y, y)
    width = sqrt(diagonal(y))
    return clamp(div(div(y, unsqueeze(width, 1)), unsqueeze(width, 0)), -1.0, 1.0)


def _trapezoids(function: str, y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    """Give the areas between neighbours along `dim`."""
    check_array(function, "y", y)
    dim = checks.normalize_dim(function, dim, y.ndim)
    front, back = ((slice(None),) * dim + (part,) for part in (slice(1, None), slice(None, -1)))
    pairs = add(getitem(y, front), getitem(y, back))
    if x is None:
        return mul(pairs, dx / 2), dim
    check_array(function, "x", x)
    if x.ndim == 1:
        shape = (-1,) + (1,) * (y.ndim - dim - 1)
        x = x.reshape(shape)
        widths = sub(getitem(x, slice(1, None)), getitem(x, slice(None, -1)))
    else:
        widths = sub(getitem(x, front), getitem(x, back))
    return mul(mul(pairs, widths), 0.5), dim


def trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    """Give the area under samples `y` along `dim`, at places `x` or at a distance of `dx`."""
    areas, dim = _trapezoids("trapezoid", y, x, dx, dim)
    return sum(areas, dim)


def cumulative_trapezoid(y: Any, x: Any = None, *, dx: float = 1, dim: int = -1) -> Any:
    """Give the areas under samples `y` from the first to each other one along `dim`; see `trapezoid`."""
    areas, dim = _trapezoids("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(areas, dim)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Any:
    """Tell for each element whether it is among `test_elements` (with `invert`, whether it is not)."""
    y = np.isin(unwrap(elements), unwrap(test_elements), assume_unique=assume_unique, invert=invert)
    return wrap(y) if isinstance(elements, Tensor) or isinstance(test_elements, Tensor) else y


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Mode:
    """Give the most frequent element along `dim`, the smallest of several, and the last place where it is."""
    check_array("mode", "input", input)
    dim = checks.normalize_dim("mode", dim, input.ndim)
    x = np.asarray(unwrap(input))
    if not x.ndim:
        return Mode(input, wrap(np.zeros((), np.int64)) if isinstance(input, Tensor) else np.zeros((), np.int64))
    if not x.shape[dim]:
        raise ValueError(f"mode: dimension {dim} of shape {x.shape} has no elements")
    if not x.size:
        places = np.zeros(np.delete(x.shape, dim), np.int64)
    else:
        places = np.apply_along_axis(_most_frequent, dim, x)
    indices = np.expand_dims(places, dim)
    values = gather(input, dim, indices)
    found = wrap(indices) if isinstance(input, Tensor) else indices
    return Mode(values, found) if keepdim else Mode(squeeze(values, dim), squeeze(found, dim))


def _most_frequent(row: np.ndarray) -> Any:
    """Give the last place of the most frequent element."""
    values, counts = np.unique(row, return_counts=True)
    return np.flatnonzero(row == values[np.argmax(counts)])[-1]
