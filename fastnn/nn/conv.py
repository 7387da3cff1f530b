"""The convolutional layer."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn_kernels._shapes import integer, padding_sides, pair

from . import init
from .module import Module, Parameter


class Conv2d(Module):
    """A bank of filters that slides over images, and a bias.

    x (B, in_channels, H, W) -> (B, out_channels, OH, OW); weight (out_channels, in_channels / groups, KH, KW), bias
    (out_channels,). Sizes are numbers or pairs (rows, columns); padding may be "same" or "valid". Weight and bias start
    evenly drawn from +-1 / sqrt(fan_in), as in PyTorch.

    Raises ValueError if a number is not positive or groups do not divide the channels.
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        dtype: Any = np.float32,
    ) -> None:
        super().__init__()
        self.in_channels = integer("Conv2d", "in_channels", in_channels, 1)
        self.out_channels = integer("Conv2d", "out_channels", out_channels, 1)
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        self.groups = integer("Conv2d", "groups", groups, 1)
        padding_sides("Conv2d", padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else pair("Conv2d", "padding", padding, 0)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"Conv2d: {in_channels} -> {out_channels} channels do not divide into groups={groups}")
        if padding_mode != "zeros":
            raise ValueError(f"Conv2d: padding_mode must be 'zeros', got {padding_mode!r}")
        self.weight = Parameter(np.empty((out_channels, in_channels // groups, *self.kernel_size), dtype))
        self.bias = Parameter(np.empty(out_channels, dtype)) if bias else None
        init.default_(self.weight, self.bias)

    def forward(self, input: Any, activation: str | None = None) -> Any:
        """Compute the layer, and an activation in the same kernel: what `Sequential` finds behind it."""
        return F.conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups, activation
        )

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count two per weight of a filter and output pixel, and one per bias."""
        return int(np.prod(output_shape)) * (2 * self.weight[0].numel() + (self.bias is not None))

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        for name, default in (("padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            if (value := getattr(self, name)) != default:
                text += f", {name}={value!r}"
        return text if self.bias is not None else text + ", bias=False"
