"""Losses."""

from __future__ import annotations

import fastnn_kernels as kernels
from fastnn.tensor import Array, Gradients, Needs, WithBackward, differentiable, is_grad_enabled


@differentiable
def cross_entropy(input: Array, target: Array, reduction: str = "mean") -> WithBackward:
    """Give the cross entropy of logits and labels, -log softmax(input)[target].

    input (B, C), (B, C, d1, ...) or (C,); target: integer labels of that shape without C, or probabilities of that
    shape. `reduction` is "none", "mean" or "sum". Raises as `kernels.cross_entropy` does; ValueError for labels out of
    range.
    """
    if reduction == "none" or not is_grad_enabled():
        y, ready = kernels.cross_entropy(input, target, reduction), None
    else:  # logits are read once for both
        y, ready = kernels.cross_entropy_with_gradient(input, target, reduction)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dinput = dtarget = None
        if needs[0]:
            if ready is None:
                dinput = kernels.cross_entropy_backward(dy, input, target, reduction)
            else:
                dinput = ready if dy == 1 else ready * dy
        if needs[1]:
            dim = min(1, input.ndim - 1)
            dtarget = -kernels.log_softmax(input, dim)
            dtarget *= dy if reduction != "none" else dy.reshape(*dy.shape[:dim], 1, *dy.shape[dim:])
            if reduction == "mean":
                dtarget /= input.size // input.shape[dim]
        return dinput, dtarget

    return y, backward


@differentiable
def mse_loss(input: Array, target: Array, reduction: str = "mean") -> WithBackward:
    """Give the squared error of each element, its mean or its sum; `reduction` is "none", "mean" or "sum".

    input, target (any shape, the same). Raises as `kernels.mse_loss` does.
    """
    y = kernels.mse_loss(input, target, reduction)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dinput = kernels.mse_loss_backward(dy, input, target, reduction)
        return dinput if needs[0] else None, -dinput if needs[1] else None

    return y, backward
