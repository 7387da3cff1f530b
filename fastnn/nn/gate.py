"""Layers of activations that look at more than one number, or draw random ones."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F
from fastnn._checks import real
from fastnn_kernels import checks

from .module import Module, Parameter, fresh


class PReLU(Module):
    """x above 0, weight x below: the weight (num_parameters) is learned, one for all or one per channel."""

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        num_parameters = checks.integer("PReLU", "num_parameters", num_parameters, -checks.INT_LIMIT)
        init = real("PReLU", "init", init)
        if num_parameters < 1:
            raise ValueError(f"PReLU: num_parameters must be at least 1, got {num_parameters}")
        self.num_parameters = num_parameters
        self.weight = Parameter(fresh((num_parameters,), init, dtype, device))

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"num_parameters={self.num_parameters}"


class RReLU(Module):
    """x above 0, x times a random slope from lower to upper below; in eval mode times their mean."""

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False) -> None:
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"lower={self.lower:g}, upper={self.upper:g}{', inplace=True' * self.inplace}"


class GLU(Module):
    """One half of the input along `dim`, let through by the sigmoid of the other half."""

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"dim={self.dim}"
