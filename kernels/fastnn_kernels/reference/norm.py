"""Norms and their gradients, as their formulas say. Statistics are taken in float64."""

from math import inf, prod

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver


def _cut(problem):
    """Return (index of the mean, index of the weight) of every element of an input (B, C, ...) or of rows."""
    norm = getattr(problem, "norm", problem)
    shape, place = norm.input.shape, np.arange(prod(norm.input.shape))
    if not hasattr(norm, "length"):  # channels of a batch
        channel = place // max(prod(shape[2:]), 1) % max(shape[1], 1)
        return channel.reshape(shape), channel.reshape(shape), shape[1]
    row, length = place // max(norm.length, 1), max(norm.length, 1)
    if norm.channels:
        weight = place // (length // norm.channels) % shape[1]
    else:
        weight = place % length
    return row.reshape(shape), weight.reshape(shape), norm.count


def _sums(x, index, count):
    return np.bincount(index.ravel(), x.ravel(), count)


def _statistics(x, index, count, centred=True):
    """Return means and variances, and how many numbers each is of."""
    number = max(x.size // max(count, 1), 1)
    mean = _sums(x, index, count) / number if centred else np.zeros(count)
    return mean, _sums((x - mean[index]) ** 2, index, count) / number, number


@plans("layer_norm", "rms_norm", "group_norm", "batch_norm", "instance_norm")
def norm(problem):
    """(x - mean) / sqrt(variance + eps) weight + bias."""
    index, place, count = _cut(problem)
    shape, dtype = problem.result

    def run(out, x, weight, bias, eps, *rest):
        if problem.own_statistics:
            mean, variance, number = _statistics(x.astype(float), index, count, getattr(problem, "centred", True))
        else:
            mean, variance = rest[:2]
        eps = problem.eps if eps is None else eps
        y = (x - mean[index]) / np.sqrt(variance[index] + eps)
        y = y if weight is None else y * weight.ravel()[place]
        y = y if bias is None else y + bias.ravel()[place]
        if any(problem.running) and x.size:
            average, around = (v.reshape(-1, shape[1]).mean(0) for v in (mean, variance))
            for state, new in ((rest[2], average), (rest[3], around * number / (number - 1))):
                if state is not None:
                    state += rest[4] * (new - state)
        y = deliver(out, y.astype(dtype))
        return (y, np.array([mean, variance], dtype)) if problem.statistics else y

    return run


@plans(*[f"{name}_norm_backward" for name in ("layer", "rms", "group", "batch", "instance")])
def gradient(problem):
    """(w dy - mean(w dy) - xhat mean(w dy xhat)) / std; where the statistics are constants w dy / std."""
    index, place, count = _cut(problem)
    of_rows = getattr(problem, "norm", problem)
    weights = problem.weights if hasattr(problem, "weights") else of_rows.input.shape[1:2]

    def run(out, dy, x, weight, eps, statistics, *constants):
        given, number = statistics, max(x.size // max(count, 1), 1)
        if not problem.own_statistics:
            given = constants[:2]
        elif given is None:
            given = _statistics(x.astype(float), index, count, getattr(of_rows, "centred", True))[:2]
        eps = of_rows.eps if eps is None else eps
        mean, scale = given[0][index], 1 / np.sqrt(given[1] + eps)[index]
        xhat = (x - mean) * scale
        slope = dy * scale if weight is None else dy * scale * weight.ravel()[place]
        dx = slope
        if problem.own_statistics:
            if getattr(of_rows, "centred", True):
                dx = dx - (_sums(slope, index, count) / number)[index]
            dx = dx - xhat * (_sums(slope * xhat, index, count) / number)[index]
        sums = [_sums(v, place, prod(weights)).reshape(weights) for v in (dy * xhat, dy)]
        results = [g.astype(x.dtype) for g in (dx, *sums)]
        return tuple([g if needed else None for g, needed in zip(results, problem.needs, strict=False)])

    return run


def _length(x, p):
    if abs(p) == inf:
        return np.abs(x).max(initial=0) if p > 0 else np.abs(x).min(initial=inf)
    return np.count_nonzero(x) if p == 0 else (np.abs(x) ** p).sum() ** (1 / p)


def _vectors(row_of):
    """Return what plans an operation that computes each vector along `dim` by `row_of(*vectors, p, eps)`."""

    def plan(problem):
        def run(out, *arguments):
            *arrays, p, dim, eps = arguments
            moved = [np.moveaxis(np.atleast_1d(x), dim, -1) for x in arrays]
            y = np.empty(moved[0].shape, problem.result[1])
            for place in np.ndindex(y.shape[:-1]):
                y[place] = row_of(*[x[place] for x in moved], p, eps)
            return deliver(out, np.moveaxis(y, -1, dim).reshape(problem.result[0]))

        return run

    return plan


@plans("normalize")
@_vectors
def normalize(x, p, eps):
    """X / max(|x|_p, eps)."""
    return x / max(_length(x, p), eps)


@plans("normalize_backward")
@_vectors
def normalize_backward(dy, x, p, eps):
    """(dy - slope of the length (sum dy x) / length) / length."""
    length = _length(x, p)
    if not length > eps:
        return dy / eps
    size = np.abs(x) / length
    if abs(p) == inf:
        slope = (size == 1) / max((size == 1).sum(), 1)
    else:
        slope = np.where((x == 0) | (p == 0), 0, size ** (p - 1))
    return (dy - np.copysign(slope, x) * (dy * x).sum() / length) / length


def _energy(x, size, alpha, k):
    """Return k + alpha times the mean of the squares of `size` neighbouring channels, and which these are."""
    channels = np.arange(x.shape[1])
    near = (channels >= channels[:, None] - size // 2) & (channels <= channels[:, None] + (size - 1) // 2)
    return k + alpha / size * np.einsum("cd,bd...->bc...", near.astype(x.dtype), x * x), near.astype(x.dtype)


@plans("local_response_norm")
def local_response_norm(problem):
    """X / energy^beta."""

    def run(out, x, size, alpha, beta, k):
        return deliver(out, (x / _energy(x, size, alpha, k)[0] ** beta).astype(x.dtype))

    return run


@plans("local_response_norm_backward")
def local_response_norm_backward(problem):
    """Dy energy^-beta - 2 alpha beta / size x sum(dy x energy^(-beta-1)) over the channels that this one adds to."""

    def run(out, dy, x, size, alpha, beta, k):
        energy, near = _energy(x, size, alpha, k)
        others = np.einsum("cd,bc...->bd...", near, dy * x * energy ** (-beta - 1))
        return deliver(out, (dy * energy**-beta - 2 * alpha * beta / size * x * others).astype(x.dtype))

    return run
