"""Softmax and its logarithm over one dimension of an array.

All take float32 or float64 arrays of any shape and strides (TypeError for other dtypes), and `dim` from -ndim to
ndim - 1 (ValueError beyond). They write to a new contiguous array, or to `out`, which must have the input's shape and
dtype and not overlap an input (ValueError). Rows of -inf give NaN, as in PyTorch.
"""

from math import prod

from ._memory import empty
from ._parallel import tasks
from ._shapes import as_float_array, contiguous, normalize_dim, output, promote
from .cpu import softmax as cpu

GRAIN = 32768  # elements worth waking a second thread for


def softmax(input, dim=-1, *, out=None):
    """Return e^(x - max) / sum over `dim`."""
    x = as_float_array("softmax", "input", input)
    return _run("softmax", cpu.softmax__rows, cpu.softmax__columns, dim, out, x)


def softmax_backward(dy, y, dim=-1, *, out=None):
    """Return y (dy - sum(dy y)) for softmax's output y."""
    dy, y = promote("softmax_backward", dy=dy, y=y)
    return _run("softmax_backward", cpu.softmax_backward__rows, cpu.softmax_backward__columns, dim, out, dy, y)


def log_softmax(input, dim=-1, *, out=None):
    """Return x - max - log(sum e^(x - max)) over `dim`: the logarithm of softmax without its underflow."""
    x = as_float_array("log_softmax", "input", input)
    return _run("log_softmax", cpu.log_softmax__rows, cpu.log_softmax__columns, dim, out, x)


def log_softmax_backward(dy, y, dim=-1, *, out=None):
    """Return dy - e^y sum(dy) for log_softmax's output y."""
    dy, y = promote("log_softmax_backward", dy=dy, y=y)
    rows, columns = cpu.log_softmax_backward__rows, cpu.log_softmax_backward__columns
    return _run("log_softmax_backward", rows, columns, dim, out, dy, y)


def _run(function, rows, columns, dim, out, *arrays):
    """Run the variant for rows if `dim` is the last dimension with more than one element, else that for columns."""
    x = arrays[-1]
    shape, dtype = x.shape, x.dtype
    if arrays[0].shape != shape:
        raise ValueError(f"{function}: dy has shape {arrays[0].shape} but y has {shape}")
    dim = normalize_dim(function, dim, x.ndim)
    y = output(function, out, shape, dtype, *arrays)
    target = y if y.flags.c_contiguous else empty(shape, dtype)
    if x.size:
        length, width = shape[dim] if shape else 1, prod(shape[dim + 1 :])
        if width == 1:
            views = [contiguous(a).reshape(-1, length) for a in (*arrays, target)]
            count = x.size // length
            rows[dtype](*views, count, tasks(count, -(-GRAIN // length)))
        else:
            views = [contiguous(a).reshape(-1, length, width) for a in (*arrays, target)]
            count = x.size // length
            columns[dtype](*views, empty((2, count), dtype), count, tasks(count, -(-GRAIN // length)))
    if target is not y:
        y[...] = target
    return y
