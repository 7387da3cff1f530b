"""Connectionist temporal classification, and its gradient; see `protocol`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..ground.checks import as_float_array, flag, integer
from ..ground.operation import Layout
from .labels import as_labels, refuse_labels
from .protocol import Asked, loss

__all__ = [
    "ctc_loss", "ctc_loss_backward",
]  # fmt: skip


class CTC(NamedTuple):
    """Losses of log_probs (T, B, C) or (T, C) with labels (B, S), lengths (B,) of both; shape: of the losses."""

    asked: Asked
    log_probs: Layout
    labels: Layout
    blank: int
    zero_infinity: bool
    shape: tuple[int, ...]

    def refuse(self, labels, counts):
        """Raise ValueError if a label is out of range, or the blank."""
        function = self.asked.function
        inside = labels[np.arange(labels.shape[1]) < counts[:, None]]
        refuse_labels(function, inside, self.log_probs.shape[-1])
        if (inside == self.blank).any():
            raise ValueError(f"{function}: targets must not contain blank, {self.blank}")


def _ctc(asked, options, log_probs, labels, lengths, counts):
    classes, (blank, zero_infinity) = log_probs.shape[-1], options
    if not blank < classes:
        raise ValueError(f"{asked.function}: blank must be from 0 to {classes - 1}, got {blank}")
    return CTC(asked, log_probs, labels, blank, zero_infinity, log_probs.shape[1:-1])


@loss(_ctc, "log_probs labels lengths counts", integers="labels lengths counts")
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
    x = as_float_array(name, "log_probs", log_probs, (2, 3))
    times, batch = len(x), x.shape[1] if x.ndim == 3 else 1
    lengths = _lengths(name, "input_lengths", input_lengths, batch, times)
    targets = as_labels(name, "targets", targets)
    if targets.ndim == 1 and x.ndim == 3:
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
    options = integer(name, "blank", blank, 0), flag(name, "zero_infinity", zero_infinity)
    return (x, labels, lengths, counts), reduction, options


def _lengths(function, name, lengths, batch, most):
    lengths = as_labels(function, name, lengths, "integers")
    lengths = lengths.reshape(1) if lengths.ndim == 0 else lengths
    if lengths.shape != (batch,):
        raise ValueError(f"{function}: {name} has shape {lengths.shape}, expected ({batch},)")
    if (lengths < 0).any() or (lengths > most).any():
        raise ValueError(f"{function}: {name} must be from 0 to {most}, got {lengths.tolist()}")
    return lengths


ctc_loss_backward = ctc_loss.backward
