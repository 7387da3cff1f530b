"""The gradients of a convolution's weight and bias: which algorithm computes them."""

from __future__ import annotations

import numpy as np

from ...ground.checks import contiguous
from ...ground.layout import channels_last
from ...ground.threads import tasks
from ..activation import relu
from ..matmul.plan import product
from . import depthwise, im2col, weight_gradient_direct, winograd_gradient
from . import kernels as cpu
from .select import WORTH, may_round


def sum_bias(dy, dbias):
    """dy(B,OC,OH,OW) -> dbias(OC), contiguous: the sums over images and pixels."""
    if channels_last(dy) and dy.size:
        rows = dy.transpose(0, 2, 3, 1).reshape(-1, dy.shape[1])
        product(np.ones((1, len(rows)), dy.dtype), rows, dbias[np.newaxis])
    else:
        rows = dy if dy.strides[3] == dy.itemsize else contiguous(dy)
        cpu.conv2d_backward_bias__planes[dy.dtype](rows, dbias, dbias.size, tasks(dy.size, 65536))


def correlate(dy, gate, gated, x, window, groups, dw, dbias):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C/groups,KH,KW) and, unless it is None, dbias(OC).

    If gated, dy counts only where `gate`, which lies in memory as dy, is positive.
    """
    if dy.size == 0 or dw.size == 0:
        dw[...] = 0
        if dbias is not None:
            sum_bias(dy, dbias)
        return
    filters, channels = dw.shape[0] // groups, dw.shape[1]
    if channels == 1 < groups:
        depthwise.correlate(dy, gate, gated, x, window, dw)
        if dbias is not None:
            sum_bias(relu.apply_backward(dy, gate) if gated else dy, dbias)
        return
    if groups == 1 and may_round(dw.dtype) and winograd_gradient.worth(dy.shape, channels, window) <= WORTH:
        if dbias is not None:
            dy, gated = relu.apply_backward(dy, gate) if gated else dy, 0
            sum_bias(dy, dbias)
        rest = lambda *args: correlate(*args[:-1], 1, args[-1], None)  # noqa: E731
        winograd_gradient.correlate(dy, gate, gated, x, window, dw, rest)
        return
    if im2col.suits_weight(dy, filters):
        dy = relu.apply_backward(dy, gate) if gated else dy
        im2col.correlate(dy, x, window, groups, dw)
        if dbias is not None:
            sum_bias(dy, dbias)
        return
    weight_gradient_direct.correlate(dy, gate, gated, x, window, groups, dw, dbias)
