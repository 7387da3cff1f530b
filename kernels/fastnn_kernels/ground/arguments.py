"""What the arguments of an operation are, and how those are converted that plans could not take."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from . import checks, plans
from .prepared import Prepared


class Layout(NamedTuple):
    """How an array lies in memory."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype[Any]
    prepared: bool = False  # whether it is a `Prepared` operand

    @property
    def ndim(self) -> int:
        """Return the number of dimensions."""
        return len(self.shape)

    def ghost(self) -> ndarray:
        """Return an array of this layout with no memory behind it: to be looked at and cut into views, never read."""
        return plans.ghost(self.shape, self.dtype, self.strides)


def layout_of(x: Any) -> Layout | None:
    """Return the layout of an array, None for None."""
    return None if x is None else Layout(tuple(x.shape), tuple(x.strides), x.dtype, type(x) is Prepared)


class Kinds(NamedTuple):
    """The names of an operation's arguments by their kind; see `operation`. All others are options."""

    floats: tuple[str, ...] = ()
    integers: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    prepared: tuple[str, ...] = ()
    converted: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    reals: tuple[str, ...] = ()

    @property
    def arrays(self) -> tuple[str, ...]:
        """Return the names of all arrays."""
        return (*self.floats, *self.integers, *self.reals, *self.states)

    def letters(self, arguments: list[str]) -> bytes:
        """Return a letter for `out` and each argument, as `lookup` reads them."""
        letters = {**dict.fromkeys((*self.floats, *self.integers, *self.reals), "a"), **dict.fromkeys(self.states, "p")}
        letters |= dict.fromkeys((*self.numbers, *self.words), "n")
        return ("p" + "".join(letters.get(name, "o") for name in arguments)).encode()


def plain(function: str, kinds: Kinds, given: dict[str, Any]) -> dict[str, Any]:
    """Return the arguments as plans want them: arrays aligned, native, of one dtype; numbers and options plain."""
    made = dict(given)
    for name in kinds.words:  # numbers first: converting one may run Python code, which could change arrays
        made[name] = checks.word(function, name, given[name])
    for name in kinds.numbers:
        if type(given[name]) is not float and not (given[name] is None and name in kinds.optional):
            made[name] = checks.number(function, name, given[name])
    for name in given.keys() - {*kinds.arrays, *kinds.numbers, *kinds.words}:
        made[name] = checks.plain_option(given[name])
    required = [name for name in (*kinds.floats, *kinds.integers, *kinds.reals) if name not in kinds.optional]
    checks.required(function, **{name: given[name] for name in required})
    followers = _followers(function, kinds, given)
    arrays = {x: given[x] for x in kinds.floats if type(given[x]) is not Prepared and x not in followers}
    arrays = _with_floats(function, arrays)
    made.update(zip(arrays, checks.promote(function, **arrays), strict=True))
    for name, array in followers.items():
        made[name] = array.astype(next(made[x].dtype for x in arrays if made[x] is not None), copy=False)
    for name in kinds.floats:
        if type(given[name]) is Prepared:
            _check_prepared(function, kinds, name, made)
    for name in kinds.integers:
        if given[name] is not None:
            made[name] = checks.integer_array(function, name, given[name])
    for name in kinds.reals:
        made[name] = checks.real_array(function, name, given[name])
    return made


def _with_floats(function: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays with floats in place of integers, booleans and float16.

    The one rule for all kernels of floats: such numbers become float32, or float64 where they meet that. (Arithmetic
    and matrix products of nothing but integers are NumPy's, and stay integers.)
    """
    converted = {}
    for name, x in arrays.items():
        if x is not None and not (type(x) is ndarray and x.dtype.kind == "f" and x.dtype.itemsize > 2):
            array = checks.as_array(function, name, x)
            if array.dtype.kind in "biu" or (array.dtype.kind == "f" and array.dtype.itemsize == 2):
                converted[name] = array
    if not converted:
        return arrays
    others = [x for name, x in arrays.items() if name not in converted and hasattr(x, "dtype")]
    double = any(x.dtype == checks.F8 for x in others)
    return {**arrays, **{name: x.astype(checks.F8 if double else checks.F4) for name, x in converted.items()}}


def _followers(function: str, kinds: Kinds, given: dict[str, Any]) -> dict[str, ndarray]:
    """Return the arrays that have no say in the common dtype."""
    found = {}
    for name in kinds.numeric:
        array = None if given[name] is None else checks.as_array(function, name, given[name])
        if array is not None and (array.dtype.kind in "biu" or not (array.size or hasattr(given[name], "dtype"))):
            found[name] = array
    for name in kinds.converted:
        if given[name] is not None and name not in found:
            found[name] = checks.as_float_array(function, name, given[name])
    return found


def _check_prepared(function: str, kinds: Kinds, name: str, made: dict[str, Any]) -> None:
    """Raise TypeError unless a prepared operand may stand here, and has the dtype of the other arrays."""
    if name not in kinds.prepared:
        raise TypeError(f"{function}: {name} must be an array, got a prepared operand of shape {made[name].shape}")
    for other in kinds.floats:
        x = made[other]
        if x is not None and x.dtype != made[name].dtype:
            raise TypeError(f"{function}: the prepared {name} is {made[name].dtype} but {other} is {x.dtype}")
