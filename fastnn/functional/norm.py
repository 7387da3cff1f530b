"""Normalisation of rows, groups, images and batches."""

from __future__ import annotations

from typing import Any

import fastnn_kernels as kernels
from fastnn.tensor import Array, Gradients, Needs, WithBackward, differentiable, unwrap
from fastnn_kernels import batch_norm_backward, instance_norm_backward
from fastnn_kernels.norm.channels import batch_normalized, instance_normalized
from fastnn_kernels.norm.norm import normalized, normalized_backward


@differentiable
def _rows(
    input: Array, weight: Array | None, bias: Array | None, function: str, by: Any, eps: float | None
) -> WithBackward:
    y, statistics = normalized(function, input, by, weight, bias, eps)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return normalized_backward(f"{function}_backward", dy, input, by, weight, eps, statistics, needs)  # type: ignore[no-any-return]

    return y, backward


def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Give (x - mean) / sqrt(variance + eps) weight + bias over the last dimensions.

    normalized_shape: the last dimensions of the input, an integer or several; weight and bias have this shape.
    """
    return _rows(input, weight, bias, "layer_norm", normalized_shape, eps)


def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Any:
    """Give x / sqrt(mean(x^2) + eps) weight over the last dimensions; eps defaults to that of the dtype."""
    return _rows(input, weight, None, "rms_norm", normalized_shape, eps)


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    """Give (x - mean) / sqrt(variance + eps) weight + bias over groups of the channels of (B, C, ...)."""
    return _rows(input, weight, bias, "group_norm", num_groups, eps)


@differentiable
def _channels(
    input: Array, weight: Array | None, bias: Array | None, each: bool, given: tuple[Any, ...], eps: float
) -> WithBackward:
    if each:
        y, statistics = instance_normalized("instance_norm", input, given, weight, bias, eps)
    else:
        y, statistics = batch_normalized("batch_norm", input, given, weight, bias, eps)

    def backward(dy: Array, needs: Needs) -> Gradients:
        undo = instance_norm_backward if each else batch_norm_backward
        return undo(dy, input, None, None, weight, given[2], eps, statistics=statistics, needs=needs)  # type: ignore[no-any-return]

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
    given = unwrap(running_mean), unwrap(running_var), training, momentum
    return _channels(input, weight, bias, False, given, eps)


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
    given = unwrap(running_mean), unwrap(running_var), use_input_stats, momentum
    return _channels(input, weight, bias, True, given, eps)


@differentiable
def normalize(input: Array, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> WithBackward:
    """Give x / max(|x|_p, eps) over `dim`, with |x|_p = (sum |x|^p)^(1/p); p may be infinite."""
    y = kernels.normalize(input, p, dim, eps)
    return y, lambda dy, needs: (kernels.normalize_backward(dy, input, p, dim, eps),)


@differentiable
def local_response_norm(
    input: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> WithBackward:
    """Give x / (k + alpha mean(x^2))^beta, with the mean over `size` neighbouring channels of (B, C, ...)."""
    y = kernels.local_response_norm(input, size, alpha, beta, k)
    return y, lambda dy, needs: (kernels.local_response_norm_backward(dy, input, size, alpha, beta, k),)
