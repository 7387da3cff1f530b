"""Dropout of single elements and of whole channels, setting them to 0 or to the least value of SELU (alpha dropout).

All take float32 or float64 arrays of any strides (TypeError for others) and give a contiguous array of their shape, or
`out`, which may be the input itself. The mask depends only on p, seed, offset (integers of 0 .. 2^64 - 1) and on the
position of an element or channel: not on dtype, strides or the number of threads. NaN stays NaN where it is dropped, as
in PyTorch. Gradients go through the same mask, which is computed again.

Raise ValueError for p outside 0 .. 1.
"""

from math import sqrt
from typing import NamedTuple

from .ground.checks import number
from .ground.operation import Layout, operation

FLOOR = -1.7580993408473766  # of SELU: -scale alpha


def dropout(input, p, seed, offset=0, *, out=None):
    """Return input / (1 - p) with each element set to 0 with probability p (Srivastava et al., 2014)."""
    return _dropout.run(out, input, p, seed, offset)


def dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of dropout's input."""
    return _dropout_backward.run(out, dy, p, seed, offset)


def alpha_dropout(input, p, seed, offset=0, *, out=None):
    """Return a input + b with each element set to a floor first, with probability p (Klambauer et al., 2017).

    The floor is SELU's least value, -1.758; a and b keep a mean of 0 and a variance of 1. For p = 1 all is 0.
    """
    return _alpha_dropout.run(out, input, p, seed, offset)


def alpha_dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of alpha_dropout's input."""
    return _alpha_dropout_backward.run(out, dy, p, seed, offset)


def feature_dropout(input, p, seed, offset=0, *, out=None):
    """Return input / (1 - p) with each channel of (B, C, ...) set to 0 with probability p (Tompson et al., 2015)."""
    return _feature_dropout.run(out, input, p, seed, offset)


def feature_dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of feature_dropout's input."""
    return _feature_dropout_backward.run(out, dy, p, seed, offset)


def feature_alpha_dropout(input, p, seed, offset=0, *, out=None):
    """Return what `alpha_dropout` gives, but drop whole channels of (B, C, ...)."""
    return _feature_alpha_dropout.run(out, input, p, seed, offset)


def feature_alpha_dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of feature_alpha_dropout's input."""
    return _feature_alpha_dropout_backward.run(out, dy, p, seed, offset)


class Dropout(NamedTuple):
    """What is kept becomes x scale + shift, what is dropped 0 x + low: elements, or channels (B, C, ...).

    threshold: what is dropped has a random word of 32 bits below it.
    """

    name: str
    input: Layout
    channels: bool
    threshold: int
    scale: float
    shift: float
    low: float

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.input.shape, self.input.dtype


def _line(p):
    """Return (scale, shift, low)."""
    return (1 / (1 - p) if p < 1 else 0.0), 0.0, 0.0


def _alpha_line(p):
    if p == 1:
        return 0.0, 0.0, 0.0
    scale = 1 / sqrt((1 - p) * (1 + p * FLOOR**2))
    return scale, -scale * FLOOR * p, scale * FLOOR * (1 - p)


def _alpha_line_of_gradient(p):
    return _alpha_line(p)[0], 0.0, 0.0


def _problem(name, array, x, channels, p, line):
    p = number(name, "p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be from 0 to 1, got {p}")
    if channels and x.ndim < 2:
        raise ValueError(f"{name}: {array} must have at least 2 dimensions (B, C, ...), got shape {x.shape}")
    return Dropout(name, x, channels, min(round(p * 2**32), 2**32 - 1), *line(p))


def _operations(name, channels, line, line_of_gradient):
    """Return the operations of a dropout and of its gradient."""
    back = f"{name}_backward"

    @operation("input", words="seed offset", name=name, in_place=True)
    def forward(input, p, seed, offset):
        return _problem(name, "input", input, channels, p, line)

    @operation("dy", words="seed offset", name=back, in_place=True)
    def backward(dy, p, seed, offset):
        return _problem(back, "dy", dy, channels, p, line_of_gradient)

    return forward, backward


_ALPHA = _alpha_line, _alpha_line_of_gradient
_dropout, _dropout_backward = _operations("dropout", False, _line, _line)
_alpha_dropout, _alpha_dropout_backward = _operations("alpha_dropout", False, *_ALPHA)
_feature_dropout, _feature_dropout_backward = _operations("feature_dropout", True, _line, _line)
_feature_alpha_dropout, _feature_alpha_dropout_backward = _operations("feature_alpha_dropout", True, *_ALPHA)
