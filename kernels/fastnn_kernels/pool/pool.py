"""Pooling: the largest value, the mean or the sum of each window of a signal, an image or a volume.

Inputs are (B, C, ...) or (C, ...) with one, two or three axes after the channels, float32 or float64, any strides. What
lies in memory by pixels ("channels last") is pooled as such. The gradients are `max_pool_backward` and
`avg_pool_backward`, for any number of axes.
"""

from math import prod

import numpy as np

from ..cpu.pool import kernels as cpu
from ..ground.checks import I8, as_float_array, integer, promote, required, sizes
from ..ground.checks import indices as checked
from ..ground.layout import channels_last, hashable, with_batch
from ..ground.memory import empty, zeros
from ..ground.threads import tasks
from .pooling import GRAIN, avg_pool, max_pool, name_of
from .pooling_gradient import avg_pool_backward, max_pool_backward
from .windows import result

__all__ = ["avg_pool_backward", "max_pool_backward"]
LARGEST = 1 << 63  # an integer that int64 does not hold


def max_pool2d(
    input,
    kernel_size,
    stride=None,
    padding=0,
    dilation=1,
    ceil_mode=False,
    *,
    return_indices=False,
    activation=None,
    out=None,
):
    """Return the largest value of each window; with return_indices=True, (values, indices).

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW), same dtype; indices: int64, row * W + column of
    the value in its image. Values are exact; of equal values the first counts, and NaN is larger than all numbers.
    stride defaults to kernel_size; padding is minus infinity; with ceil_mode a last window may hang over the edge.
    activation: None or "relu" (the ReLU of the largest is the largest of the ReLU, of fewer numbers).
    Raises ValueError if a window is larger than the padded image, or padding than half the window; TypeError for
    integer images.
    """
    window = kernel_size, stride, padding, dilation, ceil_mode
    return max_pool(2, input, window, return_indices=return_indices, activation=activation, out=out)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, return_indices=False):
    """Return the largest value of each window of signals (B, C, L) or (C, L). Otherwise like `max_pool2d`."""
    return max_pool(1, input, (kernel_size, stride, padding, dilation, ceil_mode), return_indices=return_indices)


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, *, return_indices=False):
    """Return the largest value of each window of volumes (B, C, D, H, W) or (C, D, H, W).

    indices: (slice * H + row) * W + column. Otherwise like `max_pool2d`.
    """
    return max_pool(3, input, (kernel_size, stride, padding, dilation, ceil_mode), return_indices=return_indices)


def adaptive_max_pool1d(input, output_size, *, return_indices=False):
    """Return the largest values of `output_size` windows that cover a signal. Like `adaptive_max_pool2d`."""
    return max_pool(1, input, (output_size,), return_indices=return_indices)


def adaptive_max_pool2d(input, output_size, *, return_indices=False):
    """Return the largest values of the windows that cover an image, with return_indices=True also where they are.

    input (B, C, H, W) or (C, H, W) -> (B, C, *output_size); output_size: a number or one per axis, None to keep an
    axis as it is. Window i covers the pixels from floor(i H / OH) up to ceil((i + 1) H / OH), as in PyTorch: they may
    overlap by one. output_size=1 is global pooling. Otherwise like `max_pool2d`.
    """
    return max_pool(2, input, (output_size,), return_indices=return_indices)


