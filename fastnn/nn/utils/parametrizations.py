"""Parametrizations of weights: weight normalization and spectral normalization."""

from __future__ import annotations

from typing import Any

from ..conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from .normalized import Spectral, direction_and_length, scaled
from .parametrize import register_parametrization


class _WeightNorm(Module):
    def __init__(self, dim: int | None) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        """Compute the weight."""
        return scaled(weight_g, weight_v, self.dim)

    def right_inverse(self, weight: Any) -> Any:
        """Give length and direction of a weight."""
        return direction_and_length(weight, self.dim)


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """Let a weight be ``g * v / |v|``, a length and a direction that are learned apart (Salimans & Kingma, 2016).

    Lengths are those of the parts along `dim`, or of the whole (None). They stand in
    ``module.parametrizations.weight.original0`` and ``original1``. Gives the module.
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """Let a weight be divided by its largest singular value, found by power iterations (Miyato et al., 2018).

    The weight is seen as a matrix with `dim` first (1 for transposed convolutions, else 0). In training every reading
    of the weight does `n_power_iterations`. Gives the module.
    """
    weight = vars(module).get(name)
    if weight is None:
        raise ValueError(f"spectral_norm: {type(module).__name__} has no parameter {name!r}")
    return register_parametrization(module, name, Spectral(weight, n_power_iterations, eps, axis_of(module, dim)))


def axis_of(module: Module, dim: int | None) -> int:
    """Give the axis of a weight that belongs to its outputs."""
    transposed = ConvTranspose1d | ConvTranspose2d | ConvTranspose3d
    return dim if dim is not None else int(isinstance(module, transposed))
