"""Pooling of images."""

from __future__ import annotations

from typing import Any

import fastnn_kernels as kernels
from fastnn.tensor import Array, Gradients, Needs, WithBackward, differentiable


@differentiable
def max_pool2d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    activation: str | None = None,
) -> WithBackward:
    """Give the largest value of each window, through an activation; with return_indices=True, also where it was.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW); indices: int64, row * W + column.
    `stride` defaults to `kernel_size`. The gradient goes to that place. `activation`: None or "relu".
    Raises as `kernels.max_pool2d` does.
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    y = kernels.max_pool2d(input, *window, return_indices=return_indices, activation=activation)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dy = dy[0] if return_indices else dy
        return (None if dy is None else kernels.max_pool2d_gradient(dy, input, *window, activation=activation),)

    return y, backward


@differentiable
def avg_pool2d(
    input: Array,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> WithBackward:
    """Give the mean of each window.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW). `stride` defaults to `kernel_size`; padding counts
    as zeros, or with count_include_pad=False not at all. Raises as `kernels.avg_pool2d` does.
    """
    window = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    y = kernels.avg_pool2d(input, *window)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.avg_pool2d_backward(dy, input.shape, *window),)

    return y, backward
