"""Dropout layers."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F
from fastnn._checks import real

from .module import Module


class Dropout(Module):
    """In training, set each element to 0 with probability p and divide the others by 1 - p; else do nothing.

    inplace: write over the input where gradients do not need it. Raises ValueError for p outside 0 .. 1.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= real(type(self).__name__, "p", p) <= 1:
            raise ValueError(f"{type(self).__name__}: p must be from 0 to 1, got {p}")
        self.p, self.inplace = p, inplace

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.dropout(input, self.p, True, self.inplace) if self.training else input

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"p={self.p}{', inplace=True' * self.inplace}"


class Dropout1d(Dropout):
    """In training, set each channel of (B, C, L) or (C, L) to 0 with probability p and divide the others by 1 - p."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.dropout1d(input, self.p, True, self.inplace) if self.training else input


class Dropout2d(Dropout):
    """In training, set each channel of (B, C, H, W) to 0 with probability p and divide the others by 1 - p."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.dropout2d(input, self.p, True, self.inplace) if self.training else input


class Dropout3d(Dropout):
    """In training, set each channel of (B, C, D, H, W) or (C, D, H, W) to 0 with probability p; scale the others."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.dropout3d(input, self.p, True, self.inplace) if self.training else input


class AlphaDropout(Dropout):
    """In training, set elements to SELU's least value with probability p, and keep mean 0 and variance 1."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.alpha_dropout(input, self.p, True, self.inplace) if self.training else input


class FeatureAlphaDropout(Dropout):
    """Do as `AlphaDropout` to whole channels of (B, C, ...)."""

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.feature_alpha_dropout(input, self.p, True, self.inplace) if self.training else input
