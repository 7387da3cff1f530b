"""Winograd's algorithm for signals, folded into images of three columns: a row of nine taps becomes 3x3 of them.

With image[r, c] = signal[3 r + c], tap 3 i + j of a window is tap (i, j) of a 3x3 one, and the three outputs of a row
are neighbours in the result. Neighbouring rows of the image share two of its five columns: it is a view. Seven and
eight taps are padded with zeros.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ground.memory import empty, zeros
from ...ground.plans import ghost
from ..move import empty_last
from . import winograd
from .layer import Planned, Window

SIDE, TAPS = 3, 9
FORMS = tuple(form for form in winograd.FORMS if form.taps == (SIDE, SIDE))


def refusal(layer):
    """Say why a layer cannot be computed so."""
    (_, sw, top, _, _, dw, kh, kw), shape = layer.window, layer.shape
    if layer.dtype != np.float32:
        return "is for float32 only: its rounding would spoil float64"
    if (kh, shape[2], top, sw, dw) != (1, 1, 0, 1, 1) or not 7 <= kw <= TAPS or layer.groups > 1:
        return "needs signals and kernels of 7 to 9 with stride 1, dilation 1 and groups=1"
    return ""


def _folded(layer):
    """Return the layer of the folded images."""
    batch, filters, _, length = layer.shape
    return layer._replace(window=Window(1, 1, 0, 0, 1, 1, SIDE, SIDE), shape=(batch, filters, -(-length // SIDE), SIDE))


def cost(layer, form, kept):
    """Estimate a layer in units of a multiplication: directly (no form), or folded by Winograd's tiles."""
    if form is None:
        return winograd.cost(layer, None, kept)
    batch, filters, _, length = layer.shape
    return winograd.cost(_folded(layer), form, kept) + 12 * batch * length * (layer.channels + filters)


def plan(form, layer, x, y, floor, kept, masked):
    """Return the `Planned` of a form of tiles over folded signals."""
    folded, padding, dtype = _folded(layer), layer.window.left, layer.dtype
    batch, filters, rows, _ = folded.shape
    length, channels = SIDE * rows + TAPS - 1, x.shape[1]
    memories = [empty_last if a.strides[1] == a.itemsize < a.strides[3] else empty for a in (x, y)]
    first, end = min(length, max(0, padding)), max(0, min(length, padding + x.shape[3]))
    shape, width = (batch, channels, rows + SIDE - 1, 2 * SIDE - 1), y.shape[3]
    images = ghost(shape, dtype), ghost(folded.shape, dtype)
    transform, convolve, key = winograd.plan(form, folded, *images, floor, kept, False)

    def pack(filters):
        square = zeros((*filters.shape[:3], TAPS), filters.dtype)
        square[..., : filters.shape[4]] = filters[:, :, :, 0]
        return transform(square.reshape(*filters.shape[:3], SIDE, SIDE))

    def compute(x, packed, bias, y):
        signal = memories[0]((batch, channels, length), dtype)
        signal[..., :first] = 0
        signal[..., max(first, end) :] = 0
        if first < end:
            signal[..., first:end] = x[:, :, 0, first - padding : end - padding]
        by_image, by_channel, by_number = signal.strides
        images = as_strided(signal, shape, (by_image, by_channel, SIDE * by_number, by_number))
        out = memories[1]((batch, filters, SIDE * rows), dtype)
        by_image, by_filter, by_number = out.strides
        result = as_strided(out, folded.shape, (by_image, by_filter, SIDE * by_number, by_number))
        convolve(images, packed, bias, result)
        y[:, :, 0] = out[..., :width]

    return Planned(pack, compute, key)
