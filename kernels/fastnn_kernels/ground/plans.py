"""The plans that operations keep: how many and how many bytes, and arrays without memory to plan with.

A plan depends on nothing but its problem and the settings, and holds no arrays of a caller. In a planner a `ghost`
stands for each of them: an array of the same layout, to be looked at and cut into views, but never read.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

PACKAGE = __package__.rpartition(".")[0]
LIMIT = 1024  # plans of one operation; then all of these go
BYTES = 1 << 26  # of the arrays in all plans together; then all plans go, and come back where they are asked for

_keepers: list[Any] = []
_held = 0  # bytes of arrays in the plans that have been kept since all were forgotten


def add(keeper: Any) -> None:
    """Let `forget` call keeper.cache_clear()."""
    _keepers.append(keeper)


def counted(made: Any) -> Any:
    """Return a new plan, after all others have gone if there would be too many bytes with it."""
    global _held
    size = held_bytes(made)
    if _held + size > BYTES:
        forget()
    _held += size
    return made


def held_bytes(plan: Any) -> int:
    """Count the bytes of all arrays that a plan holds: in its closure, its attributes and what these hold."""
    seen: set[int] = set()
    total, rest = 0, [plan]
    while rest:
        item = rest.pop()
        while isinstance(item, ndarray) and item.base is not None:
            item = item.base
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, ndarray):
            total += item.nbytes
        elif isinstance(item, (tuple, list)):
            rest += item
        elif isinstance(item, dict):
            rest += item.values()
        elif isinstance(item, FunctionType):
            for cell in item.__closure__ or ():
                with suppress(ValueError):  # a variable that this plan has not set
                    rest.append(cell.cell_contents)
        elif isinstance(item, MethodType):
            rest.append(item.__self__)
        elif isinstance(item, partial):
            rest += [item.func, item.args, item.keywords]
        elif type(item).__module__.startswith(PACKAGE) and not isinstance(item, type):
            rest += getattr(item, "__dict__", {}).values()
    return total


def forget() -> None:
    """Forget all plans: there are too many, or a test changes what plans depend on."""
    global _held
    _held = 0
    for keeper in _keepers:
        keeper.cache_clear()


def ghost(shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...] | None = None) -> ndarray:
    """Return what looks like an array of this shape, contiguous if no strides are given, with no memory behind it."""
    if strides is None:
        strides, step = (), dtype.itemsize
        for n in reversed(shape):
            strides, step = (step, *strides), step * max(n, 1)
    return as_strided(np.empty(1, dtype), shape, strides, writeable=True)
