"""The fully connected layer."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn import functional as F
from fastnn_kernels import checks

from . import init
from .module import Module, Parameter, fresh
from .packed import Packed


class Linear(Packed):
    """``y = x @ weight.T + bias``.

    x (..., in_features) -> (..., out_features); weight (out_features, in_features), bias (out_features,). Both start
    evenly drawn from +-1 / sqrt(in_features), as in PyTorch. In `eval` mode or inside `no_grad`, a weight that is used
    a second time is packed once for the matmul kernel, and again whenever it was written to.

    Raises ValueError if a feature count is not positive.
    """

    bias: Parameter | None
    _prepare = staticmethod(kernels.prepare_matmul)

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__()
        in_features = checks.integer("Linear", "in_features", in_features, -checks.INT_LIMIT)
        out_features = checks.integer("Linear", "out_features", out_features, -checks.INT_LIMIT)
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: features must be positive, got {in_features} -> {out_features}")
        self.in_features = in_features
        self.out_features = out_features
        self.weight = Parameter(fresh((out_features, in_features), 0, dtype, device))
        self.bias = Parameter(fresh((out_features,), 0, dtype, device)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        init.default_(self.weight, self.bias)

    def forward(self, input: Any, activation: str | None = None) -> Any:
        """Compute the layer, and an activation in the same kernel: what `Sequential` finds behind it."""
        return F.linear(input, self.weight, self.bias, activation, prepared=self._packed())

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count two per weight and input row, and one per bias."""
        rows = int(np.prod(input_shape[:-1]))
        return rows * self.out_features * (2 * self.in_features + (self.bias is not None))

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Bilinear(Module):
    """``y[o] = x1 @ weight[o] @ x2 + bias[o]``.

    x1 (..., in1_features), x2 (..., in2_features) -> (..., out_features); weight (out_features, in1_features,
    in2_features), bias (out_features,). Both start evenly drawn from +-1 / sqrt(in1_features), as in PyTorch.

    Raises ValueError if a feature count is not positive.
    """

    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features = checks.integer("Bilinear", "in1_features", in1_features, 1)
        self.in2_features = checks.integer("Bilinear", "in2_features", in2_features, 1)
        self.out_features = checks.integer("Bilinear", "out_features", out_features, 1)
        shape = self.out_features, self.in1_features, self.in2_features
        self.weight = Parameter(fresh(shape, 0, dtype, device))
        self.bias = Parameter(fresh((self.out_features,), 0, dtype, device)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        bound = self.in1_features**-0.5
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, input1: Any, input2: Any) -> Any:
        """Compute the layer."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}"
        return f"{sizes}, out_features={self.out_features}, bias={self.bias is not None}"
