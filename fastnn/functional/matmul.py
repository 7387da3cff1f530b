"""Matrix products, and the linear layer made of one."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable

from .arithmetic import unbroadcast

FEW = 2  # rows for which the weight in place is faster than a packed one
LARGE = 1 << 20  # elements of a weight from which writing its gradient in place is cheaper than copying it there


@differentiable
def matmul(input: Array, other: Array) -> WithBackward:
    """Give ``input @ other`` with NumPy's rules for vectors, matrices and stacks of matrices."""
    y = kernels.matmul(input, other)

    def backward(dy: Array, needs: Needs) -> Gradients:
        a = input if input.ndim > 1 else input[np.newaxis, :]
        b = other if other.ndim > 1 else other[:, np.newaxis]
        if input.ndim == 1:
            dy = np.expand_dims(dy, dy.ndim if other.ndim == 1 else -2)
        if other.ndim == 1:
            dy = np.expand_dims(dy, -1)
        da = db = None
        if needs[0]:
            da = unbroadcast(kernels.matmul(dy, b.swapaxes(-1, -2)), a).reshape(input.shape)
        if needs[1]:
            if b.ndim == 2 and a.ndim > 2:  # one product instead of a stack of products and their sum
                rows = prod(a.shape[:-1])
                a, dy = a.reshape(rows, a.shape[-1]), dy.reshape(rows, dy.shape[-1])
            db = unbroadcast(kernels.matmul(a.swapaxes(-1, -2), dy), b).reshape(other.shape)
        return da, db

    return y, backward


@differentiable(writes_gradients=True)
def linear(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    activation: str | None = None,
    *,
    prepared: Any = None,
    needs: Needs = (),
) -> WithBackward:
    """Give ``activation(input @ weight.T + bias)`` in one kernel.

    input (..., K), weight (N, K), bias (N,) -> (..., N). `activation` is None, "relu", "sigmoid", "tanh", "leaky_relu"
    or "gelu". `prepared` is what ``fastnn.kernels.prepare_matmul`` gave for `weight`; it is used in place of it.
    """
    if prepared is None or prepared.dtype != input.dtype or input.size <= FEW * weight.shape[1]:
        prepared = weight
    if activation == "gelu" and any(needs):  # the only one whose gradient needs what went into it
        before = kernels.linear(input, prepared, bias)
        y = kernels.gelu(before)
    else:
        y = kernels.linear(input, prepared, bias, activation=activation)

    def backward(dy: Array, needs: Needs, out: tuple[Any, ...]) -> Gradients:
        target = out[1] if weight.size >= LARGE and dy.dtype == input.dtype == weight.dtype else None
        if activation == "gelu":
            dy = kernels.gelu_backward(dy, before)
            gradients = kernels.linear_backward(dy, input, weight, needs=needs, out_weight=target)
        else:
            gradients = kernels.linear_backward(dy, input, weight, y, activation, needs=needs, out_weight=target)
        return gradients  # type: ignore[no-any-return]

    return y, backward
