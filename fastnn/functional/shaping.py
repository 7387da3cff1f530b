"""Other shapes of the same elements: views where NumPy gives views, and their joining and splitting."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, is_masked, plain_index
from fastnn_kernels import checks, contiguous, index_reduce

from .arithmetic import unbroadcast
from .promotion import promoted


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept both f(2, 3) and f((2, 3))."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


@differentiable
def reshape(input: Array, *sizes: Any, shape: Any = None) -> WithBackward:
    """Give the elements in another shape, ``reshape(x, 2, 3)`` or ``reshape(x, (2, 3))``; one entry may be -1."""
    wanted = _sizes(sizes) if shape is None else shape
    try:
        y = input.reshape(wanted)
    except ValueError:
        raise ValueError(f"reshape: {input.size} elements (shape {input.shape}) do not fit shape {wanted}") from None
    return y, lambda dy, needs: (dy.reshape(input.shape),)


@differentiable
def flatten(input: Array, start_dim: int = 0, end_dim: int = -1) -> WithBackward:
    """Give the dimensions start_dim .. end_dim rolled into one."""
    shape = input.shape
    count = input.ndim or 1
    start, end = (dim + count if dim < 0 else dim for dim in (start_dim, end_dim))
    if not 0 <= start <= end < count:
        raise ValueError(f"flatten: dimensions {start_dim} .. {end_dim} do not fit shape {shape}")
    length = prod(shape[start : end + 1])
    if type(input) is np.ndarray and not input.flags.c_contiguous and input.dtype.char in "fd":
        input = contiguous(input)  # NumPy takes three times as long to copy channels-last images
    return input.reshape(*shape[:start], length, *shape[end + 1 :]), lambda dy, needs: (dy.reshape(shape),)


@differentiable
def transpose(input: Array, dim0: int = 0, dim1: int = 1) -> WithBackward:
    """Exchange two dimensions."""
    if not input.ndim:  # which has a dimension 0, as in PyTorch
        dim0, dim1 = (checks.normalize_dim("transpose", dim, 0) for dim in (dim0, dim1))
        return input, lambda dy, needs: (dy,)
    try:
        y = input.swapaxes(dim0, dim1)
    except ValueError:
        raise ValueError(f"transpose: dimensions {dim0} and {dim1} do not fit shape {input.shape}") from None
    return y, lambda dy, needs: (dy.swapaxes(dim0, dim1),)


@differentiable
def permute(input: Array, *order: Any, dims: Any = None) -> WithBackward:
    """Put the dimensions into an order, ``permute(x, 1, 0)`` or ``permute(x, dims=(1, 0))``; reversed without one."""
    order = _sizes(order if dims is None else (dims,)) or tuple(reversed(range(input.ndim)))
    try:
        y = input.transpose(order)
    except ValueError:
        raise ValueError(f"permute: dims {order} are not all dimensions of shape {input.shape}, each once") from None
    return y, lambda dy, needs: (dy.transpose(np.argsort([dim % input.ndim for dim in order])),)


@differentiable
def _movedim(input: Array, source: tuple[int, ...], destination: tuple[int, ...]) -> WithBackward:
    y = np.moveaxis(input, source, destination)
    return y, lambda dy, needs: (np.moveaxis(dy, destination, source),)


def movedim(input: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """Move dimensions, one or as many each, from where they are to other places; the others keep their order."""
    check_array("movedim", "input", input)
    sources, places = (tuple(d) if isinstance(d, tuple | list) else (d,) for d in (source, destination))
    sources = tuple(checks.normalize_dim("movedim", d, input.ndim, "source") for d in sources)
    places = tuple(checks.normalize_dim("movedim", d, input.ndim, "destination") for d in places)
    if len(sources) != len(places) or len(set(sources)) < len(sources) or len(set(places)) < len(places):
        raise ValueError(f"movedim: source {source} and destination {destination} must be as many, each only once")
    return _movedim(input, sources, places) if input.ndim else input


@differentiable
def squeeze(input: Array, dim: int | tuple[int, ...] | None = None) -> WithBackward:
    """Drop dimensions of length 1: all, or those of `dim` that have it."""
    if dim is not None:
        dims = [checks.normalize_dim("squeeze", d, input.ndim) for d in (dim if isinstance(dim, tuple) else (dim,))]
        dim = tuple(d for d in dims if input.ndim and input.shape[d] == 1)
    return input.squeeze(dim), lambda dy, needs: (dy.reshape(input.shape),)


@differentiable
def unsqueeze(input: Array, dim: int) -> WithBackward:
    """Insert a dimension of length 1."""
    try:
        y = np.expand_dims(input, dim)
    except ValueError:
        n = input.ndim
        raise ValueError(f"unsqueeze: dim must be from {-n - 1} to {n} for {n} dimensions, got {dim}") from None
    return y, lambda dy, needs: (dy.reshape(input.shape),)


@differentiable
def broadcast_to(input: Array, shape: tuple[int, ...]) -> WithBackward:
    """Repeat to `shape` by NumPy's rules, without copying."""
    try:
        y = np.broadcast_to(input, shape)
    except ValueError:
        raise ValueError(f"broadcast_to: shape {input.shape} cannot be repeated to {shape}") from None
    return y, lambda dy, needs: (unbroadcast(dy, input),)


