"""Questions about elements, whose answers have no gradient: comparisons, masks and their joining."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn.tape import Tensor, is_masked, unwrap, wrap

from .promotion import alike, promoted

UFUNCS: dict[str, np.ufunc] = {
    "bitwise_and": np.bitwise_and,
    "bitwise_left_shift": np.left_shift,
    "bitwise_not": np.invert,
    "bitwise_or": np.bitwise_or,
    "bitwise_right_shift": np.right_shift,
    "bitwise_xor": np.bitwise_xor,
    "eq": np.equal,
    "ge": np.greater_equal,
    "gt": np.greater,
    "isfinite": np.isfinite,
    "isinf": np.isinf,
    "isnan": np.isnan,
    "le": np.less_equal,
    "logical_and": np.logical_and,
    "logical_not": np.logical_not,
    "logical_or": np.logical_or,
    "logical_xor": np.logical_xor,
    "lt": np.less,
    "ne": np.not_equal,
    "signbit": np.signbit,
}


def _unmasked(function: str, input: Any) -> Any:
    """Give the array of a tensor. Raises TypeError for masked arrays."""
    x = unwrap(input)
    if is_masked(x):
        raise TypeError(f"{function}: input is a masked array, whose mask would be lost; fill it first: .filled(0)")
    return x


def _operation(name: str, ufunc: np.ufunc) -> Callable[..., Any]:
    def unary(input: Any) -> Any:
        return wrap(ufunc(input._data)) if isinstance(input, Tensor) else ufunc(_unmasked(name, input))

    def binary(input: Any, other: Any) -> Any:
        a, b = unwrap(input), unwrap(other)
        if not alike(a, b) and b is not None:  # `x == None` is a question, too
            a, b = promoted(name, input=a, other=b)
        y = ufunc(a, b)
        return wrap(y) if isinstance(input, Tensor) or isinstance(other, Tensor) else y

    made = unary if ufunc.nin == 1 else binary
    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"Give numpy.{ufunc.__name__} of each element{'' if ufunc.nin == 1 else ', broadcast'}."
    return made


_operations = {name: _operation(name, ufunc) for name, ufunc in UFUNCS.items()}
globals().update(_operations)


def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Tell whether all elements, or all of those along `dim`, are true (not 0)."""
    y = np.all(_unmasked("all", input), dim if dim != () else None, keepdims=keepdim)
    return wrap(y) if isinstance(input, Tensor) else y


def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Tell whether any element, or any of those along `dim`, is true (not 0)."""
    y = np.any(_unmasked("any", input), dim if dim != () else None, keepdims=keepdim)
    return wrap(y) if isinstance(input, Tensor) else y


__all__ = ["all", "any", *_operations]  # noqa: PLE0604
