"""Losses of rows, one for each sample, and their gradients; shapes, errors and sums as in `loss_elementwise`."""

from math import prod
from typing import Any, NamedTuple

import numpy as np

from ..cpu.loss import rows as cpu
from ..cpu.loss.ctc import ctc__logs
from ..ground.checks import as_float_array, contiguous, flag, integer, number, promote, required
from ..ground.jit import Kernel
from ..ground.memory import empty
from ..ground.threads import tasks
from .elementwise import with_gradient
from .loss import (
    NOTHING,
    as_int64,
    check_reduction,
    class_weights,
    gradient_of_losses,
    integer_labels,
    label_array,
    refuse_labels,
    share,
    total,
)

GRAIN = 16384


class RowPlan(NamedTuple):
    """What a call means: a kernel, its matrices (R, D) that have gradients, other arguments, the losses' shape."""

    kernel: Kernel
    matrices: tuple[Any, ...]
    others: tuple[Any, ...]
    shape: tuple[int, ...]
    reduction: str

    def run(self, scale, gradients):
        """Return the losses (R,), and the gradients times scale if they are wanted."""
        x = self.matrices[0]
        rows = len(x)
        losses = empty((rows,), x.dtype)
        made = [empty(m.shape if gradients else (0, m.shape[1]), x.dtype) for m in self.matrices]
        work = max(1, x.shape[1])
        self.kernel[x.dtype](*self.matrices, *self.others, scale, losses, *made, rows, tasks(rows, -(-GRAIN // work)))
        return losses, made

    def losses(self, function):
        """Return the losses, their mean or their sum."""
        losses, _ = self.run(1.0, False)
        return losses.reshape(self.shape) if self.reduction == "none" else total(losses, self.reduction, losses.size)

    def gradients(self, function, dloss, needs):
        """Return the gradient of each matrix that is needed, None for the others, in the shape of the inputs."""
        single = self.reduction == "none"
        _, made = self.run(
            1.0 if single else share(number(function, "dloss", dloss), self.reduction, len(self.matrices[0])), True
        )
        if single:
            factors = gradient_of_losses(function, dloss, self.shape).reshape(-1, 1)
            for dx in made:
                dx *= factors
        made = [dx.reshape(*self.shape, dx.shape[1]) for dx in made]
        return tuple(dx if needed else None for dx, needed in zip(made, needs, strict=False))


def _matrices(function, **arrays):
    """Return arrays (..., D) of one shape and dtype as (R, D), and the shape of their losses."""
    required(function, **arrays)
    made = promote(function, **arrays)
    first, *names = arrays
    shape = made[0].shape
    if not shape:
        raise ValueError(f"{function}: {first} must have at least 1 dimension, got shape ()")
    for name, x in zip(names, made[1:], strict=True):
        if x.shape != shape:
            raise ValueError(f"{function}: {first} has shape {shape} but {name} has {x.shape}")
    rows = prod(shape[:-1])
    return tuple(contiguous(x).reshape(rows, shape[-1]) for x in made), shape[:-1]


def _logits(function, input, reduction):
    """Return logits (N, C) or (C,) as a matrix, and the shape of their losses."""
    check_reduction(function, reduction)
    x = as_float_array(function, "input", input, (1, 2))
    return contiguous(x).reshape(prod(x.shape[:-1]), x.shape[-1]), x.shape[:-1]


@with_gradient
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """Return the mean over all classes of max(0, margin - input[target] + input[c])^p, that of the target left out.

    input (N, C) or (C,), target (N,) or (): labels -> (N,) or (), its mean or sum (Crammer & Singer, 2001). p: 1 or 2.
    weight (C,): of the target's class. Raises ValueError for other p, and labels out of range.
    """
    name = "multi_margin_loss"
    margin = number(name, "margin", margin)
    if np.ndim(p) or p not in (1, 2):
        raise ValueError(f"{name}: p must be 1 or 2, got {p}")
    x, shape = _logits(name, input, reduction)
    labels = integer_labels(name, target, x.reshape(*shape, x.shape[1]), shape)
    refuse_labels(name, labels, x.shape[1])
    weight = NOTHING[x.dtype] if weight is None else class_weights(name, weight, x.shape[1], x.dtype)
    return RowPlan(cpu.multi_margin__rows, (x,), (labels, weight, int(p), margin), shape, reduction)


@with_gradient
def multilabel_margin_loss(input, target, reduction="mean"):
    """Return the sum over a row's labels l and all other classes c of max(0, 1 - input[l] + input[c]), over C.

    input (N, C) or (C,), target of the same shape: labels, of which those before the first -1 count. Raises ValueError
    for labels below -1 or above C - 1.
    """
    name = "multilabel_margin_loss"
    x, shape = _logits(name, input, reduction)
    labels = label_array(name, "target", target)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{name}: target must be integer labels, got {labels.dtype}")
    if labels.shape != (*shape, x.shape[1]):
        raise ValueError(f"{name}: target has shape {labels.shape} but input has {(*shape, x.shape[1])}")
    refuse_labels(name, labels[labels != -1], x.shape[1])
    labels = as_int64(name, labels).reshape(x.shape)
    return RowPlan(cpu.multilabel_margin__rows, (x,), (labels,), shape, reduction)


@with_gradient
def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """Return 1 - cos(input1, input2) for target 1, max(0, cos(input1, input2) - margin) for target -1.

    input1, input2 (N, D) or (D,), target (N,) or (): -1 or 1, else ValueError. Squares of lengths get 1e-12 more.
    """
    name, margin = "cosine_embedding_loss", number("cosine_embedding_loss", "margin", margin)
    check_reduction(name, reduction)
    matrices, shape = _matrices(name, input1=input1, input2=input2)
    target = label_array(name, "target", target)
    if target.dtype.kind not in "biuf":
        raise TypeError(f"{name}: target must be numbers, got {target.dtype}")
    if target.shape != shape:
        raise ValueError(
            f"{name}: target has shape {target.shape}, expected {shape} for inputs {(*shape, matrices[0].shape[1])}"
        )
    wrong = (target != 1) & (target != -1)
    if wrong.any():
        raise ValueError(f"{name}: target must be -1 or 1, got {target[wrong].flat[0]}")
    signs = target.astype(matrices[0].dtype).reshape(-1)
    return RowPlan(cpu.cosine_embedding__rows, matrices, (signs, margin), shape, reduction)


@with_gradient
def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    """Return max(0, margin + |anchor - positive + eps| - |anchor - negative + eps|), norms of order p.

    anchor, positive, negative (..., D), all of one shape -> (...), its mean or sum (Schroff, Kalenichenko & Philbin,
    2015). swap: the distance of positive and negative counts where it is shorter than that of anchor and negative
    (Balntas et al., 2016). Raises ValueError unless p > 0 (inf is the largest difference) and margin > 0.
    """
    name = "triplet_margin_loss"
    check_reduction(name, reduction)
    p, margin, eps = number(name, "p", p), number(name, "margin", margin), number(name, "eps", eps)
    if not p > 0:
        raise ValueError(f"{name}: p must be above 0, got {p}")
    if not margin > 0:
        raise ValueError(f"{name}: margin must be above 0, got {margin}")
    matrices, shape = _matrices(name, anchor=anchor, positive=positive, negative=negative)
    return RowPlan(
        cpu.triplet_margin__rows, matrices, (margin, p, eps, int(flag(name, "swap", swap))), shape, reduction
    )


class CTCPlan(NamedTuple):
    """What a call of ctc_loss means."""

    x: Any  # (T, B, C)
    labels: Any
    lengths: Any
    counts: Any
    blank: int
    reduction: str
    zero_infinity: bool
    single: bool  # no batch dimension

    def run(self, dloss, gradient):
        """Return the losses (B,), and the gradient if it is wanted."""
        times, batch, classes = self.x.shape
        symbols = 2 * self.labels.shape[1] + 1
        alpha = empty((batch, times + 2, symbols), self.x.dtype)
        losses = empty((batch,), self.x.dtype)
        dx = empty((times if gradient else 0, batch, classes), self.x.dtype)
        if gradient and times:
            dx[...] = 0  # also where a sequence is over
        ctc__logs[self.x.dtype](
            self.x, self.labels, self.lengths, self.counts, self.blank, dloss, alpha, losses, dx, batch,
            tasks(batch, -(-GRAIN // max(1, times * symbols))),
        )  # fmt: skip
        return losses, dx

    def losses(self, function):
        """Return the losses, their mean or their sum."""
        losses, _ = self.run(NOTHING[self.x.dtype], False)
        if self.zero_infinity:
            losses[np.isinf(losses)] = 0
        if self.reduction == "none":
            return losses[0] if self.single else losses
        if self.reduction == "mean":
            losses /= np.maximum(self.counts, 1).astype(losses.dtype)
        return total(losses, self.reduction, len(losses))

    def gradients(self, function, dloss, needs):
        """Return the gradient of the log-probabilities."""
        batch = self.x.shape[1]
        if self.reduction == "none":
            slope = gradient_of_losses(function, dloss, () if self.single else (batch,)).reshape(-1)
        else:
            slope = np.full(batch, share(number(function, "dloss", dloss), self.reduction, batch))
            if self.reduction == "mean":
                slope /= np.maximum(self.counts, 1)
        slope = slope.astype(self.x.dtype)
        if self.zero_infinity:
            slope[np.isinf(self.run(NOTHING[self.x.dtype], False)[0])] = 0
        dx = self.run(slope, True)[1]
        return (dx[:, 0] if self.single else dx,)


@with_gradient
def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """Return -log of the probability that the labels are read from log_probs, blanks and repetitions left out.

    Connectionist temporal classification (Graves et al., 2006). log_probs (T, N, C) or (T, C): logarithms of
    probabilities, such as log_softmax gives; targets (N, S), or (S,) all in a row: labels other than blank;
    input_lengths, target_lengths (N,) or (): how much of them counts -> (N,) or (). "mean" divides each loss by the
    length of its targets first, as in PyTorch. Where T is too short for the labels the loss is infinite, and with
    zero_infinity 0, and so is its gradient.

    The gradient is that of log_probs as they are; PyTorch's adds what a log_softmax below would take away again.
    Raises ValueError for lengths that do not fit and labels out of range, TypeError for other dtypes.
    """
    name = "ctc_loss"
    check_reduction(name, reduction)
    x = as_float_array(name, "log_probs", log_probs, (2, 3))
    single = x.ndim == 2
    x = contiguous(x[:, None] if single else x)
    times, batch, classes = x.shape
    lengths = _lengths(name, "input_lengths", input_lengths, batch, times)
    targets = label_array(name, "targets", targets)
    if targets.dtype.kind not in "iu":
        raise TypeError(f"{name}: targets must be integer labels, got {targets.dtype}")
    if targets.ndim == 1 and not single:
        counts = _lengths(name, "target_lengths", target_lengths, batch, targets.size)
        if counts.sum() != targets.size:
            raise ValueError(f"{name}: target_lengths add up to {counts.sum()}, targets has shape {targets.shape}")
        labels = np.full((batch, int(counts.max(initial=0))), -1, np.int64)
        labels[np.arange(labels.shape[1]) < counts[:, None]] = targets
    else:
        labels = np.atleast_2d(targets)
        if labels.ndim != 2 or len(labels) != batch:
            raise ValueError(f"{name}: targets has shape {targets.shape}, expected ({batch}, S) or their sum in a row")
        counts = _lengths(name, "target_lengths", target_lengths, batch, labels.shape[1])
    blank, zero_infinity = integer(name, "blank", blank, 0), flag(name, "zero_infinity", zero_infinity)
    if not blank < classes:
        raise ValueError(f"{name}: blank must be from 0 to {classes - 1}, got {blank}")
    inside = np.arange(labels.shape[1]) < counts[:, None]
    refuse_labels(name, labels[inside], classes)
    if (labels[inside] == blank).any():
        raise ValueError(f"{name}: targets must not contain blank, {blank}")
    labels = as_int64(name, labels)
    return CTCPlan(x, labels, lengths, counts, blank, reduction, zero_infinity, single)


def _lengths(function, name, lengths, batch, most):
    lengths = label_array(function, name, lengths)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"{function}: {name} must be integers, got {lengths.dtype}")
    lengths = as_int64(function, lengths.reshape(-1) if lengths.ndim == 0 else lengths)
    if lengths.shape != (batch,):
        raise ValueError(f"{function}: {name} has shape {lengths.shape}, expected ({batch},)")
    if (lengths < 0).any() or (lengths > most).any():
        raise ValueError(f"{function}: {name} must be from 0 to {most}, got {lengths.tolist()}")
    return lengths


multi_margin_loss_backward = multi_margin_loss.backward
multilabel_margin_loss_backward = multilabel_margin_loss.backward
cosine_embedding_loss_backward = cosine_embedding_loss.backward
triplet_margin_loss_backward = triplet_margin_loss.backward
ctc_loss_backward = ctc_loss.backward
