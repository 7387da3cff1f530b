"""Pooling layers: signals (1d), images (2d) and volumes (3d)."""

from __future__ import annotations

from math import prod
from typing import Any

from fastnn import functional as F
from fastnn_kernels import checks

from .module import Module


class _Pool(Module):
    """Windows that slide: what the layers below have in common. `_dims` is the number of axes."""

    _dims = 2
    kernel_size: Any
    stride: Any
    padding: Any = 0

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count one per value of each window."""
        taps: int = prod(checks.sizes(type(self).__name__, "kernel_size", self.kernel_size, self._dims, 1))
        return prod(output_shape) * taps

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool):
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
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[self._dims - 1]
        window = self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        if activation in (None, "relu") and not (activation and self.return_indices):
            return pool(input, *window, activation)
        return getattr(F, activation)(pool(input, *window))


class MaxPool1d(MaxPool2d):
    """The largest value of each window; the arguments of `functional.max_pool1d`."""

    _dims = 1


class MaxPool3d(MaxPool2d):
    """The largest value of each window; the arguments of `functional.max_pool3d`."""

    _dims = 3


class AvgPool1d(_Pool):
    """The mean of each window; the arguments of `functional.avg_pool1d`."""

    _dims = 1

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        window = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        return F.avg_pool1d(input, *window)


class AvgPool2d(AvgPool1d):
    """The mean of each window; the arguments of `functional.avg_pool2d`."""

    _dims = 2

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad)
        self.divisor_override = divisor_override

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        window = self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        pool = F.avg_pool2d if self._dims == 2 else F.avg_pool3d
        return pool(input, *window, self.divisor_override)


class AvgPool3d(AvgPool2d):
    """The mean of each window; the arguments of `functional.avg_pool3d`."""

    _dims = 3


class LPPool2d(_Pool):
    """The p-norm of each window; the arguments of `functional.lp_pool2d`."""

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        pool = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[self._dims - 1]
        return pool(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}"


class LPPool1d(LPPool2d):
    """The p-norm of each window; the arguments of `functional.lp_pool1d`."""

    _dims = 1


class LPPool3d(LPPool2d):
    """The p-norm of each window; the arguments of `functional.lp_pool3d`."""

    _dims = 3


class AdaptiveAvgPool2d(Module):
    """The means of windows that cover the image; AdaptiveAvgPool2d(1) is global average pooling."""

    _dims = 2
    _pools = F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d

    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return self._pools[self._dims - 1](input, self.output_size)

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count one per value of the input."""
        return prod(input_shape)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(AdaptiveAvgPool2d):
    """The means of windows that cover the signal; AdaptiveAvgPool1d(1) is global average pooling."""

    _dims = 1


class AdaptiveAvgPool3d(AdaptiveAvgPool2d):
    """The means of windows that cover the volume; AdaptiveAvgPool3d(1) is global average pooling."""

    _dims = 3


class AdaptiveMaxPool2d(AdaptiveAvgPool2d):
    """The largest values of windows that cover the image; AdaptiveMaxPool2d(1) is global max pooling."""

    _pools = F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d

    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return self._pools[self._dims - 1](input, self.output_size, self.return_indices)


class AdaptiveMaxPool1d(AdaptiveMaxPool2d):
    """The largest values of windows that cover the signal; AdaptiveMaxPool1d(1) is global max pooling."""

    _dims = 1


class AdaptiveMaxPool3d(AdaptiveMaxPool2d):
    """The largest values of windows that cover the volume; AdaptiveMaxPool3d(1) is global max pooling."""

    _dims = 3


class MaxUnpool2d(_Pool):
    """The values of a MaxPool2d(..., return_indices=True) back where they were; of (values, indices)."""

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding

    def forward(self, input: Any, indices: Any, output_size: Any = None) -> Any:
        """Compute the layer."""
        unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self._dims - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool1d(MaxUnpool2d):
    """The values of a MaxPool1d(..., return_indices=True) back where they were; of (values, indices)."""

    _dims = 1


class MaxUnpool3d(MaxUnpool2d):
    """The values of a MaxPool3d(..., return_indices=True) back where they were; of (values, indices)."""

    _dims = 3
