"""The calls of all convolutions: from what a caller gives to a planned function, and what stands around its work."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from ..cpu.activation import FUNCTIONS
from ..cpu.conv import select
from ..ground import threads
from ..ground.checks import ADDRESSABLE, F4, F8, check_out, contiguous, integer, output, overlap, promote, required
from ..ground.layout import with_batch
from ..ground.memory import empty, zeros
from ..ground.plans import ghost, planned

GRADIENT_FROM_OUTPUT = ("relu", "sigmoid", "tanh", "leaky_relu")
ACTIVATIONS = (None, *GRADIENT_FROM_OUTPUT, "gelu")


def call(planner, function, kind, input, weight, bias, window, activation, algorithm, out):
    """Return a convolution's result, by the plan for arrays like these.

    kind: the class of prepared weights. planner: see `around`, which makes its plans.
    """
    prepared = type(weight) is kind
    dtype = weight.dtype if prepared or type(weight) is ndarray else None
    if (
        (dtype is not F4 and dtype is not F8)
        or type(input) is not ndarray
        or input.dtype is not dtype
        or not input.flags.aligned
        or (bias is not None and (type(bias) is not ndarray or bias.dtype is not dtype))
    ):
        required(function, input=input, weight=weight)
        check_apart(function, out, input, weight, bias)
        if prepared:
            input, bias = promote(function, input=input, bias=bias)
            if input.dtype != dtype:
                raise TypeError(f"{function}: the prepared weight is {dtype} but the input is {input.dtype}")
        else:
            input, weight, bias = promote(function, input=input, weight=weight, bias=bias)
        dtype = input.dtype
    if not (prepared or weight.flags.carray):
        check_apart(function, out, weight)
        weight = contiguous(weight)
    key = (
        function, input.shape, input.strides, dtype, weight.shape, prepared, None if bias is None else bias.shape,
        activation, algorithm, None if out is None else strides_of(out),
        threads.get_num_threads(), select._precision, *window,
    )  # fmt: skip
    return planned(planner, *key)(input, weight, bias, out)


def check_apart(function, out, *inputs):
    """Raise ValueError if a caller's `out` overlaps an input. Called before inputs are copied."""
    if isinstance(out, ndarray) and any(isinstance(x, ndarray) and overlap(out, x) for x in inputs):
        raise ValueError(f"{function}: out overlaps an input")


def sizes_of(function, name, shape, *counts):
    """Return a shape as a tuple of integers, `counts` of them. Raises TypeError or ValueError."""
    if not isinstance(shape, (tuple, list, ndarray)):
        raise TypeError(f"{function}: {name} must be a shape, got {shape!r}")
    shape = tuple(integer(function, name, n, 0) for n in shape)
    if len(shape) not in counts:
        raise ValueError(f"{function}: {name} must name {' or '.join(map(str, counts))} sizes, got {shape}")
    return shape


def strides_of(out):
    """Return the strides by which a plan may write to a caller's `out`; None without `out` or if it is unaligned."""
    return out.strides if isinstance(out, ndarray) and out.flags.aligned else None


def around(
    function: str,
    x: ndarray,
    batched: bool,
    shape: tuple[int, ...],
    last: bool,
    weight_shape: tuple[int, ...],
    bias_shape: tuple[int, ...] | None,
    activation: str | None,
    strides: tuple[int, ...] | None,
    plan: Callable[..., Any],
) -> Callable[..., Any]:
    """Return a function of (input, weight, bias, out), the plan of a call: checks, memory, activation around the work.

    x: the ghost (B, C, ...) of the input, which came without its B if not batched. shape, last: of the output, and
    whether it is to lie with its channels last; strides: of the caller's `out`, if it can be written directly.
    plan(x, y, floor) returns the function of (x, gate, weight, bias, y) that does the work.
    """
    if bias_shape not in (None, shape[1:2]):
        raise ValueError(
            f"{function}: bias must have shape ({shape[1]},) as weight {weight_shape} says, got {bias_shape}"
        )
    if activation not in ACTIVATIONS:
        raise ValueError(f"{function}: activation must be one of {ACTIVATIONS}, got {activation!r}")
    if prod(shape) >= ADDRESSABLE:
        raise ValueError(f"{function}: an output of shape {shape} does not fit into memory")
    dtype, expected = x.dtype, shape if batched else shape[1:]
    memory, order = shape, None
    if last:
        memory, order = (shape[0], *shape[2:], shape[1]), (0, len(shape) - 1, *range(1, len(shape) - 1))
    y = ghost(memory, dtype).transpose(order or range(len(shape)))
    if strides is not None and len(strides) == len(expected):
        y = ghost(expected, dtype, strides)
        y = y if batched else y[None]
    compute, nothing = plan(x, y, 0.0 if activation == "relu" else -np.inf), zeros(shape[1:2], dtype)
    activate = None
    if activation not in (None, "relu"):
        spec = FUNCTIONS[activation]
        activate = lambda y: spec.apply(y, *spec.usual_parameters)  # noqa: E731

    def run(input, weight, bias, out):
        if bias is None:
            bias = nothing
        elif not bias.flags.carray:
            bias = contiguous(bias)
        if out is not None:
            check_out(function, out, expected, dtype, input, weight, bias)
        if strides is None:
            y = empty(memory, dtype)
            if order:
                y = y.transpose(order)
        else:
            y = out if type(out) is ndarray else np.asarray(out)
            y = y if batched else y[None]
        if not batched:
            input = input[None]
        compute(input, input, weight, bias, y)
        if activate:
            y[...] = activate(y)
        y = y if batched else y[0]
        if out is None:
            return y
        if strides is None:
            out[...] = y
        return out

    return run


def through_activation(function, activation, dy, y, shape, dims):
    """Return (dy, gate, gated): the gradient (B, C, ...) before the activation whose output is y.

    With channels last and equal strides of dy and y, kernels apply ReLU's gradient themselves: gated is 1, and dy
    counts where the gate y is positive. Channels-first kernels transpose dy in registers, with none left for a gate.
    """
    check_gradient(function, "dy", dy, shape)
    if activation is None:
        return dy, dy, 0
    if not isinstance(activation, str) or activation not in GRADIENT_FROM_OUTPUT:
        raise ValueError(f"{function}: the gradient of activation {activation!r} cannot be had from the output")
    if y is None:
        raise ValueError(f"{function}: the gradient of activation {activation!r} needs the output")
    y, _ = with_batch(function, "output", y, dims)
    check_gradient(function, "output", y, shape)
    if activation == "relu" and dy.strides == y.strides and y.strides[1] == y.itemsize:
        return dy, y, 1
    spec = FUNCTIONS[activation]
    dy = spec.apply_backward(dy, y, *spec.usual_parameters)
    return dy, dy, 0


def check_gradient(function, name, dy, shape):
    """Raise ValueError unless a gradient has the shape of its output."""
    if dy.shape != shape:
        raise ValueError(f"{function}: {name} has shape {dy.shape}, the convolution's output has {shape}")


def result(function, shape, dtype, last) -> ndarray:
    """Return memory for (B, C, ...), with its channels last if `last`."""
    if not last:
        return output(function, None, shape, dtype)
    made = output(function, None, (shape[0], *shape[2:], shape[1]), dtype)
    return made.transpose(0, len(shape) - 1, *range(1, len(shape) - 1))
