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


def cross_entropy(x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
    """Return -sum over classes of target log softmax(x), the target smoothed and weighted."""
    dim = min(1, x.ndim - 1)
    target = np.asarray(target)
    labels = target.dtype.kind != "f"
    kept = (target != ignore_index) if labels else np.ones(())
    goal = one_hot(target, x.shape)
    weights = np.ones(x.shape[dim]) if weight is None else np.asarray(weight, np.float64)
    weights = weights.reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    share = (goal * weights).sum(dim) * kept
    goal = (goal * (1 - label_smoothing) + label_smoothing / x.shape[dim]) * weights
    losses = -(goal * log_softmax(x, dim)).sum(dim) * kept
    if reduction == "mean" and labels:
        return losses.sum() / share.sum()
    return reduce(losses, reduction)


def cross_entropy_backward(dloss, x, target, reduction="mean"):
    """Return softmax(x) sum(target) - target, for each loss."""
    dim = min(1, x.ndim - 1)
    goal = one_hot(target, x.shape)
    dx = np.exp(log_softmax(x, dim)) * goal.sum(dim, keepdims=True) - goal
    if reduction == "none":
        return dx * np.expand_dims(dloss, dim)
    return dx * dloss / (x.size / x.shape[dim] if reduction == "mean" else 1)


def nll_loss(x, target, weight=None, ignore_index=-100, reduction="mean"):
    """Return -x[target]: the sum over classes of -onehot(target) x, weighted."""
    dim = min(1, x.ndim - 1)
    weights = np.ones(x.shape[dim]) if weight is None else np.asarray(weight, np.float64)
    weights = weights.reshape([-1 if i == dim else 1 for i in range(x.ndim)])
    goal = one_hot(target, x.shape) * weights * np.expand_dims(np.asarray(target) != ignore_index, dim)
    losses = -(goal * x).sum(dim)
    return losses.sum() / goal.sum() if reduction == "mean" else reduce(losses, reduction)


# --- of single elements, and of rows: values without reduction


def mse_loss(x, t):
    """Return (x - t)^2."""
    return (x - t) ** 2


def l1_loss(x, t):
    """Return |x - t|."""
    return np.abs(x - t)


def smooth_l1_loss(x, t, beta=1.0):
    """Girshick (2015), equation 3, with the seam at beta."""
    d = np.abs(x - t)
    return np.where(d < beta, d**2 / (2 * beta), d - beta / 2)


def huber_loss(x, t, delta=1.0):
    """Huber (1964)."""
    d = np.abs(x - t)
    return np.where(d < delta, d**2 / 2, delta * (d - delta / 2))


def binary_cross_entropy(x, t, weight=1.0):
    """Return -t log(x) - (1 - t) log(1 - x)."""
    with np.errstate(divide="ignore"):
        logs = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    return -(t * logs[0] + (1 - t) * logs[1]) * weight


def binary_cross_entropy_with_logits(x, t, weight=1.0, pos_weight=1.0):
    """Return the same for the probability 1 / (1 + e^-x)."""
    return (pos_weight * t * np.logaddexp(0, -x) + (1 - t) * np.logaddexp(0, x)) * weight


def kl_div(x, t, log_target=False):
    """Return t (log(t) - x)."""
    return np.exp(t) * (t - x) if log_target else np.where(t > 0, t * np.log(np.where(t > 0, t, 1)), 0) - t * x


def hinge_loss(x, t, margin=1.0):
    """Return max(0, margin - t x)."""
    return np.maximum(0, margin - t * x)


def hinge_embedding_loss(x, t, margin=1.0):
    """Return x or max(0, margin - x)."""
    return np.where(t == 1, x, np.maximum(0, margin - x))


def margin_ranking_loss(x, y, t, margin=0.0):
    """Return max(0, margin - t (x - y))."""
    return np.maximum(0, margin - t * (x - y))


def soft_margin_loss(x, t):
    """Return log(1 + e^(-t x))."""
    return np.logaddexp(0, -t * x)


def poisson_nll_loss(x, t, log_input=True, full=False, eps=1e-8):
    """Return e^x - t x or x - t log(x), with Stirling's log(t!)."""
    safe = np.maximum(t, 1)
    stirling = np.where(t > 1, safe * np.log(safe) - safe + np.log(2 * np.pi * safe) / 2, 0) if full else 0
    return (np.exp(x) - t * x if log_input else x - t * np.log(x + eps)) + stirling


def gaussian_nll_loss(x, t, var, full=False, eps=1e-6):
    """Return (log v + (x - t)^2 / v) / 2."""
    var = np.asarray(var)
    v = np.maximum(var if var.ndim == x.ndim else var[..., None], eps)
    return (np.log(v) + (x - t) ** 2 / v) / 2 + (np.log(2 * np.pi) / 2 if full else 0)


def multilabel_soft_margin_loss(x, t, weight=1.0):
    """Return the mean logistic loss over classes."""
    return binary_cross_entropy_with_logits(x, t, weight).mean(-1)


def multi_margin_loss(x, t, p=1, margin=1.0, weight=None):
    """Crammer & Singer (2001)."""
    x, t = np.atleast_2d(x), np.atleast_1d(t)
    rows = np.arange(len(x))
    z = np.maximum(0, margin - x[rows, t][:, None] + x) ** p
    z[rows, t] = 0
    return z.mean(1) * (1 if weight is None else np.asarray(weight)[t])


def multilabel_margin_loss(x, t):
    """Sum over pairs of a label and another class."""
    losses = []
    for row, labels in zip(x, t, strict=True):
        mine = [int(c) for c in labels[: list(labels).index(-1)]] if -1 in labels else [int(c) for c in labels]
        others = [c for c in range(len(row)) if c not in mine]
        losses.append(sum(max(0.0, 1 - row[j] + row[c]) for j in mine for c in others) / len(row))
    return np.array(losses)


def cosine_embedding_loss(x, y, t, margin=0.0):
    """Return 1 - cos or max(0, cos - margin)."""
    cosine = (x * y).sum(-1) / np.sqrt(((x * x).sum(-1) + 1e-12) * ((y * y).sum(-1) + 1e-12))
    return np.where(np.asarray(t) == 1, 1 - cosine, np.maximum(0, cosine - margin))


def triplet_margin_loss(a, p_, n, margin=1.0, p=2.0, eps=1e-6, swap=False):
    """Schroff, Kalenichenko & Philbin (2015); swap: Balntas et al. (2016)."""

    def distance(x, y):
        return np.linalg.norm(x - y + eps, p, axis=-1)

    far = np.minimum(distance(a, n), distance(p_, n)) if swap else distance(a, n)
    return np.maximum(0, margin + distance(a, p_) - far)


def ctc_loss(logs, targets, input_lengths, target_lengths, blank=0):
    """Add up the probabilities of all paths, one by one: for a handful of times only."""
    losses = []
    for b, (times, count) in enumerate(zip(input_lengths, target_lengths, strict=True)):
        total = 0.0
        for path in np.ndindex(*[logs.shape[2]] * times):
            merged = [c for i, c in enumerate(path) if i == 0 or path[i - 1] != c]
            if [c for c in merged if c != blank] == list(targets[b, :count]):
                total += np.exp(sum(logs[i, b, c] for i, c in enumerate(path)))
        losses.append(-np.log(total) if total else np.inf)
    return np.array(losses)
