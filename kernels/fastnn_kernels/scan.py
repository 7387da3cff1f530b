"""Running sums, products and logarithms of sums along a dimension.

All take float32 or float64 arrays of any shape and strides (TypeError for other dtypes) and `dim` from -ndim to
ndim - 1 (ValueError beyond); they give a new contiguous array of the input's shape and dtype. Sums and products are
taken in float64, one element after the other: in float32 every result is rounded once.
"""

from typing import NamedTuple

from .ground.checks import flag, normalize_dim
from .ground.operation import Layout, operation


def cumsum(input, dim, reverse=False):
    """Return x[0] + ... + x[n] along `dim`; with `reverse` x[n] + ... + x[-1], which is the gradient of the former."""
    return _cumsum.run(None, input, dim, reverse)


def cumprod(input, dim):
    """Return x[0] * ... * x[n] along `dim`."""
    return _cumprod.run(None, input, dim)


def cumprod_backward(dy, input, y, dim):
    """Return the gradient of cumprod's input from those of its output y; right where the input holds zeros, too.

    dx[n] = y[n - 1] s[n] with s[n] = dy[n] + x[n + 1] s[n + 1]: no division.
    """
    return _cumprod_backward.run(None, dy, input, y, dim)


def logcumsumexp(input, dim):
    """Return log(e^x[0] + ... + e^x[n]) along `dim`, without overflow: relative to the largest element so far."""
    return _logcumsumexp.run(None, input, dim)


def logcumsumexp_backward(dy, input, y, dim):
    """Return the gradient of logcumsumexp's input from those of its output y.

    dx[n] = t[n] e^(x[n] - y[n]) with t[n] = dy[n] + t[n + 1] e^(y[n] - y[n + 1]), whose powers are at most 1.
    """
    return _logcumsumexp_backward.run(None, dy, input, y, dim)


class Scan(NamedTuple):
    """Arrays of one shape, the dimension to go along, and whether from its end."""

    arrays: tuple[Layout, ...]
    dim: int
    reverse: bool = False


def _forward(name):
    def check(input, dim):
        return Scan((input,), normalize_dim(name, dim, input.ndim))

    return operation("input", name=name)(check)


def _backward(name):
    def check(dy, input, y, dim):
        if not dy.shape == input.shape == y.shape:
            raise ValueError(f"{name}: dy has shape {dy.shape}, input {input.shape} and y {y.shape}")
        return Scan((dy, input, y), normalize_dim(name, dim, y.ndim))

    return operation("dy input y", name=name)(check)


@operation("input")
def _cumsum(input, dim, reverse):
    return Scan((input,), normalize_dim("cumsum", dim, input.ndim), flag("cumsum", "reverse", reverse))


_cumprod, _logcumsumexp = _forward("cumprod"), _forward("logcumsumexp")
_cumprod_backward, _logcumsumexp_backward = _backward("cumprod_backward"), _backward("logcumsumexp_backward")
