"""Softmax and its logarithm in float64."""

import numpy as np


def tolerance(dtype, length):
    """Return the relative error allowed of sums of `length` positive terms, and the absolute one of their logarithm."""
    return 4 * np.finfo(dtype).eps * max(1, length) ** 0.5


def softmax_tolerance(x, dim=-1):
    """Return the relative error allowed of each element: besides that of the sum, that of rounding x - max."""
    x = np.asarray(x)
    distance = np.abs(x - x.max(dim, keepdims=True))
    return tolerance(x.dtype, x.shape[dim]) + np.finfo(x.dtype).eps * distance


def log_softmax(x, dim=-1):
    """Return x - max - log(sum e^(x - max))."""
    x = np.asarray(x, np.float64)
    with np.errstate(invalid="ignore"):
        shifted = x - x.max(dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(dim, keepdims=True))


def softmax(x, dim=-1):
    """Return e^(x - max) / sum."""
    return np.exp(log_softmax(x, dim))


def softmax_backward(dy, y, dim=-1):
    """Return dy times the transposed Jacobian diag(y) - y y^T."""
    dy, y = np.asarray(dy, np.float64), np.asarray(y, np.float64)
    return y * (dy - (dy * y).sum(dim, keepdims=True))


def log_softmax_backward(dy, y, dim=-1):
    """Return dy times the transposed Jacobian I - 1 e^y^T."""
    dy, y = np.asarray(dy, np.float64), np.asarray(y, np.float64)
    return dy - np.exp(y) * dy.sum(dim, keepdims=True)
