"""Functions of mathematics, element by element: a differentiable operation for each of `fastnn_kernels.MATHEMATICS`.

Floats keep their dtype. Integers become float32 where the result is no integer; the others NumPy computes.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable
from fastnn_kernels import MATHEMATICS

from .arithmetic import div, mul
from .promotion import F4, F8, floating, promoted


def _sign(x: Array) -> Array:
    return np.sign(x) if x.dtype != bool else x.copy()  # NumPy has none of booleans


_OF_INTEGERS: dict[str, Callable[..., Any]] = {
    "abs": np.abs, "neg": np.negative, "square": np.square, "sign": _sign, "floor": np.array, "ceil": np.array,
    "round": np.array, "trunc": np.array,
}  # fmt: skip


def _operation(name: str) -> Callable[..., Any]:
    """Make the operation of an entry."""
    forward, backward = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    of_output, of_integers = MATHEMATICS[name].gradient_of == "output", _OF_INTEGERS.get(name)

    def operation(input: Array) -> WithBackward:
        x = input
        if type(x) is not np.ndarray or (x.dtype is not F4 and x.dtype is not F8):
            if of_integers is None:
                x = floating(name, x)
            else:
                (x,) = promoted(name, input=x)
                if not isinstance(x, np.ndarray) or x.dtype.kind != "f" or x.dtype.itemsize < 4:
                    y = of_integers(x)
                    return y, lambda dy, needs: (None,)
        y = forward(x)
        kept = y if of_output else x

        def backpropagate(dy: Array, needs: Needs) -> Gradients:
            return (backward(dy, kept),)

        return y, backpropagate

    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = forward.__doc__.replace("Return", "Give", 1)
    return differentiable(operation)


_operations = {name: _operation(name) for name in MATHEMATICS}
_round = _operations["round"]
globals().update(_operations)


def round(input: Any, *, decimals: int = 0) -> Any:
    """Give the nearest multiple of ``10 ** -decimals``, the even one of two; the gradient is 0."""
    if decimals == 0:
        return _round(input)
    factor = 10.0 ** builtins.abs(decimals)
    up, down = (mul, div) if decimals > 0 else (div, mul)
    return down(_round(up(input, factor)), factor)


_operations["round"] = round
__all__ = [*_operations]  # noqa: PLE0604
