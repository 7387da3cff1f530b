"""Promote dtypes as PyTorch does, where NumPy would turn float32 into float64.

NumPy computes float32 with int32, int64 or a NumPy number like ``np.sqrt(64)`` in float64, and integers with a float in
float64. Here floats win over integers of any size, arrays with dimensions over those without, and arrays over numbers,
NumPy's among them; integers alone become float32 where they meet a float. Everything else is left to NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy import ndarray

from fastnn._recording import Array, WithBackward, differentiable
from fastnn._tensor import Tensor, as_array, canonical

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
NUMBERS = bool, int, float, complex, np.generic


def alike(a: Any, b: Any) -> bool:
    """Tell, quickly, whether NumPy's rules are right as they are: for floats of one dtype or with a Python number."""
    if type(a) is ndarray:
        dtype = a.dtype
        if dtype is F4 or dtype is F8:
            if type(b) is ndarray:
                return b.dtype is dtype
            return type(b) is float or type(b) is int
        return False
    return type(b) is ndarray and (type(a) is float or type(a) is int) and (b.dtype is F4 or b.dtype is F8)


def promoted(function: str, floats: bool = False, /, **operands: Any) -> tuple[Any, ...]:
    """Give operands from which NumPy computes a result of the right dtype; with `floats` never an integer.

    Lists become arrays, as `Tensor` makes them. Raises TypeError, with the operand's name, for None, text and masked
    arrays, whose mask would be lost.
    """
    made = []
    for name, x in operands.items():
        if x is None or isinstance(x, str | bytes):
            what = "None" if x is None else type(x).__name__
            raise TypeError(f"{function}: {name} must be a tensor, an array or a number, got {what}")
        if isinstance(x, np.ma.MaskedArray):
            raise TypeError(f"{function}: {name} is a masked array; fill it first: {name}.filled(0)")
        if isinstance(x, ndarray):
            x = np.asarray(x)  # a matrix would multiply in its own way
            made.append(canonical(x) if x.dtype.kind in "biuf" else x)
        elif isinstance(x, list | tuple) or (hasattr(x, "__array__") and not isinstance(x, NUMBERS)):
            made.append(as_array(x))
        else:
            made.append(x)
    arrays = [x for x in made if isinstance(x, ndarray)]
    if any(x.dtype.kind not in "biuf" for x in arrays) or not all(isinstance(x, (ndarray, *NUMBERS)) for x in made):
        return tuple(made)
    dtype = _common(arrays, [x for x in made if not isinstance(x, ndarray)], floats)
    return tuple(made) if dtype is None else tuple(_converted(x, dtype) for x in made)


def _common(arrays: list[Any], numbers: list[Any], floats: bool) -> np.dtype[Any] | None:
    """Give the dtype to compute in; None where NumPy knows it as well."""
    for group in ([x for x in arrays if x.ndim], arrays):
        dtypes = [x.dtype for x in group if x.dtype.kind == "f"]
        if dtypes:
            return np.result_type(*dtypes)
    if arrays and (floats or any(isinstance(x, float | np.floating) for x in numbers)):
        return F4
    return None


def _converted(x: Any, dtype: np.dtype[Any]) -> Any:
    if isinstance(x, ndarray):
        return x.astype(dtype, copy=False)
    return float(x) if isinstance(x, np.floating) else x.item() if isinstance(x, np.integer | np.bool_) else x


def floating(function: str, x: Any) -> Any:
    """Give the operand of a function that makes floats: integers as float32."""
    if type(x) is ndarray and (x.dtype is F4 or x.dtype is F8):
        return x
    return promoted(function, True, input=x)[0]


@differentiable
def _cast(input: Array, dtype: Any) -> WithBackward:
    return input.astype(dtype), lambda dy, needs: (dy.astype(input.dtype),)


def cast(input: Any, dtype: Any) -> Any:
    """Give `input` in another dtype; itself if it has that. Gradients pass between float32 and float64."""
    dtype = np.dtype(dtype)
    if input.dtype == dtype:
        return input
    if isinstance(input, Tensor) and dtype not in (F4, F8):
        input = input.detach()
    return _cast(input, dtype)
