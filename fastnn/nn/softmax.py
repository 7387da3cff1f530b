"""Softmax layers."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F

from .module import Module


class Softmax(Module):
    """e^x / sum(e^x) over `dim`."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.softmax(input, self.dim)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"dim={self.dim}"


class Softmin(Softmax):
    """Softmax of the negated input."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.softmin(input, self.dim)


class LogSoftmax(Softmax):
    """The logarithm of softmax over `dim`."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.log_softmax(input, self.dim)


class Softmax2d(Module):
    """Softmax over the channels of (B, C, H, W) or (C, H, W), at every pixel."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        if input.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: input must have 3 or 4 dimensions, got shape {tuple(input.shape)}")
        return F.softmax(input, -3)
