"""Distances and angles between vectors."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable
from fastnn_kernels import checks

from .arithmetic import mul
from .norm import normalize
from .reduction import sum as total
from .shaping import broadcast_to, check_array, getitem, reshape

__all__ = ["cdist", "cosine_similarity", "pairwise_distance", "pdist"]


@differentiable
def _cdist(x1: Array, x2: Array, p: float, eps: float = 0.0) -> WithBackward:
    y = kernels.cdist(x1, x2, p, eps)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return kernels.cdist_backward(dy, x1, x2, y, p, eps, needs=needs)  # type: ignore[no-any-return]

    return y, backward


def _both(function: str, x1: Any, x2: Any) -> None:
    check_array(function, "x1", x1)
    check_array(function, "x2", x2)


def _common(function: str, x1: Any, x2: Any, first: tuple[int, ...], second: tuple[int, ...]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(first, second)
    except ValueError:
        raise ValueError(f"{function}: x1 of shape {x1.shape} and x2 of shape {x2.shape} do not fit") from None


def _wide(x: Any, shape: tuple[int, ...]) -> Any:
    return x if x.shape == shape else broadcast_to(x, shape)


def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: str = "") -> Any:
    """Give the distance of order p of each row of x1 from each row of x2: (..., P, M), (..., R, M) -> (..., P, R).

    The dimensions in front are broadcast. Always from differences, whatever `compute_mode` says; see `kernels.cdist`.
    The gradient where rows are equal is 0.
    """
    _both("cdist", x1, x2)
    if x1.ndim < 2 or x2.ndim < 2:
        raise ValueError(f"cdist: x1 and x2 must have at least 2 dimensions, got shapes {x1.shape} and {x2.shape}")
    if x1.ndim == x2.ndim == 2:
        return _cdist(x1, x2, p)
    stack = _common("cdist", x1, x2, x1.shape[:-2], x2.shape[:-2])
    a, b = (reshape(_wide(x, (*stack, *x.shape[-2:])), (prod(stack), *x.shape[-2:])) for x in (x1, x2))
    return reshape(_cdist(a, b, p), (*stack, x1.shape[-2], x2.shape[-2]))


def pdist(input: Any, p: float = 2.0) -> Any:
    """Give the distance of order p of each pair of rows, (0, 1), (0, 2), ..., (1, 2), ...

    input (N, M) -> (N (N - 1) / 2,).
    """
    check_array("pdist", "input", input)
    if input.ndim != 2:
        raise ValueError(f"pdist: input must be a matrix, got shape {input.shape}")
    return getitem(_cdist(input, input, p), np.triu_indices(input.shape[0], 1))


def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    """Give |x1 - x2 + eps|_p over the last dimension: (..., D), broadcast -> (...), or (..., 1) with keepdim.

    p: a number from 0, see `kernels.cdist`.
    """
    _both("pairwise_distance", x1, x2)
    shape = _common("pairwise_distance", x1, x2, x1.shape, x2.shape)
    rows = prod(shape[:-1]), 1, shape[-1] if shape else 1
    y = _cdist(reshape(_wide(x1, shape), rows), reshape(_wide(x2, shape), rows), p, float(eps))
    return reshape(y, (*shape[:-1], 1) if keepdim and shape else shape[:-1])


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    """Give the cosine of the angle between vectors along `dim`: sum(x1 x2) / (max(|x1|, eps) max(|x2|, eps)).

    x1 and x2 are broadcast; `dim` is one of what they become, which the result lacks.
    """
    _both("cosine_similarity", x1, x2)
    shape = _common("cosine_similarity", x1, x2, x1.shape, x2.shape)
    dim = checks.normalize_dim("cosine_similarity", dim, len(shape))
    a, b = (normalize(_wide(x, shape), 2.0, dim, eps) for x in (x1, x2))
    return total(mul(a, b), dim)
