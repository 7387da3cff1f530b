"""Plans of convolutions, transposed ones and gradients: memory, layouts and activations around the algorithms."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ...ground.backend import planner_of, plans
from ...ground.checks import contiguous
from ...ground.layout import channels_last
from ...ground.memory import empty, zeros
from ...ground.plans import ghost
from ..activation import FUNCTIONS
from ..elementwise import dense, order_of_result
from ..move import empty_last, ghost_last
from . import im2col, weight_gradient  # noqa: F401  (which have plans of operations, too)
from .dimensions import plan_back, plan_convolution, plan_correlation, plan_sums
from .layer import Layer, image_window
from .select import Images, select

FORWARD, TRANSPOSED = ([f"conv{kind}{n}d" for n in (1, 2, 3)] for kind in ("", "_transpose"))


@plans(*FORWARD, *TRANSPOSED)
def _plan_forward(problem):
    if problem.algorithm == "reference":
        return planner_of("reference", "conv2d", "conv")(problem)
    window, activation, n, dtype = problem.window, problem.activation, len(problem.shape), problem.input.dtype
    x, batched = _batched(problem.input, n), problem.input.ndim == n
    # One channel is channels-last as well as -first: it gives channels-last, which algorithms and later layers prefer.
    last = channels_last(x) or (x.shape[1] == 1 and not problem.transposed)
    memory, ghost_of = (empty_last, ghost_last) if last else (empty, ghost)
    shape = problem.shape
    y = ghost_of(shape, dtype)
    activate = None
    if activation not in (None, "relu"):
        spec = FUNCTIONS[activation]
        activate, parameters = dense(spec.forward_kernel, spec.grain, [y], y), spec.usual_parameters
    direct = problem.out is not None and not activate
    if direct:
        y = _batched(problem.out, n)
    prepared, bias_shape = problem.weight.prepared, problem.shape[1:2]
    options = {"prepared": prepared, "floor": 0.0 if activation == "relu" else -np.inf}
    if problem.transposed:
        pack, compute = plan_back(x, y, window, problem.weight.shape, **options)
    else:
        pack, compute = plan_convolution(x, y, window, problem.weight.shape, algorithm=problem.algorithm, **options)
    nothing = zeros(bias_shape, dtype)
    copy_weight = not prepared and not _contiguous(problem.weight)
    copy_bias = problem.bias is not None and not _contiguous(problem.bias)

    def run(out, x, weight, bias, *_):
        if bias is None:
            bias = nothing
        elif copy_bias:
            bias = contiguous(bias)
        packed = pack(contiguous(weight) if copy_weight else weight)
        y = out if direct else memory(shape, dtype)
        if batched:
            compute(x, packed, bias, y)
        else:
            compute(x[None], packed, bias, y[None] if direct else y)
        if direct:
            return out
        if activate:
            activate(y, y, *parameters)
        y = y if batched else y[0]
        if out is None:
            return y
        out[...] = y
        return out

    return run


@plans(*(f"{name}_backward" for name in (*FORWARD, *TRANSPOSED)))
def _plan_backward(problem):
    gradients, batched = _plan_gradients(problem), problem.input.ndim == len(problem.weight_shape)

    def run(out, dy, x, weight, y, *_):
        dx, dw, db = gradients(dy, x, weight, y, None)
        return dx if batched or dx is None else dx[0], dw, db

    return run


@plans("conv2d_backward_input")
def _plan_backward_input(problem):
    gradients, batched = _plan_gradients(problem), problem.dy.ndim == 4

    def run(out, dy, weight, *_):
        dx, _, _ = gradients(dy, None, weight, None, out if batched or out is None else out[None])
        return out if out is not None else dx if batched else dx[0]

    return run


@plans("conv2d_backward_weight")
def _plan_backward_weight(problem):
    gradients = _plan_gradients(problem)
    return lambda out, dy, x, *_: gradients(dy, x, None, None, out)[1]


class Work(NamedTuple):
    """The plans of gradients: of the input, of weight and bias. None where not needed."""

    back: Images | None
    correlate: Callable[..., None] | None


def _plan_gradients(problem):
    """Return f(dy, x, weight, y, out) -> (dx, dw, db). out: where dx or dw goes, if it is needed alone."""
    n, dtype, (_, for_weight, for_bias) = len(problem.weight_shape), problem.dy.dtype, problem.needs
    dy, before, work = _batched(problem.dy, n), None, None
    if problem.activation:
        y = _batched(problem.output, n)
        # ReLU's gradient of channels-last images can be left to the kernels, as a mask. They transpose channels-first
        # ones in registers, and have none left for a mask.
        if problem.activation == "relu" and dy.strides == y.strides and y.strides[1] == y.itemsize:
            work = _plan_work(problem, dy, True)
        if work is None:
            spec = FUNCTIONS[problem.activation]
            before, parameters = dense(spec.backward_kernel, spec.grain, [dy, y]), spec.usual_parameters
            dy = order_of_result([dy, y])
    masked = work is not None
    back, correlate = work or _plan_work(problem, dy, False)
    memory, shape = empty_last if channels_last(dy) else empty, problem.input_shape
    nothing, count = zeros(shape[1:2], dtype), dy.shape[1:2]
    copy_weight = problem.weight is not None and not _contiguous(problem.weight)

    def run(dy, x, weight, y, out):
        dy, x, y = (a if a is None or a.ndim == n else a[None] for a in (dy, x, y))
        dx = dw = db = None
        mask = (y,) if masked else ()
        if before:
            dy = before(None, dy, y, *parameters)
        if back:
            dx = memory(shape, dtype) if out is None else out
            back.compute(dy, back.pack(contiguous(weight) if copy_weight else weight), nothing, dx, *mask)
        if correlate:
            if for_weight:
                dw = empty(problem.weight_shape, dtype) if out is None else out
            if for_bias:
                db = empty(count, dtype)
            correlate(dy, x, dw, db, *mask)
        return dx, dw, db

    return run


def _plan_work(problem, dy, masked) -> Work | None:
    """Return the plans of all gradients that are needed, None if one of them cannot be masked but ought to be."""
    n, window, shape, dtype = dy.ndim, problem.window, problem.weight_shape, dy.dtype
    for_input, for_weight, for_bias = problem.needs
    back = correlate = None
    if masked and (problem.transposed or (for_bias and not for_weight)):
        return None
    if for_input:
        dx = (ghost_last if channels_last(dy) else ghost)(problem.input_shape, dtype)
        if problem.out:
            dx = _batched(problem.out, n)
        plan = plan_convolution if problem.transposed else plan_back
        back = plan(dy, dx, window, shape, masked=masked)
    if for_weight:
        x, dw = _batched(problem.input, n), problem.out.ghost() if problem.out else ghost(shape, dtype)
        if problem.transposed:
            weights, sums = plan_correlation(x, dy, window, dw), plan_sums(dy) if for_bias else None

            def correlate(dy, x, dw, db):
                weights(x, dy, dw)
                if sums:
                    sums(dy, db)
        else:
            correlate = plan_correlation(dy, x, window, dw, for_bias, masked)
    elif for_bias:
        sums_alone = plan_sums(dy)
        correlate = lambda dy, x, dw, db: sums_alone(dy, db)  # noqa: E731
    if (for_input and back is None) or ((for_weight or for_bias) and correlate is None):
        return None
    return Work(back, correlate)


@plans("choose")
def _plan_choice(problem):
    window, shape, dtype = problem.window, problem.weight.shape, problem.input.dtype
    layer = Layer(image_window(window), problem.shape, window.groups, shape[0] // window.groups, shape[1], dtype)
    algorithm, reason = select(layer, "auto", problem.weight.prepared)
    return lambda *_: (algorithm.name, reason)


def _batched(layout, n):
    """Return the ghost of an array, with a batch."""
    x = layout.ghost()
    return x if x.ndim == n else x[None]


def _contiguous(layout):
    return layout.ghost().flags.c_contiguous
