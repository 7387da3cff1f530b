"""The calls of all convolutions: from what a caller gives to a planned function, and what stands around its work."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy import ndarray

from . import activation as activations
from ._memory import empty
from ._parallel import get_num_threads
from ._plans import ghost, planned
from ._shapes import ADDRESSABLE, F4, F8, check_out, output, promote
from .conv_algorithms import get_conv_precision

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
        or (bias is not None and (type(bias) is not ndarray or bias.dtype is not dtype))
    ):
        if prepared:
            input, bias = promote(function, input=input, bias=bias)
            if input.dtype != dtype:
                raise TypeError(f"{function}: the prepared weight is {dtype} but the input is {input.dtype}")
        else:
            input, weight, bias = promote(function, input=input, weight=weight, bias=bias)
        dtype = input.dtype
    key = (
        function, input.shape, input.strides, dtype, weight.shape, prepared, None if bias is None else bias.shape,
        activation, algorithm, None if out is None else getattr(out, "strides", ()),
        get_num_threads(), get_conv_precision(), *window,
    )  # fmt: skip
    return planned(planner, *key)(input, weight, bias, out)


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
    whether it is to lie with its channels last; strides: of the caller's `out`, if there is one. plan(x, y, floor)
    returns the function of (x, gate, weight, bias, y) that does the work.
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
    compute, zeros = plan(x, y, 0.0 if activation == "relu" else -np.inf), np.zeros(shape[1], dtype)
    activate = None if activation in (None, "relu") else getattr(activations, activation)

    def run(input, weight, bias, out):
        if bias is None:
            bias = zeros
        elif not bias.flags.c_contiguous:
            bias = bias.copy()
        if out is None:
            y = empty(memory, dtype)
            if order:
                y = y.transpose(order)
        else:
            check_out(function, out, expected, dtype, input, weight, bias)
            y = out if batched else out[None]
        if not batched:
            input = input[None]
        compute(input, input, weight, bias, y)
        if activate:
            y[...] = activate(y)
        return out if out is not None else y if batched else y[0]

    return run


def result(function, shape, dtype, last) -> ndarray:
    """Return memory for (B, C, ...), with its channels last if `last`."""
    if not last:
        return output(function, None, shape, dtype)
    return np.moveaxis(output(function, None, (shape[0], *shape[2:], shape[1]), dtype), -1, 1)
