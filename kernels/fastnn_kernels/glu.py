"""Activations that look at more than one number: slopes learned per channel, random slopes, and gates.

All take float32 or float64 arrays of any strides (TypeError for others).
"""

from typing import NamedTuple

from .ground.checks import normalize_dim
from .ground.operation import Layout, operation


def prelu(input, weight):
    """Return x above 0, weight x below, with a weight for all or one per channel (He et al., 2015).

    input (N, C, ...), weight (C) or (1) -> as the input. With one weight, the input may have any shape. ValueError for
    other shapes of the weight. At most 0.5 ulp.
    """
    return _prelu.run(None, input, weight)


def prelu_backward(dy, input, weight):
    """Return the gradients of prelu's input and weight."""
    return _prelu_backward.run(None, dy, input, weight)


def rrelu(input, lower, upper, seed, offset=0, *, out=None):
    """Return x above 0, slope x below, with slopes drawn evenly from lower .. upper (Xu et al., 2015).

    The slopes are those of `uniform`: they depend on seed and offset and an element's position alone. `out` may be the
    input itself.
    """
    return _rrelu.run(out, input, lower, upper, seed, offset)


def rrelu_backward(dy, input, lower, upper, seed, offset=0, *, out=None):
    """Return the gradient of rrelu's input; the other arguments as in the forward. The slopes are drawn again."""
    return _rrelu_backward.run(out, dy, input, lower, upper, seed, offset)


def glu(input, dim=-1):
    """Return a / (1 + e^-b) of the two halves a and b of the input along `dim` (Dauphin et al., 2017).

    input (..., 2n, ...) -> (..., n, ...), contiguous. ValueError for an odd number. At most 2 ulp.
    """
    return _glu.run(None, input, dim)


def glu_backward(dy, input, dim=-1):
    """Return the gradient of glu's input."""
    return _glu_backward.run(None, dy, input, dim)


class Slopes(NamedTuple):
    """Arrays of one shape, input last, of which numbers below 0 get slopes: weights (1,) or (C,), or random ones."""

    arrays: tuple[Layout, ...]
    weight: Layout | None = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.arrays[-1].shape, self.arrays[-1].dtype


class Halves(NamedTuple):
    """An array whose halves along `dim` are values and gates."""

    input: Layout
    dim: int


def _slopes(function, weight, *arrays):
    shape = arrays[-1].shape
    if weight.ndim != 1 or weight.shape[0] < 1 or (weight.shape[0] > 1 and shape[1:2] != weight.shape):
        raise ValueError(f"{function}: weight has shape {weight.shape} but input has {shape}; expected (1,) or (C,)")
    return Slopes(arrays, weight)


def _check_gradient(function, dy, input):
    if dy.shape != input.shape:
        raise ValueError(f"{function}: dy has shape {dy.shape} but input has {input.shape}")


@operation("input weight")
def _prelu(input, weight):
    return _slopes("prelu", weight, input)


@operation("dy input weight")
def _prelu_backward(dy, input, weight):
    _check_gradient("prelu_backward", dy, input)
    return _slopes("prelu_backward", weight, dy, input)


@operation("input", numbers="lower upper", words="seed offset", in_place=True)
def _rrelu(input, lower, upper, seed, offset):
    return Slopes((input,))


@operation("dy input", numbers="lower upper", words="seed offset", in_place=True)
def _rrelu_backward(dy, input, lower, upper, seed, offset):
    _check_gradient("rrelu_backward", dy, input)
    return Slopes((dy, input))


@operation("input")
def _glu(input, dim):
    return Halves(input, _halved("glu", input, dim))


@operation("dy input")
def _glu_backward(dy, input, dim):
    dim = _halved("glu_backward", input, dim)
    shape = (*input.shape[:dim], input.shape[dim] // 2, *input.shape[dim + 1 :])
    if dy.shape != shape:
        raise ValueError(f"glu_backward: dy has shape {dy.shape} but half the input has {shape}")
    return Halves(input, dim)


def _halved(function, x, dim):
    if not x.ndim:
        raise ValueError(f"{function}: input must have a dimension to halve, got a single number")
    dim = normalize_dim(function, dim, x.ndim)
    if x.shape[dim] % 2:
        raise ValueError(f"{function}: dimension {dim} of the input must be even to be halved, got shape {x.shape}")
    return dim