def check_array(function: str, name: str, x: Any) -> None:
    """Raise TypeError for anything but a tensor or an array, and for masked arrays."""
    if not isinstance(x, Tensor | np.ndarray | np.generic):
        what = "None" if x is None else type(x).__name__
        raise TypeError(f"{function}: {name} must be a tensor or an array, got {what}")
    if is_masked(x):
        raise TypeError(f"{function}: {name} is a masked array, whose mask would be lost; fill it first: .filled(0)")


def expand(input: Array, *sizes: Any) -> Any:
    """Repeat dimensions of length 1 to `sizes`; -1 keeps a length."""
    check_array("expand", "input", input)
    shape = _sizes(sizes)
    added = len(shape) - input.ndim
    if added < 0 or -1 in shape[:added]:
        raise ValueError(f"expand: sizes {shape} do not fit shape {input.shape}")
    return broadcast_to(input, tuple(input.shape[i - added] if size == -1 else size for i, size in enumerate(shape)))


@differentiable
def _getitem(input: Array, index: Any) -> WithBackward:
    y = input[index]
    if type(y) is not np.ndarray:  # a number of NumPy: a view of it can be written to
        y = input[(*index, ...) if isinstance(index, tuple) else (index, ...)]

    def backward(dy: Array, needs: Needs) -> Gradients:
        if _may_repeat(index):
            return (_added(dy, input.shape, index),)
        dx = np.zeros(input.shape, dy.dtype)
        dx[index] = dy
        return (dx,)

    return y, backward


def _may_repeat(index: Any) -> bool:
    """Tell whether an element could be picked twice: only lists and integer arrays can do that."""
    return any(
        not (i is None or i is Ellipsis or isinstance(i, int | slice | np.integer))
        and not (isinstance(i, np.ndarray) and (i.dtype == bool or i.ndim == 0))
        for i in (index if isinstance(index, tuple) else (index,))
    )


def _added(dy: Any, shape: tuple[int, ...], index: Any) -> Any:
    """Add the gradients of ``x[index]`` up where they came from: as rows of what the index leaves whole."""
    parts = index if isinstance(index, tuple) else (index,)
    if all(isinstance(i, int | slice | np.integer | np.ndarray | list) and np.asarray(i).dtype != bool for i in parts):
        whole = len(parts)  # dimensions that the index looks at
    else:
        whole = len(shape)
    rows = prod(shape[:whole])
    places = np.arange(rows).reshape(shape[:whole])[index].reshape(-1)
    return add_rows(places, dy.reshape(len(places), *shape[whole:]), rows).reshape(shape)


def add_rows(index: Any, source: Any, rows: int) -> Any:
    """Give `rows` rows of zeros after adding to row index[m] the row m of a gradient (M, ...)."""
    return index_reduce(None, index, source, rows=rows)


def getitem(input: Array, index: Any) -> Any:
    """Give ``input[index]`` for any index NumPy knows; repeated elements collect all their gradients."""
    if not isinstance(input, Tensor):  # NumPy's rules
        check_array("getitem", "input", input)
        return _getitem(input, plain_index(index))
    index = plain_index(index)
    if type(index) is tuple and (apart := integers_first(index)) is not None:
        return _getitem(_getitem(input, apart[0]), apart[1])
    return _getitem(input, index)


def integers_first(index: tuple[Any, ...]) -> tuple[Any, Any] | None:
    """Split an index of integers and arrays that are apart from each other: what picks by integers, and the rest.

    As in PyTorch, ``x[0, :, [1, 2]]`` is ``x[0][:, [1, 2]]``: NumPy counts the integer among the arrays, and moves
    their dimension to the front. Gives None where both mean the same.
    """
    if all([type(i) is not np.ndarray and type(i) is not list for i in index]):
        return None
    whole = [isinstance(i, int | np.integer) and not isinstance(i, bool) for i in index]
    whole = [
        w or (type(i) is np.ndarray and not i.ndim and i.dtype.kind in "iu") for w, i in zip(whole, index, strict=True)
    ]
    arrays = [w or isinstance(i, list | np.ndarray) for w, i in zip(whole, index, strict=True)]
    places = [k for k, array in enumerate(arrays) if array]
    if not any(whole) or all(whole[k] for k in places) or places[-1] - places[0] == len(places) - 1:
        return None
    first: list[Any] = []
    for i, w in zip(index, whole, strict=True):
        if w:
            first.append(int(i))  # not an array without dimensions: that would copy
        elif i is Ellipsis:
            first.append(i)
        elif i is not None:
            mask = isinstance(i, list | np.ndarray) and np.asarray(i).dtype == bool
            first += [slice(None)] * (np.ndim(i) if mask else 1)
    return tuple(first), tuple([i for i, w in zip(index, whole, strict=True) if not w])


