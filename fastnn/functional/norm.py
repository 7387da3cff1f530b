"""Normalisation of rows, groups, images and batches."""

from __future__ import annotations

from typing import Any

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable, unwrap

from .arithmetic import add, mul
from .shaping import getitem


@differentiable
def _norm(
    input: Array, weight: Array | None, bias: Array | None, norm: Any, gradient: Any, by: Any, eps: float | None
) -> WithBackward:
    y, statistics = norm(input, by, weight, bias, eps, return_statistics=True)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return gradient(dy, input, by, weight, eps, statistics=statistics, needs=needs)  # type: ignore[no-any-return]

    return y, backward


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Give (x - mean) / sqrt(variance + eps) weight + bias over the last dimensions.

    normalized_shape: the last dimensions of the input, an integer or several; weight and bias have this shape.
    """
    return _norm(input, weight, bias, kernels.layer_norm, kernels.layer_norm_backward, normalized_shape, eps)


@differentiable
def _rms_norm(input: Array, weight: Array | None, normalized_shape: Any, eps: float | None) -> WithBackward:
    y, statistics = kernels.rms_norm(input, normalized_shape, weight, eps, return_statistics=True)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return kernels.rms_norm_backward(dy, input, normalized_shape, weight, eps, statistics=statistics, needs=needs)  # type: ignore[no-any-return]

    return y, backward


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """Give x / sqrt(mean(x^2) + eps) weight over the last dimensions; eps defaults to that of the dtype."""
    return _rms_norm(input, weight, normalized_shape, eps)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Give (x - mean) / sqrt(variance + eps) weight + bias over groups of the channels of (B, C, ...)."""
    return _norm(input, weight, bias, kernels.group_norm, kernels.group_norm_backward, num_groups, eps)


@differentiable
def _channels(
    input: Array, weight: Array | None, bias: Array | None, norm: Any, gradient: Any, running: tuple[Any, Any],
    training: bool, momentum: float, eps: float,
) -> WithBackward:  # fmt: skip
    y, statistics = norm(input, *running, weight, bias, training, momentum, eps, return_statistics=True)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return gradient(dy, input, None, None, weight, training, eps, statistics=statistics, needs=needs)  # type: ignore[no-any-return]

    return y, backward


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Give (x - mean) / sqrt(variance + eps) weight + bias per channel of (B, C, ...).

    In training, mean and variance are those of the batch and change the running ones, if given, in place:
    r = (1 - momentum) r + momentum new. Else they are the running ones. Raises ValueError for one value per channel in
    training.
    """
    running = unwrap(running_mean), unwrap(running_var)
    given = kernels.batch_norm, kernels.batch_norm_backward, running, training, momentum, eps
    try:
        return _channels(input, weight, bias, *given)
    except ValueError:
        if getattr(input, "shape", None) != (0,):
            raise
        y = input if weight is None else mul(input, getitem(weight, 0))  # PyTorch takes it, though it has no channels
        return y if bias is None else add(y, getitem(bias, 0))


def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Give (x - mean) / sqrt(variance + eps) weight + bias per channel of each image of (B, C, ...).

    The running statistics, if given, follow the mean of those of the images; without use_input_stats they are used.
    """
    running = unwrap(running_mean), unwrap(running_var)
    given = kernels.instance_norm, kernels.instance_norm_backward, running, use_input_stats, momentum, eps
    return _channels(input, weight, bias, *given)


@differentiable
def normalize(input: Array, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> WithBackward:
    """Give x / max(|x|_p, eps) over `dim`, with |x|_p = (sum |x|^p)^(1/p); any p, see `kernels.normalize`."""
    y = kernels.normalize(input, p, dim, eps)
    return y, lambda dy, needs: (kernels.normalize_backward(dy, input, p, dim, eps),)


@differentiable
def local_response_norm(
    input: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> WithBackward:
    """Give x / (k + alpha mean(x^2))^beta, with the mean over `size` neighbouring channels of (B, C, ...)."""
    y = kernels.local_response_norm(input, size, alpha, beta, k)
    return y, lambda dy, needs: (kernels.local_response_norm_backward(dy, input, size, alpha, beta, k),)
