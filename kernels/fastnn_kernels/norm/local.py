"""Normalisation by a vector's own length, and by the squares of neighbouring channels.

Arrays are float32 or float64 (TypeError for others), of any strides; results are contiguous.
"""

from math import prod

import numpy as np

from ..cpu.norm import local as cpu
from ..ground.checks import as_float_array, contiguous, integer, normalize_dim, number, output, promote, required
from ..ground.memory import empty
from ..ground.threads import tasks
from .norm import check_gradient

GRAIN = 16384  # elements worth waking a second thread for


def normalize(input, p=2.0, dim=1, eps=1e-12, *, out=None):
    """Return x / max(|x|_p, eps) over `dim`, with |x|_p = (sum |x|^p)^(1/p), the largest |x| for p = infinity.

    ValueError for p <= 0 or a `dim` out of range. PyTorch's `out` argument is here by keyword.
    """
    return _normalize("normalize", cpu.normalize__rows, p, dim, eps, out, as_float_array("normalize", "input", input))


def normalize_backward(dy, input, p=2.0, dim=1, eps=1e-12, *, out=None):
    """Return the gradient of normalize's input; where several share the largest |x|, each gets an even part."""
    required("normalize_backward", dy=dy, input=input)
    dy, x = promote("normalize_backward", dy=dy, input=input)
    check_gradient("normalize_backward", dy, x)
    return _normalize("normalize_backward", cpu.normalize_backward__rows, p, dim, eps, out, dy, x)


def _normalize(function, kernel, p, dim, eps, out, *arrays):
    """Run the kernel for rows, on copies with `dim` last if it is not."""
    p, eps = number(function, "p", p), number(function, "eps", eps)
    if not p > 0:
        raise ValueError(f"{function}: p must be positive, got {p}")
    shape, dtype = arrays[0].shape, arrays[0].dtype
    dim = normalize_dim(function, dim, len(shape))
    y = output(function, out, shape, dtype, *arrays)
    if y.size:
        last = [contiguous(np.moveaxis(a, dim, -1)) if a.ndim else a for a in arrays]
        turned = np.moveaxis(y, dim, -1) if y.ndim else y
        target = turned if turned.flags.carray else empty(turned.shape, dtype)
        length = shape[dim] if shape else 1
        count = y.size // length
        views = [a.reshape(count, length) for a in (*last, target)]
        kernel[dtype](*views, p, eps, count, tasks(count, -(-GRAIN // length)))
        if target is not turned:
            turned[...] = target
    return y


def local_response_norm(input, size, alpha=1e-4, beta=0.75, k=1.0, *, out=None):
    """Return x / (k + alpha mean(x^2))^beta with the mean over `size` neighbouring channels (Krizhevsky et al., 2012).

    input (B, C, ...) -> the same. Channels c - size // 2 to c + (size - 1) // 2 count, missing ones as zeros, as in
    PyTorch. ValueError for fewer than 3 dimensions, or size < 1.
    """
    x = as_float_array("local_response_norm", "input", input)
    size, planes = _planes("local_response_norm", x, size)
    alpha, beta, k = _numbers("local_response_norm", alpha, beta, k)
    y = output("local_response_norm", out, x.shape, x.dtype, x)
    if x.size:
        target = y if y.flags.carray else empty(x.shape, x.dtype)
        views = contiguous(x).reshape(planes), target.reshape(planes)
        count = tasks(planes[0] * planes[1], -(-GRAIN // planes[2]))
        cpu.local_response_norm__planes[x.dtype](*views, size, alpha / size, beta, k, planes[0] * planes[1], count)
        if target is not y:
            y[...] = target
    return y


def local_response_norm_backward(dy, input, size, alpha=1e-4, beta=0.75, k=1.0):
    """Return the gradient of local_response_norm's input."""
    function = "local_response_norm_backward"
    required(function, dy=dy, input=input)
    dy, x = promote(function, dy=dy, input=input)
    check_gradient(function, dy, x)
    size, planes = _planes(function, x, size)
    alpha, beta, k = _numbers(function, alpha, beta, k)
    dx = empty(x.shape, x.dtype)
    if x.size:
        views = contiguous(dy).reshape(planes), contiguous(x).reshape(planes), dx.reshape(planes)
        count = tasks(planes[0], -(-GRAIN // (planes[1] * planes[2])))
        scratch = empty(planes, x.dtype)
        kernel = cpu.local_response_norm_backward__planes[x.dtype]
        kernel(*views, scratch, size, alpha / size, beta, k, planes[0], count)
    return dx


def _numbers(function, alpha, beta, k):
    return [number(function, name, value) for name, value in (("alpha", alpha), ("beta", beta), ("k", k))]


def _planes(function, x, size):
    if x.ndim < 3:
        raise ValueError(f"{function}: input must have at least 3 dimensions (B, C, ...), got shape {x.shape}")
    return integer(function, "size", size, 1), (x.shape[0], x.shape[1], prod(x.shape[2:]))
