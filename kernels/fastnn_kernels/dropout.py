"""Dropout of single numbers and of whole channels, setting them to 0 or to the least value of SELU (alpha dropout).

All take float32 or float64 arrays of any strides (TypeError for others) and give a contiguous array of their shape, or
`out`, which may be the input itself. The mask depends on p, seed, offset (integers of 0 .. 2^64 - 1) and on where an
element or channel stands alone: not on dtype, strides or the number of threads. NaN stays NaN where it is dropped, as
in PyTorch. Gradients go through the same mask, which is computed again.

Raise ValueError for p outside 0 .. 1.
"""

from math import prod, sqrt
from operator import index

from .cpu.dropout import CHUNK, dropout__philox
from .cpu.norm.plan import streams as far
from .cpu.norm.rows import norm__given
from .ground.checks import as_float_array, contiguous, number, output
from .ground.memory import empty, zeros
from .ground.threads import tasks

GRAIN = 16384  # elements worth waking a second thread for
FLOOR = -1.7580993408473766  # of SELU: -scale alpha


def dropout(input, p, seed, offset=0, *, out=None):
    """Return input / (1 - p) with each element set to 0 with probability p (Srivastava et al., 2014)."""
    return _run("dropout", "input", input, _line, p, seed, offset, out)


def dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of dropout's input."""
    return _run("dropout_backward", "dy", dy, _line, p, seed, offset, out)


def alpha_dropout(input, p, seed, offset=0, *, out=None):
    """Return a input + b with each element set to a floor first, with probability p (Klambauer et al., 2017).

    The floor is SELU's least value, -1.758; a and b keep a mean of 0 and a variance of 1. For p = 1 all is 0.
    """
    return _run("alpha_dropout", "input", input, _alpha_line, p, seed, offset, out)


def alpha_dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of alpha_dropout's input."""
    return _run("alpha_dropout_backward", "dy", dy, _alpha_line_of_gradient, p, seed, offset, out)


def feature_dropout(input, p, seed, offset=0, *, out=None):
    """Return input / (1 - p) with each channel of (B, C, ...) set to 0 with probability p (Tompson et al., 2015)."""
    return _run_channels("feature_dropout", "input", input, _line, p, seed, offset, out)


def feature_dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of feature_dropout's input."""
    return _run_channels("feature_dropout_backward", "dy", dy, _line, p, seed, offset, out)


def feature_alpha_dropout(input, p, seed, offset=0, *, out=None):
    """Return what `alpha_dropout` gives, but drop whole channels of (B, C, ...)."""
    return _run_channels("feature_alpha_dropout", "input", input, _alpha_line, p, seed, offset, out)


def feature_alpha_dropout_backward(dy, p, seed, offset=0, *, out=None):
    """Return the gradient of feature_alpha_dropout's input."""
    return _run_channels("feature_alpha_dropout_backward", "dy", dy, _alpha_line_of_gradient, p, seed, offset, out)


def _line(p):
    """Return (scale, shift, low): what stays becomes x scale + shift, what is dropped low."""
    return (1 / (1 - p) if 0 <= p < 1 else 0.0), 0.0, 0.0


def _alpha_line(p):
    if not 0 <= p < 1:
        return 0.0, 0.0, 0.0
    scale = 1 / sqrt((1 - p) * (1 + p * FLOOR**2))
    return scale, -scale * FLOOR * p, scale * FLOOR * (1 - p)


def _alpha_line_of_gradient(p):
    return _alpha_line(p)[0], 0.0, 0.0


def _run(function, name, given, line, p, seed, offset, out):
    x = as_float_array(function, name, given)
    p, seed, offset = _check(function, p, seed, offset)
    y = output(function, out, x.shape, x.dtype, None if out is given else x)
    target = y if y.flags.carray else output(function, None, x.shape, x.dtype)
    _draw(contiguous(x).reshape(-1), target.reshape(-1), line(p), p, seed, offset)
    if target is not y:
        y[...] = target
    return y


def _draw(x, y, line, p, seed, offset):
    threshold = min(round(p * 2**32), 2**32 - 1)
    chunks = -(-x.size // CHUNK)
    dropout__philox[x.dtype](x, y, threshold, *line, seed, offset, chunks, tasks(chunks, GRAIN // CHUNK))


def _run_channels(function, name, given, line, p, seed, offset, out):
    """Draw a scale and an offset per channel and compute scale * x + offset."""
    x = as_float_array(function, name, given)
    p, seed, offset = _check(function, p, seed, offset)
    if x.ndim < 2:
        raise ValueError(f"{function}: {name} must have at least 2 dimensions (B, C, ...), got shape {x.shape}")
    y = output(function, out, x.shape, x.dtype, None if out is given else x)
    target = y if y.flags.carray else output(function, None, x.shape, x.dtype)
    scale, shift, low = line(p)
    channels, length = prod(x.shape[:2]), prod(x.shape[2:])
    if x.size:
        factors, offsets = empty((2, channels), x.dtype)
        moments = zeros((2, channels), x.dtype)
        moments[1] = 1
        _draw(moments[1], factors, (scale, 0.0, 0.0), p, seed, offset)
        _draw(moments[1], offsets, (0.0, shift, low), p, seed, offset)
        views = contiguous(x).reshape(-1), *moments, factors, offsets, target.reshape(-1)
        given, number = (0.0, length, far(x.nbytes, length * x.itemsize)), tasks(channels, -(-GRAIN // length))
        norm__given[x.dtype](*views, *given, channels, number)
    if target is not y:
        y[...] = target
    return y


def _check(function, p, seed, offset):
    """Return (p, seed, offset) as a float and two integers in their ranges."""
    if type(p) is not float:
        p = number(function, "p", p)
    if not 0 <= p <= 1:
        raise ValueError(f"{function}: p must be from 0 to 1, got {p}")
    return p, word(function, "seed", seed), word(function, "offset", offset)


def word(function, name, value):
    """Return an integer of 64 bits."""
    if type(value) is not int:
        try:
            value = index(value)
        except TypeError:
            raise TypeError(f"{function}: {name} must be an integer, got {value!r}") from None
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{function}: {name} must be from 0 to 2**64 - 1, got {value}")
    return value
