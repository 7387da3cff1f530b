"""Functions of two or three operands, element by element, made of a table of their kernels and gradients.

Operands are broadcast and promoted as those of `add`. Floats are computed by kernels, integers by NumPy where it has
the function; the functions of mathematics turn them into float32.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable

from .arithmetic import unbroadcast
from .promotion import alike, promoted

Slope = Callable[[Any, Any, Any, Any], Any]  # (dy, input, other, y) -> the gradient of an operand


class _Entry(NamedTuple):
    """A function of two operands: the gradients of both, and whether it makes floats of integers."""

    text: str
    input: Slope
    other: Slope
    floats: bool = False


def _itself(dy: Any, a: Any, b: Any, y: Any) -> Any:
    return dy


def _nothing(dy: Any, a: Any, b: Any, y: Any) -> Any:
    return np.zeros(dy.shape, dy.dtype)


def _times(name: str, swapped: bool = False) -> Slope:
    """Give the slope that a kernel of (dy, input, other) computes."""
    kernel = getattr(kernels, name)
    return (lambda dy, a, b, y: kernel(dy, b, a)) if swapped else (lambda dy, a, b, y: kernel(dy, a, b))


def _minus_quotient(round: Callable[[Any, Any], Any]) -> Slope:
    return lambda dy, a, b, y: kernels.mul(kernels.mul(dy, -1.0), round(a, b))


_TABLE = {
    "fmax": _Entry(
        "the larger of each two elements, the other one where one is NaN; of equal ones the first takes the gradient",
        _times("fmax_backward"),
        _times("fmax_backward_other"),
    ),
    "fmin": _Entry(
        "the smaller of each two elements, the other one where one is NaN; of equal ones the first takes the gradient",
        _times("fmin_backward"),
        _times("fmin_backward_other"),
    ),
    "copysign": _Entry("the magnitudes of input with the signs of other", _times("copysign_backward"), _nothing, True),
    "fmod": _Entry(
        "the rest of ``input / other``, with the sign of input",
        _itself,
        _minus_quotient(lambda a, b: kernels.trunc(kernels.div(a, b))),
    ),
    "remainder": _Entry(
        "the rest of ``input / other``, with the sign of other: Python's %",
        _itself,
        _minus_quotient(lambda a, b: kernels.floor_divide(a, b)),
    ),
    "floor_divide": _Entry("``input / other`` rounded down: Python's //; its gradients are 0", _nothing, _nothing),
    "atan2": _Entry(
        "the angle of each point (other, input), from -pi to pi",
        _times("atan2_backward"),
        _times("atan2_backward_other"),
        True,
    ),
    "hypot": _Entry(
        "the square root of ``input ** 2 + other ** 2``; the gradient at 0 is NaN",
        lambda dy, a, b, y: kernels.mul(dy, kernels.div(a, y)),
        lambda dy, a, b, y: kernels.mul(dy, kernels.div(b, y)),
        True,
    ),
    "logaddexp": _Entry(
        "log(e^input + e^other)", _times("logaddexp_backward"), _times("logaddexp_backward", swapped=True), True
    ),
    "xlogy": _Entry(
        "``input * log(other)``, 0 where input is 0",
        _times("xlogy_backward"),
        lambda dy, a, b, y: kernels.mul(dy, kernels.div(a, b)),
        True,
    ),
}


def _operation(name: str, entry: _Entry) -> Callable[..., Any]:
    kernel, floats = getattr(kernels, name), entry.floats

    def operation(input: Array, other: Array) -> WithBackward:
        a, b = (input, other) if alike(input, other) else promoted(name, floats, input=input, other=other)
        y = kernel(a, b)

        def backward(dy: Array, needs: Needs) -> Gradients:
            return (
                unbroadcast(entry.input(dy, a, b, y), input) if needs[0] else None,
                unbroadcast(entry.other(dy, a, b, y), other) if needs[1] else None,
            )

        return y, backward

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = f"Give {entry.text}."
    return differentiable(operation)


_operations = {name: _operation(name, entry) for name, entry in _TABLE.items()}
globals().update(_operations)


@differentiable
def lerp(input: Array, end: Array, weight: Array) -> WithBackward:
    """Give ``input + weight * (end - input)``. weight: a number, an array or a tensor."""
    a, b, w = promoted("lerp", True, input=input, end=end, weight=weight)
    y = kernels.lerp(a, b, w)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (
            unbroadcast(kernels.mul(dy, kernels.sub(1.0, w)), input) if needs[0] else None,
            unbroadcast(kernels.mul(dy, w), end) if needs[1] else None,
            unbroadcast(kernels.mul(dy, kernels.sub(b, a)), weight) if needs[2] else None,
        )

    return y, backward


@differentiable
def addcmul(input: Array, tensor1: Array, tensor2: Array, *, value: float = 1) -> WithBackward:
    """Give ``input + value * tensor1 * tensor2``."""
    x, a, b = promoted("addcmul", input=input, tensor1=tensor1, tensor2=tensor2)
    if _has_floats(x, a, b):
        y = kernels.addcmul(x, a, b, value)
    else:
        y = kernels.add(x, kernels.mul(kernels.mul(a, b), value))

    def backward(dy: Array, needs: Needs) -> Gradients:
        scaled = kernels.mul(dy, float(value)) if needs[1] or needs[2] else None
        return (
            unbroadcast(dy, input) if needs[0] else None,
            unbroadcast(kernels.mul(scaled, b), tensor1) if needs[1] else None,
            unbroadcast(kernels.mul(scaled, a), tensor2) if needs[2] else None,
        )

    return y, backward


@differentiable
def addcdiv(input: Array, tensor1: Array, tensor2: Array, *, value: float = 1) -> WithBackward:
    """Give ``input + value * tensor1 / tensor2``."""
    x, a, b = promoted("addcdiv", True, input=input, tensor1=tensor1, tensor2=tensor2)
    y = kernels.addcdiv(x, a, b, value)

    def backward(dy: Array, needs: Needs) -> Gradients:
        scaled = kernels.div(kernels.mul(dy, float(value)), b) if needs[1] or needs[2] else None
        other = None
        if needs[2]:
            other = unbroadcast(kernels.mul(kernels.mul(scaled, -1.0), kernels.div(a, b)), tensor2)
        return (
            unbroadcast(dy, input) if needs[0] else None,
            unbroadcast(scaled, tensor1) if needs[1] else None,
            other,
        )

    return y, backward


def _has_floats(*operands: Any) -> bool:
    return any(isinstance(x, np.ndarray) and x.dtype.kind == "f" for x in operands)


__all__ = ["addcdiv", "addcmul", "lerp", *_operations]  # noqa: PLE0604
