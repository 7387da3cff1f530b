"""Elementwise functions on arrays of any shape and strides.

All take float32 or float64 arrays (TypeError for others), and write to a new array, whose axes lie in memory as the
input's do, or to `out`, which must have the shape and dtype of the result and not overlap an input (ValueError).

Errors in ulp are the largest over all 2^32 float32 arguments, and over 8 million random float64 ones.
"""

import numpy as np
from numpy import empty_like, may_share_memory, ndarray

from ._memory import SMALL, empty
from ._parallel import tasks
from ._shapes import as_float_array, check_out, contiguous, promote
from .cpu.activation import FUNCTIONS, backward_kernels, forward_kernels


def relu(input, *, out=None):
    """Return max(x, 0), exactly; NaN stays NaN."""
    return _forward("relu", input, out)


def relu_backward(dy, y, *, out=None):
    """Return dy where relu's output y is above 0, else 0."""
    return _backward("relu", dy, y, out)


def leaky_relu(input, negative_slope=0.01, *, out=None):
    """Return x above 0, negative_slope * x below. At most 0.5 ulp."""
    return _forward("leaky_relu", input, out, negative_slope)


def leaky_relu_backward(dy, y, negative_slope=0.01, *, out=None):
    """Return dy above 0, negative_slope * dy below. `y` may be the output, if negative_slope >= 0, or the input."""
    return _backward("leaky_relu", dy, y, out, negative_slope)


def sigmoid(input, *, out=None):
    """Return 1 / (1 + e^-x). At most 1.50 ulp in float32, 1.48 in float64."""
    return _forward("sigmoid", input, out)


def sigmoid_backward(dy, y, *, out=None):
    """Return dy y (1 - y) for sigmoid's output y."""
    return _backward("sigmoid", dy, y, out)


def tanh(input, *, out=None):
    """Return the hyperbolic tangent. At most 1.74 ulp in float32, 1.89 in float64."""
    return _forward("tanh", input, out)


def tanh_backward(dy, y, *, out=None):
    """Return dy (1 - y^2) for tanh's output y."""
    return _backward("tanh", dy, y, out)


def gelu(input, approximate="none", *, out=None):
    """Return x times the probability that a normal variable is below x (Hendrycks & Gimpel, 2016).

    approximate="tanh": x / (1 + e^-u) with u = 2 sqrt(2 / pi) (x + 0.044715 x^3), as in GPT-2. Others: ValueError.
    Relative accuracy holds in the left tail too, where 1 + erf would cancel: at most 5.6 ulp in float32 (11 with tanh),
    measured over every eighth argument.
    """
    return _forward(_gelu("gelu", approximate), input, out)


def gelu_backward(dy, input, approximate="none", *, out=None):
    """Return dy times the slope of gelu at its input."""
    return _backward(_gelu("gelu_backward", approximate), dy, input, out)


def exp(input, *, out=None):
    """Return e^x. At most 1.04 ulp in float32, 0.97 in float64; subnormal results included."""
    return _forward("exp", input, out)


def exp_backward(dy, y, *, out=None):
    """Return dy y for exp's output y."""
    return _backward("exp", dy, y, out)


def log(input, *, out=None):
    """Return the natural logarithm; -inf at 0, NaN below. At most 0.84 ulp in float32, 0.83 in float64."""
    return _forward("log", input, out)


def log_backward(dy, input, *, out=None):
    """Return dy / x for log's input x."""
    return _backward("log", dy, input, out)


def _gelu(function, approximate):
    if approximate == "none":
        return "gelu"
    if approximate == "tanh":
        return "gelu_tanh"
    raise ValueError(f"{function}: approximate must be 'none' or 'tanh', got {approximate!r}")


# What a call needs to know, looked up once: kernel and grain.
_FORWARD = {name: (kernel, FUNCTIONS[name].grain) for name, kernel in forward_kernels.items()}
_BACKWARD = {name: (kernel, FUNCTIONS[name].grain) for name, kernel in backward_kernels.items()}


def _forward(name, x, out, *parameters):
    if type(x) is ndarray and x.flags.c_contiguous and (out is None or _fits(out, x)):
        kernel, grain = _FORWARD[name]
        run = kernel.get(x.dtype)
        if run is not None:
            n = x.size
            y = out if out is not None else empty_like(x) if n < SMALL else empty(x.shape, x.dtype)
            number = 1 if n < 2 * grain else tasks(n, grain)
            if x.ndim == 1:
                run(x, y, *parameters, n, number)
            else:
                run(x.ravel(), y.ravel(), *parameters, n, number)
            return y
    return _general(name, forward_kernels[name], parameters, out, as_float_array(name, "input", x))


def _fits(out, x):
    """Say whether `out` is a plain array for the result, which lies as `x`; if not, it gets a closer look."""
    flags = out.flags if type(out) is ndarray and out.shape == x.shape and out.dtype is x.dtype else None
    return flags is not None and flags.c_contiguous and flags.writeable and not may_share_memory(out, x)


def _backward(name, dy, value, out, *parameters):
    if out is None and type(dy) is type(value) is ndarray and dy.dtype is value.dtype and dy.shape == value.shape:
        kernel, grain = _BACKWARD[name]
        run = kernel.get(dy.dtype)
        if run is not None and dy.flags.c_contiguous and value.flags.c_contiguous:
            n = dy.size
            dx = empty_like(dy) if n < SMALL else empty(dy.shape, dy.dtype)
            number = 1 if n < 2 * grain else tasks(n, grain)
            if dy.ndim == 1:
                run(dy, value, dx, *parameters, n, number)
            else:
                run(dy.ravel(), value.ravel(), dx.ravel(), *parameters, n, number)
            return dx
    second = "y" if FUNCTIONS[name].gradient_of == "output" else "input"
    dy, value = promote(f"{name}_backward", **{"dy": dy, second: value})
    if dy.shape != value.shape:
        raise ValueError(f"{name}_backward: dy has shape {dy.shape} but {second} has {value.shape}")
    return _general(name, backward_kernels[name], parameters, out, dy, value)


def _general(name, kernel, parameters, out, *arrays):
    """Run a kernel over arrays of one shape and dtype and any strides, along memory if they are dense in some order."""
    shape, dtype = arrays[-1].shape, arrays[-1].dtype
    if out is not None:
        check_out(kernel.__name__.partition("__")[0], out, shape, dtype, *arrays)
    axes = np.argsort([-abs(stride) for stride in arrays[-1].strides], kind="stable")
    views = [contiguous(x.transpose(axes)) for x in arrays]
    target = None if out is None else out.transpose(axes)
    y = target if target is not None and target.flags.c_contiguous else empty(views[0].shape, dtype)
    n = y.size
    kernel[dtype](*[x.reshape(-1) for x in views], y.reshape(-1), *parameters, n, tasks(n, FUNCTIONS[name].grain))
    if target is None:
        return y.transpose(np.argsort(axes))
    if target is not y:
        target[...] = y
    return out
