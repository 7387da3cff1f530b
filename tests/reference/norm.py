"""Normalisation in float64, and its gradients by the definition: dy times the Jacobian of (x - mean) / std."""

import numpy as np


def tolerance(dtype, length):
    """Return the error allowed of a normalised number, relative to the largest |x - mean| / std times the weight."""
    return 4 * np.finfo(dtype).eps * max(1, length) ** 0.5


def _per(weight, default, x, axes):
    """Return the weight as it multiplies x: along the last axes of its own number, or along `axes`."""
    if weight is None:
        return default
    shape = [n if axis in axes else 1 for axis, n in enumerate(x.shape)]
    return np.asarray(weight, np.float64).reshape(shape)


def normalize(x, axes, eps, centred=True):
    """Return (x - mean) / sqrt(variance + eps) over some axes, and the standard deviation; the mean may be 0."""
    x = np.asarray(x, np.float64)
    mean = x.mean(axes, keepdims=True) if centred else 0.0
    std = np.sqrt(((x - mean) ** 2).mean(axes, keepdims=True) + eps)
    return (x - mean) / std, std


def normalize_backward(g, x, axes, eps, centred=True):
    """Return g times the Jacobian: (g - mean(g) - xhat mean(g xhat)) / std."""
    xhat, std = normalize(x, axes, eps, centred)
    mean = g.mean(axes, keepdims=True) if centred else 0.0
    return (g - mean - xhat * (g * xhat).mean(axes, keepdims=True)) / std


def layer_norm(x, count, weight=None, bias=None, eps=1e-5, centred=True):
    """Normalise the last `count` axes."""
    x = np.asarray(x, np.float64)
    axes = tuple(range(x.ndim - count, x.ndim))
    return normalize(x, axes, eps, centred)[0] * _per(weight, 1.0, x, axes) + _per(bias, 0.0, x, axes)


def layer_norm_backward(dy, x, count, weight=None, eps=1e-5, centred=True):
    """Return (dx, dweight, dbias)."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    axes, others = tuple(range(x.ndim - count, x.ndim)), tuple(range(x.ndim - count))
    dx = normalize_backward(dy * _per(weight, 1.0, x, axes), x, axes, eps, centred)
    return dx, (dy * normalize(x, axes, eps, centred)[0]).sum(others), dy.sum(others)


def group_norm(x, groups, weight=None, bias=None, eps=1e-5):
    """Normalise each group of the channels of (B, C, ...)."""
    x = np.asarray(x, np.float64)
    xhat = normalize(x.reshape(len(x), groups, -1), 2, eps)[0].reshape(x.shape)
    return xhat * _per(weight, 1.0, x, (1,)) + _per(bias, 0.0, x, (1,))


def group_norm_backward(dy, x, groups, weight=None, eps=1e-5):
    """Return (dx, dweight, dbias)."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    rows = len(x), groups, -1
    others = (0, *range(2, x.ndim))
    dx = normalize_backward((dy * _per(weight, 1.0, x, (1,))).reshape(rows), x.reshape(rows), 2, eps)
    xhat = normalize(x.reshape(rows), 2, eps)[0].reshape(x.shape)
    return dx.reshape(x.shape), (dy * xhat).sum(others), dy.sum(others)


def batch_norm(x, mean=None, variance=None, weight=None, bias=None, eps=1e-5):
    """Normalise each channel of (B, C, ...) over all else, or by a given mean and variance."""
    x = np.asarray(x, np.float64)
    axes = (0, *range(2, x.ndim))
    if mean is None:
        xhat = normalize(x, axes, eps)[0]
    else:
        xhat = (x - _per(mean, 0.0, x, (1,))) / np.sqrt(_per(variance, 1.0, x, (1,)) + eps)
    return xhat * _per(weight, 1.0, x, (1,)) + _per(bias, 0.0, x, (1,))


def batch_norm_backward(dy, x, mean=None, variance=None, weight=None, eps=1e-5):
    """Return (dx, dweight, dbias); a given mean and variance are constants."""
    dy, x = np.asarray(dy, np.float64), np.asarray(x, np.float64)
    axes, g = (0, *range(2, x.ndim)), dy * _per(weight, 1.0, x, (1,))
    if mean is None:
        dx = normalize_backward(g, x, axes, eps)
    else:
        dx = g / np.sqrt(_per(variance, 1.0, x, (1,)) + eps)
    return dx, (dy * batch_norm(x, mean, variance, eps=eps)).sum(axes), dy.sum(axes)


def running(before, batch, momentum):
    """Return a running statistic after a batch."""
    return (1 - momentum) * np.asarray(before, np.float64) + momentum * batch


def unit(x, p=2.0, dim=1, eps=1e-12):
    """Return x / max(|x|_p, eps)."""
    x = np.asarray(x, np.float64)
    size = np.linalg.norm(x, p, dim, keepdims=True)
    return x / np.maximum(size, eps)


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """Divide by (k + alpha mean of the squares of neighbouring channels)^beta, channel by channel."""
    x = np.asarray(x, np.float64)
    y = np.empty_like(x)
    for c in range(x.shape[1]):
        near = x[:, max(0, c - size // 2) : c + (size - 1) // 2 + 1]
        y[:, c] = x[:, c] / (k + alpha * (near**2).sum(1) / size) ** beta
    return y
