"""Order: sorting, the largest and smallest elements. Gradients go to those that were taken. NaN is the largest."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn.tape import Tensor, unwrap, wrap
from fastnn_kernels import checks

from .indexing import gather
from .reduction import Extremum
from .shaping import check_array, reshape

__all__ = ["argsort", "kthvalue", "msort", "sort", "topk"]


class Sorted(NamedTuple):
    """What `sort` and `topk` give along a dimension: the values, and where they were found."""

    values: Any
    indices: Any


def _order(function: str, input: Any, dim: int, descending: bool) -> tuple[Any, int]:
    """Give the indices that sort along `dim`; equal elements keep their order."""
    check_array(function, "input", input)
    dim, x = checks.normalize_dim(function, dim, input.ndim), np.asarray(unwrap(input))
    if not x.ndim:
        return np.zeros((), np.int64), dim
    if not descending:
        return np.argsort(x, dim, kind="stable"), dim
    backwards = np.argsort(np.flip(x, dim), dim, kind="stable")  # of equal elements the last comes first
    return x.shape[dim] - 1 - np.flip(backwards, dim), dim


def _found(kind: Any, input: Any, dim: int, indices: Any) -> Any:
    return kind(gather(input, dim, indices), wrap(indices) if isinstance(input, Tensor) else indices)


def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Sorted:
    """Give (values, indices) in rising order along `dim`, or falling; equal elements keep their order in any case."""
    indices, dim = _order("sort", input, dim, descending)
    return _found(Sorted, input, dim, indices)  # type: ignore[no-any-return]


def argsort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False) -> Any:
    """Give the indices that sort along `dim`; equal elements keep their order in any case."""
    indices, _ = _order("argsort", input, dim, descending)
    return wrap(indices) if isinstance(input, Tensor) else indices


def msort(input: Any) -> Any:
    """Give the elements in rising order along dimension 0."""
    return sort(input, 0).values


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Sorted:
    """Give (values, indices) of the k largest elements along `dim`, or smallest, the most extreme first.

    They come in order whether `sorted` or not; which of equal elements are taken is not said, as in PyTorch.
    """
    check_array("topk", "input", input)
    dim, x = checks.normalize_dim("topk", dim, input.ndim), np.asarray(unwrap(input))
    line = x if x.ndim else x.reshape(1)
    k, length = checks.integer("topk", "k", k, 0), line.shape[dim]
    if k > length:
        raise ValueError(f"topk: k is {k}, but dim {dim} of shape {x.shape} has {length} elements")
    every = [slice(None)] * dim
    if 0 < k < length:
        part = np.argpartition(line, length - k if largest else k - 1, dim)
        part = part[(*every, slice(length - k, None) if largest else slice(k))]
    else:
        part = np.broadcast_to(
            np.arange(k).reshape(-1, *(1,) * (line.ndim - 1 - dim)), (*line.shape[:dim], k, *line.shape[dim + 1 :])
        )
    order, _ = _order("topk", np.take_along_axis(line, part, dim), dim, largest)
    indices = np.take_along_axis(part, order, dim)
    return _found(Sorted, input, dim, indices if x.ndim or k != 1 else indices.reshape(()))  # type: ignore[no-any-return]


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Extremum:
    """Give (values, indices) of the k-th smallest element along `dim`, counted from 1."""
    check_array("kthvalue", "input", input)
    dim, x = checks.normalize_dim("kthvalue", dim, input.ndim), np.asarray(unwrap(input))
    line = x if x.ndim else x.reshape(1)
    k, length = checks.integer("kthvalue", "k", k, 1), line.shape[dim]
    if k > length:
        raise ValueError(f"kthvalue: k is {k}, but dim {dim} of shape {x.shape} has {length} elements")
    indices = np.take(np.argpartition(line, k - 1, dim), [k - 1], dim)
    found = _found(Extremum, input, dim, indices if x.ndim else indices.reshape(()))
    if keepdim or not x.ndim:
        return found  # type: ignore[no-any-return]
    shape = (*x.shape[:dim], *x.shape[dim + 1 :])
    return Extremum(reshape(found.values, shape), reshape(found.indices, shape))
