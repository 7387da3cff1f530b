"""Convolution of images."""

from __future__ import annotations

from typing import Any

import fastnn_kernels as kernels
from fastnn.tensor import Array, Gradients, Needs, WithBackward, differentiable


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
) -> WithBackward:
    """Slide a bank of filters over images, add a bias and apply an activation, in one kernel.

    input (B, C, H, W) or (C, H, W), weight (OC, C/groups, KH, KW), bias (OC,) -> (B, OC, OH, OW) or (OC, OH, OW).
    `padding` is a number, a pair, "valid" or "same"; `activation` as for `linear`. Raises as `kernels.conv2d` does.
    """
    window = stride, padding, dilation, groups
    y = kernels.conv2d(input, weight, bias, *window, activation=activation)

    def backward(dy: Array, needs: Needs) -> Gradients:
        if activation == "gelu":  # the only one whose gradient needs what went into it
            dy = kernels.gelu_backward(dy, kernels.conv2d(input, weight, bias, *window))
        elif activation is not None:
            dy = getattr(kernels, f"{activation}_backward")(dy, y)
        dx = kernels.conv2d_backward_input(dy, weight, input.shape, *window) if needs[0] else None
        dweight = kernels.conv2d_backward_weight(dy, input, weight.shape, *window) if needs[1] else None
        return dx, dweight, kernels.conv2d_backward_bias(dy) if needs[2] else None

    return y, backward
