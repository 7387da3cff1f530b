"""Normalisation layers. Parameters and buffers have PyTorch's names and shapes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn_kernels import checks

from . import init
from .module import Buffer, Module, Parameter, fresh


class _Norm(Module):
    """What normalises has a weight that starts as 1 and a bias that starts as 0, or None."""

    weight: Parameter | None
    bias: Parameter | None

    def _learn(self, shape: tuple[int, ...], weight: bool, bias: bool, device: Any, dtype: Any) -> None:
        self.weight = Parameter(fresh(shape, 1, dtype, device)) if weight else None
        self.bias = Parameter(fresh(shape, 0, dtype, device)) if bias else None

    def reset_parameters(self) -> None:
        """Reset: a weight of 1, a bias of 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Count a subtraction and a fused multiply-add per element."""
        return 3 * int(np.prod(output_shape))


class LayerNorm(_Norm):
    """(x - mean) / sqrt(variance + eps) weight + bias over the last dimensions; weight and bias have their shape.

    normalized_shape: an integer or several. Raises ValueError for inputs that do not end in it.
    """

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape("LayerNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._learn(self.normalized_shape, elementwise_affine, elementwise_affine and bias, device, dtype)

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(_Norm):
    """x / sqrt(mean(x^2) + eps) weight over the last dimensions; eps=None: that of the dtype. See `LayerNorm`."""

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.normalized_shape = _shape("RMSNorm", normalized_shape)
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        self._learn(self.normalized_shape, elementwise_affine, False, device, dtype)

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """x / (k + alpha mean(x^2))^beta, with the mean over `size` neighbouring channels of (B, C, ...)."""

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


class GroupNorm(_Norm):
    """(x - mean) / sqrt(variance + eps) weight + bias over groups of the channels of (B, C, ...); weight, bias (C,).

    Raises ValueError if num_groups does not divide num_channels, and for a batch with one value per group.
    """

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        num_groups = checks.integer("GroupNorm", "num_groups", num_groups, -checks.INT_LIMIT)
        num_channels = checks.integer("GroupNorm", "num_channels", num_channels, 0)
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"GroupNorm: num_groups={num_groups} does not divide num_channels={num_channels}")
        self.num_groups = num_groups
        self.num_channels = num_channels
        self.eps = eps
        self.affine = affine
        self._learn((num_channels,), affine, affine and bias, device, dtype)

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        if prod(getattr(input, "shape", ())) == self.num_groups:
            raise ValueError(f"GroupNorm: expected more than one value per group, got input of shape {input.shape}")
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class _ChannelNorm(_Norm):
    """What normalises channels may keep running statistics for use in `eval` mode.

    bias=False: a weight, but no bias. momentum: the weight of a new batch; None: all batches of a `BatchNorm` count the
    same. In `eval` mode without running statistics, those of the batch are used.
    """

    dims: tuple[int, ...] = ()
    running_mean: Buffer | None
    running_var: Buffer | None
    num_batches_tracked: Buffer | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        num_features = checks.integer(type(self).__name__, "num_features", num_features, -checks.INT_LIMIT)
        if num_features < 1:
            raise ValueError(f"{type(self).__name__}: num_features must be positive, got {num_features}")
        self.num_features = num_features
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        self._learn((num_features,), affine, affine and bias, device, dtype)
        self.running_mean = Buffer(fresh((num_features,), 0, dtype)) if track_running_stats else None
        self.running_var = Buffer(fresh((num_features,), 1, dtype)) if track_running_stats else None
        self.num_batches_tracked = Buffer(fresh((), 0, np.int64)) if track_running_stats else None

    def _check(self, input: Any) -> None:
        if not hasattr(input, "ndim"):
            raise TypeError(f"{type(self).__name__}: input must be a Tensor or an array, got {type(input).__name__}")
        if input.ndim not in self.dims:
            wanted = " or ".join(map(str, self.dims))
            raise ValueError(f"{type(self).__name__}: input must have {wanted} dimensions, got shape {input.shape}")
        channels = input.shape[self._axis(input)]
        if channels != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: input has {channels} channels (shape {input.shape}) but num_features is "
                f"{self.num_features}"
            )

    def _axis(self, input: Any) -> int:
        return 1

    def reset_running_stats(self) -> None:
        """Forget all batches."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            self.running_mean._data[...] = 0
            self.running_var._data[...] = 1
            self.num_batches_tracked._data[...] = 0

    def reset_parameters(self) -> None:
        """Reset: a weight of 1, a bias of 0, and no batches."""
        self.reset_running_stats()
        super().reset_parameters()

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_ChannelNorm):
    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        self._check(input)
        mean, variance, momentum, count = self.running_mean, self.running_var, self.momentum, None
        use_batch = self.training or (mean is None and variance is None)
        if self.training and not self.track_running_stats:  # may have been switched off since
            mean = variance = None
        elif self.training:
            count = self.num_batches_tracked
        if momentum is None:
            momentum = 0.0 if count is None else 1 / (float(count._data) + 1)
        y = F.batch_norm(input, mean, variance, self.weight, self.bias, use_batch, momentum, self.eps)
        if count is not None:  # only now: a batch that is refused changes nothing
            count._data += 1
        return y


