"""Padding and cropping: by a constant, by reflection, by the nearest value, or around the corner."""

from math import prod
from typing import NamedTuple

from ..ground.checks import ADDRESSABLE, INT_LIMIT, choice, integer, integers
from ..ground.operation import Layout, operation

PAD_MODES = "constant", "reflect", "replicate", "circular"


def pad(input, pad, mode="constant", value=0.0, *, out=None):
    """Return an array with more, or fewer, elements around it.

    input (any shape, float32 or float64) -> each axis longer by its two numbers, same dtype. pad: how many elements to
    put before and after the last axis, then the axis before that, ...: (left, right, top, bottom) for images; negative
    numbers cut off. mode: "constant" puts `value`; "reflect" mirrors without repeating the edge (pads must be smaller
    than their axis); "replicate" repeats the edge; "circular" goes on at the other end (pads up to the axis's length).
    Values are exact. Channels-last input gives a channels-last result.
    Raises ValueError if the pads do not fit the shape or the mode is unknown, TypeError for integer input.
    """
    return _pad.run(out, input, pad, mode, value)


def pad_backward(dy, input_shape, pad, mode="constant"):
    """Return the gradient of pad's input from that of its output; the other arguments are as in the forward.

    dy (the shape of pad's result) -> input_shape, in the memory order of dy. What was copied several times collects
    the sum of its gradients. Raises ValueError unless the shapes fit together.
    """
    return _pad_backward.run(None, dy, input_shape, pad, mode)


class Pad(NamedTuple):
    """An array that gets (before, after) elements more along each axis; for a gradient, dy of such a one."""

    x: Layout
    shape: tuple[int, ...]  # of the result
    pads: tuple[tuple[int, int], ...]
    mode: str

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.shape, self.x.dtype


@operation("input", numbers="value")
def _pad(input, pad, mode, value):
    pads, shape = _geometry("pad", input.shape, pad, mode)
    return Pad(input, shape, pads, mode)


@operation("dy")
def _pad_backward(dy, input_shape, pad, mode):
    name = "pad_backward"
    shape = integers(name, "input_shape", input_shape, 0)
    pads, expected = _geometry(name, shape, pad, mode)
    if dy.shape != expected:
        raise ValueError(f"{name}: dy has shape {dy.shape}, an input {shape} gives {expected}")
    return Pad(dy, shape, pads, mode)


def _geometry(function, shape, pad, mode):
    """Return (before, after) for every axis, and the shape of the result."""
    if not isinstance(pad, tuple):
        raise TypeError(f"{function}: pad must be a sequence of integers, got {pad!r}")
    numbers = tuple(integer(function, "pad", n, -INT_LIMIT) for n in pad)
    choice(function, "mode", mode, PAD_MODES)
    if len(numbers) % 2 or len(numbers) > 2 * len(shape):
        raise ValueError(f"{function}: pad must be one pair per axis of shape {shape} at most, got {numbers}")
    pairs = [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)]
    pads = [(0, 0)] * (len(shape) - len(pairs)) + pairs[::-1]
    for n, (before, after) in zip(shape, pads, strict=True):
        kept, widest = n + min(before, 0) + min(after, 0), max(before, after)
        if n + before + after < 0 or kept < 0:
            raise ValueError(f"{function}: pad {numbers} cuts more than there is off shape {shape}")
        most = {"reflect": n - 1, "circular": kept}.get(mode, INT_LIMIT if n or mode == "constant" else 0)
        if widest > max(most, 0):
            raise ValueError(f"{function}: pad {numbers} is too wide for mode {mode!r} and shape {shape}")
    padded = tuple(n + sum(p) for n, p in zip(shape, pads, strict=True))
    if prod(padded) >= ADDRESSABLE:
        raise ValueError(f"{function}: an output of shape {padded} does not fit into memory")
    return tuple(pads), padded
