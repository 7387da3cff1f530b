"""Dropout."""

from __future__ import annotations

import fastnn_kernels as kernels
from fastnn.random import next_philox
from fastnn.tensor import Array, WithBackward, differentiable


@differentiable
def dropout(input: Array, p: float = 0.5, training: bool = True) -> WithBackward:
    """Give input / (1 - p) with each element set to 0 with probability p; without `training`, the input.

    Each call draws another mask, all from `fastnn.manual_seed`. Raises ValueError for p outside 0 .. 1.
    """
    if not 0 <= p <= 1:
        raise ValueError(f"dropout: p must be from 0 to 1, got {p}")
    if not training or p == 0:
        return input, lambda dy, needs: (dy,)
    seed, offset = next_philox()
    return kernels.dropout(input, p, seed, offset), lambda dy, needs: (kernels.dropout_backward(dy, p, seed, offset),)
