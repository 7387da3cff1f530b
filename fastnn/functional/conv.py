"""Convolution of images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable


@differentiable
def conv2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    activation: str | None = None,
    *,
    prepared: Any = None,
    needs: Needs = (),
) -> WithBackward:
    """Slide a bank of filters over images, add a bias and apply an activation, in one kernel.

    input (B, C, H, W) or (C, H, W), weight (OC, C/groups, KH, KW), bias (OC,) -> (B, OC, OH, OW) or (OC, OH, OW).
    `padding` is a number, a pair, "valid" or "same"; `activation` as for `linear`. `prepared` is what
    ``fastnn.kernels.prepare_conv2d`` gave for `weight`; it is used in place of it. Raises as `kernels.conv2d` does.
    """
    window = stride, padding, dilation, groups
    undo = kernels.conv2d_backward
    return with_backward(kernels.conv2d, undo, input, weight, bias, window, activation, prepared, needs)


def with_backward(
    forward: Callable[..., Any],
    undo: Callable[..., Any],
    input: Any,
    weight: Any,
    bias: Any,
    window: tuple[Any, ...],
    activation: str | None,
    prepared: Any,
    needs: Needs,
) -> WithBackward:
    """Give what the kernel of a convolution computes, and its undoing by another."""
    if prepared is None or prepared.dtype != input.dtype:
        prepared = weight
    before = None
    if activation == "gelu" and any(needs):  # the only one whose gradient needs what went into it
        before = forward(input, prepared, bias, *window)
        y = kernels.gelu(before)
    else:
        y = forward(input, prepared, bias, *window, activation=activation)

    def backward(dy: Array, needs: Needs) -> Gradients:
        gradients: Gradients
        if before is not None:
            dy = kernels.gelu_backward(dy, before)
            gradients = undo(dy, input, weight, None, None, *window, needs=needs)
        else:
            gradients = undo(dy, input, weight, y, activation, *window, needs=needs)
        return gradients

    return y, backward
