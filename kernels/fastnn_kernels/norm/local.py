"""Normalisation by a vector's own length, and by the squares of neighbouring channels.

Arrays are float32 or float64 (TypeError for others), of any strides; results are contiguous.
"""

from typing import NamedTuple

from ..ground.checks import integer, normalize_dim, number
from ..ground.operation import Layout, operation
from .rows import check_gradient


def normalize(input, p=2.0, dim=1, eps=1e-12, *, out=None):
    """Return x / max(|x|_p, eps) over `dim`, with |x|_p = (sum |x|^p)^(1/p).

    For p = inf that is the largest |x|, for -inf the smallest, for 0 how many are not 0. ValueError if p is NaN
    or `dim` out of range. PyTorch's `out` argument is here by keyword.
    """
    return _normalize.run(out, input, p, dim, eps)


def normalize_backward(dy, input, p=2.0, dim=1, eps=1e-12, *, out=None):
    """Return the gradient of normalize's input; where several share the largest or smallest |x|, in even parts."""
    return _normalize_backward.run(out, dy, input, p, dim, eps)


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0, *, out=None):
    """Return x / (k + alpha mean(x^2))^beta with the mean over `size` neighbouring channels (Krizhevsky et al., 2012).

    input (B, C, ...) -> the same. Channels c - size // 2 to c + (size - 1) // 2 count, missing ones as zeros, as in
    PyTorch. ValueError for fewer than 3 dimensions, or size < 1.
    """
    return _local_response_norm.run(out, input, size, alpha, beta, k)


def local_response_norm_backward(dy, input, size, alpha=1e-4, beta=0.75, k=1.0):
    """Return the gradient of local_response_norm's input."""
    return _local_response_norm_backward.run(None, dy, input, size, alpha, beta, k)


class Length(NamedTuple):
    """The input, or dy and the input, and the dimension along which vectors of length |x|_p are taken."""

    arrays: tuple[Layout, ...]
    p: float
    dim: int

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.arrays[-1].shape, self.arrays[-1].dtype


class Neighbours(NamedTuple):
    """The input, or dy and the input, (B, C, ...), and how many channels count for each."""

    arrays: tuple[Layout, ...]
    size: int

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.arrays[-1].shape, self.arrays[-1].dtype


def _length(function, arrays, p, dim):
    p = number(function, "p", p)
    if p != p:
        raise ValueError(f"{function}: p must be a number, got {p}")
    return Length(arrays, p, normalize_dim(function, dim, arrays[-1].ndim))


@operation("input", numbers="eps")
def _normalize(input, p, dim, eps):
    return _length("normalize", (input,), p, dim)


@operation("dy input", numbers="eps")
def _normalize_backward(dy, input, p, dim, eps):
    check_gradient("normalize_backward", dy, input)
    return _length("normalize_backward", (dy, input), p, dim)


def _neighbours(function, arrays, size):
    shape = arrays[-1].shape
    if len(shape) < 3:
        raise ValueError(f"{function}: input must have at least 3 dimensions (B, C, ...), got shape {shape}")
    return Neighbours(arrays, integer(function, "size", size, 1))


@operation("input", numbers="alpha beta k")
def _local_response_norm(input, size, alpha, beta, k):
    return _neighbours("local_response_norm", (input,), size)


@operation("dy input", numbers="alpha beta k")
def _local_response_norm_backward(dy, input, size, alpha, beta, k):
    check_gradient("local_response_norm_backward", dy, input)
    return _neighbours("local_response_norm_backward", (dy, input), size)
