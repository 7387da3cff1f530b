"""Windows of images as the columns of a matrix (im2col), and back (col2im): each is the gradient of the other.

For everything that looks at windows and is not a convolution. Sums are in the order of the places in the window.
"""

from __future__ import annotations

import numpy as np

from ..cpu.conv import im2col
from ..cpu.move import planes
from ..ground.checks import as_float_array, contiguous, conv_output_size, output, pair
from ..ground.layout import hashable, with_batch
from ..ground.memory import empty, empty_like, zeros
from ..ground.plans import kept


def unfold(input, kernel_size, dilation=1, padding=0, stride=1, *, out=None):
    """Return the windows of images as columns.

    input (B, C, H, W) or (C, H, W) -> (B, C * KH * KW, L) or (C * KH * KW, L): a column per place of the window, row by
    row, with zeros where it sticks out of the padded image. float32 or float64. Numbers or pairs.
    Raises ValueError if the window is larger than the padded image.
    """
    x = as_float_array("unfold", "input", input)
    x, batched = with_batch("unfold", "input", x, 2)
    kernel, window, places = _form("unfold", x.shape[2:], kernel_size, dilation, padding, stride)
    shape = x.shape[0], x.shape[1] * kernel[0] * kernel[1], places[0] * places[1]
    y = output("unfold", out, shape if batched else shape[1:], x.dtype, input)
    columns = y if y.flags.carray else empty(shape, x.dtype)
    im2col.unfold(planes(x), window, columns.reshape(*x.shape[:2], *kernel, *places))
    if columns is not y:
        y[...] = columns.reshape(y.shape)
    return y


def fold(input, output_size, kernel_size, dilation=1, padding=0, stride=1, *, out=None):
    """Return images made of windows, added up where they overlap: the gradient of `unfold`.

    input (B, C * KH * KW, L) or (C * KH * KW, L), output_size (H, W) -> (B, C, H, W) or (C, H, W); float32 or float64.
    Raises ValueError if the columns are not those of windows of such images.
    """
    x = as_float_array("fold", "input", input)
    x, batched = with_batch("fold", "input", x, 1)
    size = pair("fold", "output_size", hashable(output_size), 1)
    kernel, window, places = _form("fold", size, kernel_size, dilation, padding, stride)
    taps, columns = kernel[0] * kernel[1], places[0] * places[1]
    if x.shape[1] % taps or x.shape[2] != columns:
        raise ValueError(
            f"fold: input has shape {x.shape}, but images of size {size} have {columns} windows of {taps} pixels per "
            "channel"
        )
    shape = x.shape[0], x.shape[1] // taps, *size
    y = output("fold", out, shape if batched else shape[1:], x.dtype, input)
    made = y if y.flags.aligned else empty_like(y)
    windows = contiguous(x).reshape(*shape[:2], *kernel, *places)
    im2col.fold(windows, zeros(shape[1:2], x.dtype), -np.inf, window, made.reshape(shape))
    if made is not y:
        y[...] = made
    return y


@kept
def _form(function, size, *options):
    """Check the arguments; return the kernel, (stride, padding, dilation) in a row, and the numbers of places."""
    kernel_size, dilation, padding, stride = options
    kernel = pair(function, "kernel_size", kernel_size, 1)
    dilation, stride = pair(function, "dilation", dilation, 1), pair(function, "stride", stride, 1)
    padding = pair(function, "padding", padding, 0)
    places = conv_output_size(function, size, kernel, stride, padding, dilation)
    return kernel, (*stride, *padding, *dilation), places
