"""Windows of images as the columns of a matrix (im2col), and back (col2im): each is the gradient of the other.

No convolution here needs such a matrix; this is for everything else that looks at windows. One kernel copies the pixels
of each place in the window, which is a view; the way back adds them up in the order of the places.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ._shapes import as_float_array, conv_output_size, output, pair
from .conv_nd import with_batch
from .images import hashable


def unfold(input, kernel_size, dilation=1, padding=0, stride=1, *, out=None):
    """Return the windows of images as columns.

    input (B, C, H, W) or (C, H, W) -> (B, C * KH * KW, L) or (C * KH * KW, L): a column per place of the window, row by
    row, with zeros where it sticks out of the padded image. float32 or float64. Numbers or pairs.
    Raises ValueError if the window is larger than the padded image.
    """
    x = as_float_array("unfold", "input", input)
    x, batched = with_batch("unfold", "input", x, 2)
    kernel, window, places = _form("unfold", x.shape[2:], *map(hashable, (kernel_size, dilation, padding, stride)))
    shape = x.shape[0], x.shape[1] * kernel[0] * kernel[1], places[0] * places[1]
    y = output("unfold", out, shape if batched else shape[1:], x.dtype, x)
    columns = y if y.flags.c_contiguous else np.empty(shape, x.dtype)
    target = columns.reshape(*x.shape[:2], *kernel, *places)
    padded = _padded(x, window[1])
    target[...] = _windows(padded, kernel, window, places)
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
    kernel, window, places = _form("fold", size, *map(hashable, (kernel_size, dilation, padding, stride)))
    taps, columns = kernel[0] * kernel[1], places[0] * places[1]
    if x.shape[1] % taps or x.shape[2] != columns:
        raise ValueError(
            f"fold: input has shape {x.shape}, but images of size {size} have {columns} windows of {taps} pixels per "
            "channel"
        )
    shape = x.shape[0], x.shape[1] // taps, *size
    y = output("fold", out, shape if batched else shape[1:], x.dtype, x)
    (top, left), padding = window[1], (size[0] + 2 * window[1][0], size[1] + 2 * window[1][1])
    padded = np.zeros((*shape[:2], *padding), x.dtype)
    windows = _windows(padded, kernel, window, places)
    values = x.reshape(*shape[:2], *kernel, *places)
    for i in range(kernel[0]):
        for j in range(kernel[1]):
            windows[:, :, i, j] += values[:, :, i, j]
    y[...] = padded[:, :, top : top + size[0], left : left + size[1]].reshape(y.shape)
    return y


@lru_cache(maxsize=512, typed=True)
def _form(function, size, kernel_size, dilation, padding, stride):
    """Check the arguments; return the kernel, (stride, padding, dilation), and the places of the window by axis."""
    kernel = pair(function, "kernel_size", kernel_size, 1)
    dilation, stride = pair(function, "dilation", dilation, 1), pair(function, "stride", stride, 1)
    padding = pair(function, "padding", padding, 0)
    return kernel, (stride, padding, dilation), conv_output_size(function, size, kernel, stride, padding, dilation)


def _padded(x, padding):
    return np.pad(x, ((0, 0), (0, 0), *((p, p) for p in padding))) if any(padding) else x


def _windows(x, kernel, window, places):
    """Return a view (B, C, KH, KW, OH, OW) of padded images: what each place in the window meets."""
    (sh, sw), _, (dh, dw) = window
    b, c, h, w = x.strides
    return as_strided(x, (*x.shape[:2], *kernel, *places), (b, c, h * dh, w * dw, h * sh, w * sw))
