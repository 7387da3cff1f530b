"""Pooling of signals, images and volumes."""

from __future__ import annotations

from typing import Any

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable


def _kernel(kind: str, dims: int, window: Any) -> Any:
    """Return the kernels' function for windows that slide, or for adaptive ones, which have one argument."""
    return getattr(kernels, f"{'adaptive_' if len(window) == 1 else ''}{kind}_pool{dims}d")


@differentiable
def _max_pool(
    input: Array, dims: int, window: Any, return_indices: bool, activation: str | None, *, needs: Needs = (False,)
) -> WithBackward:
    """Compute the indices of the maxima only where a gradient will be wanted."""
    indices = None
    options = {} if activation is None else {"activation": activation}
    result = _kernel("max", dims, window)(
        input, *window, return_indices=return_indices or (needs[0] and "compact"), **options
    )
    if return_indices:
        y, indices = result
    elif needs[0]:
        result, indices = result

    def backward(dy: Array, needs: Needs) -> Gradients:
        above = None if return_indices else activation
        if return_indices:
            dy = dy[0] if activation is None else kernels.relu_backward(dy[0], y)
        return (kernels.max_pool_backward(dims, dy, input, window, indices, above, check_indices=False),)

    return result, backward


@differentiable
def _avg_pool(input: Array, dims: int, window: Any, kind: str = "avg") -> WithBackward:
    def backward(dy: Array, needs: Needs) -> Gradients:
        last = _is_channels_last(input, dims)
        return (kernels.avg_pool_backward(dims, dy, input.shape, window, channels_last=last),)

    taken = 4 if kind == "sum" else 5 if dims == 1 else 6  # of the window, by the forward
    return _kernel(kind, dims, window)(input, *window[:taken]), backward


def _is_channels_last(x: Any, dims: int) -> bool:
    """Return whether images (B, C, ...) are channels-last in memory, and not channels-first as well."""
    order = (0, *range(2, dims + 2), 1)
    return x.ndim == dims + 2 and not x.flags.c_contiguous and bool(x.transpose(order).flags.c_contiguous)


@differentiable
def _lp_pool(input: Array, dims: int, arguments: Any) -> WithBackward:
    y = getattr(kernels, f"lp_pool{dims}d")(input, *arguments)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.lp_pool_backward(dims, dy, input, y, *arguments),)

    return y, backward


@differentiable
def _max_unpool(input: Array, indices: Array, dims: int, arguments: Any) -> WithBackward:
    y = getattr(kernels, f"max_unpool{dims}d")(input, indices, *arguments)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return kernels.max_unpool_backward(dims, dy, indices), None

    return y, backward


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    activation: str | None = None,
) -> Any:
    """Give the largest value of each window of a signal (B, C, L) or (C, L). Otherwise like `max_pool2d`."""
    return _max_pool(input, 1, (kernel_size, stride, padding, dilation, ceil_mode), return_indices, activation)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    activation: str | None = None,
) -> Any:
    """Give the largest value of each window, through an activation; with return_indices=True, also its index.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW); indices: int64, row * W + column. `stride`
    defaults to `kernel_size`. The gradient goes to that place, the first of equal ones. `activation`: None or "relu".
    NaN is larger than all numbers. Raises as `kernels.max_pool2d` does.
    """
    return _max_pool(input, 2, (kernel_size, stride, padding, dilation, ceil_mode), return_indices, activation)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
    activation: str | None = None,
) -> Any:
    """Give the largest value of each window of a volume ([B,] C, D, H, W). Otherwise like `max_pool2d`."""
    return _max_pool(input, 3, (kernel_size, stride, padding, dilation, ceil_mode), return_indices, activation)


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """Give the mean of each window of a signal (B, C, L) or (C, L). Otherwise like `avg_pool2d`."""
    return _avg_pool(input, 1, (kernel_size, stride, padding, ceil_mode, count_include_pad, None))


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Give the mean of each window.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW). `stride` defaults to `kernel_size`; padding counts
    as zeros, or with count_include_pad=False not at all; divisor_override divides sums instead of their count. Raises
    as `kernels.avg_pool2d` does.
    """
    return _avg_pool(input, 2, (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override))


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    """Give the mean of each window of a volume (B, C, D, H, W) or (C, D, H, W). Otherwise like `avg_pool2d`."""
    return _avg_pool(input, 3, (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override))


def sum_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, ceil_mode: bool = False) -> Any:
    """Give the sum of each window: `avg_pool2d` without the division."""
    return _avg_pool(input, 2, (kernel_size, stride, padding, ceil_mode, True, 1), "sum")


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """Give the p-norm of each window of a signal. Otherwise like `lp_pool2d`."""
    return _lp_pool(input, 1, (norm_type, kernel_size, stride, ceil_mode))


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """Give (sum of x**p)**(1/p) of each window, for p = norm_type.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW). The gradient is zero where the norm is. Raises as
    `kernels.lp_pool2d` does.
    """
    return _lp_pool(input, 2, (norm_type, kernel_size, stride, ceil_mode))


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    """Give the p-norm of each window of a volume. Otherwise like `lp_pool2d`."""
    return _lp_pool(input, 3, (norm_type, kernel_size, stride, ceil_mode))


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Give the largest values of windows that cover a signal. Otherwise like `adaptive_max_pool2d`."""
    return _max_pool(input, 1, (output_size,), return_indices, None)


def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    """Give the means of windows that cover a signal. Otherwise like `adaptive_avg_pool2d`."""
    return _avg_pool(input, 1, (output_size,))


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Give the largest values of `output_size` windows that cover an image; with return_indices=True, also where.

    input (B, C, H, W) or (C, H, W) -> (B, C, *output_size); output_size: a number, or one per axis with None for the
    input's. 1 is global pooling. Raises as `kernels.adaptive_max_pool2d` does.
    """
    return _max_pool(input, 2, (output_size,), return_indices, None)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    """Give the means of windows that cover an image, those of `adaptive_max_pool2d`; 1 is global pooling.

    input (B, C, H, W) or (C, H, W) -> (B, C, *output_size). Raises as `kernels.adaptive_avg_pool2d` does.
    """
    return _avg_pool(input, 2, (output_size,))


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """Give the largest values of windows that cover a volume. Otherwise like `adaptive_max_pool2d`."""
    return _max_pool(input, 3, (output_size,), return_indices, None)


def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    """Give the means of windows that cover a volume. Otherwise like `adaptive_avg_pool2d`."""
    return _avg_pool(input, 3, (output_size,))


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Put values back where the maxima of a signal came from, zeros elsewhere. Otherwise like `max_unpool2d`."""
    return _max_unpool(input, indices, 1, (kernel_size, stride, padding, output_size))


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Put values back where `max_pool2d` with these arguments and return_indices=True took them, zeros elsewhere.

    input, indices (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW): the size that such a pooling shrinks
    to (H, W), or output_size. Raises as `kernels.max_unpool2d` does.
    """
    return _max_unpool(input, indices, 2, (kernel_size, stride, padding, output_size))


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    """Put values back where the maxima of a volume came from, zeros elsewhere. Otherwise like `max_unpool2d`."""
    return _max_unpool(input, indices, 3, (kernel_size, stride, padding, output_size))
