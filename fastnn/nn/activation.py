"""Activation layers.

`fused_name` is the name under which `linear` and `conv2d` apply an activation themselves; None if they cannot.
"""

from __future__ import annotations

from typing import Any

from fastnn import functional as F

from .module import Module


class ReLU(Module):
    """max(x, 0)."""

    fused_name = "relu"

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.relu(input)


class LeakyReLU(Module):
    """x where it is positive, negative_slope * x elsewhere."""

    def __init__(self, negative_slope: float = 0.01) -> None:
        super().__init__()
        self.negative_slope = negative_slope

    @property
    def fused_name(self) -> str | None:  # type: ignore[override]
        """Return the kernels' name, if the slope is the one that they know."""
        return "leaky_relu" if self.negative_slope == 0.01 else None

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"negative_slope={self.negative_slope}"


class Sigmoid(Module):
    """1 / (1 + e^-x)."""

    fused_name = "sigmoid"

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent."""

    fused_name = "tanh"

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.tanh(input)


class GELU(Module):
    """x times the probability that a normal variable is below x; approximate="tanh" for the one of GPT-2."""

    fused_name = None

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        if approximate not in ("none", "tanh"):
            raise ValueError(f"GELU: approximate must be 'none' or 'tanh', got {approximate!r}")
        self.approximate = approximate
        if approximate == "none":
            self.fused_name = "gelu"

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"approximate={self.approximate!r}"
