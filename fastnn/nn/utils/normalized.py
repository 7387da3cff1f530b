"""Weights divided by their length or their largest singular value."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F
from fastnn.random import generator
from fastnn.tape import no_grad, wrap

from ..module import Buffer, Module


def _length(v: Any, dim: int | None) -> Any:
    axes = tuple(i for i in range(v.ndim) if dim is None or i != dim % v.ndim)
    return F.sqrt(F.sum(F.mul(v, v), axes, keepdim=dim is not None)) if axes else F.abs(v)


def scaled(g: Any, v: Any, dim: int | None) -> Any:
    """Give g * v / |v|."""
    return F.mul(v, F.div(g, _length(v, dim)))


def direction_and_length(weight: Any, dim: int | None) -> tuple[Any, Any]:
    """Give (g, v) for which `scaled` gives the weight."""
    return _length(weight, dim), weight


class Spectral(Module):
    """Divides a weight by its largest singular value.

    The weight is seen as a matrix with axis `dim` first; `_u` and `_v` near its first singular vectors.
    """

    def __init__(
        self, weight: Any, n_power_iterations: int = 1, eps: float = 1e-12, dim: int = 0, v_first: bool = False
    ) -> None:
        super().__init__()
        self.v_first = v_first
        if n_power_iterations < 1:
            raise ValueError(f"spectral_norm: n_power_iterations must be at least 1, got {n_power_iterations}")
        self.n_power_iterations, self.eps, self.dim = n_power_iterations, eps, dim
        if weight.ndim > 1:
            with no_grad():
                matrix = self.matrix(weight)
                draws = (generator().normal(size=n).astype(weight.dtype) for n in matrix.shape)
                self._u, self._v = (Buffer(F.normalize(wrap(x), dim=0, eps=eps)) for x in draws)
                self.iterate(matrix, 15)

    def matrix(self, weight: Any) -> Any:
        """Give the weight as a matrix."""
        axes = (self.dim, *[i for i in range(weight.ndim) if i != self.dim])
        return F.reshape(F.permute(weight, axes) if self.dim else weight, (weight.shape[self.dim], -1))

    def iterate(self, matrix: Any, times: int) -> None:
        """Come nearer to the first singular vectors; PyTorch's older form begins with the other one."""
        with no_grad():
            for step in range(2 * times):
                if step % 2 == self.v_first:
                    self._u = F.normalize(F.matmul(matrix, self._v), dim=0, eps=self.eps)
                else:
                    self._v = F.normalize(F.matmul(self._u, matrix), dim=0, eps=self.eps)

    def forward(self, weight: Any) -> Any:
        """Divide a weight."""
        if weight.ndim == 1:
            return F.normalize(weight, dim=0, eps=self.eps)
        matrix = self.matrix(weight)
        if self.training:
            self.iterate(matrix, self.n_power_iterations)
        sigma = F.sum(F.mul(self._u, F.matmul(matrix, self._v)))
        return F.div(weight, sigma)

    def right_inverse(self, value: Any) -> Any:
        """Give the weight to start from."""
        return value