def adaptive_max_pool3d(input, output_size, *, return_indices=False):
    """Return the largest values of the windows that cover a volume. Like `adaptive_max_pool2d`."""
    return max_pool(3, input, (output_size,), return_indices=return_indices)


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
    return avg_pool(2, input, (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override), out=out)


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Return the mean of each window of signals (B, C, L) or (C, L). Otherwise like `avg_pool2d`."""
    return avg_pool(1, input, (kernel_size, stride, padding, ceil_mode, count_include_pad, None))


def avg_pool3d(
    input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, divisor_override=None
):
    """Return the mean of each window of volumes (B, C, D, H, W) or (C, D, H, W). Otherwise like `avg_pool2d`."""
    return avg_pool(3, input, (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override))


def sum_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False):
    """Return the sum of each window: `avg_pool2d` with a divisor of 1. Its gradient is that of avg_pool2d, too."""
    return avg_pool(2, input, (kernel_size, stride, padding, ceil_mode, True, 1), kind="sum_pool")


def adaptive_avg_pool1d(input, output_size):
    """Return the means of `output_size` windows that cover a signal. Like `adaptive_avg_pool2d`."""
    return avg_pool(1, input, (output_size,))


def adaptive_avg_pool2d(input, output_size):
    """Return the means of the windows that cover an image, laid as in `adaptive_max_pool2d`; 1 is global pooling.

    input (B, C, H, W) or (C, H, W) -> (B, C, *output_size). Raises as adaptive_max_pool2d does.
    """
    return avg_pool(2, input, (output_size,))


def adaptive_avg_pool3d(input, output_size):
    """Return the means of the windows that cover a volume. Like `adaptive_avg_pool2d`."""
    return avg_pool(3, input, (output_size,))


def lp_pool1d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return the p-norm of each window of signals (B, C, L) or (C, L). Like `lp_pool2d`."""
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return (sum of x**p)**(1/p) of each window, for p = norm_type: the 2-norm; with p = 1 the sum.

    input (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW), same dtype. As in PyTorch the powers are of x, not
    of |x|, and with ceil_mode a window that hangs over the edge is taken as the whole window's share of what it sees.
    Raises ValueError if p is not positive, and as max_pool2d does.
    """
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return the p-norm of each window of volumes (B, C, D, H, W) or (C, D, H, W). Like `lp_pool2d`."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool_backward(dims, dy, input, output, norm_type, kernel_size, stride=None, ceil_mode=False):
    """Return the gradient of an lp pooling's input from that of its output; zero where the norm is zero.

    dims: 1, 2 or 3. dy, output (the forward's result), input; the other arguments as in the forward. Raises ValueError
    unless the shapes fit together, and as the forward does.
    """
    name = name_of("lp_pool", dims) + "_backward"
    required(name, dy=dy, input=input, output=output)
    dy, x, y = promote(name, dy=dy, input=input, output=output)
    if y.shape != dy.shape:
        raise ValueError(f"{name}: output has shape {y.shape}, dy has {dy.shape}")
    power = _power(name, norm_type)
    count = prod(sizes(name, "kernel_size", hashable(kernel_size), dims, 1))
    window = kernel_size, stride, 0, ceil_mode, True, None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = np.where(y == 0, y, dy * y ** (1 - power) * y.dtype.type(count))
        dx = avg_pool_backward(dims, share, x.shape, window, kind="lp_pool")
        dx *= x ** (power - 1)
    return dx


def _power(function, norm_type):
    """Return the exponent of a norm as a float."""
    try:
        if isinstance(norm_type, (str, bytes, bool, np.bool_)):
            raise TypeError
        power = float(norm_type)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{function}: norm_type must be a positive number, got {norm_type!r}") from None
    if not power > 0:
        raise ValueError(f"{function}: norm_type must be positive, got {norm_type!r}")
    return power


def _lp_pool(dims, input, norm_type, kernel_size, stride, ceil_mode):
    name = f"lp_pool{dims}d"
    x = as_float_array(name, "input", input)
    power = _power(name, norm_type)
    count = prod(sizes(name, "kernel_size", hashable(kernel_size), dims, 1))
    with np.errstate(invalid="ignore", over="ignore"):  # roots of negative numbers are NaN, as in PyTorch
        means = avg_pool(dims, x**power, (kernel_size, stride, 0, ceil_mode, True, None), kind="lp_pool")
        means *= means.dtype.type(count)
        return np.power(means, 1 / power, out=means)


def max_unpool1d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put values back where the maxima of a signal came from, zeros elsewhere. Like `max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put values back where `max_pool2d` (with these arguments and return_indices=True) took them, zeros elsewhere.

    input, indices (B, C, H, W) or (C, H, W) -> (B, C, OH, OW) or (C, OH, OW) of the input's dtype. OH = (H - 1) stride
    - 2 padding + kernel_size, or as output_size says (OH, OW; longer shapes count from the end). Of values with the
    same index the last stays. Raises ValueError if an index is outside the image, or shapes do not fit.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(input, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Put values back where the maxima of a volume came from, zeros elsewhere. Like `max_unpool2d`."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def max_unpool_backward(dims, dy, indices):
    """Return the gradient of max_unpool's input: what of dy (B, C, ...) lies where `indices` point.

    Raises ValueError unless these are places of dy's images, TypeError unless they are integers.
    """
    name = name_of("max_unpool", dims) + "_backward"
    dy, batched = with_batch(name, "dy", as_float_array(name, "dy", dy), dims)
    places = checked(name, "indices", indices, None, prod(dy.shape[2:]))
    if places.ndim != dims + 1 + batched or places.shape[: 1 + batched] != dy.shape[not batched : 2]:
        given = dy.shape if batched else dy.shape[1:]
        raise ValueError(f"{name}: indices have shape {places.shape}, which does not fit a dy of shape {given}")
    dx = empty(places.shape, dy.dtype)
    flat = *dy.shape[:2], prod(places.shape[1 + batched :])
    dx.reshape(flat)[...] = np.take_along_axis(dy.reshape(*dy.shape[:2], prod(dy.shape[2:])), places.reshape(flat), 2)
    return dx


def _max_unpool(dims, input, indices, kernel_size, stride, padding, output_size):
    name = f"max_unpool{dims}d"
    x, batched = with_batch(name, "input", as_float_array(name, "input", input), dims)
    kernel = sizes(name, "kernel_size", kernel_size, dims, 1)
    stride = kernel if stride is None else sizes(name, "stride", stride, dims, 1)
    padding = sizes(name, "padding", padding, dims, 0)
    usual = [(n - 1) * s - 2 * p + k for n, k, s, p in zip(x.shape[2:], kernel, stride, padding, strict=True)]
    if output_size is not None and not isinstance(output_size, (tuple, list, np.ndarray)):
        raise TypeError(f"{name}: output_size must be a tuple of integers, got {output_size!r}")
    size = usual if output_size is None else list(output_size)[-dims:]
    size = tuple(integer(name, "output_size", n, 1) for n in size)
    if len(size) != dims or any(abs(n - u) >= s for n, u, s in zip(size, usual, stride, strict=True)):
        raise ValueError(f"{name}: output_size must be {tuple(usual)} or less than a stride from it, got {output_size}")
    places = checked(name, "indices", indices, None, LARGEST, lowest=-LARGEST)
    places = places if batched else places[None]
    if places.shape != x.shape:
        raise ValueError(f"{name}: indices have shape {places.shape}, input has {x.shape}")
    y = result(name, None, (*x.shape[:2], *size), x.dtype, channels_last(x))
    flat = (a.reshape(*a.shape[:2], prod(a.shape[2:])) for a in (x, places, y))
    wrong = zeros((len(x),), I8)
    cpu.max_unpool__scatter[x.dtype](*flat, wrong, x.shape[1], tasks(y.size, GRAIN))
    if wrong.any():
        raise ValueError(f"{name}: indices must be from 0 to {prod(size) - 1} for output size {size}")
    return y if batched else y[0]
