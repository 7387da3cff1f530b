"""Elementwise activations."""

from __future__ import annotations

import fastnn_kernels as kernels
from fastnn.tensor import Array, WithBackward, differentiable


@differentiable
def relu(input: Array) -> WithBackward:
    """Give max(x, 0) of each element."""
    y = kernels.relu(input)
    return y, lambda dy, needs: (kernels.relu_backward(dy, y),)


@differentiable
def leaky_relu(input: Array, negative_slope: float = 0.01) -> WithBackward:
    """Give x where it is positive, negative_slope * x elsewhere."""
    y = kernels.leaky_relu(input, negative_slope)
    kept = y if negative_slope >= 0 else input  # whichever tells on which side of 0 the input was
    return y, lambda dy, needs: (kernels.leaky_relu_backward(dy, kept, negative_slope),)


@differentiable
def sigmoid(input: Array) -> WithBackward:
    """Give 1 / (1 + e^-x) of each element."""
    y = kernels.sigmoid(input)
    return y, lambda dy, needs: (kernels.sigmoid_backward(dy, y),)


@differentiable
def tanh(input: Array) -> WithBackward:
    """Give the hyperbolic tangent of each element."""
    y = kernels.tanh(input)
    return y, lambda dy, needs: (kernels.tanh_backward(dy, y),)


@differentiable
def gelu(input: Array, approximate: str = "none") -> WithBackward:
    """Give x times the probability that a normal variable is below x; approximate="tanh" for the one of GPT-2."""
    y = kernels.gelu(input, approximate)
    return y, lambda dy, needs: (kernels.gelu_backward(dy, input, approximate),)
