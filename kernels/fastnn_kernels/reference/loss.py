"""Losses and their gradients, as their formulas say: one by one, in float64."""

import math
from functools import partial
from itertools import product

import numpy as np

from ..formulas.loss import LOSSES, MINUS, compiled
from ..ground.backend import plans
from .math import NAMES


def _maximum(a, b):
    return a if a != a or a > b else b


FORMULAS = compiled(lambda formula: formula, {**NAMES, "maximum": _maximum})


def _both(*names):
    """Mark what plans these losses and their gradients."""
    return plans(*names, *[f"{name}_backward" for name in names])


def _result(problem, losses, slopes, dloss, scale, dtype, operands=(), divisor=None):
    """Return (loss, gradients) of losses and, for each operand, the slope of its loss in each number.

    slopes: None where there are none; each with the losses' dimensions first, or 1 in their place, and more behind.
    divisor: of a mean, the number of losses if not given.
    """
    asked, count = problem.asked, losses.size if divisor is None else divisor
    if np.isnan(losses).any() and hasattr(problem, "refuse"):
        problem.refuse(*operands)
    scale = scale / (count or 1) if asked.reduction == "mean" else scale
    each = np.full(losses.shape, scale) if dloss is None else dloss
    gradients = []
    for i in range(len(asked.needs)):
        slope = slopes[i] if i < len(slopes) and asked.needs[i] else None
        if slope is not None:
            slope = (slope * each.reshape(*each.shape, *[1] * (slope.ndim - each.ndim))).astype(dtype)
        gradients.append(slope)
    if asked.reduction == "none":
        return losses.astype(dtype), gradients
    total = losses.sum() / count if asked.reduction == "mean" and count else losses.sum()
    return dtype.type(total if count or asked.reduction == "sum" else math.nan), gradients


@_both(
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "kl_div", "hinge_loss",
    "hinge_embedding_loss", "margin_ranking_loss", "soft_margin_loss", "poisson_nll_loss", "gaussian_nll_loss",
    "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss",
)  # fmt: skip
def elements(problem):
    """Losses of single elements, by their formulas."""
    entry, dtype, shape = LOSSES[problem.formula], problem.operands[0].dtype, problem.operands[0].shape
    value, slopes = FORMULAS[entry.value.__name__], entry.slopes

    def each(formula, arrays):
        y = np.empty(shape)
        for place in np.ndindex(shape):
            y[place] = formula(*[x[place] for x in arrays], *[dtype.type(number) for number in problem.parameters])
        return y

    def run(out, *arguments):
        *arrays, weight, dloss, scale, _, _, _ = arguments
        arrays = [np.broadcast_to(x, shape) for x in arrays[: len(slopes)]]
        weight, grouped = 1.0 if weight is None else weight, problem.shape != shape
        losses = each(value, arrays) * problem.factor * weight
        gradients = []
        for slope in slopes if any(problem.asked.needs) else ():
            if slope is None or slope is MINUS:
                gradients.append(-gradients[0] if slope else None)
            else:
                gradients.append(each(FORMULAS[slope.__name__], arrays) * problem.factor * weight)
        if grouped:
            losses = losses.sum(-1)
            if problem.asked.reduction == "mean":
                losses, gradients = losses / problem.group, [m if m is None else m / problem.group for m in gradients]
        return _result(problem, losses, gradients, dloss, scale, dtype, arrays)

    return run


def _log_softmax(x):
    shift = x - x.max(-1, keepdims=True, initial=-np.inf)
    return shift - np.log(np.exp(shift).sum(-1, keepdims=True))


