"""Activations that look at more than one number, in float64."""

import numpy as np


def prelu(x, weight):
    """Return x above 0, weight x below; the weight lies along dimension 1 (or is one number)."""
    slopes = weight.reshape(-1, *[1] * (x.ndim - 2)) if x.ndim > 1 else weight
    return np.where(x > 0, x, slopes * x)


def prelu_slope(dy, x, weight):
    """Return the gradient of prelu's input."""
    slopes = weight.reshape(-1, *[1] * (x.ndim - 2)) if x.ndim > 1 else weight
    return np.where(x > 0, dy, slopes * dy)


def prelu_weight_gradient(dy, x, weight):
    """Return the gradient of prelu's weight."""
    parts = np.where(x > 0, 0, dy * x)
    return parts.sum(keepdims=True).reshape(1) if weight.size == 1 else parts.sum((0, *range(2, x.ndim)))


def glu(x, dim):
    """Return one half times the sigmoid of the other."""
    a, b = np.split(x, 2, axis=dim)
    return a / (1 + np.exp(-b))
