"""Pooling by sums: means, sums and p-norms of windows of signals, images and volumes, and their gradients.

Inputs and layouts are as in `max_pool`.
"""

from math import prod
from typing import NamedTuple

from ..ground.checks import INT_LIMIT, flag, integer, integers
from ..ground.operation import Layout, operation
from .windows import Axis, adaptive, check_dims, check_gradient, gradient_of, result, size_of, sliding


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, *, out=None):
    """Return the mean of each window of signals (B, C, L) or (C, L). Otherwise like `avg_pool2d`."""
    return _avg_pool1d.run(out, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    out=None,
):
    """Return the mean of each window.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW), same dtype. Padding counts as zeros, or with
    count_include_pad=False not at all; divisor_override is what sums are divided by instead of their count.
    stride defaults to kernel_size; with ceil_mode a last window may hang over the edge. Sums run over the window row by
    row: the error is at most eps times the number of values, times the mean of their magnitudes.
    Raises as max_pool2d does.
    """
    return _avg_pool2d.run(out, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    ceil_mode=False,
    count_include_pad=True,
    divisor_override=None,
    *,
    out=None,
):
    """Return the mean of each window of volumes (B, C, D, H, W) or (C, D, H, W). Otherwise like `avg_pool2d`."""
    return _avg_pool3d.run(out, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


def sum_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False):
    """Return the sum of each window: `avg_pool2d` with a divisor of 1. Its gradient is that of avg_pool2d, too."""
    return _sum_pool2d.run(None, input, kernel_size, stride, padding, ceil_mode, True, 1)


