"""Softmax and its logarithm over one dimension of an array.

All take float32 or float64 arrays of any shape and strides (TypeError for other dtypes), and `dim` from -ndim to
ndim - 1 (ValueError beyond). They write to a new contiguous array, or to `out`, which must have the input's shape and
dtype and not overlap an input (ValueError). Rows of -inf give NaN, as in PyTorch.

Sums go by fixed pieces, so results have the same bits for any number of threads. Errors were measured for 2 to 4096
normal numbers times 1, 3, 10 and 25, in eps of the dtype.
"""

from math import prod
from typing import NamedTuple

from numpy import empty_like, ndarray

from ._jit import Kernel
from ._memory import SMALL, empty
from ._parallel import tasks
from ._shapes import as_float_array, contiguous, normalize_dim, output, promote
from .cpu import softmax as cpu
from .cpu.softmax import FEW

GRAIN = 32768  # elements worth waking a second thread for
WARM = 2 * SMALL  # elements below which NumPy's memory has been used before, and is faster to get than the pool's


class Variants(NamedTuple):
    """The kernels of an operation: for rows, of which [length <= FEW] is the right one, and for columns."""

    rows: Kernel
    few: Kernel
    columns: Kernel


SOFTMAX = Variants(cpu.softmax__rows, cpu.softmax__few, cpu.softmax__columns)
LOG_SOFTMAX = Variants(cpu.log_softmax__rows, cpu.log_softmax__few, cpu.log_softmax__columns)
SOFTMAX_BACKWARD = Variants(cpu.softmax_backward__rows, cpu.softmax_backward__rows, cpu.softmax_backward__columns)
LOG_SOFTMAX_BACKWARD = Variants(
    cpu.log_softmax_backward__rows, cpu.log_softmax_backward__rows, cpu.log_softmax_backward__columns
)


def softmax(input, dim=-1, *, out=None):
    """Return e^(x - max) / sum over `dim`.

    The relative error is at most 3.2 eps where x is within 1 of the largest. Further away the rounding of x - max adds
    0.5 eps |x - max| in float32, 0.65 in float64.
    """
    return _forward("softmax", SOFTMAX, input, dim, out)


def softmax_backward(dy, y, dim=-1, *, out=None):
    """Return y (dy - sum(dy y)) for softmax's output y."""
    return _backward("softmax_backward", SOFTMAX_BACKWARD, dy, y, dim, out)


def log_softmax(input, dim=-1, *, out=None):
    """Return x - max - log(sum e^(x - max)) over `dim`: the logarithm of softmax without its underflow.

    The error is at most 3.2 eps, relative to the result or, where that is below 1, to 1.
    """
    return _forward("log_softmax", LOG_SOFTMAX, input, dim, out)


def log_softmax_backward(dy, y, dim=-1, *, out=None):
    """Return dy - e^y sum(dy) for log_softmax's output y."""
    return _backward("log_softmax_backward", LOG_SOFTMAX_BACKWARD, dy, y, dim, out)


# Rows of a contiguous matrix are the common case, and go straight to their kernel.


def _forward(function, variants, x, dim, out):
    if out is None and (dim == -1 or dim == 1) and type(x) is ndarray and x.ndim == 2:
        count, length = x.shape
        run = variants[length <= FEW].get(x.dtype)
        if run is not None and count and length and x.flags.c_contiguous:
            n = count * length
            y = empty_like(x) if n < WARM else empty((count, length), x.dtype)
            run(x, y, count, 1 if n < 2 * GRAIN else tasks(count, -(-GRAIN // length)))
            return y
    return _general(function, variants, dim, out, as_float_array(function, "input", x))


def _backward(function, variants, dy, y, dim, out):
    if out is None and (dim == -1 or dim == 1) and type(dy) is type(y) is ndarray and y.ndim == 2:
        shape, dtype = y.shape, y.dtype
        count, length = shape
        run = variants[length <= FEW].get(dtype)
        same = dy.dtype is dtype and dy.shape == shape
        if run is not None and same and count and length and y.flags.c_contiguous and dy.flags.c_contiguous:
            n = count * length
            dx = empty_like(y) if n < WARM else empty(shape, dtype)
            run(dy, y, dx, count, 1 if n < 2 * GRAIN else tasks(count, -(-GRAIN // length)))
            return dx
    dy, y = promote(function, dy=dy, y=y)
    if dy.shape != y.shape:
        raise ValueError(f"{function}: dy has shape {dy.shape} but y has {y.shape}")
    return _general(function, variants, dim, out, dy, y)


def _general(function, variants, dim, out, *arrays):
    """Return the result over any dimension of arrays of one shape and dtype, in any layout."""
    x = arrays[-1]
    shape, dtype = x.shape, x.dtype
    dim = normalize_dim(function, dim, x.ndim)
    y = output(function, out, shape, dtype, *arrays)
    target = y if y.flags.c_contiguous else empty(shape, dtype)
    if x.size:
        length, width = shape[dim] if shape else 1, prod(shape[dim + 1 :])
        if width == 1:
            kernel, form, count = variants[length <= FEW], (-1, length), x.size // length
        else:
            kernel, form = variants.columns, (-1, length, width)
            count = x.size // (length * width) * cpu.strips(width, dtype)
        views = [contiguous(a).reshape(form) for a in (*arrays, target)]
        kernel[dtype](*views, count, tasks(count, -(-GRAIN * count // x.size)))
    if target is not y:
        y[...] = target
    return y
