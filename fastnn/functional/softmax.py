"""Softmax and its logarithm."""

from __future__ import annotations

import fastnn_kernels as kernels
from fastnn.tensor import Array, WithBackward, differentiable


@differentiable
def softmax(input: Array, dim: int = -1) -> WithBackward:
    """Give e^x / sum(e^x) over `dim`."""
    y = kernels.softmax(input, dim)
    return y, lambda dy, needs: (kernels.softmax_backward(dy, y, dim),)


@differentiable
def log_softmax(input: Array, dim: int = -1) -> WithBackward:
    """Give the logarithm of softmax over `dim`, computed without its underflow."""
    y = kernels.log_softmax(input, dim)
    return y, lambda dy, needs: (kernels.log_softmax_backward(dy, y, dim),)
