"""Activations that look at more than one number: slopes learned per channel, and gates.

All take float32 or float64 arrays of any strides (TypeError for others).
"""

from math import prod

from . import reduction
from .cpu import glu as cpu
from .ground.checks import as_float_array, contiguous, normalize_dim, promote, required
from .ground.memory import empty
from .ground.threads import tasks

GRAIN = 1 << 16  # elements worth waking a second thread for


def prelu(input, weight):
    """Return x above 0, weight x below, with a weight for all or one per channel (He et al., 2015).

    input (N, C, ...), weight (C) or (1) -> as the input. With one weight, the input may have any shape. ValueError for
    other shapes of the weight. At most 0.5 ulp.
    """
    required("prelu", input=input, weight=weight)
    x, w = promote("prelu", input=input, weight=weight)
    views, back = _channels("prelu", w, x)
    w = contiguous(w)
    if views[0].ndim == 2:
        (rows,) = views
        y = empty(rows.shape, x.dtype)
        cpu.prelu__rows[x.dtype](rows, w, y, len(rows), tasks(len(rows), -(-GRAIN // w.size)))
    else:
        (planes,) = views
        y = empty(planes.shape, x.dtype)
        count = planes.shape[0] * w.size
        cpu.prelu__planes[x.dtype](planes, w, y, count, tasks(count, -(-GRAIN // max(1, planes.shape[2]))))
    return back(y)


def prelu_backward(dy, input, weight):
    """Return the gradients of prelu's input and weight."""
    required("prelu_backward", dy=dy, input=input, weight=weight)
    dy, x, w = promote("prelu_backward", dy=dy, input=input, weight=weight)
    if dy.shape != x.shape:
        raise ValueError(f"prelu_backward: dy has shape {dy.shape} but input has {x.shape}")
    views, back = _channels("prelu_backward", w, x, dy)
    values, above = views
    w = contiguous(w)
    dx = empty(values.shape, x.dtype)
    if values.ndim == 2:
        pieces = -(-len(values) // cpu.BLOCK)
        dw = empty((pieces, w.size), x.dtype)
        grain = -(-GRAIN // (cpu.BLOCK * w.size))
        cpu.prelu_backward__rows[x.dtype](above, values, w, dx, dw, pieces, tasks(pieces, grain))
    else:
        dw = empty(values.shape[:2], x.dtype)
        count, grain = dw.size, -(-GRAIN // max(1, values.shape[2]))
        cpu.prelu_backward__planes[x.dtype](above, values, w, dx, dw, count, tasks(count, grain))
    return back(dx), reduction.sum(dw, 0)


def _channels(function, weight, *arrays):
    """View arrays of one shape as planes (A, C, B), or as rows (R, C) if channels lie together; and the way back."""
    x = arrays[0]
    shape = x.shape
    if weight.ndim != 1 or weight.size < 1 or (weight.size > 1 and (x.ndim < 2 or shape[1] != weight.size)):
        raise ValueError(f"{function}: weight has shape {weight.shape} but input has {shape}; expected (1,) or (C,)")
    if weight.size == 1:
        flat = (shape[0] if shape else 1, 1, prod(shape[1:]))
        return [contiguous(a).reshape(flat) for a in arrays], lambda y: y.reshape(shape)
    if x.ndim == 2:
        return [contiguous(a) for a in arrays], lambda y: y
    last = (0, *range(2, x.ndim), 1)
    if x.transpose(last).flags.c_contiguous and not x.flags.c_contiguous:
        first = (0, x.ndim - 1, *range(1, x.ndim - 1))
        moved = tuple(shape[axis] for axis in last)
        views = [contiguous(a.transpose(last)).reshape(-1, weight.size) for a in arrays]
        return views, lambda y: y.reshape(moved).transpose(first)
    return [contiguous(a).reshape(*shape[:2], prod(shape[2:])) for a in arrays], lambda y: y.reshape(shape)


def glu(input, dim=-1):
    """Return a / (1 + e^-b) of the two halves a and b of the input along `dim` (Dauphin et al., 2017).

    input (..., 2n, ...) -> (..., n, ...), contiguous. ValueError for an odd number. At most 2 ulp.
    """
    x = as_float_array("glu", "input", input)
    dim = _halved("glu", x, dim)
    shape = (*x.shape[:dim], x.shape[dim] // 2, *x.shape[dim + 1 :])
    y = empty(shape, x.dtype)
    rows, length = prod(shape[:dim]), prod(shape[dim:])
    cpu.glu__halves[x.dtype](
        contiguous(x).reshape(rows, 2, length), y.reshape(rows, length), rows, tasks(rows, -(-GRAIN // max(1, length)))
    )
    return y


def glu_backward(dy, input, dim=-1):
    """Return the gradient of glu's input."""
    required("glu_backward", dy=dy, input=input)
    dy, x = promote("glu_backward", dy=dy, input=input)
    dim = _halved("glu_backward", x, dim)
    shape = (*x.shape[:dim], x.shape[dim] // 2, *x.shape[dim + 1 :])
    if dy.shape != shape:
        raise ValueError(f"glu_backward: dy has shape {dy.shape} but half the input has {shape}")
    rows, length = prod(shape[:dim]), prod(shape[dim:])
    dx = empty(x.shape, x.dtype)
    views = contiguous(dy).reshape(rows, length), contiguous(x).reshape(rows, 2, length), dx.reshape(rows, 2, length)
    cpu.glu_backward__halves[x.dtype](*views, rows, tasks(rows, -(-GRAIN // max(1, length))))
    return dx


def _halved(function, x, dim):
    if not x.ndim:
        raise ValueError(f"{function}: input must have a dimension to halve, got a single number")
    dim = normalize_dim(function, dim, x.ndim)
    if x.shape[dim] % 2:
        raise ValueError(f"{function}: dimension {dim} of the input must be even to be halved, got shape {x.shape}")
    return dim
