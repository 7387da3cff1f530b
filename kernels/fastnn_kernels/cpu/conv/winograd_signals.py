"""Signals folded into images of three columns, so that a row of nine taps becomes 3x3 of them, for Winograd's way.

With image[r, c] = signal[3 r + c], tap 3 i + j of a window is number (i, j) of a 3x3 one, and the results of a row of
three are neighbours in the output. Neighbouring rows of the image share two of its five columns: it is a view. Seven
and eight taps are filled up with zeros.
"""

import numpy as np
from numpy.lib.stride_tricks import as_strided

from ...ground.memory import empty, zeros
from ...ground.plans import ghost
from . import winograd

SIDE, TAPS = 3, 9
FORMS = tuple(form for form in winograd.FORMS if form.taps == (SIDE, SIDE))


def refusal(layer):
    """Say why a layer cannot be computed so."""
    (_, sw, ph, _, _, dw, kh, kw), shape = layer.window, layer.shape
    if layer.dtype != np.float32:
        return "is for float32 only: its rounding would spoil float64"
    if (kh, shape[2], ph, sw, dw) != (1, 1, 0, 1, 1) or not 7 <= kw <= TAPS or layer.groups > 1:
        return "needs signals and kernels of 7 to 9 with stride 1, dilation 1 and groups=1"
    return ""


def image(layer):
    """Return the layer of the folded images."""
    batch, filters, _, length = layer.shape
    shape = batch, filters, -(-length // SIDE), SIDE
    return layer._replace(window=(1, 1, 0, 0, 1, 1, SIDE, SIDE), shape=shape)


def cost(layer, form, prepared):
    """Estimate a layer in units of a multiplication: directly (no form), or folded by Winograd's tiles."""
    if form is None:
        return winograd.cost(layer, None, prepared)
    batch, filters, _, length = layer.shape
    return winograd.cost(image(layer), form, prepared) + 12 * batch * length * (layer.channels + filters)


def pack(form, layer):
    """Return what transforms filters (1, OC, C, 1, K) as 3x3 ones."""
    return _as_squares(winograd.pack(form, image(layer)))


def pack_soon(form, layer):
    """Return what transforms them for one convolution, or leaves squares to it: see `winograd.pack_soon`."""
    return _as_squares(winograd.pack_soon(form, image(layer)))


def _as_squares(transform):
    def run(filters):
        square = zeros((*filters.shape[:3], TAPS), filters.dtype)
        square[..., : filters.shape[4]] = filters[:, :, :, 0]
        return transform(square.reshape(*filters.shape[:3], SIDE, SIDE))

    return run


def plan(form, layer, x, y, gated, floor, prepared):
    """Return what convolves x into y; see `select.Algorithm`."""
    folded, padding, dtype = image(layer), layer.window[3], layer.dtype
    batch, filters, rows, _ = folded.shape
    length, channels = SIDE * rows + TAPS - 1, x.shape[1]
    lasts = [a.strides[1] == a.itemsize < a.strides[3] for a in (x, y)]
    first, end = min(length, max(0, padding)), max(0, min(length, padding + x.shape[3]))
    shape, width = (batch, channels, rows + SIDE - 1, 2 * SIDE - 1), y.shape[3]
    compute = winograd.plan(form, folded, ghost(shape, dtype), ghost(folded.shape, dtype), 0, floor, prepared)

    def run(x, gate, packed, bias, y):
        signal = _memory(batch, channels, length, lasts[0], dtype)
        signal[..., :first] = 0
        signal[..., max(first, end) :] = 0
        if first < end:
            signal[..., first:end] = x[:, :, 0, first - padding : end - padding]
        by_image, by_channel, by_number = signal.strides
        images = as_strided(signal, shape, (by_image, by_channel, SIDE * by_number, by_number))
        made = _memory(batch, filters, SIDE * rows, lasts[1], dtype)
        by_image, by_filter, by_number = made.strides
        result = as_strided(made, folded.shape, (by_image, by_filter, SIDE * by_number, by_number))
        compute(images, images, packed, bias, result)
        y[:, :, 0] = made[..., :width]

    return run


def _memory(batch, channels, length, last, dtype):
    """Return memory for signals (B, C, W), which lies as (B, W, C) if `last`."""
    return empty((batch, length, channels), dtype).swapaxes(1, 2) if last else empty((batch, channels, length), dtype)
