"""Elements picked by indices and masks. A kernel adds up the gradients of those that are picked several times.

`dim` counts from the end if negative. Indices are integers from 0 on, arrays or tensors; those of `take` and
`take_along_dim` may be negative, as in NumPy.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap, wrap
from fastnn_kernels import checks

from .arithmetic import unbroadcast
from .shaping import add_rows, broadcast_to, check_array, flatten, getitem

__all__ = [
    "argwhere",
    "gather",
    "index_select",
    "masked_select",
    "narrow",
    "nonzero",
    "select",
    "take",
    "take_along_dim",
]

I8 = np.dtype(np.int64)


def integers(function: str, index: Any, limit: int, lowest: int = 0, name: str = "index") -> Any:
    """Give indices as an int64 array. TypeError for other dtypes, IndexError unless all are lowest .. limit - 1."""
    index = np.asarray(unwrap(index))
    if index.dtype.kind not in "iu" and index.size:
        raise TypeError(f"{function}: {name} must be integers, got {index.dtype}")
    if index.size and not lowest <= index.min() <= index.max() < limit:
        raise IndexError(f"{function}: {name} must be from {lowest} to {limit - 1}, got {index.min()} to {index.max()}")
    return index.astype(I8, copy=False)


def checked_mask(function: str, mask: Any) -> Any:
    """Give a mask as an array. TypeError unless it is of bool."""
    mask = np.asarray(unwrap(mask))
    if mask.dtype != bool:
        raise TypeError(f"{function}: mask must be of bool, got {mask.dtype}")
    return mask


def places_of(function: str, shape: tuple[int, ...], dim: int, index: Any) -> Any:
    """Give, as flat positions in an array of `shape`, the elements that indices along `dim` stand for."""
    if index.ndim != len(shape) or any(
        n > m for d, (n, m) in enumerate(zip(index.shape, shape, strict=True)) if d != dim
    ):
        raise ValueError(
            f"{function}: index of shape {index.shape} does not fit an input of shape {shape}: it needs as many "
            f"dimensions, none longer but dim {dim}"
        )
    places, step = np.zeros((1,) * len(shape), I8), 1
    for d in range(len(shape) - 1, -1, -1):
        along = index if d == dim else np.arange(index.shape[d]).reshape(-1, *(1,) * (len(shape) - 1 - d))
        places = places + along * step
        step *= shape[d]
    return np.broadcast_to(places, index.shape)


def shape_of(input: Any) -> tuple[int, ...]:
    """Give the shape, (1,) for no dimensions."""
    return input.shape or (1,)  # what has no dimensions counts as having one


@differentiable
def _gathered(input: Array, dim: int, index: Any) -> WithBackward:
    shape = input.shape or (1,)
    own = index if input.ndim else index.reshape(-1)
    if own.ndim != len(shape) or any(
        [n > m for d, (n, m) in enumerate(zip(own.shape, shape, strict=True)) if d != dim]
    ):
        places_of("gather", shape, dim, own)  # which says so
    every = [np.arange(n).reshape(-1, *(1,) * (len(shape) - 1 - d)) for d, n in enumerate(own.shape)]
    every[dim] = own
    y = input.reshape(shape)[tuple(every)].reshape(index.shape)

    def backward(dy: Array, needs: Needs) -> Gradients:
        places = places_of("gather", shape, dim, own).reshape(-1)
        return (add_rows(places, dy.reshape(-1), input.size).reshape(input.shape),)

    return y, backward


@differentiable
def _picked(input: Array, places: Any) -> WithBackward:
    """Give elements of a flat array."""
    y = input.reshape(-1)[places]
    return y, lambda dy, needs: (add_rows(places.reshape(-1), dy.reshape(-1), input.size).reshape(input.shape),)


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
    """Give the elements along `dim` that an index names, each in its own place of the other dimensions.

    input (any shape), index (as many dimensions, none longer than input's but `dim`) -> the index' shape: for dim=1
    y[i, j, k] = input[i, index[i, j, k], k]. `sparse_grad` changes nothing: gradients have the input's shape. Raises
    IndexError for indices out of range, ValueError for other shapes.
    """
    check_array("gather", "input", input)
    shape = shape_of(input)
    dim = checks.normalize_dim("gather", dim, input.ndim)
    return _gathered(input, dim, integers("gather", index, shape[dim]))


def take(input: Any, index: Any) -> Any:
    """Give elements of the flattened input, in the index' shape; negative indices count from the end."""
    check_array("take", "input", input)
    size = prod(input.shape)
    index = integers("take", index, size, -size)
    return _picked(input, np.where(index < 0, index + size, index))


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Any:
    """Give the elements along `dim` that indices name, as numpy.take_along_axis does: what `argsort` and `argmax` give.

    Input and indices are broadcast in the other dimensions. Without `dim`, elements of the flattened input.
    """
    check_array("take_along_dim", "input", input)
    if dim is None:
        return take(flatten(input), np.asarray(unwrap(indices)).reshape(-1))
    indices, dim = np.asarray(unwrap(indices)), checks.normalize_dim("take_along_dim", dim, input.ndim)
    if indices.ndim != input.ndim:
        raise ValueError(f"take_along_dim: indices have shape {indices.shape} but input has {input.shape}")
    length = shape_of(input)[dim]
    indices = integers("take_along_dim", indices, length, -length, "indices")
    indices = np.where(indices < 0, indices + length, indices)
    others = [tuple(1 if d == dim else n for d, n in enumerate(x.shape)) for x in (input, indices)]
    try:
        common = np.broadcast_shapes(*others)
    except ValueError:
        raise ValueError(f"take_along_dim: indices have shape {indices.shape} but input has {input.shape}") from None
    shape, wanted = (tuple(x.shape[d] if d == dim else n for d, n in enumerate(common)) for x in (input, indices))
    wide = input if input.shape == shape else broadcast_to(input, shape)
    return gather(wide, dim, np.broadcast_to(indices, wanted))


@differentiable
def _rows(input: Array, dim: int, index: Any) -> WithBackward:
    y = input.take(index, axis=dim) if input.ndim else input.reshape(1)[index].reshape(())

    def backward(dy: Array, needs: Needs) -> Gradients:
        if not input.ndim:
            return (dy,)
        dx = add_rows(index, np.moveaxis(dy, dim, 0), input.shape[dim])
        return (np.moveaxis(dx, 0, dim),)

    return y, backward


def index_select(input: Any, dim: int, index: Any) -> Any:
    """Give whole slices along `dim`: input (..., N, ...), index (M,) of 0 .. N - 1 -> (..., M, ...)."""
    check_array("index_select", "input", input)
    dim = checks.normalize_dim("index_select", dim, input.ndim)
    index = vector("index_select", index, shape_of(input)[dim])
    if not input.ndim and index.size != 1:
        raise ValueError(f"index_select: index of shape {index.shape} does not fit an input of shape ()")
    return _rows(input, dim, index)


def vector(function: str, index: Any, limit: int) -> Any:
    """Give checked indices (M,), of which there may be one without dimensions."""
    index = integers(function, index, limit)
    if index.ndim > 1:
        raise ValueError(f"{function}: index must be (M,), got shape {index.shape}")
    return index.reshape(-1)


def select(input: Any, dim: int, index: int) -> Any:
    """Give the slice number `index` along `dim`, a view without that dimension; negative ones count from the end."""
    check_array("select", "input", input)
    if not input.ndim:
        raise ValueError("select: expected a tensor of at least 1 dimension, got shape ()")
    dim, index = checks.normalize_dim("select", dim, input.ndim), int(index)
    if not -input.shape[dim] <= index < input.shape[dim]:
        raise IndexError(f"select: index {index} is out of range for dim {dim} of shape {input.shape}")
    return getitem(input, (*[slice(None)] * dim, index))


def narrow(input: Any, dim: int, start: int, length: int) -> Any:
    """Give the slices start .. start + length - 1 along `dim`, a view; a negative start counts from the end."""
    check_array("narrow", "input", input)
    if not input.ndim:
        raise ValueError("narrow: expected a tensor of at least 1 dimension, got shape ()")
    dim, start, length = checks.normalize_dim("narrow", dim, input.ndim), int(start), int(length)
    count = input.shape[dim]
    first = start + count if start < 0 else start
    if length < 0 or not 0 <= first <= count or first + length > count:
        raise ValueError(f"narrow: start {start}, length {length} do not fit dim {dim} of shape {input.shape}")
    return getitem(input, (*[slice(None)] * dim, slice(first, first + length)))


@differentiable
def _masked_select(input: Array, mask: Any) -> WithBackward:
    shape = np.broadcast_shapes(input.shape, mask.shape)
    where = np.broadcast_to(mask, shape)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dx = np.zeros(shape, dy.dtype)
        dx[where] = dy
        return (unbroadcast(dx, input),)

    return np.broadcast_to(input, shape)[where], backward


def masked_select(input: Any, mask: Any) -> Any:
    """Give the elements where `mask` (of bool) is true, in one dimension; input and mask are broadcast."""
    check_array("masked_select", "input", input)
    return _masked_select(input, checked_mask("masked_select", mask))


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """Give the indices of all elements other than 0: int64 (count, ndim), or with `as_tuple` an array per dimension."""
    check_array("nonzero", "input", input)
    x = unwrap(input)
    found = np.nonzero(x.reshape(shape_of(x)))
    made: Any = found if as_tuple else np.stack(found, 1)[:, : x.ndim]
    if not isinstance(input, Tensor):
        return made
    return tuple(map(wrap, made)) if as_tuple else wrap(made)


def argwhere(input: Any) -> Any:
    """Give the indices of all elements other than 0: int64 (count, ndim)."""
    check_array("argwhere", "input", input)
    return nonzero(input)
