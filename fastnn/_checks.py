"""Checks of arguments that layers, data and training have in common; errors name function and argument."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
LARGEST = 1 << 62  # of counts


def whole(where: str, name: str, value: Any, least: int = 0, most: int = LARGEST) -> int:
    """Give an integer as an int. Raises TypeError for anything else, ValueError below `least` and above `most`."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(f"{where}: {name} must be an integer, got {shown(value)}")
    if not least <= value <= most:
        bound = f"at least {least}" if value < least else f"at most {most}"
        raise ValueError(f"{where}: {name} must be {bound}, got {shown(value)}")
    return int(value)


def real(where: str, name: str, value: Any) -> float:
    """Give a number as a float. Raises TypeError for anything else, ValueError for an integer that no float holds."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | float | np.integer | np.floating):
        raise TypeError(f"{where}: {name} must be a number, got {shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{where}: {name} must be within the range of a float, got {shown(value)}") from None


def array_of(where: str, name: str, value: Any) -> Array:
    """Give an array of any dtype. Raises TypeError for None, masked arrays, and what cannot be made an array."""
    if value is None:
        raise TypeError(f"{where}: {name} must be an array, got None")
    if isinstance(value, np.ma.MaskedArray):
        raise TypeError(f"{where}: {name} is a masked array, whose mask would be lost; fill it first: .filled(0)")
    try:
        array: Array = np.asarray(value)
    except (ValueError, OverflowError, RuntimeError) as error:
        raise TypeError(f"{where}: {name} cannot be made an array: {error}") from None
    return array


def numbers(where: str, name: str, value: Any) -> Array:
    """Give an array of numbers. Raises TypeError for None and for what cannot be made an array of numbers."""
    array = array_of(where, name, value)
    if array.dtype.kind not in "biufc":
        got = "objects" if array.dtype.kind == "O" else array.dtype
        raise TypeError(f"{where}: {name} must hold numbers, got an array of {got}, shape {array.shape}")
    return array


def shape_of(where: str, shape: Any) -> tuple[int, ...]:
    """Give the shape of an input. Raises TypeError or ValueError for anything else."""
    if not isinstance(shape, tuple | list):
        raise TypeError(f"{where}: input_shape must be a tuple of integers, got {shown(shape)}")
    return tuple(whole(where, "input_shape", size, 0, 1 << 31) for size in shape)


def type_of(where: str, dtype: Any) -> np.dtype[Any]:
    """Give a dtype. Raises TypeError for anything else."""
    try:
        made: np.dtype[Any] = np.dtype(dtype)
        return made
    except (TypeError, ValueError):
        raise TypeError(f"{where}: {shown(dtype)} is not a dtype") from None


def path_of(where: str, path: Any) -> str:
    """Give a path as text. Raises TypeError for anything else."""
    if not isinstance(path, str | bytes | os.PathLike):
        raise TypeError(f"{where}: path must be a string or a path, got {type(path).__name__}")
    return os.fsdecode(path)


def shown(value: Any) -> str:
    """Give a value as a short text for a message, whatever it is."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"an integer of {math.ceil(value.bit_length() * 0.30103)} digits"
    text = repr(value) if isinstance(value, str | int | float | np.generic | None) else type(value).__name__
    return text if len(text) <= 60 else f"{text[:60]}..."


def closest(given: Any, known: Iterable[str]) -> str:
    """Give the end of an error message, "; did you mean ...?", for a name that is nearly one of those known."""
    from difflib import get_close_matches

    found = get_close_matches(given.lower(), list(known), 1, 0.5) if isinstance(given, str) else []
    return f"; did you mean {found[0]!r}?" if found else ""


def type_given(value: Any) -> str:
    """Name the type of what was given: "list", or "the class Linear" for a class in place of an object."""
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__
