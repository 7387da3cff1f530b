"""Convolution in plain float64 NumPy: what fastnn's convolutions must compute."""

import numpy as np


def tolerance(dtype, reduction: int, expected) -> float:
    """Return the absolute error allowed for sums of `reduction` products: 2 eps sqrt(reduction) of the largest sum."""
    return 2 * np.finfo(dtype).eps * max(1, reduction) ** 0.5 * max(1.0, np.abs(expected).max(initial=0))


def pair(value) -> tuple:
    """Return a number as (number, number) and a pair as it is."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value, value)


def pads(padding, kernel, dilation) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return ((top, bottom), (left, right)) for a number, a pair, "valid" or "same" (the odd one goes last)."""
    if padding == "valid":
        padding = 0
    if padding == "same":
        spans = [d * (k - 1) for k, d in zip(kernel, pair(dilation), strict=True)]
        return tuple((span // 2, span - span // 2) for span in spans)
    return tuple((p, p) for p in pair(padding))


def taps(padded, kernel, stride, dilation):
    """Yield (row, column, view) for each position in the window: the inputs it meets, (B, C, OH, OW)."""
    (sh, sw), (dh, dw) = pair(stride), pair(dilation)
    height, width = padded.shape[2] - dh * (kernel[0] - 1), padded.shape[3] - dw * (kernel[1] - 1)
    for row in range(kernel[0]):
        for column in range(kernel[1]):
            top, left = row * dh, column * dw
            yield row, column, padded[:, :, top : top + height : sh, left : left + width : sw]


def conv2d(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """x(B, C, H, W), weight(OC, C/groups, KH, KW), bias(OC) -> (B, OC, OH, OW)."""
    x, weight = np.asarray(x, np.float64), np.asarray(weight, np.float64)
    kernel = weight.shape[2:]
    padded = np.pad(x, ((0, 0), (0, 0), *pads(padding, kernel, dilation)))
    parts = []
    for images, weights in zip(np.split(padded, groups, 1), np.split(weight, groups, 0), strict=True):
        parts.append(
            sum(
                np.einsum("bchw,oc->bohw", view, weights[:, :, row, column])
                for row, column, view in taps(images, kernel, stride, dilation)
            )
        )
    y = np.concatenate(parts, 1)
    return y if bias is None else y + np.asarray(bias, np.float64)[:, None, None]


def conv2d_backward(dy, x, weight, stride=1, padding=0, dilation=1, groups=1):
    """Return (dx, dweight, dbias): each product of the forward pass, undone one window position at a time."""
    dy, x, weight = (np.asarray(a, np.float64) for a in (dy, x, weight))
    kernel = weight.shape[2:]
    (top, bottom), (left, right) = pads(padding, kernel, dilation)
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    dpadded, dweight = np.zeros_like(padded), np.zeros_like(weight)
    split = [np.split(a, groups, axis) for a, axis in ((dy, 1), (padded, 1), (dpadded, 1), (weight, 0), (dweight, 0))]
    for grad, images, dimages, weights, dweights in zip(*split, strict=True):
        views = taps(images, kernel, stride, dilation)
        for (row, column, view), (_, _, dview) in zip(views, taps(dimages, kernel, stride, dilation), strict=True):
            dweights[:, :, row, column] = np.einsum("bohw,bchw->oc", grad, view)
            dview += np.einsum("bohw,oc->bchw", grad, weights[:, :, row, column])
    height, width = padded.shape[2:]
    return dpadded[:, :, top : height - bottom, left : width - right], dweight, dy.sum((0, 2, 3))
