"""Initial values, under PyTorch's names: each writes into a Parameter or Tensor and gives it back.

All draw from `fastnn.random`, so `manual_seed` decides them, or from a `generator` that they are given.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import numpy as np

from fastnn.random import numpy_generator
from fastnn.tape import Tensor


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """Give the factor by which weights must grow so that the nonlinearity after them keeps the variance.

    `param` is the negative slope of "leaky_relu", 0.01 if it is not given. Raises ValueError for unknown names.
    """
    param = 0.01 if param is None else param
    gains = {
        **dict.fromkeys(("linear", "conv1d", "conv2d", "conv3d"), 1.0),
        **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
        "sigmoid": 1.0,
        "tanh": 5 / 3,
        "relu": math.sqrt(2),
        "leaky_relu": math.sqrt(2 / (1 + param**2)),
        "selu": 0.75,
    }
    if nonlinearity not in gains:
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known are {', '.join(gains)}")
    return gains[nonlinearity]


def fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """Give how many inputs each output of a weight (out, in, ...) sees, and how many outputs each input reaches."""
    if len(shape) < 2:
        raise ValueError(f"init: fans need a weight of at least 2 dimensions, got shape {shape}")
    field = math.prod(shape[2:])
    return shape[1] * field, shape[0] * field


def _calculate_fan_in_and_fan_out(tensor: Tensor) -> tuple[int, int]:
    """Give the `fans` of a tensor: many programs call PyTorch's function of this name."""
    return fans(tensor.shape)


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with values drawn evenly from a .. b."""
    tensor.data[...] = numpy_generator(generator).uniform(a, b, tensor.shape)
    return tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Tensor:
    """Fill with values drawn from a normal distribution."""
    tensor.data[...] = numpy_generator(generator).normal(mean, std, tensor.shape)
    return tensor


def trunc_normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0, generator: Any = None
) -> Tensor:
    """Fill from a normal distribution without what lies outside a .. b.

    Raises ValueError unless a < b and std is positive.
    """
    if not (a < b and std > 0):
        raise ValueError(f"trunc_normal_: needs a < b and a positive std, got a={a}, b={b}, std={std}")
    draws = numpy_generator(generator)
    normal = NormalDist(mean, std)
    low, high = normal.cdf(a), normal.cdf(b)
    if high - low < 0.05:  # drawing until all lie inside would take long
        if high - low > 1e-12:
            inside = np.vectorize(normal.inv_cdf, otypes=[float])(draws.uniform(low, high, tensor.shape))
        else:  # so far out, the tail is an exponential one
            near, rate = (a, (a - mean) / std**2) if a > mean else (b, (b - mean) / std**2)
            rest = -math.expm1(-rate * (b - a if a > mean else a - b))
            inside = near - np.log1p(-rest * draws.uniform(0, 1, tensor.shape)) / rate
        tensor.data[...] = np.clip(inside, a, b)
        return tensor
    values = draws.normal(mean, std, tensor.shape)
    while (outside := (values < a) | (values > b)).any():
        values[outside] = draws.normal(mean, std, int(outside.sum()))
    tensor.data[...] = values
    return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    tensor.data[...] = val
    return tensor


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with zeros."""
    return constant_(tensor, 0.0)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with ones."""
    return constant_(tensor, 1.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with ones on the diagonal and zeros beside it."""
    _check_dimensions("eye_", tensor, 2, 2)
    tensor.data[...] = np.eye(tensor.shape[0], tensor.shape[1])
    return tensor


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the filters (out, in, ...) of a convolution so that it gives its input, as far as there are channels.

    groups: of the convolution. Raises ValueError unless it divides the filters, and there are 3 to 5 dimensions.
    """
    _check_dimensions("dirac_", tensor, 3, 5)
    filters, channels, *window = tensor.shape
    if groups < 1 or filters % groups:
        raise ValueError(f"dirac_: {filters} filters do not divide into groups={groups}")
    values = np.zeros(tensor.shape)
    each, middle = filters // groups, tuple(size // 2 for size in window)
    for group in range(groups):
        for channel in range(min(each, channels)):
            values[(group * each + channel, channel, *middle)] = 1
    tensor.data[...] = values
    return tensor


def sparse_(tensor: Tensor, sparsity: float, std: float = 0.01, generator: Any = None) -> Tensor:
    """Fill a matrix from a normal distribution, and the share `sparsity` of each column with zeros (Martens, 2010)."""
    _check_dimensions("sparse_", tensor, 2, 2)
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity must be from 0 to 1, got {sparsity}")
    rows, columns = tensor.shape
    draws = numpy_generator(generator)
    values = draws.normal(0, std, (rows, columns))
    for column in range(columns):
        values[draws.permutation(rows)[: math.ceil(sparsity * rows)], column] = 0
    tensor.data[...] = values
    return tensor


def _check_dimensions(function: str, tensor: Tensor, least: int, most: int) -> None:
    if not least <= tensor.ndim <= most:
        wanted = str(least) if least == most else f"{least} to {most}"
        raise ValueError(f"{function}: expected {wanted} dimensions, got shape {tuple(tensor.shape)}")


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill evenly from -a .. a, a = gain * sqrt(6 / (fan_in + fan_out)) (Glorot & Bengio, 2010)."""
    bound = gain * math.sqrt(6 / sum(fans(tensor.shape)))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill from a normal distribution of std = gain * sqrt(2 / (fan_in + fan_out)) (Glorot & Bengio, 2010)."""
    return normal_(tensor, 0.0, gain * math.sqrt(2 / sum(fans(tensor.shape))), generator)


def _he_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans(tensor.shape)[mode == "fan_out"])


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Fill evenly from -b .. b, b = gain * sqrt(3 / fan) (He et al., 2015); `a` is the slope of leaky_relu."""
    bound = math.sqrt(3) * _he_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Tensor:
    """Fill from a normal distribution of std = gain / sqrt(fan) (He et al., 2015); `a` is the slope of leaky_relu."""
    return normal_(tensor, 0.0, _he_std(tensor, a, mode, nonlinearity), generator)


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Any = None) -> Tensor:
    """Fill so that rows or columns, whichever are fewer, are orthonormal (Saxe et al., 2013), times `gain`.

    Dimensions after the first are taken as one.
    """
    if tensor.ndim < 2:
        raise ValueError(f"orthogonal_: at least 2 dimensions are needed, got shape {tensor.shape}")
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    q, r = np.linalg.qr(numpy_generator(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))  # makes the distribution uniform over orthogonal matrices
    tensor.data[...] = gain * (q if rows >= columns else q.T).reshape(tensor.shape)
    return tensor


