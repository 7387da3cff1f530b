"""Padding and cropping."""

from __future__ import annotations

from collections.abc import Sequence

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable


@differentiable
def pad(input: Array, pad: Sequence[int], mode: str = "constant", value: float = 0.0) -> WithBackward:
    """Put elements around an array, or cut some off.

    input (any shape) -> each axis longer by its two numbers. pad: how many to put before and after the last axis, then
    the axis before that, ...: (left, right, top, bottom) for images; negative numbers cut off. mode: "constant" puts
    `value`, "reflect" mirrors at the edge, "replicate" repeats it, "circular" goes on at the other end. Raises as
    `kernels.pad` does.
    """

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (kernels.pad_backward(dy, input.shape, pad, mode),)

    return kernels.pad(input, pad, mode, value), backward