def adaptive_avg_pool1d(input, output_size):
    """Return the means of `output_size` windows that cover a signal. Like `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool1d.run(None, input, output_size)


def adaptive_avg_pool2d(input, output_size):
    """Return the means of the windows that cover an image, those of `adaptive_max_pool2d`; 1 is global pooling.

    input (B, C, H, W) or (C, H, W) -> (B, C, *output_size). Raises as adaptive_max_pool2d does.
    """
    return _adaptive_avg_pool2d.run(None, input, output_size)


def adaptive_avg_pool3d(input, output_size):
    """Return the means of the windows that cover a volume. Like `adaptive_avg_pool2d`."""
    return _adaptive_avg_pool3d.run(None, input, output_size)


def avg_pool_backward(dims, dy, input_shape, window, *, channels_last=None):
    """Return the gradient of an average pooling's input from that of its output.

    dims: 1, 2 or 3. dy (B, C, ...) or (C, ...) -> input_shape. window: (kernel_size, stride, padding, ceil_mode,
    count_include_pad, divisor_override), or (output_size,) of adaptive pooling. channels_last: the memory layout of
    the result; None for that of dy, which for a single pixel does not say. Raises ValueError unless the shapes
    fit together, and as the forward does.
    """
    return gradient_of("avg_pool", dims, window, 6, _backward).run(None, dy, input_shape, channels_last, *window)


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return the p-norm of each window of signals (B, C, L) or (C, L). Like `lp_pool2d`."""
    return _lp_pool1d.run(None, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return (sum of x**p)**(1/p) of each window, for p = norm_type: the 2-norm; with p = 1 the sum.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW), same dtype. As in PyTorch the powers are of x, not
    of |x|, and with ceil_mode a window that hangs over the edge is taken as the whole window's share of what it sees.
    Raises ValueError if p is not positive, and as max_pool2d does.
    """
    return _lp_pool2d.run(None, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return the p-norm of each window of volumes (B, C, D, H, W) or (C, D, H, W). Like `lp_pool2d`."""
    return _lp_pool3d.run(None, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool_backward(dims, dy, input, output, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return the gradient of an lp pooling's input from that of its output; zero where the norm is zero.

    dims: 1, 2 or 3. dy, output (the forward's result), input; the other arguments as in the forward. Raises ValueError
    unless the shapes fit together, and as the forward does.
    """
    check_dims("lp_pool", dims)
    return _lp_backward[dims].run(None, dy, input, output, norm_type, kernel_size, stride, ceil_mode)


class AvgPool(NamedTuple):
    """Means of windows. Sums are divided by `divisor` or else by the taps, with those in the padding if `padded`."""

    input: Layout
    axes: tuple[Axis, ...]
    padded: bool = True
    divisor: int | None = None
    out: Layout | None = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return result(self.input, self.axes)


class AvgPoolGradient(NamedTuple):
    """Gradients dy of the means of windows over an input of a shape. channels_last: of the result; None: as dy is."""

    dy: Layout
    shape: tuple[int, ...]
    axes: tuple[Axis, ...]
    padded: bool = True
    divisor: int | None = None
    channels_last: bool | None = None


class LpPool(NamedTuple):
    """Norms of windows: (taps * mean of x^power)^(1 / power)."""

    input: Layout
    axes: tuple[Axis, ...]
    power: float
    taps: int


class LpPoolGradient(NamedTuple):
    """Gradients dy of the norms of windows over the input."""

    dy: Layout
    input: Layout
    output: Layout
    axes: tuple[Axis, ...]
    power: float
    taps: int


def _power(function, norm_type):
    """Return the exponent of a norm as a float."""
    try:
        if isinstance(norm_type, (str, bytes, bool)):
            raise TypeError
        power = float(norm_type)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{function}: norm_type must be a positive number, got {norm_type!r}") from None
    if not power > 0:
        raise ValueError(f"{function}: norm_type must be positive, got {norm_type!r}")
    return power


def _means(name, size, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
    """Return the windows, whether padding counts, and the divisor."""
    axes = sliding(name, size, kernel_size, stride, padding, 1, ceil_mode)
    if divisor_override is not None:
        divisor_override = integer(name, "divisor_override", divisor_override, -INT_LIMIT)
        if not divisor_override:
            raise ValueError(f"{name}: divisor_override must not be 0")
    return axes, flag(name, "count_include_pad", count_include_pad), divisor_override


def _forward(name, dims):
    @operation("input", name=name)
    def forward(input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override):
        size = size_of(name, input, dims)
        return AvgPool(
            input, *_means(name, size, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)
        )

    return forward


def _gradient(name, dy, input_shape, channels_last, dims, windows, *options):
    """Return the problem of a gradient. windows(name, size, *options) -> axes, and what sums are divided by."""
    shape = integers(name, "input_shape", input_shape, 0)
    size_of(name, dy, dims, "dy")
    if len(shape) != dy.ndim:
        raise ValueError(f"{name}: dy has shape {dy.shape}, which does not fit an input of shape {shape}")
    axes, *divisor = windows(name, shape[-dims:], *options)
    check_gradient(name, dy, shape, axes)
    last = None if channels_last is None else flag(name, "channels_last", channels_last)
    return AvgPoolGradient(dy, shape, axes, *(divisor or (True, None)), last)


def _operations(dims):
    """Return the operations for `dims` axes: means, adaptive means, norms; the gradients of each."""
    name_adaptive, name_norm = f"adaptive_avg_pool{dims}d", f"lp_pool{dims}d"
    name_back, adaptive_back, norm_back = (
        f"{name}_backward" for name in (f"avg_pool{dims}d", name_adaptive, name_norm)
    )

    @operation("input", name=name_adaptive)
    def adaptive_forward(input, output_size):
        return AvgPool(input, adaptive(name_adaptive, size_of(name_adaptive, input, dims), output_size))

    @operation("input", name=name_norm)
    def norm(input, norm_type, kernel_size, stride, ceil_mode):
        power, size = _power(name_norm, norm_type), size_of(name_norm, input, dims)
        axes = sliding(name_norm, size, kernel_size, stride, 0, 1, ceil_mode)
        return LpPool(input, axes, power, prod(axis.kernel for axis in axes))

    @operation("dy", name=name_back)
    def backward(
        dy, input_shape, channels_last, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    ):
        options = kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
        return _gradient(name_back, dy, input_shape, channels_last, dims, _means, *options)

    @operation("dy", name=adaptive_back)
    def adaptive_backward(dy, input_shape, channels_last, output_size):
        def windows(*options):
            return (adaptive(*options),)

        return _gradient(adaptive_back, dy, input_shape, channels_last, dims, windows, output_size)

    @operation("dy input output", name=norm_back)
    def norm_backward(dy, input, output, norm_type, kernel_size, stride, ceil_mode):
        if output.shape != dy.shape:
            raise ValueError(f"{norm_back}: output has shape {output.shape}, dy has {dy.shape}")
        power, size = _power(norm_back, norm_type), size_of(norm_back, input, dims)
        axes = sliding(norm_back, size, kernel_size, stride, 0, 1, ceil_mode)
        check_gradient(norm_back, dy, input.shape, axes)
        return LpPoolGradient(dy, input, output, axes, power, prod(axis.kernel for axis in axes))

    return _forward(f"avg_pool{dims}d", dims), adaptive_forward, norm, backward, adaptive_backward, norm_backward


_avg_pool1d, _adaptive_avg_pool1d, _lp_pool1d, *_backward1d, _lp_backward1d = _operations(1)
_avg_pool2d, _adaptive_avg_pool2d, _lp_pool2d, *_backward2d, _lp_backward2d = _operations(2)
_avg_pool3d, _adaptive_avg_pool3d, _lp_pool3d, *_backward3d, _lp_backward3d = _operations(3)
_sum_pool2d = _forward("sum_pool2d", 2)
_backward = {1: _backward1d, 2: _backward2d, 3: _backward3d}
_lp_backward = {1: _lp_backward1d, 2: _lp_backward2d, 3: _lp_backward3d}
