"""Layers that only rearrange."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F

from .module import Module


class Flatten(Module):
    """Roll the dimensions start_dim .. end_dim into one; by default all but the batch dimension."""

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
