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
from contextlib import suppress
from functools import lru_cache, partial
from types import FunctionType, MethodType
from typing import Any

import numpy as np
from numpy import ndarray
from numpy.lib.stride_tricks import as_strided

PACKAGE = __package__.rpartition(".")[0]
LIMIT = 1024  # plans of one planner; then the one not used for longest goes
BYTES = 1 << 26  # of the arrays in all plans together; then all plans go, and come back where they are asked for

_planners: list[Any] = []
_held = 0  # bytes of arrays in the plans made since all were forgotten, at least those that are kept


def planner(function: Callable[..., Any]) -> Callable[..., Any]:
    """Cache a function's results, the plans, by its arguments, of which 1, 1.0 and True are different ones.

    Arguments that a caller of the entry point chooses come last, as `*options`. Only in these does `planned` tell
    (1, 1) from (1.0, True): all other tuples are shapes and strides of arrays.
    """

    def make(*key: Any) -> Any:
        places = [i for i in range(named, len(key)) if type(key[i]) is tuple]
        return _ByTypes(function, places) if places else counted(function(*key))

    code = function.__code__  # type: ignore[attr-defined]
    named = code.co_argcount
    made = lru_cache(maxsize=LIMIT, typed=True)(make)
    made.function = function  # type: ignore[attr-defined]
    _planners.append(made)
    return made


class _ByTypes:
    """Plans whose arguments are equal and include tuples, by the types of the numbers in these tuples."""

    def __init__(self, function: Callable[..., Any], places: list[int]) -> None:
        self.function, self.places = function, places
        self.plans: dict[tuple[Any, ...], Any] = {}
        self.last: tuple[Any, Any] = ((), None)  # key and plan of the last call: mostly the very same come again

    def of(self, key: tuple[Any, ...]) -> Any:
        """Return the plan for these arguments."""
        last, plan = self.last
        for place in self.places:
            if not last or key[place] is not last[place]:
                break
        else:
            return plan
        types = tuple([tuple([type(number) for number in key[place]]) for place in self.places])
        plan = self.plans.get(types)
        if plan is None:
            self.plans[types] = plan = counted(self.function(*key))
        self.last = key, plan
        return plan


class Plans(dict[tuple[Any, ...], Any]):
    """Cache a function's results as `plans[arguments]`, where 1, 1.0 and True are the same argument.

    So who lets a caller choose them makes them int before. This takes 0.1 us where a `planner` takes 0.2. Once there
    are too many plans, all go.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__()
        self.function = function
        _planners.append(self)

    def __missing__(self, key: tuple[Any, ...]) -> Any:
        made = counted(self.function(*key))
        if len(self) >= LIMIT:
            self.clear()
        self[key] = made
        return made

    cache_clear = dict.clear


def planned(plan: Callable[..., Any], *key: Any) -> Any:
    """Return plan(*key), with tuples for the lists and arrays among the arguments."""
    try:
        made = plan(*key)
    except TypeError:  # one that cannot be a key, or a mistake, which is found again
        key = tuple([tuple(value) if _is_list(value) else value for value in key])
        try:
            hash(key)
        except TypeError:
            return plan.function(*key)  # type: ignore[attr-defined]  # which says what it wants instead
        made = plan(*key)
    return made.of(key) if type(made) is _ByTypes else made


def kept(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keep what a function makes as `planner` does, to be had by calling it."""
    made = planner(function)

    def call(*key: Any) -> Any:
        return planned(made, *key)

    return call


def _is_list(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, ndarray) and value.ndim > 0)


def add(keeper: Any) -> None:
    """Let `forget` call keeper.cache_clear()."""
    _planners.append(keeper)


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
    """Forget all plans: there are too many, or a test changes what planners know."""
    global _held
    _held = 0
    for made in _planners:
        made.cache_clear()


def ghost(shape: tuple[int, ...], dtype: np.dtype[Any], strides: tuple[int, ...] | None = None) -> ndarray:
    """Return what looks like an array of this shape, contiguous if no strides are given, with no memory behind it."""
    if strides is None:
        strides, step = (), dtype.itemsize
        for n in reversed(shape):
            strides, step = (step, *strides), step * max(n, 1)
    return as_strided(np.empty(1, dtype), shape, strides, writeable=True)
