"""Convolution with kernels of 1x1 is a matrix product per image, and goes to the engine that multiplies matrices.

By planes y(OC,HW) = W(OC,C) x(C,HW); by pixels y(HW,OC) = x(HW,C) W^T, where all images may be one product. Small
planes are multiplied by pixels, too: few columns leave a good part of a tile empty.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from ...ground.memory import empty
from ...ground.plans import ghost
from ...ground.prepared import Prepared
from ..matmul.epilogue import CODES
from ..matmul.plan import plan_products
from ..matmul.prepared import panels_of
from ..move import turning

FEW = 100  # pixels of a small plane
DOTS = 4  # pixels in all, for which each row of W is read once where it lies


class Kept(NamedTuple):
    """What a prepared weight keeps: the matrix W(OC, C), and W^T in panels from when it is first used so."""

    matrix: np.ndarray
    turned: Prepared


def refusal(layer):
    """Say why a layer is no matrix product."""
    if layer.window[2:4] + layer.window[6:] != (0, 0, 1, 1) or layer.groups > 1:
        return "needs 1x1 kernels without padding and groups=1"
    return ""


def pack(layer):
    """Return what makes the matrix W(OC, C) of filters (1, OC, C, 1, 1): there is nothing to lay out."""
    shape = layer.filters, layer.channels
    return lambda filters: filters.reshape(shape)


def keep(layer):
    """Return what makes of filters what a prepared weight keeps."""

    def run(filters):
        matrix = pack(layer)(filters)
        return Kept(matrix, Prepared(matrix.T))

    return run


def plan(layer, x, y, gated, floor, prepared):
    """Return what convolves x into y; see `conv_algorithms.Algorithm`."""
    if layer.channels == 0:
        return partial(_fill, floor)
    all_met = layer.window[:2] == (1, 1) and x.shape[2:] == y.shape[2:]
    if not (all_met and x.flags.aligned and _even(x) and (y.flags.c_contiguous or _by_pixel(y))):
        return _plan_copies(layer, x, y, floor, prepared)
    batch, filters, height, width = y.shape
    size, channels, dtype = height * width, layer.channels, layer.dtype
    code = CODES["relu"] if floor == 0 else 0
    by_pixel = _by_pixel(y) and (size == 1 or not y.flags.c_contiguous)
    if not by_pixel and size > FEW:
        a, b, out = ghost((filters, channels), dtype), _flat(x), ghost((batch, filters, size), dtype)
        multiply = plan_products(a, b, out, code, per_row=True)

        def by_planes(x, gate, packed, bias, y):
            matrix = packed.matrix if prepared else packed
            multiply(matrix, x[0].reshape(channels, size), bias, y[0].reshape(filters, size))

        return by_planes
    a, one = _flat(x).transpose(0, 2, 1), batch == 1
    if whole := one or a.strides[0] == a.strides[1] * size:
        a = ghost((1, batch * size, channels), dtype, a.strides)
    out = ghost((*a.shape[:2], filters), dtype)
    b = ghost((filters, channels), dtype)
    dots = prepared and whole and a.shape[1] <= DOTS and a.strides[2] == a.itemsize
    multiply = plan_products(a, b, out, code, turned=dots or not prepared, packed=prepared and not dots)
    back = None if by_pixel else turning(batch, size, filters, dtype)
    rows = out.shape[1]

    def by_pixels(x, gate, packed, bias, y):
        if one:
            a = x.reshape(channels, size).T
        else:
            a = x.transpose(0, 2, 3, 1).reshape(rows, channels) if whole else x[0].reshape(channels, size).T
        b = packed if not prepared else packed.matrix if dots else panels_of(packed.turned, False)
        made = empty((batch * size, filters), dtype) if back else y.transpose(0, 2, 3, 1).reshape(batch * size, filters)
        multiply(a, b, bias, made if whole else made[:size])
        if back:
            back(made, y)

    return by_pixels


def _plan_copies(layer, x, y, floor, prepared):
    """Return what convolves a copy of the pixels that the windows meet, into memory that is copied to y.

    Both only where they have to be. The gradient of a strided layer has pixels that no window meets.
    """
    sh, sw = layer.window[:2]
    height, width = min(-(-x.shape[2] // sh), y.shape[2]), min(-(-x.shape[3] // sw), y.shape[3])
    met = (..., slice(0, (height - 1) * sh + 1, sh), slice(0, (width - 1) * sw + 1, sw))
    source, result = (_like(a, (a.shape[0], a.shape[1], height, width)) for a in (x[met], y))
    layer = layer._replace(window=(1,) * 8, shape=result.shape)
    direct = y.shape == result.shape and (y.flags.c_contiguous or _by_pixel(y))
    compute = plan(layer, source, y if direct else result, 0, floor, prepared)

    def run(x, gate, packed, bias, y):
        some = _empty_like(source)
        some[...] = x[met]
        if direct:
            compute(some, some, packed, bias, y)
            return
        made = _empty_like(result)
        compute(some, some, packed, bias, made)
        if made.shape != y.shape:
            _fill(floor, None, None, None, bias, y)
        y[..., :height, :width] = made

    return run


def _fill(floor, x, gate, packed, bias, y):
    """Write what comes of nothing."""
    y[...] = np.maximum(bias, floor)[:, None, None]


def _by_pixel(y):
    return y.transpose(0, 2, 3, 1).flags.c_contiguous


def _like(x, shape):
    """Return the ghost of dense images of a shape, by pixels if those of x are."""
    if x.strides[1] != x.itemsize or x.shape[1] == 1:
        return ghost(shape, x.dtype)
    return ghost((shape[0], *shape[2:], shape[1]), x.dtype).transpose(0, 3, 1, 2)


def _empty_like(x):
    """Return memory for dense images that lie as a ghost."""
    if x.flags.c_contiguous:
        return empty(x.shape, x.dtype)
    batch, channels, height, width = x.shape
    return empty((batch, height, width, channels), x.dtype).transpose(0, 3, 1, 2)


def _even(x):
    """Say whether pixels follow each other at one distance."""
    return 1 in x.shape[2:] or x.strides[2] == x.strides[3] * x.shape[3]


def _flat(x):
    """Return the ghost (B, C, HW) of such images."""
    step = x.strides[3] if x.shape[3] > 1 else x.strides[2]
    return ghost((*x.shape[:2], x.shape[2] * x.shape[3]), x.dtype, (*x.strides[:2], step))
