"""Where results go: a new array, or the caller's `out`."""

from __future__ import annotations

from typing import Any

from numpy import ndarray

from .memory import empty


def target(out: ndarray | None, shape: tuple[int, ...], dtype: Any) -> ndarray:
    """Return `out`, or a new C-contiguous array."""
    return empty(shape, dtype) if out is None else out


def deliver(out: ndarray | None, y: ndarray) -> ndarray:
    """Return a result that has been computed elsewhere: `y` itself, or `out` with its numbers."""
    if out is None:
        made = empty(y.shape, y.dtype)
        made[...] = y
        return made
    out[...] = y
    return out


def into(out: ndarray, result: Any) -> Any:
    """Copy a result to `out` and return that; of several results, which are a tuple, the first."""
    if type(result) is tuple:
        out[...] = result[0]
        return out, *result[1:]
    out[...] = result
    return out
