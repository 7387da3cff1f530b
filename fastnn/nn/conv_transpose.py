"""Transposed convolutions: layers that enlarge signals (1d), images (2d) and volumes (3d)."""

from __future__ import annotations

from math import prod
from typing import Any

import fastnn_kernels as kernels
from fastnn import functional as F
from fastnn_kernels import checks

from .conv import Filters
from .module import Parameter, fresh


class _ConvTranspose(Filters):
    """A bank of filters that every input spreads over `_axes` axes of the output, and a bias."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
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
        self.padding = checks.sizes(name, "padding", padding, axes, 0)
        self.output_padding = checks.sizes(name, "output_padding", output_padding, axes, 0)
        self.groups = checks.integer(name, "groups", groups, 1)
        self.dilation = checks.sizes(name, "dilation", dilation, axes, 1)
        if in_channels % groups or out_channels % groups:
            raise ValueError(f"{name}: {in_channels} -> {out_channels} channels do not divide into groups={groups}")
        if padding_mode != "zeros":
            raise ValueError(f"{name}: padding_mode must be 'zeros', got {padding_mode!r}")
        self.weight = Parameter(fresh((in_channels, out_channels // groups, *self.kernel_size), 0, dtype, device))
        self.bias = Parameter(fresh((out_channels,), 0, dtype, device)) if bias else None
        self.reset_parameters()

    def forward(self, input: Any, output_size: Any = None, activation: str | None = None) -> Any:
        """Compute the layer, and an activation in the same kernel: what `Sequential` finds behind it.

        output_size: which of the sizes that the stride leaves open to give, instead of `output_padding`.
        """
        more = self.output_padding if output_size is None else self._padding_for(input.shape, output_size)
        window = self.stride, self.padding, more, self.groups, self.dilation
        return type(self)._operation(input, self.weight, self.bias, *window, activation, prepared=self._packed())

    def _padding_for(self, shape: tuple[int, ...], output_size: Any) -> tuple[int, ...]:
        wanted = tuple(output_size)[-self._axes :]
        form = zip(shape[-self._axes :], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = tuple((n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in form)
        more = tuple(want - size for want, size in zip(wanted, least, strict=True))
        if any(not 0 <= extra < s for extra, s in zip(more, self.stride, strict=True)):
            most = tuple(size + s - 1 for size, s in zip(least, self.stride, strict=True))
            raise ValueError(f"{type(self).__name__}: output_size must be from {least} to {most}, got {wanted}")
        return more

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count two per weight of a filter and input pixel, and one per bias."""
        return 2 * prod(input_shape) * prod(self.weight.shape[1:]) + prod(output_shape) * (self.bias is not None)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        zero, one = (0,) * self._axes, (1,) * self._axes
        for name, default in (("padding", zero), ("output_padding", zero), ("groups", 1), ("dilation", one)):
            if (value := getattr(self, name)) != default:
                text += f", {name}={value!r}"
        return text if self.bias is not None else text + ", bias=False"


class ConvTranspose1d(_ConvTranspose):
    """Filters that every input spreads over the output, where they add up, and a bias: signals, `stride` times as long.

    x (B, in_channels, W) -> (B, out_channels, OW); weight (in_channels, out_channels / groups, KW), bias
    (out_channels,). Everything else as in `ConvTranspose2d`.
    """

    _axes = 1
    _operation = staticmethod(F.conv_transpose1d)
    _prepare = staticmethod(kernels.prepare_conv_transpose1d)


class ConvTranspose2d(_ConvTranspose):
    """Filters that every pixel spreads over the output, where they add up, and a bias: images, `stride` times as large.

    x (B, in_channels, H, W) -> (B, out_channels, OH, OW), OH = (H - 1) * stride - 2 * padding + dilation * (KH - 1) +
    output_padding + 1; weight (in_channels, out_channels / groups, KH, KW), bias (out_channels,). Sizes are numbers or
    pairs. Weight and bias start as in PyTorch, evenly drawn from +-1 / sqrt(out_channels / groups * KH * KW).

    Raises ValueError if a number is not positive or groups do not divide the channels.
    """

    _axes = 2
    _operation = staticmethod(F.conv_transpose2d)
    _prepare = staticmethod(kernels.prepare_conv_transpose2d)


class ConvTranspose3d(_ConvTranspose):
    """Filters that every voxel spreads over the output, where they add up, and a bias.

    x (B, in_channels, D, H, W) -> (B, out_channels, OD, OH, OW); weight (in_channels, out_channels / groups, KD, KH,
    KW), bias (out_channels,). Everything else as in `ConvTranspose2d`.
    """

    _axes = 3
    _operation = staticmethod(F.conv_transpose3d)
    _prepare = staticmethod(kernels.prepare_conv_transpose3d)