def default_(weight: Tensor, bias: Any) -> None:
    """Fill a Linear's or convolution's weight and bias (or None) as PyTorch does: evenly from +-1 / sqrt(fan_in)."""
    bound = 1 / math.sqrt(fan_in) if (fan_in := fans(weight.shape)[0]) else 0.0
    uniform_(weight, -bound, bound)
    if bias is not None:
        uniform_(bias, -bound, bound)


def _older(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Give a function under the name that it had before PyTorch 0.4, with a warning."""
    name = function.__name__.rstrip("_")

    def older(*arguments: Any, **options: Any) -> Tensor:
        warnings.warn(f"init.{name} is deprecated: write init.{name}_", FutureWarning, stacklevel=2)
        return function(*arguments, **options)

    older.__name__ = older.__qualname__ = name
    older.__doc__ = f"Do as `{name}_`, after a FutureWarning: an older name."
    return older


uniform, normal, constant = _older(uniform_), _older(normal_), _older(constant_)
eye, dirac, sparse, orthogonal = _older(eye_), _older(dirac_), _older(sparse_), _older(orthogonal_)
xavier_uniform, xavier_normal = _older(xavier_uniform_), _older(xavier_normal_)
kaiming_uniform, kaiming_normal = _older(kaiming_uniform_), _older(kaiming_normal_)
