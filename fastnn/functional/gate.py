"""Activations that look at more than one number, or draw random ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastnn_kernels as kernels
from fastnn.random import next_philox
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable

from .activation import leaky_relu


@differentiable
def prelu(input: Array, weight: Array) -> WithBackward:
    """Give x above 0, weight x below; input (N, C, ...), weight (C), or (1) or () for all (He et al., 2015)."""
    slopes = weight if getattr(weight, "shape", (1,)) else weight.reshape(1)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dx, dweight = kernels.prelu_backward(dy, input, slopes)
        return dx, dweight.reshape(weight.shape)

    return kernels.prelu(input, slopes), backward


def rrelu(
    input: Array, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Any:
    """Give x above 0, x times a random slope below: even between lower and upper (Xu et al., 2015).

    Without `training`, the slope is the mean of the two. Each call draws other slopes, all from `fastnn.manual_seed`.
    Raises ValueError unless 0 <= lower <= upper.
    """
    if not 0 <= lower <= upper:
        raise ValueError(f"rrelu: needs 0 <= lower <= upper, got {lower} and {upper}")
    if training:
        return _rrelu(input, lower, upper, inplace=inplace)
    return leaky_relu(input, (lower + upper) / 2, inplace=inplace)


def rrelu_(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    """Do as `rrelu` with ``inplace=True``."""
    return rrelu(input, lower, upper, training, True)


def _random_slopes(input: Array, lower: float, upper: float, *, out: Any = None) -> WithBackward:
    drawn = lower, upper, *next_philox()
    y = kernels.rrelu(input, *drawn, out=out)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.rrelu_backward(dy, y, *drawn),)  # y is above 0 where the input is

    return y, backward


_rrelu: Callable[..., Any] = differentiable(in_place=True)(_random_slopes)


@differentiable
def glu(input: Array, dim: int = -1) -> WithBackward:
    """Give a / (1 + e^-b) of the two halves a and b of the input along `dim` (Dauphin et al., 2017)."""
    return kernels.glu(input, dim), lambda dy, needs: (kernels.glu_backward(dy, input, dim),)