def _class_loss(problem, logarithms, slope_of, x, target, weight, labels, dloss, scale):
    """-sum over classes of the target's share times the logarithm; x is moved so that classes are last."""
    classes = problem.classes
    x = np.moveaxis(x, min(1, x.ndim - 1), -1).astype(float)
    weight, keep = np.ones(classes) if weight is None else weight.astype(float), 1 - problem.smoothing
    ignored, divisor = np.zeros(problem.shape, bool), None
    if labels is None:
        goal = np.moveaxis(target, min(1, target.ndim - 1), -1).astype(float)
    else:
        ignored, goal = labels == problem.ignore_index, labels[..., None] == np.arange(classes)
        divisor = (goal * weight)[~ignored].sum()
    share = (goal * keep + problem.smoothing / max(classes, 1)) * weight
    logs = logarithms(x)
    losses = np.where(ignored, 0, -np.where(share == 0, 0, share * logs).sum(-1))
    if labels is not None:
        losses = np.where(~ignored & ~goal.any(-1), math.nan, losses)
    dx = np.where(ignored[..., None], 0, slope_of(logs, share))
    loss, gradients = _result(
        problem, losses, (dx, -keep * weight * logs), dloss, scale, problem.input.dtype, (labels,), divisor
    )
    return loss, [g if g is None else np.moveaxis(g, -1, min(1, g.ndim - 1)) for g in gradients]


@_both("cross_entropy")
def cross_entropy(problem):
    """-sum target log softmax(x): its slope is softmax(x) sum(target) - target."""

    def slope(logs, share):
        return np.exp(logs) * share.sum(-1, keepdims=True) - share

    def run(out, x, target, weight, labels, dloss, scale, *_):
        return _class_loss(problem, _log_softmax, slope, x, target, weight, labels, dloss, scale)

    return run


@_both("nll_loss")
def nll_loss(problem):
    """-x[label]."""

    def run(out, x, weight, labels, dloss, scale, *_):
        return _class_loss(problem, np.asarray, lambda logs, share: -share, x, None, weight, labels, dloss, scale)

    return run


@plans("one_hot")
def one_hot(problem):
    """1 at each label."""

    def run(out, labels, _):
        problem.refuse(labels)
        return (labels[..., None] == np.arange(problem.classes)).astype(np.int64)

    return run


def _multi_margin(x, power, margin, label, weight=None):
    if not 0 <= label < len(x):
        return math.nan, np.zeros_like(x)
    share = (1 if weight is None else weight[label]) / len(x)
    z = np.maximum(margin - x[label] + x, 0)
    z[label] = 0
    dx = share * (2 * z if power == 2 else z > 0)
    dx[label] = -dx.sum()
    return share * (z**power).sum(), dx


def _multilabel_margin(x, labels):
    loss, dx, count = 0.0, np.zeros_like(x), len(x)
    if any(not -1 <= label < count for label in labels):
        return math.nan, dx
    mine = list(labels[: list(labels).index(-1)] if -1 in labels else labels)
    for c, label in product([c for c in range(count) if c not in mine], mine):
        z = 1 - x[label] + x[c]
        if z > 0:
            loss, dx[c], dx[label] = loss + z / count, dx[c] + 1 / count, dx[label] - 1 / count
    return loss, dx


def _cosine_embedding(a, b, margin, sign):
    aa, bb = (a * a).sum() + 1e-12, (b * b).sum() + 1e-12
    length = math.sqrt(aa * bb)
    cosine = (a * b).sum() / length
    slopes = b / length - cosine * a / aa, a / length - cosine * b / bb
    if sign == 1:
        return 1 - cosine, *[-slope for slope in slopes]
    if sign == -1:
        return max(cosine - margin, 0), *[slope * (cosine >= margin) for slope in slopes]
    return math.nan, *slopes


def _distance(a, b, p, eps):
    """Return |a - b + eps| and its slope in a."""
    u = a - b + eps
    size = np.abs(u)
    if p == math.inf:
        return size.max(initial=0), np.sign(u) * (np.arange(len(u)) == (size.argmax() if len(u) else 0))
    length = (size**p).sum() ** (1 / p)
    return length, np.sign(u) * (size / length) ** (p - 1) if length else 0 * u


def _triplet_margin(a, p, n, margin, power, eps, swap):
    (near, da), (far, dn) = _distance(a, p, power, eps), _distance(a, n, power, eps)
    other, dp = _distance(p, n, power, eps) if swap else (math.inf, None)
    loss = margin + near - min(far, other)
    if loss < 0:
        return 0.0, 0 * a, 0 * a, 0 * a
    return (loss, da, -da - dp, dp) if other < far else (loss, da - dn, -da, dn)


