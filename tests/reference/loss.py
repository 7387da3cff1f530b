"""Losses in float64."""

import numpy as np

from tests.reference.softmax import log_softmax


def tolerance(dtype, terms):
    """Return the relative error allowed of a sum of `terms` positive numbers that took some ten roundings each."""
    return 10 * np.finfo(dtype).eps * max(1, terms) ** 0.5


def reduce(losses, reduction):
    """Return the losses, their mean or their sum."""
    return {"none": losses, "mean": losses.mean(), "sum": losses.sum()}[reduction]


def one_hot(target, shape):
    """Return probabilities (B, C, ...) of labels (B, ...); probabilities as they are."""
    target = np.asarray(target)
    if target.dtype.kind == "f":
        return target.astype(np.float64)
    dim = min(1, len(shape) - 1)
    classes = np.arange(shape[dim]).reshape([-1 if i == dim else 1 for i in range(len(shape))])
    return (np.expand_dims(target, dim) == classes).astype(np.float64)


def cross_entropy(x, target, reduction="mean"):
    """Return -sum over classes of target log softmax(x)."""
    dim = min(1, x.ndim - 1)
    return reduce(-(one_hot(target, x.shape) * log_softmax(x, dim)).sum(dim), reduction)


def cross_entropy_backward(dloss, x, target, reduction="mean"):
    """Return softmax(x) sum(target) - target, for each loss."""
    dim = min(1, x.ndim - 1)
    goal = one_hot(target, x.shape)
    dx = np.exp(log_softmax(x, dim)) * goal.sum(dim, keepdims=True) - goal
    if reduction == "none":
        return dx * np.expand_dims(dloss, dim)
    return dx * dloss / (x.size / x.shape[dim] if reduction == "mean" else 1)


def mse_loss(x, target, reduction="mean"):
    """Return (x - target)^2."""
    return reduce((np.asarray(x, np.float64) - target) ** 2, reduction)


def mse_loss_backward(dloss, x, target, reduction="mean"):
    """Return 2 (x - target)."""
    return 2 * (np.asarray(x, np.float64) - target) * dloss / (x.size if reduction == "mean" else 1)
