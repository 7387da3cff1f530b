"""Convolutions in any number of dimensions, transposed ones, their gradients and windows, tap by tap in float64."""

from math import erf, prod, sqrt

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver
from ..ground.prepared import Prepared

ACTIVATIONS = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "leaky_relu": lambda x: np.where(x > 0, x, 0.01 * x),
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(erf, otypes=[float])(x / sqrt(2))),
}
SLOPES = {  # at the output y
    None: lambda y: 1,
    "relu": lambda y: ~(y <= 0),
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: (1 - y) * (1 + y),
    "leaky_relu": lambda y: np.where(y > 0, 1, 0.01),
}
FORWARD, TRANSPOSED = ([f"conv{kind}{n}d" for n in (1, 2, 3)] for kind in ("", "_transpose"))


def taps(window, inputs, outputs):
    """Yield (tap, source, target): the inputs that a tap of the window reads, and the outputs that it adds to."""
    for tap in np.ndindex(*window.kernel):
        source, target = [], []
        for k, stride, before, dilation, size, count in zip(tap, *window[:3], inputs, outputs, strict=True):
            start = k * dilation - before
            inside = [o for o in range(count) if 0 <= start + o * stride < size] or [0]
            first, last = inside[0], inside[-1]
            if not 0 <= start + first * stride < size:
                break
            target.append(slice(first, last + 1))
            source.append(slice(start + first * stride, start + last * stride + 1, stride))
        else:
            yield (..., *tap), (..., *source), (..., *target)


def grouped(window, x, axis=1):
    """Return an array as float64, with its channels split into groups."""
    groups = window.groups
    return np.asarray(x, np.float64).reshape(*x.shape[:axis], groups, x.shape[axis] // groups, *x.shape[axis + 1 :])


def convolve(window, x, w, shape):
    """x(B, C, ...), w(OC, C/groups, ...) -> (B, OC, ...) of a shape."""
    x, w, y = grouped(window, x), grouped(window, w, 0), grouped(window, np.zeros(shape))
    for tap, source, target in taps(window, x.shape[3:], y.shape[3:]):
        y[target] += np.einsum("bgc...,goc->bgo...", x[source], w[tap])
    return y.reshape(shape)


def convolve_back(window, dy, w, shape):
    """dy(B, OC, ...), w(OC, C/groups, ...) -> (B, C, ...) of a shape: the gradient of a convolution's input."""
    dy, w, dx = grouped(window, dy), grouped(window, w, 0), grouped(window, np.zeros(shape))
    for tap, source, target in taps(window, dx.shape[3:], dy.shape[3:]):
        dx[source] += np.einsum("bgo...,goc->bgc...", dy[target], w[tap])
    return dx.reshape(shape)


def correlate(window, dy, x, shape):
    """dy(B, OC, ...), x(B, C, ...) -> (OC, C/groups, ...) of a shape: the gradient of a convolution's weight."""
    dy, x, dw = grouped(window, dy), grouped(window, x), grouped(window, np.zeros(shape), 0)
    for tap, source, target in taps(window, x.shape[3:], dy.shape[3:]):
        grads, inputs = (a.reshape(*a.shape[:3], prod(a.shape[3:])) for a in (dy[target], x[source]))
        dw[tap] += np.einsum("bgox,bgcx->goc", grads, inputs)
    return dw.reshape(shape)


def add_up(dy):
    """dy(B, OC, ...) -> (OC,): the gradient of a bias."""
    return dy.sum((0, *range(2, dy.ndim)), dtype=np.float64)


def batched(x, n):
    """Return an array (B, C, ...) or (C, ...) with its batch."""
    return x.reshape((1, *x.shape)[-n - 2 :])


@plans(*FORWARD, *TRANSPOSED)
def plan(problem):
    """Compute activation(w * x + bias)."""
    window, n = problem.window, len(problem.window.kernel)

    def run(out, x, w, bias, *_):
        w = w.source() if type(w) is Prepared else w
        y = (convolve_back if problem.transposed else convolve)(window, batched(x, n), w, problem.shape)
        if bias is not None:
            y += bias.reshape(-1, *[1] * n)
        y = ACTIVATIONS[problem.activation](y).astype(x.dtype)
        return deliver(out, y.reshape(problem.result[0]))

    return run


def gradients(problem, dy, x, w, y):
    """Return (dx, dw, db), None where not needed."""
    window, n, dtype = problem.window, len(problem.window.kernel), problem.dy.dtype
    dy, x, y = (a if a is None else batched(a, n) for a in (dy, x, y))
    dy, arrays = dy * SLOPES[problem.activation](y), [None] * 3
    if problem.needs[0]:
        arrays[0] = (convolve if problem.transposed else convolve_back)(window, dy, w, problem.input_shape)
    if problem.needs[1]:
        arrays[1] = correlate(window, *((x, dy) if problem.transposed else (dy, x)), problem.weight_shape)
    if problem.needs[2]:
        arrays[2] = add_up(dy)
    return [None if a is None else a.astype(dtype) for a in arrays]


@plans(*(f"{name}_backward" for name in (*FORWARD, *TRANSPOSED)))
def plan_backward(problem):
    """Compute all gradients."""

    def run(out, dy, x, w, y, *_):
        dx, dw, db = gradients(problem, dy, x, w, y)
        return dx if dx is None else dx.reshape(x.shape), dw, db

    return run


@plans("conv2d_backward_input")
def plan_backward_input(problem):
    """Compute the gradient of the input alone."""
    shape = problem.result[0]
    return lambda out, dy, w, *_: deliver(out, gradients(problem, dy, None, w, None)[0].reshape(shape))


@plans("conv2d_backward_weight")
def plan_backward_weight(problem):
    """Compute the gradient of the weight alone."""
    return lambda out, dy, x, *_: deliver(out, gradients(problem, dy, x, None, None)[1])


@plans("conv2d_backward_bias")
def plan_backward_bias(problem):
    """Compute the gradient of the bias alone."""
    return lambda out, dy: deliver(out, add_up(batched(dy, 2)).astype(dy.dtype))


@plans("choose")
def plan_choice(problem):
    """Say that there is one algorithm."""
    return lambda *_: ("reference", "the only one of this back end")


def windows(problem, columns):
    """Return columns (B, C * KH * KW, L) as (B, C, OH, OW, KH, KW), so that they can be indexed as `taps` yields."""
    split = columns.reshape(*problem.images[:2], *problem.window.kernel, *problem.positions)
    return split.transpose(0, 1, 4, 5, 2, 3)


@plans("unfold")
def unfold(problem):
    """Write columns[tap][target] = x[source]."""

    def run(out, x, *_):
        columns = np.zeros(problem.result[0], x.dtype)
        y, x = windows(problem, columns), batched(x, 2)
        for tap, source, target in taps(problem.window, x.shape[2:], y.shape[2:4]):
            y[tap][target] = x[source]
        return deliver(out, columns)

    return run


@plans("fold")
def fold(problem):
    """Add columns[tap][target] to x[source]."""

    def run(out, columns, *_):
        x, y = np.zeros(problem.images), windows(problem, columns)
        for tap, source, target in taps(problem.window, x.shape[2:], y.shape[2:4]):
            x[source] += y[tap][target]
        return deliver(out, x.astype(columns.dtype).reshape(problem.result[0]))

    return run
