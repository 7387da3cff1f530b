"""NumPy's functions of tensors: each that has a counterpart here computes by it and is recorded.

An adapter takes NumPy's arguments; it gives NotImplemented for those that its counterpart does not have (``dtype=``,
``out=``, ...). What has no gradient computes with the arrays, and everything else refuses tensors that require one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._tensor import ADVICE, FUNCTIONS, WITHOUT_GRADIENT
from fastnn.tape import Tensor, unwrap

from . import arithmetic, reduction, shaping
from .matmul import matmul
from .products import tensordot


def _numpy(*functions: Callable[..., Any]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let an adapter stand for functions of NumPy."""

    def register(adapter: Callable[..., Any]) -> Callable[..., Any]:
        FUNCTIONS.update(dict.fromkeys(functions, adapter))
        return adapter

    return register


@_numpy(np.concatenate)
def _concatenate(arrays: Any, axis: Any = 0, out: Any = None, **other: Any) -> Any:
    if other or out is not None:
        return NotImplemented
    if axis is None:
        return shaping.cat([shaping.flatten(x) for x in arrays])
    return shaping.cat(arrays, axis)


@_numpy(np.stack)
def _stack(arrays: Any, axis: int = 0, out: Any = None, **other: Any) -> Any:
    return NotImplemented if other or out is not None else shaping.stack(arrays, axis)


@_numpy(np.where)
def _where(condition: Any, *values: Any) -> Any:
    return arithmetic.where(condition, *values) if len(values) == 2 else NotImplemented


@_numpy(np.clip)
def _clip(a: Any, a_min: Any = None, a_max: Any = None, out: Any = None, **other: Any) -> Any:
    low, high = other.pop("min", a_min), other.pop("max", a_max)
    if other or out is not None or (low is None and high is None):
        return NotImplemented
    return arithmetic.clamp(a, low, high)


@_numpy(np.reshape)
def _reshape(a: Any, shape: Any = None, order: str = "C", **other: Any) -> Any:
    if other or order != "C" or shape is None:
        return NotImplemented
    return shaping.reshape(a, shape)


@_numpy(np.ravel)
def _ravel(a: Any, order: str = "C") -> Any:
    return NotImplemented if order != "C" else shaping.flatten(a)


@_numpy(np.transpose, np.permute_dims)
def _transpose(a: Any, axes: Any = None) -> Any:
    return shaping.permute(a) if axes is None else shaping.permute(a, *axes)


@_numpy(np.swapaxes)
def _swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    return shaping.transpose(a, axis1, axis2)


@_numpy(np.moveaxis)
def _moveaxis(a: Any, source: Any, destination: Any) -> Any:
    numbered = np.empty(tuple(range(np.ndim(a))))  # without elements: its shape is the order of the dimensions
    return shaping.permute(a, *np.moveaxis(numbered, source, destination).shape) if np.ndim(a) else a


@_numpy(np.squeeze)
def _squeeze(a: Any, axis: Any = None) -> Any:
    if axis is not None and any(a.shape[i] != 1 for i in (axis if isinstance(axis, tuple) else (axis,))):
        raise ValueError(f"numpy.squeeze: axis {axis} has a length other than 1 in shape {a.shape}")
    return shaping.squeeze(a, axis)


@_numpy(np.expand_dims)
def _expand_dims(a: Any, axis: Any) -> Any:
    return shaping.unsqueeze(a, axis)  # which takes several, too


@_numpy(np.broadcast_to)
def _broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    return shaping.broadcast_to(array, (shape,) if isinstance(shape, int) else tuple(shape))


@_numpy(np.array_split)
def _array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    parts = np.array_split(np.empty(ary.shape[axis], bool), indices_or_sections)
    return list(shaping.split(ary, [len(part) for part in parts], axis))


