"""Dropout layers."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F

from .module import Module


class Dropout(Module):
    """In training, set each element to 0 with probability p and divide the others by 1 - p; else do nothing.

    Raises ValueError for p outside 0 .. 1.
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ValueError(f"Dropout: p must be from 0 to 1, got {p}")
        self.p = p

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.dropout(input, self.p) if self.training else input

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"p={self.p}"
