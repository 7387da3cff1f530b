"""Plans: what a call can find out from shapes, strides, dtypes and options alone is found out once, and kept.

An entry point asks its planner for the function that does the work, and calls it with the arrays:

    run = planned(_plan, x.shape, x.strides, x.dtype, stride, padding, get_num_threads())
    return run(x, out)

    @planner
    def _plan(shape, strides, dtype, stride, padding, threads): ...  # checks, choices, sizes, tables -> run(x, out)

A plan depends on nothing but its planner's arguments, so whatever may change its mind is one of them, as the number of
threads is. It holds no arrays of a caller. In a planner a `ghost` stands for each of them: an array that lies as the
real one does, to be looked at and cut into views, but never read.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

LIMIT = 1024  # plans of one planner; then the one not used for longest goes

_planners: list[Any] = []


def planner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep the plans that a function makes, by its arguments; 1 and True are different ones."""
    made = lru_cache(maxsize=LIMIT, typed=True)(function)
    _planners.append(made)
    return made


class Plans(dict[tuple[Any, ...], Any]):
    """What a function makes, by its arguments: `plans[arguments]`, where 1 and True are the same.

    This takes 0.1 us where a `planner` takes 0.2. Once there are too many plans, all go.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        _planners.append(self)

    def __missing__(self, key: tuple[Any, ...]) -> Any:
        if len(self) >= LIMIT:
            self.clear()
        self[key] = made = self.function(*key)
        return made

    cache_clear = dict.clear


def planned(plan: Callable[..., Any], *key: Any) -> Any:
    """Return plan(*key), with tuples for the lists and arrays among the arguments."""
    try:
        return plan(*key)
    except TypeError:  # one that cannot be a key, or a mistake, which is found again
        pass
    return plan(*(tuple(value) if isinstance(value, (list, ndarray)) else value for value in key))


def forget() -> None:
    """Forget all plans: for tests that change what planners know."""
    for made in _planners:
        made.cache_clear()


def ghost(shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...] | None = None) -> ndarray:
    """Return what looks like an array of this shape, contiguous if no strides are given, with no memory behind it."""
    if strides is None:
        strides, step = (), dtype.itemsize
        for n in reversed(shape):
            strides, step = (step, *strides), step * max(n, 1)
    return as_strided(np.empty(1, dtype), shape, strides, writeable=True)