class BatchNorm1d(_BatchNorm):
    """Normalise each channel of (B, C) or (B, C, L) over the batch, then scale by weight and add bias, both (C,).

    In training by the batch's mean and variance, in `eval` mode by the running ones. Raises ValueError for another
    number of channels or dimensions, and for one value per channel in training. Options: see `BatchNorm2d`.
    """

    dims = (2, 3)


class BatchNorm2d(_BatchNorm):
    """Normalise each channel of (B, C, H, W) over the batch, then scale by weight and add bias, both (C,).

    In training by the batch's mean and variance, which change running_mean and running_var: r = (1 - momentum) r +
    momentum new; with momentum=None they are the mean of all batches. In `eval` mode by the running ones; with
    track_running_stats=False there are none, and the batch's serve in their place. affine=False: no weight and bias.

    Raises ValueError for another number of channels or dimensions, and for one value per channel in training.
    """

    dims = (4,)


class BatchNorm3d(_BatchNorm):
    """Normalise each channel of (B, C, D, H, W) over the batch. See `BatchNorm2d`."""

    dims = (5,)


class SyncBatchNorm(_BatchNorm):
    """The batch norm of all processes, of which there is one here; of inputs (B, C), (B, C, L) ... (B, C, D, H, W)."""

    dims = (2, 3, 4, 5)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """Give the module: its batch norms see all of a batch already."""
        return module


class _InstanceNorm(_ChannelNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _axis(self, input: Any) -> int:
        return int(input.ndim == self.dims[1])

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        self._check(input)
        alone = input.ndim == self.dims[0]
        x = input[None] if alone else input
        mean, variance = self.running_mean, self.running_var
        use_input = self.training or not self.track_running_stats
        # num_batches_tracked is never counted up, and momentum=None leaves the statistics alone, as in PyTorch
        y = F.instance_norm(x, mean, variance, self.weight, self.bias, use_input, self.momentum or 0.0, self.eps)
        return y[0] if alone else y


class InstanceNorm1d(_InstanceNorm):
    """Normalise each channel of each signal of (B, C, L) or (C, L). See `InstanceNorm2d`."""

    dims = (2, 3)


class InstanceNorm2d(_InstanceNorm):
    """Normalise each channel of each image of (B, C, H, W) or (C, H, W).

    affine=True: then scale by weight and add bias, both (C,). track_running_stats=True: keep running statistics as
    `BatchNorm2d` does, and use them in `eval` mode; momentum=None leaves them as they are, and num_batches_tracked
    stays 0, as in PyTorch. Raises ValueError for another number of channels or dimensions,
    and for images of one pixel in training.
    """

    dims = (3, 4)


class InstanceNorm3d(_InstanceNorm):
    """Normalise each channel of each volume of (B, C, D, H, W) or (C, D, H, W). See `InstanceNorm2d`."""

    dims = (4, 5)


def _shape(layer: str, normalized_shape: Any) -> tuple[int, ...]:
    found: tuple[int, ...] = checks.sizes(layer, "normalized_shape", normalized_shape, np.size(normalized_shape), 1)
    if not found:
        raise ValueError(f"{layer}: normalized_shape must have at least one dimension, got {normalized_shape!r}")
    return found
