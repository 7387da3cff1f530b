"""Padding and cropping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable


@differentiable
def pad(input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> WithBackward:
    """Put elements around an array, or cut some off.

    input (any shape) -> each axis longer by its two numbers. pad: how many to put before and after the last axis, then
    the axis before that, ...: (left, right, top, bottom) for images; negative numbers cut off. mode: "constant" puts
    `value` (0 for None), "reflect" mirrors at the edge, "replicate" repeats it, "circular" goes on at the other end.
    Integers stay integers. Raises as `kernels.pad` does.
    """

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.pad_backward(dy, input.shape, pad, mode),)

    value = 0.0 if value is None else value
    if type(input) is np.ndarray and input.dtype.kind in "biu":
        return _padded(input, pad, mode, value), backward
    return kernels.pad(input, pad, mode, value), backward


def _padded(input: Any, pad: Sequence[int], mode: str, value: float) -> Any:
    """Do so for integers, which stay integers: pad their places, and pick by these."""
    places = np.arange(1.0, input.size + 1).reshape(input.shape)
    found = kernels.pad(places, pad, mode, 0.0).astype(np.int64)
    y = input.reshape(-1)[np.maximum(found - 1, 0)] if input.size else np.zeros(found.shape, input.dtype)
    y[found == 0] = value
    return y
