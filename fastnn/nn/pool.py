"""Pooling layers."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import functional as F

from .module import Module


class MaxPool2d(Module):
    """The largest value of each window; the arguments of `functional.max_pool2d`."""

    @property
    def commutes_with(self) -> tuple[str, ...]:
        """The activations that `Sequential` may apply after this layer instead of before: the values are the same."""
        return () if self.return_indices else ("relu",)

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Any, activation: str | None = None) -> Any:
        """Compute the layer, and a "relu" in the same kernel: what `Sequential` finds before or behind it."""
        window = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        if activation in (None, "relu") and not (activation and self.return_indices):
            return F.max_pool2d(input, *window, activation)
        return getattr(F, activation)(F.max_pool2d(input, *window))

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(Module):
    """The mean of each window; the arguments of `functional.avg_pool2d`."""

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count one per value of each window."""
        height, width = np.broadcast_to(self.kernel_size, 2)
        return int(np.prod(output_shape)) * int(height) * int(width)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"
