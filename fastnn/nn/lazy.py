"""Layers that find out from their first input how many features or channels come in."""

from __future__ import annotations

from typing import Any

import numpy as np

from .conv import Conv1d, Conv2d, Conv3d
from .conv_transpose import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module, Parameter
from .norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .parameter import UninitializedParameter


class _Lazy(Module):
    """A layer that waits for its first input, and then becomes the layer of class `_becomes`.

    Until then its parameters are an `UninitializedParameter` each. They stay the same objects.
    """

    _becomes: type[Any]
    _given: dict[str, Any]
    weight: Any
    bias: Any
    _dims: tuple[int, int] = (0, 0)  # dimensions of a batch of inputs, and of one input alone

    def _wait(self, weight: bool, bias: bool, device: Any, dtype: Any, **given: Any) -> None:
        Module.__init__(self)
        self._given = {**given, "bias": bias, "dtype": dtype}
        self.weight = UninitializedParameter(device=device, dtype=dtype) if weight else None
        self.bias = UninitializedParameter(device=device, dtype=dtype) if weight and bias else None

    def _size(self, input: Any) -> int:
        """Give the number of channels of an input."""
        if input.ndim not in self._dims:
            wanted = " or ".join(map(str, sorted(self._dims)))
            name = type(self).__name__
            raise ValueError(f"{name}: input must have {wanted} dimensions, got shape {tuple(input.shape)}")
        return int(input.shape[1 if input.ndim == self._dims[0] else 0])

    def _settle(self, input: Any) -> None:
        """Become the layer for inputs such as this one."""
        own = self.__dict__
        dtype = self._given["dtype"] if self.weight is None else self.weight.dtype
        made = self._becomes(self._size(input), **{**self._given, "dtype": dtype})
        for name, value in vars(made).items():
            if isinstance(value, Parameter):
                own[name].materialize(value.shape)
                own[name].data[...] = value.numpy()
            elif name != "training":
                own[name] = value
        del own["_given"]
        self.__class__ = self._becomes

    def forward(self, input: Any, *more: Any, **options: Any) -> Any:
        """Become the layer, and compute it."""
        self._settle(input)
        return self.forward(input, *more, **options)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return ", ".join(f"{name}={value!r}" for name, value in self._given.items() if value is not None)


class _LazyFilters(_Lazy):
    def forward(self, input: Any, activation: str | None = None) -> Any:
        """Become the layer, and compute it."""
        self._settle(input)
        return self.forward(input, activation)


class LazyLinear(_LazyFilters, Linear):
    """A `Linear` whose in_features are those of the first input. Give optimizers its parameters after that."""

    _becomes = Linear

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        self._wait(True, bias, device, dtype, out_features=out_features)

    def _size(self, input: Any) -> int:
        return int(np.shape(input)[-1])


class _LazyConv(_LazyFilters):
    def __init__(
        self,
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
        window = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        more = {"groups": groups, "padding_mode": padding_mode}
        self._wait(True, bias, device, dtype, out_channels=out_channels, **window, **more)


class LazyConv1d(_LazyConv, Conv1d):
    """A `Conv1d` whose in_channels are those of the first input. Give optimizers its parameters after that."""

    _becomes, _dims = Conv1d, (3, 2)


class LazyConv2d(_LazyConv, Conv2d):
    """A `Conv2d` whose in_channels are those of the first input. Give optimizers its parameters after that."""

    _becomes, _dims = Conv2d, (4, 3)


class LazyConv3d(_LazyConv, Conv3d):
    """A `Conv3d` whose in_channels are those of the first input. Give optimizers its parameters after that."""

    _becomes, _dims = Conv3d, (5, 4)


class _LazyConvTranspose(_Lazy):
    def __init__(
        self,
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
        window = {"kernel_size": kernel_size, "stride": stride, "padding": padding, "dilation": dilation}
        more = {"output_padding": output_padding, "groups": groups, "padding_mode": padding_mode}
        self._wait(True, bias, device, dtype, out_channels=out_channels, **window, **more)

    def forward(self, input: Any, output_size: Any = None, activation: str | None = None) -> Any:
        """Become the layer, and compute it."""
        self._settle(input)
        return self.forward(input, output_size, activation)


class LazyConvTranspose1d(_LazyConvTranspose, ConvTranspose1d):
    """A `ConvTranspose1d` whose in_channels are those of the first input; as `LazyConv1d`."""

    _becomes, _dims = ConvTranspose1d, (3, 2)


class LazyConvTranspose2d(_LazyConvTranspose, ConvTranspose2d):
    """A `ConvTranspose2d` whose in_channels are those of the first input; as `LazyConv2d`."""

    _becomes, _dims = ConvTranspose2d, (4, 3)


class LazyConvTranspose3d(_LazyConvTranspose, ConvTranspose3d):
    """A `ConvTranspose3d` whose in_channels are those of the first input; as `LazyConv3d`."""

    _becomes, _dims = ConvTranspose3d, (5, 4)


class _LazyNorm(_Lazy):
    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        given = {"eps": eps, "momentum": momentum, "affine": affine, "track_running_stats": track_running_stats}
        self._wait(affine, bias, device, dtype, **given)


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """A `BatchNorm1d` whose num_features are the channels of the first input; as `LazyLinear`."""

    _becomes, _dims = BatchNorm1d, (3, 3)

    def _size(self, input: Any) -> int:
        return int(input.shape[1]) if input.ndim == 2 else super()._size(input)


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """A `BatchNorm2d` whose num_features are the channels of the first input; as `LazyConv2d`."""

    _becomes, _dims = BatchNorm2d, (4, 4)


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """A `BatchNorm3d` whose num_features are the channels of the first input; as `LazyConv3d`."""

    _becomes, _dims = BatchNorm3d, (5, 5)


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """An `InstanceNorm1d` whose num_features are the channels of the first input; as `LazyConv1d`."""

    _becomes, _dims = InstanceNorm1d, (3, 2)


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """An `InstanceNorm2d` whose num_features are the channels of the first input; as `LazyConv2d`."""

    _becomes, _dims = InstanceNorm2d, (4, 3)


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """An `InstanceNorm3d` whose num_features are the channels of the first input; as `LazyConv3d`."""

    _becomes, _dims = InstanceNorm3d, (5, 4)
