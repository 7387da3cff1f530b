"""Convolution with kernels of 1x1 is a matrix product per image, and goes to the engine that multiplies matrices.

By planes y(OC,HW) = W(OC,C) x(C,HW); by pixels y(HW,OC) = x(HW,C) W^T, where all images may be one product. Small
planes are multiplied by pixels, too: few columns leave a good part of a tile empty.
"""

from typing import NamedTuple

import numpy as np

from . import activation as activations
from ._memory import empty
from .cpu.epilogue import CODES
from .images import channels_last, planes
from .matmul import PreparedMatmul, multiply_stack

FEW = 100  # pixels of a small plane


class Kept(NamedTuple):
    """What a prepared weight keeps: the matrix W(OC, C), and W^T in panels from when it is first used so."""

    matrix: np.ndarray
    turned: PreparedMatmul


def refusal(layer):
    """Say why a layer is no matrix product."""
    if layer.window[2:4] + layer.window[6:] != (0, 0, 1, 1) or layer.groups > 1:
        return "needs 1x1 kernels without padding and groups=1"
    return ""


def pack(filters):
    """Return filters (1, OC, C, 1, 1) as the matrix W(OC, C): there is nothing to lay out."""
    return filters[0, :, :, 0, 0]


def keep(filters):
    """Return what a prepared weight keeps."""
    return Kept(pack(filters), PreparedMatmul(pack(filters).T))


def run(x, gate, gated, packed, bias, floor, layer, y):
    """Convolve x into y; see `convolve`."""
    by_pixel = channels_last(y)
    if not (by_pixel or y.flags.c_contiguous):
        result = empty(y.shape, y.dtype)
        run(x, gate, gated, packed, bias, floor, layer, result)
        y[...] = result
        return
    if gated:
        x = activations.relu_backward(x, gate)
    if layer.channels == 0:
        y[...] = np.maximum(bias, floor)[:, None, None]
        return
    sh, sw = layer.window[:2]
    if (sh, sw) != (1, 1):
        x = np.copy(x[:, :, ::sh, ::sw], order="K")
    if x.shape[2:] != y.shape[2:]:  # the gradient of a strided layer: what no window met, and what meets none
        height, width = min(x.shape[2], y.shape[2]), min(x.shape[3], y.shape[3])
        result = empty((*y.shape[:2], height, width), y.dtype)
        run(x[:, :, :height, :width], x, 0, packed, bias, floor, layer._replace(window=(1,) * 8), result)
        y[...] = np.maximum(bias, floor)[:, None, None]
        y[:, :, :height, :width] = result
        return
    matrix, turned = packed if type(packed) is Kept else (packed, None)
    code = CODES["relu"] if floor == 0 else 0
    a = x.reshape(*x.shape[:2], -1)
    batch, filters, height, width = y.shape
    if not by_pixel and height * width > FEW:
        multiply_stack(matrix, a, bias[:, None] if bias.any() else None, y.reshape(batch, filters, -1), code)
        return
    rows = y.transpose(0, 2, 3, 1) if by_pixel else empty((batch, height, width, filters), y.dtype)
    a, product = a.transpose(0, 2, 1), rows.reshape(batch, -1, filters)
    if a.strides[0] == a.strides[1] * a.shape[1]:
        a, product = a.reshape(1, -1, layer.channels), rows.reshape(1, -1, filters)
    multiply_stack(a, matrix.T if turned is None else turned, bias[None], product, code)
    if not by_pixel:
        y[...] = planes(rows.transpose(0, 3, 1, 2))
