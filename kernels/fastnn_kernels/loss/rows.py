"""Losses of rows, one for each sample, and their gradients; what these are called with: see `protocol`.

Shapes, errors and sums are as in `elementwise`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..ground.checks import check_ndim, flag, number, required
from ..ground.operation import Layout
from .labels import as_labels, check_labels, check_weight, refuse_labels
from .protocol import Asked, loss, same_shapes

__all__ = [
    "cosine_embedding_loss", "cosine_embedding_loss_backward", "multi_margin_loss",
    "multi_margin_loss_backward", "multilabel_margin_loss", "multilabel_margin_loss_backward",
    "triplet_margin_loss", "triplet_margin_loss_backward",
]  # fmt: skip


class RowLoss(NamedTuple):
    """A loss of each row of matrices (..., D), which have gradients.

    others: the layouts of its other arrays, None for one that is not given; the first holds labels or signs.
    parameters: its numbers. shape: of the losses. allowed: what the first of the others may hold: "labels",
    "labels or -1" or "signs".
    """

    asked: Asked
    matrices: tuple[Layout, ...]
    others: tuple[Layout | None, ...]
    parameters: tuple[float, ...]
    shape: tuple[int, ...]
    allowed: str = ""

    def refuse(self, others):
        """Raise ValueError if a label is out of range, or a sign is neither -1 nor 1."""
        function = self.asked.function
        if self.allowed == "signs":
            wrong = np.abs(others) != 1
            if wrong.any():
                raise ValueError(f"{function}: target must be -1 or 1, got {others[wrong].flat[0]}")
        else:
            labels = others[others != -1] if self.allowed == "labels or -1" else others
            refuse_labels(function, labels, self.matrices[0].shape[-1])


def _matrices(function, **matrices):
    """Return matrices (..., D) of one shape, and the shape of their losses."""
    (name, x), *_ = matrices.items()
    if not x.shape:
        raise ValueError(f"{function}: {name} must have at least 1 dimension, got shape ()")
    same_shapes(function, **matrices)
    return tuple(matrices.values()), x.shape[:-1]


def _multi_margin(asked, options, input, target, weight):
    check_ndim(asked.function, "input", input, (1, 2))
    shape = input.shape[:-1]
    check_labels(asked.function, target, input.shape, shape)
    check_weight(asked.function, weight, input.shape[-1])
    return RowLoss(asked, (input,), (target, weight), options, shape, "labels")


@loss(_multi_margin, "input target weight", integers="target", converted="weight")
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, reduction="mean"):
    """Return the mean over all classes of max(0, margin - input[target] + input[c])^p, that of the target left out.

    input (N, C) or (C,), target (N,) or (): labels -> (N,) or (), its mean or sum (Crammer & Singer, 2001). p: 1 or 2.
    weight (C,): of the target's class. Raises ValueError for other p, and labels out of range.
    """
    name = "multi_margin_loss"
    margin = number(name, "margin", margin)
    if np.ndim(p) or p not in (1, 2):
        raise ValueError(f"{name}: p must be 1 or 2, got {p}")
    return (input, as_labels(name, "target", target), weight), reduction, (int(p), margin)


def _multilabel_margin(asked, options, input, target):
    check_ndim(asked.function, "input", input, (1, 2))
    if target.shape != input.shape:
        raise ValueError(f"{asked.function}: target has shape {target.shape} but input has {input.shape}")
    return RowLoss(asked, (input,), (target,), options, input.shape[:-1], "labels or -1")


@loss(_multilabel_margin, "input target", integers="target")
def multilabel_margin_loss(input, target, reduction="mean"):
    """Return the sum over a row's labels l and all other classes c of max(0, 1 - input[l] + input[c]), over C.

    input (N, C) or (C,), target of the same shape: labels, of which those before the first -1 count. Raises ValueError
    for labels below -1 or above C - 1.
    """
    return (input, as_labels("multilabel_margin_loss", "target", target)), reduction, ()


def _cosine_embedding(asked, options, input1, input2, target):
    matrices, shape = _matrices(asked.function, input1=input1, input2=input2)
    if target is None or target.shape != shape:
        given = None if target is None else target.shape
        raise ValueError(f"{asked.function}: target has shape {given}, expected {shape} for inputs {input1.shape}")
    return RowLoss(asked, matrices, (target,), options, shape, "signs")


@loss(_cosine_embedding, "input1 input2 target", converted="target", numeric="target")
def cosine_embedding_loss(input1, input2, target, margin=0.0, reduction="mean"):
    """Return 1 - cos(input1, input2) for target 1, max(0, cos(input1, input2) - margin) for target -1.

    input1, input2 (N, D) or (D,), target (N,) or (): -1 or 1, else ValueError. Squares of lengths get 1e-12 more.
    """
    required("cosine_embedding_loss", target=target)
    return (input1, input2, target), reduction, (number("cosine_embedding_loss", "margin", margin),)


def _triplet_margin(asked, options, **matrices):
    matrices, shape = _matrices(asked.function, **matrices)
    return RowLoss(asked, matrices, (), options, shape)


@loss(_triplet_margin, "anchor positive negative")
def triplet_margin_loss(anchor, positive, negative, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    """Return max(0, margin + |anchor - positive + eps| - |anchor - negative + eps|), norms of order p.

    anchor, positive, negative (..., D), all of one shape -> (...), its mean or sum (Schroff, Kalenichenko & Philbin,
    2015). swap: the distance of positive and negative counts where it is shorter than that of anchor and negative
    (Balntas et al., 2016). Raises ValueError unless p > 0 (inf is the largest difference) and margin > 0.
    """
    name = "triplet_margin_loss"
    p, margin, eps = number(name, "p", p), number(name, "margin", margin), number(name, "eps", eps)
    if not p > 0:
        raise ValueError(f"{name}: p must be above 0, got {p}")
    if not margin > 0:
        raise ValueError(f"{name}: margin must be above 0, got {margin}")
    return (anchor, positive, negative), reduction, (margin, p, eps, int(flag(name, "swap", swap)))


multi_margin_loss_backward = multi_margin_loss.backward
multilabel_margin_loss_backward = multilabel_margin_loss.backward
cosine_embedding_loss_backward = cosine_embedding_loss.backward
triplet_margin_loss_backward = triplet_margin_loss.backward
