"""Convolutions of signals and volumes, transposed convolutions, and the windows they look at.

`prepared` is what ``fastnn.kernels.prepare_conv1d`` (``prepare_conv_transpose2d`` ...) gave for `weight`; it is used in
place of it.
"""

from __future__ import annotations

from typing import Any

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable

from .conv import with_backward


@differentiable
def conv1d(
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
    """Slide a bank of filters over signals, add a bias and apply an activation, in one kernel.

    input (B, C, W) or (C, W), weight (OC, C/groups, KW), bias (OC,) -> (B, OC, OW) or (OC, OW). Everything else as in
    `conv2d`. Raises as `kernels.conv1d` does.
    """
    window = stride, padding, dilation, groups
    undo = kernels.conv1d_backward
    return with_backward(kernels.conv1d, undo, input, weight, bias, window, activation, prepared, needs)


@differentiable
def conv3d(
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
    """Slide a bank of filters over volumes, add a bias and apply an activation.

    input (B, C, D, H, W) or (C, D, H, W), weight (OC, C/groups, KD, KH, KW), bias (OC,) -> (B, OC, OD, OH, OW) or
    without B. Everything else as in `conv2d`. Raises as `kernels.conv3d` does.
    """
    window = stride, padding, dilation, groups
    undo = kernels.conv3d_backward
    return with_backward(kernels.conv3d, undo, input, weight, bias, window, activation, prepared, needs)


@differentiable
def conv_transpose1d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    activation: str | None = None,
    *,
    prepared: Any = None,
    needs: Needs = (),
) -> WithBackward:
    """Spread a filter over the output for every input, and add them up: what undoes the shapes of `conv1d`.

    input (B, C, W) or (C, W), weight (C, OC/groups, KW), bias (OC,) -> (B, OC, OW) or (OC, OW), stride times as long.
    Raises as `kernels.conv_transpose1d` does.
    """
    window = stride, padding, output_padding, groups, dilation
    undo = kernels.conv_transpose1d_backward
    return with_backward(kernels.conv_transpose1d, undo, input, weight, bias, window, activation, prepared, needs)


@differentiable
def conv_transpose2d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    activation: str | None = None,
    *,
    prepared: Any = None,
    needs: Needs = (),
) -> WithBackward:
    """Spread a filter over the output for every pixel, and add them up: what undoes the shapes of `conv2d`.

    input (B, C, H, W) or (C, H, W), weight (C, OC/groups, KH, KW), bias (OC,) -> (B, OC, OH, OW) or (OC, OH, OW),
    stride times as large. Raises as `kernels.conv_transpose2d` does.
    """
    window = stride, padding, output_padding, groups, dilation
    undo = kernels.conv_transpose2d_backward
    return with_backward(kernels.conv_transpose2d, undo, input, weight, bias, window, activation, prepared, needs)


@differentiable
def conv_transpose3d(
    input: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    activation: str | None = None,
    *,
    prepared: Any = None,
    needs: Needs = (),
) -> WithBackward:
    """Spread a filter over the output for every voxel, and add them up: what undoes the shapes of `conv3d`.

    input (B, C, D, H, W) or (C, D, H, W), weight (C, OC/groups, KD, KH, KW), bias (OC,) -> (B, OC, OD, OH, OW) or
    without B, stride times as large. Raises as `kernels.conv_transpose3d` does.
    """
    window = stride, padding, output_padding, groups, dilation
    undo = kernels.conv_transpose3d_backward
    return with_backward(kernels.conv_transpose3d, undo, input, weight, bias, window, activation, prepared, needs)


@differentiable
def unfold(input: Array, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> WithBackward:
    """Give the windows of images as the columns of matrices.

    input (B, C, H, W) or (C, H, W) -> (B, C * KH * KW, L) or (C * KH * KW, L). Raises as `kernels.unfold` does.
    """

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.fold(dy, input.shape[-2:], kernel_size, dilation, padding, stride),)

    return kernels.unfold(input, kernel_size, dilation, padding, stride), backward


@differentiable
def fold(
    input: Array, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> WithBackward:
    """Make images of windows, added up where they overlap.

    input (B, C * KH * KW, L) or (C * KH * KW, L) -> (B, C, H, W) or (C, H, W). Raises as `kernels.fold` does.
    """

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.unfold(dy, kernel_size, dilation, padding, stride),)

    return kernels.fold(input, output_size, kernel_size, dilation, padding, stride), backward
