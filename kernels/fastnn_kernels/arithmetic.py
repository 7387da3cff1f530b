"""Functions of several arrays, broadcast against each other as NumPy does, with threads and reused memory.

float32 and float64 arrays are computed by kernels, and so are numbers beside them, which take their dtype. What else
NumPy takes (other dtypes, numbers with integers) NumPy computes where it has the function; the others raise TypeError.
`out` may be one of the inputs if that has the result's shape, and must not overlap them otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .formulas.arithmetic import FORMULAS
from .ground.checks import F4, F8, as_array, canonical, check_writable
from .ground.elementwise import Elementwise, ElementwiseOperation, elementwise_entry
from .ground.operation import operation

LARGE = 2**53  # from here on not every integer is a float64
BOOL, U1 = np.dtype(np.bool_), np.dtype(np.uint8)
TRUTHS = {BOOL, U1}
NUMPY = {
    **{"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "pow": np.power},
    **{"maximum": np.maximum, "minimum": np.minimum, "clamp": np.clip, "fmax": np.fmax, "fmin": np.fmin},
    **{"fmod": np.fmod, "remainder": np.remainder, "floor_divide": np.floor_divide},
}


class Broadcast(NamedTuple):
    """Arrays, the shape that all are broadcast to, and the layout of `out` if there is one."""

    arrays: tuple[Any, ...]
    shape: tuple[int, ...]
    out: Any = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.shape, self.arrays[-1].dtype


class Same(Elementwise):
    """Arrays of one shape, the last of which has the dtype of the result."""

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.arrays[-1].shape, self.arrays[-1].dtype


class _Several(ElementwiseOperation):
    """An operation of several arrays or numbers, which are broadcast."""

    def _check(self, **arrays) -> Any:
        return _problem(self.name, arrays)

    def _double(self, *arguments: Any) -> Any:
        first = arguments[0]
        if type(first) is ndarray and first.dtype is F8:
            return super()._double(*arguments)
        return self._last(*arguments)

    def _last(self, *arguments: Any) -> Any:
        """Turn numbers into arrays of the dtype of the others, before the general way does it in ten times the time."""
        dtype = number = None
        given = arguments[:-1]
        for x in given:
            if type(x) is ndarray:
                if dtype is not None and x.dtype is not dtype:
                    break
                dtype = x.dtype
            elif type(x) is float or (type(x) is int and -LARGE < x < LARGE):
                number = x
            else:
                break
        else:
            if number is not None and (dtype is F4 or dtype is F8):
                given = [x if type(x) is ndarray else np.array(x, dtype) for x in given]
        return self.find(arguments[-1], *given)


def _problem(function, arrays):
    """Return what is to be computed of arrays of one shape, or of shapes that can be broadcast."""
    layouts = tuple(arrays.values())
    if all(x.shape == layouts[0].shape for x in layouts):
        return Same(layouts)
    try:
        return Broadcast(layouts, np.broadcast_shapes(*[x.shape for x in layouts]))
    except ValueError:
        raise ValueError(f"{function}: {_described(arrays)} could not be broadcast together") from None


def _numbers(function, name, x):
    """Return an array of numbers. TypeError for other objects and texts."""
    x = as_array(function, name, x)
    if x.dtype.kind not in "biufc":
        raise TypeError(f"{function}: {name} must be an array of numbers, got {x.dtype}")
    return x


def _described(arrays):
    return ", ".join(f"{name} {np.shape(x)}" for name, x in arrays.items())


def _entry(name, names):
    ufunc = NUMPY.get(name)

    def numpy(out, *given):
        """Compute what kernels do not: arrays of floats and numbers that keep their dtype, they do."""
        if all(isinstance(x, ndarray) and x.dtype in (F4, F8) for x in given):
            return NotImplemented
        for key, x in zip(names, given, strict=True):
            _numbers(name, key, x)  # but numbers stay numbers, whose dtype counts less
        dtypes = [x.dtype for x in given if isinstance(x, ndarray)]
        fits = all(isinstance(x, ndarray) or _fits(x) for x in given)
        if dtypes and fits and all(dtype in (F4, F8) for dtype in dtypes):
            dtype = F8 if F8 in dtypes else F4
            return operation.find(out, *[x if isinstance(x, ndarray) else np.full((), x, dtype) for x in given])
        if ufunc is None:
            return NotImplemented
        if out is not None:
            check_writable(name, "out", out)
        try:
            with np.errstate(all="ignore"):
                return canonical(ufunc(*given)) if out is None else ufunc(*given, out=out)
        except (TypeError, ValueError, OverflowError) as error:
            shapes = _described(dict(zip(names, given, strict=True))) + f", out {np.shape(out)}" * (out is not None)
            kind = TypeError if isinstance(error, TypeError) else ValueError  # NumPy has subclasses of its own
            raise kind(f"{name}: {shapes}: {error}") from None

    operation = _Several(name, __name__, names, {}, numpy)
    text = f"Return {FORMULAS[name].__doc__}."
    if ufunc is not None:
        text += f"\n\nOther dtypes as numpy.{ufunc.__name__} does."
    return elementwise_entry(operation, {}, text)


def _fits(number):
    """Say whether a number takes the dtype of the arrays beside it."""
    return type(number) in (float, bool) or (type(number) is int and -LARGE < number < LARGE)


_entries = {}
for _name, _function in FORMULAS.items():
    _names = _function.__code__.co_varnames[: _function.__code__.co_argcount]
    if "condition" not in _names:
        _entries[_name] = _entry(_name, _names)
globals().update(_entries)


def where(condition, input, other, *, out=None):
    """Return input where condition holds and other elsewhere, as numpy.where does; all three are broadcast.

    condition: an array of bool or uint8; of another dtype it holds where it is not 0.
    """
    if not isinstance(condition, ndarray) or condition.dtype not in TRUTHS:
        condition = _truth(condition)
    if type(input) is float and type(other) is ndarray:
        input = np.array(input, other.dtype)
    elif type(other) is float and type(input) is ndarray:
        other = np.array(other, input.dtype)
    return _where.run(out, condition.view(U1), input, other)


def _truth(condition):
    condition = as_array("where", "condition", condition)
    if condition.dtype.kind not in "biufc":
        raise TypeError(f"where: condition must be an array of bool, got {condition.dtype}")
    return np.asarray(condition != 0)


def _where_by_numpy(out, condition, input, other):
    arrays = {key: _numbers("where", key, x) for key, x in (("input", input), ("other", other))}
    dtypes = [x.dtype for x in arrays.values()]
    if all(isinstance(x, ndarray) for x in (input, other)) and all(dtype in (F4, F8) for dtype in dtypes):
        return NotImplemented
    given = zip((input, other), arrays.values(), strict=True)
    dtype = np.result_type(*[x if type(x) in (float, int) else array for x, array in given])
    if dtype in (F4, F8):
        return _where.find(out, condition, *[np.array(x, dtype).view(dtype) for x in arrays.values()])
    if out is not None:
        raise TypeError(f"where: out is for float32 and float64, not for {dtype}")
    _problem("where", {"condition": condition, **arrays})  # which can be broadcast
    return np.where(condition, input, other)


@operation("input other", integers="condition", in_place=True, otherwise=_where_by_numpy)
def _where(condition, input, other):
    if condition.dtype != U1:
        raise TypeError(f"where: condition must be an array of bool, got {condition.dtype}")
    return _problem("where", {"condition": condition, "input": input, "other": other})


__all__ = ["where", *_entries]  # noqa: PLE0604