@_numpy(np.split)
def _split(ary: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    np.split(np.empty(ary.shape[axis], bool), indices_or_sections)  # raises if they do not divide the length
    return _array_split(ary, indices_or_sections, axis)


@_numpy(np.take)
def _take(a: Any, indices: Any, axis: int | None = None, out: Any = None, mode: str = "raise") -> Any:
    if out is not None or mode != "raise":
        return NotImplemented
    a, axis = (shaping.flatten(a), 0) if axis is None else (a, axis % a.ndim)
    return shaping.getitem(a, (*[slice(None)] * axis, indices))


@_numpy(np.dot)
def _dot(a: Any, b: Any, out: Any = None) -> Any:
    if out is not None:
        return NotImplemented
    if np.ndim(b) > 2 and np.ndim(a):
        return tensordot(a, b, ([-1], [-2]))
    return arithmetic.mul(a, b) if not np.ndim(a) or not np.ndim(b) else matmul(a, b)


@_numpy(np.full_like)
def _full_like(a: Any, fill_value: Any, *more: Any, **other: Any) -> Any:
    return NotImplemented if isinstance(fill_value, Tensor) else np.full_like(unwrap(a), fill_value, *more, **other)


def _reducing(operation: Callable[..., Any]) -> Callable[..., Any]:
    def adapter(a: Any, axis: Any = None, *more: Any, keepdims: Any = False, **other: Any) -> Any:
        if other or any(x is not None for x in more):
            return NotImplemented
        return operation(a, axis, keepdims)

    return adapter


def _one_axis(operation: Callable[..., Any], a: Any, axis: Any, keepdims: bool) -> Any:
    return NotImplemented if isinstance(axis, tuple) else operation(a, axis, keepdims)


def _extremum(operation: Callable[..., Any]) -> Callable[..., Any]:
    def values(a: Any, axis: Any, keepdims: bool) -> Any:
        if axis is None:
            y = operation(a)
            return shaping.reshape(y, (1,) * a.ndim) if keepdims else y
        return NotImplemented if isinstance(axis, tuple) else operation(a, axis, keepdims).values

    return _reducing(values)


def _spread(operation: Callable[..., Any]) -> Callable[..., Any]:
    def adapter(a: Any, axis: Any = None, *more: Any, ddof: Any = 0, keepdims: Any = False, **other: Any) -> Any:
        correction = other.pop("correction", ddof)
        if other or any(x is not None for x in more):
            return NotImplemented
        return operation(a, axis, correction=correction, keepdim=keepdims)

    return adapter


_numpy(np.sum)(_reducing(reduction.sum))
_numpy(np.prod)(_reducing(lambda a, dim, keepdim: _one_axis(reduction.prod, a, dim, keepdim)))
_numpy(np.var)(_spread(reduction.var))
_numpy(np.std)(_spread(reduction.std))
_numpy(np.mean)(_reducing(reduction.mean))
_numpy(np.max, np.amax)(_extremum(reduction.max))
_numpy(np.min, np.amin)(_extremum(reduction.min))

WITHOUT_GRADIENT.update(
    {
        np.all, np.allclose, np.any, np.argmax, np.argmin, np.argpartition, np.argsort, np.argwhere, np.array2string,
        np.array_equal, np.array_equiv, np.array_repr, np.array_str, np.bincount, np.can_cast, np.common_type,
        np.count_nonzero, np.digitize, np.empty_like, np.flatnonzero, np.histogram, np.isclose, np.iscomplex,
        np.iscomplexobj, np.isin, np.isneginf, np.isposinf, np.isreal, np.isrealobj, np.lexsort, np.may_share_memory,
        np.min_scalar_type, np.nanargmax, np.nanargmin, np.ndim, np.nonzero, np.ones_like, np.result_type, np.save,
        np.savetxt, np.savez, np.savez_compressed, np.searchsorted, np.shape, np.shares_memory, np.size, np.zeros_like,
    }
)  # fmt: skip

_F = "fastnn.functional."
ADVICE.update(
    {
        **dict.fromkeys(("append", "block"), f"{_F}cat or {_F}stack"),
        "dot": f"{_F}matmul",
        "vecdot": f"{_F}matmul",
        **dict.fromkeys(("max", "min", "amax", "amin"), f"{_F}max or {_F}min"),
        "resize": f"{_F}reshape",
        **dict.fromkeys(("choose", "select", "piecewise", "copyto", "putmask"), f"{_F}where"),
        "concatenate": f"{_F}cat",
        "stack": f"{_F}stack",
        "clip": f"{_F}clamp",
        "pad": f"{_F}pad",
        "sum": f"{_F}sum",
        "prod": f"{_F}prod",
        "var": f"{_F}var",
        "std": f"{_F}std",
        "mean": f"{_F}mean",
        "reshape": f"{_F}reshape",
        "take": f"{_F}getitem",
    }
)