def _rows(row_of, problem):
    count, dtype = len(problem.matrices), problem.matrices[0].dtype

    def run(out, *arguments):
        matrices, others = arguments[:count], arguments[count : count + len(problem.others)]
        dloss, scale = arguments[count + len(problem.others) :][:2]
        losses, slopes = np.empty(problem.shape), [np.empty(x.shape) for x in matrices]
        for place in np.ndindex(problem.shape):
            own = [others[0][place], *others[1:]] if others else []
            loss, *rows = row_of(*[x[place].astype(float) for x in matrices], *problem.parameters, *own)
            losses[place] = loss
            for slope, row in zip(slopes, rows, strict=True):
                slope[place] = row
        return _result(problem, losses, slopes, dloss, scale, dtype, others[:1])

    return run


for _name, _row in {
    "multi_margin_loss": _multi_margin,
    "multilabel_margin_loss": _multilabel_margin,
    "cosine_embedding_loss": _cosine_embedding,
    "triplet_margin_loss": _triplet_margin,
}.items():
    _both(_name)(partial(_rows, _row))


def _log_sum(values):
    high = max(values, default=-math.inf)
    return high if high == -math.inf else high + math.log(sum(math.exp(v - high) for v in values))


def _ctc(x, labels, blank):
    """Return the loss of log-probabilities (T, C) and its slope: forward over the symbols, then back."""
    symbols = [blank] + [s for label in labels for s in (label, blank)]
    times, count = len(x), len(symbols)
    if not times:
        return 0.0 if count == 1 else math.inf, np.zeros_like(x)

    def before(s):  # where a way to symbol s may come from
        skips = s >= 3 and s % 2 == 1 and symbols[s] != symbols[s - 2]
        return [r for r in (s, s - 1, *([s - 2] if skips else [])) if r >= 0]

    alpha, beta = np.full((times, count), -math.inf), np.full((times, count), -math.inf)
    for t, s in product(range(times), range(count)):
        ways = [alpha[t - 1, r] for r in before(s)] if t else [0.0] * (s < 2)
        alpha[t, s] = _log_sum(ways) + x[t, symbols[s]]
    beta[-1, max(count - 2, 0) :] = 0
    for t in range(times - 2, -1, -1):
        for s in range(count):
            after = [r for r in range(s, min(s + 3, count)) if s in before(r)]
            beta[t, s] = _log_sum([beta[t + 1, r] + x[t + 1, symbols[r]] for r in after])
    total, dx = _log_sum(alpha[-1, max(count - 2, 0) :]), np.zeros_like(x)
    for t, s in product(range(times), range(count)):
        dx[t, symbols[s]] -= math.exp(alpha[t, s] + beta[t, s] - total) if total > -math.inf else math.nan
    return -total, dx


@_both("ctc_loss")
def ctc_loss(problem):
    """The losses of a batch one by one, with lengths and labels of their own."""
    shape, dtype = problem.log_probs.shape, problem.log_probs.dtype

    def run(out, x, labels, lengths, counts, dloss, scale, *_):
        problem.refuse(labels, counts)
        x = x.reshape(len(x), len(labels), shape[-1]).astype(float)
        losses, dx = np.empty(len(labels)), np.zeros((len(labels), len(x), shape[-1]))
        for b, (time, count) in enumerate(zip(lengths, counts, strict=True)):
            losses[b], slope = _ctc(x[:time, b], labels[b, :count], problem.blank)
            share = 1 / max(count, 1) if problem.asked.reduction == "mean" else 1
            infinite = problem.zero_infinity and math.isinf(losses[b])
            losses[b] = 0 if infinite else losses[b] * share
            dx[b, :time] = 0 if infinite else slope * share
        losses = losses.reshape(problem.shape)
        loss, gradients = _result(
            problem, losses, (dx.reshape(*problem.shape, *dx.shape[1:]),), dloss, scale, dtype, (labels, counts)
        )
        moved = [g if g is None or g.ndim == 2 else np.moveaxis(g, 0, 1) for g in gradients]
        return loss, moved

    return run
