"""Plans of losses: each a kernel that gives losses or their partial sums, and gradients, and one that adds these up."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from ...ground.backend import plans
from ...ground.checks import F8, contiguous
from ...ground.memory import empty
from ...ground.threads import tasks
from ..grains import SUMS as GRAIN
from . import cross_entropy, elementwise, rows
from .ctc import ctc_loss__logs

ONE = (1,)


def _both(*names):
    """Mark what plans these losses and their gradients."""
    return plans(*names, *[f"{name}_backward" for name in names])


class _Reduction:
    """How the losses of a problem become its result: a mean of `count`, a sum, or the losses themselves.

    checked: whether a NaN among the losses may be explained by operands that are not allowed.
    """

    def __init__(self, problem, dtype, count, factor=1.0, checked=False):
        self.problem, self.dtype, self.asked, self.checked = problem, dtype, problem.asked, checked
        self.single, mean = problem.asked.reduction == "none", problem.asked.reduction == "mean"
        self.mean = mean
        self.factor = factor / count if mean and count else float("nan") if mean else factor
        self.slope, self.divisor = factor, float(count or 1) if mean else 1.0
        self.nothing, self.no_divisor = np.empty(0, dtype), np.empty(0, F8)
        self.sums = checked or (problem.asked.value and not self.single)
        self.total = elementwise.mse_loss__total[dtype] if self.sums else None

    def scale(self, dloss):
        """Return the gradient of each loss from that of the result."""
        return self.slope * (dloss / self.divisor)

    def loss(self, losses, parts, operands, divisor=None):
        """Return the result. parts: what adds up to it; divisor(1): of a mean, where kernels count."""
        result = losses
        if self.sums:
            result = empty(ONE, self.dtype)
            if divisor is None:
                self.total(parts, self.factor, self.no_divisor, result)
            else:
                self.total(parts, 1.0, divisor, result)
            result = result[0]
            if self.checked and result != result:
                self.problem.refuse(*operands)
        if not self.asked.value:
            return None
        return losses.reshape(self.problem.shape) if self.single else result


def _need(asked, i):
    return i < len(asked.needs) and asked.needs[i]


def _given(x, nothing):
    """Return an optional array contiguous and flat, an empty one for None."""
    return nothing if x is None else contiguous(x).reshape(-1)


# --- single elements


@_both(
    "mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss", "binary_cross_entropy", "kl_div", "hinge_loss",
    "hinge_embedding_loss", "margin_ranking_loss", "soft_margin_loss", "poisson_nll_loss", "gaussian_nll_loss",
    "binary_cross_entropy_with_logits", "multilabel_soft_margin_loss",
)  # fmt: skip
def elements(problem):
    """Plan a loss of single elements."""
    asked, operands, group = problem.asked, problem.operands, problem.group
    shape, dtype = operands[0].shape, operands[0].dtype
    size, count = prod(shape), len(operands)
    blocks = -(-size // elementwise.BLOCK)
    number = 1 if size < 2 * GRAIN else tasks(blocks, GRAIN // elementwise.BLOCK)
    compute, slopes = elementwise.blocks[problem.formula][dtype], (None, *elementwise.slopes[problem.formula])
    others = [
        slope[dtype] if slope not in (None, elementwise.MINUS) and _need(asked, i) else slope
        for i, slope in enumerate(slopes)
    ]
    checked = asked.value and problem.formula.partition("__")[0] in elementwise.PARTIAL
    reduction = _Reduction(problem, dtype, size, problem.factor, checked)
    nothing, single, grouped = reduction.nothing, reduction.single, problem.shape != shape
    factor = problem.factor if single and not grouped else 1.0
    plain = all(x.shape == shape and x.ghost().flags.c_contiguous for x in operands) and problem.weight is None
    average = elementwise.multilabel_soft_margin_loss__rows[dtype] if single and grouped and asked.value else None
    needs = [_need(asked, i) for i in range(len(asked.needs))]

    def flat(x):
        if x.shape == shape:
            return contiguous(x).reshape(-1)
        spread = empty(shape, dtype)
        spread[...] = x
        return spread.reshape(-1)

    def run(out, *arguments):
        *arrays, weight, dloss, scale, _, _, _ = arguments
        arrays = arrays[:count]
        views = [x.reshape(-1) for x in arrays] if plain else [flat(x) for x in arrays]
        dloss = dloss if dloss is None or not grouped else dloss[..., None]
        rest, gradients = (nothing if weight is None else flat(weight), nothing if dloss is None else flat(dloss)), []
        scale, dx, losses, parts = reduction.scale(scale), None, nothing, nothing
        if asked.value:
            losses = empty((size,), dtype) if single else nothing
            parts = empty((blocks,), dtype) if reduction.sums else nothing
        first = empty(shape, dtype) if needs and needs[0] else None
        if asked.value or first is not None:
            dx = nothing if first is None else first.reshape(-1)
            compute(*views, *rest, losses, parts, dx, factor, scale, *problem.parameters, blocks, number)
        for i, need in enumerate(needs):
            if not i or not need or i >= count or others[i] is None:
                gradients.append(None if i else first)
                continue
            gradients.append(empty(shape, dtype))
            dx = gradients[i].reshape(-1)
            if others[i] is elementwise.MINUS:
                compute(*views, *rest, nothing, nothing, dx, 1.0, -scale, *problem.parameters, blocks, number)
            else:
                others[i](*views, *rest, dx, scale, *problem.parameters, blocks, number)
        if not asked.value:
            return None, gradients
        if average is not None:
            each, losses = losses, empty(problem.shape, dtype)
            average(each.reshape(losses.size, group), problem.factor, losses.reshape(-1))
        return reduction.loss(losses, parts, arrays), gradients

    return run


# --- labels


def _classes_last(x):
    return x if x.ndim <= 2 else np.moveaxis(x, 1, -1)


@_both("cross_entropy")
def class_logits(problem):
    """Plan the cross entropy of logits."""
    asked, dtype, classes, size = problem.asked, problem.input.dtype, problem.classes, prod(problem.shape)
    labels, matrix, shape = problem.labels is not None, (size, classes), problem.input.shape
    last = shape if len(shape) <= 2 else (shape[0], *shape[2:], shape[1])
    number = 1 if size * classes < 4 * GRAIN else tasks(size, -(-2 * GRAIN // classes))
    reduction = _Reduction(problem, dtype, size, checked=labels)
    nothing, no_gradient, smoothing = reduction.nothing, np.empty((0, classes), dtype), problem.smoothing
    counted, ignore = labels and reduction.mean, problem.ignore_index
    few = classes <= cross_entropy.FEW and size >= 16
    if labels:
        kernel = (cross_entropy.cross_entropy__few if few else cross_entropy.cross_entropy__labels)[dtype]
    else:
        kernel = cross_entropy.cross_entropy__probabilities[dtype]
    changed = not labels and (smoothing or problem.weight is not None)
    smooth = cross_entropy.cross_entropy__smoothed[dtype] if changed else None
    plain = shape == matrix and problem.input.ghost().flags.c_contiguous

    def restore(dx):
        dx = dx if shape == matrix else dx.reshape(last)
        return dx if last is shape else np.moveaxis(dx, -1, 1)

    wanted = [_need(asked, 0), _need(asked, 1) and not labels]
    none = [None] * len(asked.needs)

    def run(out, x, target, weight, goal, dloss, scale, *_):
        x = x if plain else contiguous(_classes_last(x)).reshape(matrix)
        weight = nothing if weight is None else contiguous(weight)
        dloss = nothing if dloss is None else contiguous(dloss).reshape(-1)
        losses, used = empty((size,), dtype), empty(ONE, F8)
        dx = empty(matrix, dtype) if wanted[0] else no_gradient
        if labels:
            goal = contiguous(goal) if goal.ndim == 1 else contiguous(goal).reshape(-1)
            kernel(x, goal, weight, dloss, ignore, smoothing, scale, counted, losses, dx, used, size, number)
        else:
            target = contiguous(_classes_last(target)).reshape(matrix)
            if smooth is not None:
                plain_target, target = target, empty(matrix, dtype)
                smooth(plain_target, weight, smoothing, target, size, number)
            dtarget = empty(matrix, dtype) if wanted[1] else no_gradient
            kernel(x, target, weight, dloss, 1 - smoothing, reduction.scale(scale), losses, dx, dtarget, size, number)
        gradients = none.copy()
        if wanted[0]:
            gradients[0] = dx if shape == matrix else restore(dx)
        if wanted[1]:
            gradients[1] = restore(dtarget)
        return reduction.loss(losses, losses, (goal,), used if counted else None), gradients

    return run


@_both("nll_loss")
def class_log_probabilities(problem):
    """Plan the loss of log-probabilities."""
    asked, dtype, classes, size = problem.asked, problem.input.dtype, problem.classes, prod(problem.shape)
    shape = problem.input.shape
    cube = (1, classes, 1) if len(shape) == 1 else (*shape[:2], prod(shape[2:]))
    reduction = _Reduction(problem, dtype, size, checked=True)
    kernel, nothing, no_gradient = (
        cross_entropy.nll_loss__labels[dtype],
        reduction.nothing,
        np.empty((0, *cube[1:]), dtype),
    )
    number, ignore, mean = tasks(cube[0], -(-GRAIN // max(prod(cube[1:]), 1))), problem.ignore_index, reduction.mean

    def run(out, x, weight, labels, dloss, scale, *_):
        x, labels = contiguous(x).reshape(cube), contiguous(labels).reshape(-1)
        losses, used = empty((size,), dtype), empty(ONE, F8)
        dx = empty(shape, dtype) if _need(asked, 0) else None
        views = _given(weight, nothing), _given(dloss, nothing), ignore, scale, mean
        kernel(x, labels, *views, losses, no_gradient if dx is None else dx.reshape(cube), used, cube[0], number)
        gradients = [dx, None][: len(asked.needs)]
        return reduction.loss(losses, losses, (labels,), used if mean else None), gradients

    return run


@plans("one_hot")
def one_hot(problem):
    """Plan one-vs-all targets."""
    shape, kernel = (*problem.labels.shape, problem.classes), cross_entropy.one_hot__labels[F8]
    dtype, size = problem.labels.dtype, prod(problem.labels.shape)

    def run(out, labels, _):
        y, bad = empty(shape, dtype), empty(ONE, dtype)
        kernel(contiguous(labels).reshape(-1), y.reshape(size, shape[-1]), bad)
        if bad[0]:
            problem.refuse(labels)
        return y

    return run


# --- rows


def row_losses(kernels, problem):
    """Plan a loss of rows."""
    asked, matrices, count = problem.asked, problem.matrices, len(problem.matrices)
    dtype, size, width = matrices[0].dtype, prod(problem.shape), matrices[0].shape[-1]
    shape, matrix, number = matrices[0].shape, (size, width), tasks(size, -(-GRAIN // max(1, width)))
    kernel = kernels[dtype]
    reduction = _Reduction(problem, dtype, size, checked=bool(problem.allowed))
    nothing, no_gradient = reduction.nothing, np.empty((0, width), dtype)
    labels_of_all = bool(problem.others) and problem.others[0].ndim == len(shape)
    others_end = count + len(problem.others)
    wanted = any(asked.needs)

    def run(out, *arguments):
        dloss, scale = arguments[others_end : others_end + 2]
        views = [contiguous(x).reshape(matrix) for x in arguments[:count]]
        others = [_given(x, nothing) for x in arguments[count:others_end]]
        if labels_of_all:
            others[0] = others[0].reshape(matrix)
        losses = empty((size,), dtype)
        gradients = [empty(matrix, dtype) if wanted else no_gradient for _ in matrices]
        scale = reduction.scale(scale)
        kernel(*views, *others, *problem.parameters, _given(dloss, nothing), scale, losses, *gradients, size, number)
        results = [
            gradients[i].reshape(shape) if _need(asked, i) and i < count else None for i in range(len(asked.needs))
        ]
        return reduction.loss(losses, losses, others[:1]), results

    return run


_both("multi_margin_loss")(partial(row_losses, rows.multi_margin_loss__rows))
_both("multilabel_margin_loss")(partial(row_losses, rows.multilabel_margin_loss__rows))
_both("cosine_embedding_loss")(partial(row_losses, rows.cosine_embedding_loss__rows))
_both("triplet_margin_loss")(partial(row_losses, rows.triplet_margin_loss__rows))


@_both("ctc_loss")
def ctc_loss(problem):
    """Plan connectionist temporal classification."""
    asked, dtype, shape = problem.asked, problem.log_probs.dtype, problem.log_probs.shape
    times, batch, classes = cube = shape if len(shape) == 3 else (shape[0], 1, shape[1])
    symbols = 2 * problem.labels.shape[1] + 1
    kernel, number = ctc_loss__logs[dtype], tasks(batch, -(-GRAIN // max(1, times * symbols)))
    reduction = _Reduction(problem, dtype, batch, checked=True)
    nothing, no_gradient = reduction.nothing, np.empty((0, batch, classes), dtype)
    options = problem.blank, reduction.mean, problem.zero_infinity

    def run(out, x, labels, lengths, counts, dloss, scale, *_):
        labels, lengths, counts = (contiguous(a) for a in (labels, lengths, counts))
        alpha, losses = empty((batch, times + 2, symbols), dtype), empty((batch,), dtype)
        dx = empty(shape, dtype) if _need(asked, 0) else None
        gradient = no_gradient if dx is None else dx.reshape(cube)
        views = contiguous(x).reshape(cube), labels, lengths, counts, _given(dloss, nothing)
        kernel(*views, *options, reduction.scale(scale), alpha, losses, gradient, batch, number)
        return reduction.loss(losses, losses, (labels, counts)), [dx, *[None] * (len(asked.needs) - 1)]

    return run
