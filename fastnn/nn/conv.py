"""Convolutional layers: of signals (1d), images (2d) and volumes (3d)."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import fastnn_kernels as kernels
from fastnn import functional as F
from fastnn_kernels import checks

from . import init
from .module import Module, Parameter, can_fuse, fresh
from .packed import Packed

PADDING_MODES = {"zeros": "constant", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}


class Filters(Packed):
    """What all convolutional layers are: filters over `_axes` axes, and a bias."""

    bias: Parameter | None
    _axes: int
    _operation: Callable[..., Any]

    def reset_parameters(self) -> None:
        """Draw weight and bias again."""
        init.default_(self.weight, self.bias)


class _Conv(Filters):
    """A bank of filters that slides over `_axes` axes, and a bias."""

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
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name, axes = type(self).__name__, self._axes
        self.in_channels = checks.integer(name, "in_channels", in_channels, 1)
        self.out_channels = checks.integer(name, "out_channels", out_channels, 1)
        self.kernel_size = checks.sizes(name, "kernel_size", kernel_size, axes, 1)
        self.stride = checks.sizes(name, "stride", stride, axes, 1)
        self.dilation = checks.sizes(name, "dilation", dilation, axes, 1)
        self.groups = checks.integer(name, "groups", groups, 1)
        sides = checks.padding_sides(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else sides[::2]
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: {in_channels} -> {out_channels} channels do not divide into groups={groups}")
        if padding_mode not in PADDING_MODES:
            raise ValueError(f"{name}: padding_mode must be one of {tuple(PADDING_MODES)}, got {padding_mode!r}")
        self.padding_mode = padding_mode
        # as F.pad takes it, the last axis first
        self._border = [n for axis in reversed(range(axes)) for n in sides[2 * axis : 2 * axis + 2]]
        self.weight = Parameter(fresh((out_channels, in_channels // groups, *self.kernel_size), 0, dtype, device))
        self.bias = Parameter(fresh((out_channels,), 0, dtype, device)) if bias else None
        self.reset_parameters()

    def forward(self, input: Any, activation: str | None = None) -> Any:
        """Compute the layer, and an activation in the same kernel: what `Sequential` finds behind it."""
        padding = self.padding
        if self.padding_mode != "zeros" and any(self._border):
            input, padding = F.pad(input, self._border, PADDING_MODES[self.padding_mode]), 0
        window = self.stride, padding, self.dilation, self.groups
        return type(self)._operation(input, self.weight, self.bias, *window, activation, prepared=self._packed())

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count two per weight of a filter and output pixel, and one per bias."""
        return prod(output_shape) * (2 * prod(self.weight.shape[1:]) + (self.bias is not None))

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        zero, one = (0,) * self._axes, (1,) * self._axes
        defaults = (("padding", zero), ("dilation", one), ("groups", 1), ("padding_mode", "zeros"))
        for name, default in defaults:
            if (value := getattr(self, name)) != default:
                text += f", {name}={value!r}"
        return text if self.bias is not None else text + ", bias=False"


class Conv1d(_Conv):
    """A bank of filters that slides over signals, and a bias.

    x (B, in_channels, W) -> (B, out_channels, OW); weight (out_channels, in_channels / groups, KW), bias
    (out_channels,). Everything else as in `Conv2d`.
    """

    _axes = 1
    _operation = staticmethod(F.conv1d)
    _prepare = staticmethod(kernels.prepare_conv1d)


class Conv2d(_Conv):
    """A bank of filters that slides over images, and a bias.

    x (B, in_channels, H, W) -> (B, out_channels, OH, OW); weight (out_channels, in_channels / groups, KH, KW), bias
    (out_channels,). Sizes are numbers or pairs (rows, columns); padding may be "same" or "valid", and its mode "zeros",
    "reflect", "replicate" or "circular". Weight and bias start evenly drawn from +-1 / sqrt(fan_in), as in PyTorch. In
    `eval` mode or inside `no_grad`, a weight that is used a second time is packed once for the kernel, and again
    whenever it was written to.

    Raises ValueError if a number is not positive or groups do not divide the channels.
    """

    _axes = 2
    _operation = staticmethod(F.conv2d)
    _prepare = staticmethod(kernels.prepare_conv2d)


class Conv3d(_Conv):
    """A bank of filters that slides over volumes, and a bias.

    x (B, in_channels, D, H, W) -> (B, out_channels, OD, OH, OW); weight (out_channels, in_channels / groups, KD, KH,
    KW), bias (out_channels,). Everything else as in `Conv2d`.
    """

    _axes = 3
    _operation = staticmethod(F.conv3d)
    _prepare = staticmethod(kernels.prepare_conv3d)


class DepthwiseConv2d(Conv2d):
    """A convolution in which every channel has filters of its own, `multiplier` of them: groups = channels.

    x (B, channels, H, W) -> (B, channels * multiplier, OH, OW).
    """

    def __init__(
        self,
        channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        multiplier: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        outputs = channels * multiplier
        window = kernel_size, stride, padding, dilation
        super().__init__(channels, outputs, *window, channels, bias, padding_mode, device, dtype)


class SeparableConv2d(Module):
    """A depthwise convolution, then one of 1 x 1 that mixes the channels: KH * KW + out_channels weights per channel.

    x (B, in_channels, H, W) -> (B, out_channels, OH, OW). The depthwise part has no bias: the one behind it serves.
    Sifre & Mallat (2014); as in MobileNet (Howard et al., 2017), where an activation stands between the two, give its
    name.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        activation: str | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        between = activation is not None
        self.depthwise = DepthwiseConv2d(
            in_channels, kernel_size, stride, padding, dilation, 1, between, padding_mode, device, dtype
        )
        self.pointwise = Conv2d(in_channels, out_channels, 1, bias=bias, device=device, dtype=dtype)
        self.activation = activation

    def forward(self, input: Any, activation: str | None = None) -> Any:
        """Compute both layers, and an activation in the kernel of the second."""
        return with_activation(self.pointwise, with_activation(self.depthwise, input, self.activation), activation)


def with_activation(layer: Module, input: Any, activation: str | None) -> Any:
    """Compute a layer and the activation of that name, in one kernel if the layer is one of this package."""
    if activation is None:
        return layer(input)
    return layer(input, activation) if can_fuse(layer) else getattr(F, activation)(layer(input))
