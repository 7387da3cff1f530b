"""Losses as layers of two arguments."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F

from .module import Module


class _Loss(Module):
    """What all losses share."""

    def __init__(self, reduction: str = "mean") -> None:
        super().__init__()
        if reduction not in ("none", "mean", "sum"):
            raise ValueError(f"{type(self).__name__}: reduction must be 'none', 'mean' or 'sum', got {reduction!r}")
        self.reduction = reduction

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"reduction={self.reduction!r}"


class CrossEntropyLoss(_Loss):
    """Cross entropy of logits with labels or probabilities; see `functional.cross_entropy`."""

    def forward(self, input: Any, target: Any) -> Any:
        """Compute the loss."""
        return F.cross_entropy(input, target, self.reduction)


class MSELoss(_Loss):
    """Squared error; see `functional.mse_loss`."""

    def forward(self, input: Any, target: Any) -> Any:
        """Compute the loss."""
        return F.mse_loss(input, target, self.reduction)