def _parts(parts: Any, arrays: Sequence[Any], needs: Needs) -> Gradients:
    """Give the gradients of joined arrays, each in the dtype that its array had."""
    return tuple(
        part.astype(array.dtype, copy=False) if needed else None
        for part, array, needed in zip(parts, arrays, needs, strict=True)
    )


def _one_dtype(function: str, arrays: Sequence[Any]) -> Sequence[Any]:
    """Give arrays, numbers or lists as arrays of the dtype of the joined one."""
    if all([type(x) is np.ndarray and x.dtype is arrays[0].dtype for x in arrays]):
        return arrays
    made = promoted(function, **{f"tensors[{i}]": x for i, x in enumerate(arrays)})
    dtype = np.result_type(*made)  # numbers do not choose it
    return [np.asarray(x, dtype) for x in made]


def _joined(function: str, join: Any, arrays: Sequence[Any], dim: int) -> Any:
    """Join by a function of NumPy's. Raises ValueError with all shapes where they do not fit."""
    try:
        return join(arrays, axis=dim)
    except np.exceptions.AxisError:
        raise
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in arrays[:8]) + (" ..." if len(arrays) > 8 else "")
        wanted = "must have the same shape" if join is np.stack else f"may differ in dimension {dim} only"
        if join is np.concatenate and any(x.ndim == 0 for x in arrays):
            wanted = "must have a dimension to be joined along"
        raise ValueError(f"{function}: tensors {wanted}, got shapes {shapes}") from None


@differentiable
def _cat(*arrays: Array, dim: int = 0) -> WithBackward:
    made = _one_dtype("cat", arrays)
    y = _joined("cat", np.concatenate, made, dim)
    ends = np.cumsum([array.shape[dim] for array in made])[:-1]
    return y, lambda dy, needs: _parts(np.split(dy, ends, axis=dim), arrays, needs)


def cat(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Join along an existing dimension."""
    if not len(tensors):
        raise ValueError("cat: expected at least one tensor")
    return _cat(*tensors, dim=dim)


@differentiable
def _stack(*arrays: Array, dim: int = 0) -> WithBackward:
    y = _joined("stack", np.stack, _one_dtype("stack", arrays), dim)
    return y, lambda dy, needs: _parts(np.moveaxis(dy, dim, 0), arrays, needs)


def stack(tensors: Sequence[Any], dim: int = 0) -> Any:
    """Join along a new dimension."""
    if not len(tensors):
        raise ValueError("stack: expected at least one tensor")
    return _stack(*tensors, dim=dim)


@differentiable
def _split(input: Array, ends: tuple[int, ...], dim: int) -> WithBackward:
    parts = tuple(np.split(input, ends, axis=dim))

    def backward(dys: tuple[Array, ...], needs: Needs) -> Gradients:
        return (
            np.concatenate(
                [np.zeros_like(part) if dy is None else dy for part, dy in zip(parts, dys, strict=True)], axis=dim
            ),
        )

    return parts, backward


def split(tensor: Array, split_size_or_sections: int | Sequence[int], dim: int = 0) -> Any:
    """Cut along `dim` into views of the given size (the last may be smaller) or of the given sizes."""
    check_array("split", "tensor", tensor)
    if not tensor.ndim:
        raise ValueError("split: expected a tensor of at least 1 dimension, got shape ()")
    length = tensor.shape[dim]
    if isinstance(split_size_or_sections, int | np.integer):
        if split_size_or_sections < 1:
            raise ValueError(f"split: the size of the parts must be at least 1, got {split_size_or_sections}")
        return _split(tensor, tuple(range(split_size_or_sections, length, split_size_or_sections)), dim)
    if builtins.sum(split_size_or_sections) != length:
        raise ValueError(f"split: sections {list(split_size_or_sections)} do not add up to {length} (dim {dim})")
    return _split(tensor, tuple(int(end) for end in np.cumsum(split_size_or_sections)[:-1]), dim)


def chunk(input: Array, chunks: int, dim: int = 0) -> Any:
    """Cut along `dim` into at most `chunks` views of equal size; the last may be smaller."""
    if chunks < 1:
        raise ValueError(f"chunk: chunks must be at least 1, got {chunks}")
    check_array("chunk", "input", input)
    if not input.ndim:
        raise ValueError("chunk: expected a tensor of at least 1 dimension, got shape ()")
    length = input.shape[dim]
    return split(input, -(-length // chunks) if length else [0] * chunks, dim)
