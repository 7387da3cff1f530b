"""Elements in another order, repeated, joined or cut: views where NumPy gives views.

`dim` counts from the end if negative.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations as choices
from itertools import combinations_with_replacement as repeated_choices
from math import prod
from typing import Any

import numpy as np

from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap, wrap
from fastnn_kernels import checks

from .indexing import index_select
from .shaping import (
    add_rows,
    broadcast_to,
    cat,
    check_array,
    flatten,
    getitem,
    movedim,
    reshape,
    split,
    stack,
    transpose,
    unsqueeze,
)

__all__ = [
    "atleast_1d",
    "atleast_2d",
    "atleast_3d",
    "broadcast_tensors",
    "cartesian_prod",
    "column_stack",
    "combinations",
    "dsplit",
    "dstack",
    "flip",
    "fliplr",
    "flipud",
    "hsplit",
    "hstack",
    "meshgrid",
    "moveaxis",
    "movedim",
    "repeat",
    "repeat_interleave",
    "roll",
    "rot90",
    "swapaxes",
    "swapdims",
    "tensor_split",
    "tile",
    "unbind",
    "unflatten",
    "unfold_dimension",
    "vsplit",
    "vstack",
]

moveaxis = movedim
swapdims = transpose


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """Exchange two dimensions, as `transpose`."""
    return transpose(input, axis0, axis1)


def _dims(function: str, dims: Any, ndim: int, name: str = "dims") -> tuple[int, ...]:
    """Give one or several dimensions as a tuple, counted from 0. ValueError for one that comes twice."""
    given = tuple(dims) if isinstance(dims, tuple | list) else (dims,)
    made = tuple(checks.normalize_dim(function, dim, ndim, name) for dim in given)
    if len(set(made)) < len(made):
        raise ValueError(f"{function}: {name} {dims} holds a dimension twice")
    return made


def _sizes(sizes: tuple[Any, ...]) -> tuple[int, ...]:
    """Accept both f(2, 3) and f((2, 3))."""
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else sizes


# --- another order


@differentiable
def _flip(input: Array, dims: tuple[int, ...]) -> WithBackward:
    return np.flip(input, dims), lambda dy, needs: (np.flip(dy, dims),)


def flip(input: Any, *axes: Any, dims: Any = None) -> Any:
    """Reverse the order along one or several dimensions: ``flip(x, 0, 1)`` or ``flip(x, dims=(0, 1))``; a view."""
    check_array("flip", "input", input)
    given = _dims("flip", _sizes(axes) if dims is None else dims, input.ndim)
    return _flip(input, given if input.ndim else ())


def fliplr(input: Any) -> Any:
    """Reverse the order along dimension 1."""
    check_array("fliplr", "input", input)
    if input.ndim < 2:
        raise ValueError(f"fliplr: input must have at least 2 dimensions, got shape {input.shape}")
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """Reverse the order along dimension 0."""
    check_array("flipud", "input", input)
    if input.ndim < 1:
        raise ValueError("flipud: input must have at least 1 dimension, got shape ()")
    return flip(input, 0)


@differentiable
def _roll(input: Array, shifts: Any, dims: Any) -> WithBackward:
    back = tuple(-s for s in shifts) if isinstance(shifts, tuple) else -shifts
    return np.roll(input, shifts, dims), lambda dy, needs: (np.roll(dy, back, dims),)


def roll(input: Any, shifts: int | Sequence[int], dims: int | Sequence[int] | None = None) -> Any:
    """Move the elements `shifts` places on along `dims`; what leaves at the end comes back in front.

    One shift, or one for each of several dims. Without `dims` the flattened elements are moved.
    """
    check_array("roll", "input", input)
    moves = tuple(shifts) if isinstance(shifts, tuple | list) else (shifts,)
    moves = tuple(_whole("roll", "shifts", shift) for shift in moves)
    if dims is None or dims == ():
        if len(moves) != 1:
            raise ValueError(f"roll: several shifts {shifts} need as many dims")
        return _roll(input, moves[0], None)
    places = tuple(dims) if isinstance(dims, tuple | list) else (dims,)
    places = tuple(checks.normalize_dim("roll", dim, input.ndim, "dims") for dim in places)
    if len(places) != len(moves):
        raise ValueError(f"roll: shifts {shifts} and dims {dims} must be as many")
    return _roll(input, moves, places) if input.ndim else input


def _whole(function: str, name: str, value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{function}: {name} must be integers, got {value!r}")
    return int(value)


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """Turn by k right angles from the first towards the second of two dimensions; a view."""
    check_array("rot90", "input", input)
    if len(dims) != 2 or input.ndim < 2:
        raise ValueError(f"rot90: expected two dims of at least 2, got dims {tuple(dims)} for shape {input.shape}")
    a, b = _dims("rot90", tuple(dims), input.ndim)
    k = _whole("rot90", "k", k) % 4
    if k == 0:
        return input
    if k == 2:
        return flip(input, a, b)
    return flip(transpose(input, a, b), a if k == 1 else b)


# --- repeated


def repeat(input: Any, *counts: Any, repeats: Any = None) -> Any:
    """Give copies side by side: ``repeat(x, 2, 3)`` twice along the first dimension and three times along the next.

    As many numbers as dimensions, or more: they count from the last, and new dimensions come in front. This is
    PyTorch's Tensor.repeat and numpy.tile, not numpy.repeat, which is `repeat_interleave`.
    """
    check_array("repeat", "input", input)
    counts = _sizes(counts if repeats is None else (repeats,))
    if len(counts) < input.ndim:
        raise ValueError(f"repeat: {len(counts)} repeats {counts} for an input of shape {input.shape}; need as many")
    return _tiled("repeat", input, counts)


def tile(input: Any, *counts: Any, dims: Any = None) -> Any:
    """Give copies side by side, as `repeat`; missing numbers count as 1."""
    check_array("tile", "input", input)
    counts = _sizes(counts if dims is None else (dims,))
    return _tiled("tile", input, (1,) * (input.ndim - len(counts)) + tuple(counts))


def _tiled(function: str, input: Any, counts: tuple[int, ...]) -> Any:
    counts = tuple(_whole(function, "repeats", count) for count in counts)
    if any(count < 0 for count in counts):
        raise ValueError(f"{function}: repeats must not be negative, got {counts}")
    shape = (1,) * (len(counts) - input.ndim) + tuple(input.shape)
    if all(count == 1 for count in counts):
        return reshape(input, shape)
    apart = [size for pair in zip((1,) * len(shape), shape, strict=True) for size in pair]
    wide = [size for pair in zip(counts, shape, strict=True) for size in pair]
    made = broadcast_to(reshape(input, apart), tuple(wide))
    return reshape(made, tuple(count * size for count, size in zip(counts, shape, strict=True)))


def repeat_interleave(
    input: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
) -> Any:  # fmt: skip
    """Repeat each element along `dim`: a b -> a a b b; without `dim`, of the flattened input.

    repeats: how often, a number or one per element (N,). `output_size` is accepted and not needed. This is
    numpy.repeat. Without `repeats`, the indices 0, 1, ... are repeated as often as the integers of the input say.
    """
    check_array("repeat_interleave", "input", input)
    if repeats is None:
        places = np.arange(input.shape[0] if input.ndim else 1)
        input, repeats, dim = wrap(places) if isinstance(input, Tensor) else places, input, 0
    if dim is None:
        input, dim = flatten(input), 0
    dim = checks.normalize_dim("repeat_interleave", dim, input.ndim)
    counts = np.asarray(unwrap(repeats))
    length = input.shape[dim] if input.ndim else 1
    if counts.dtype.kind not in "iu" or counts.ndim > 1 or counts.size not in (1, length):
        raise ValueError(
            f"repeat_interleave: repeats must be an integer or {length} of them, got {counts.dtype} {counts.shape}"
        )
    if counts.size and counts.min() < 0:
        raise ValueError(f"repeat_interleave: repeats must not be negative, got {counts.min()}")
    if counts.size == 1 and input.ndim:
        count, shape = int(counts.reshape(-1)[0]), tuple(input.shape)
        wide = broadcast_to(unsqueeze(input, dim + 1), (*shape[: dim + 1], count, *shape[dim + 1 :]))
        return reshape(wide, (*shape[:dim], length * count, *shape[dim + 1 :]))
    return index_select(reshape(input, -1) if not input.ndim else input, dim, np.repeat(np.arange(length), counts))


# --- cut


@differentiable
def _unbind(input: Array, dim: int) -> WithBackward:
    parts = tuple(np.moveaxis(input, dim, 0))

    def backward(dys: tuple[Array, ...], needs: Needs) -> Gradients:
        whole = [np.zeros_like(part) if dy is None else dy for part, dy in zip(parts, dys, strict=True)]
        return (np.stack(whole, dim) if whole else np.zeros(input.shape, input.dtype),)

    return parts, backward


def unbind(input: Any, dim: int = 0) -> Any:
    """Give all slices along `dim`, views without that dimension, as a tuple."""
    check_array("unbind", "input", input)
    if not input.ndim:
        raise ValueError("unbind: expected a tensor of at least 1 dimension, got shape ()")
    return _unbind(input, checks.normalize_dim("unbind", dim, input.ndim))


def tensor_split(
    input: Any, indices_or_sections: Any = None, dim: int = 0, *, sections: int | None = None, indices: Any = None
) -> Any:  # fmt: skip
    """Cut along `dim` into a number of views that differ in length by at most 1, or before the given indices."""
    given = [x for x in (indices_or_sections, sections, indices) if x is not None]
    if len(given) != 1:
        raise TypeError("tensor_split: give one of indices_or_sections, sections and indices")
    return _cut("tensor_split", input, given[0], dim)


def _cut(function: str, input: Any, where: Any, dim: int, even: bool = False) -> Any:
    check_array(function, "input", input)
    if not input.ndim:
        raise ValueError(f"{function}: expected a tensor of at least 1 dimension, got shape ()")
    dim = checks.normalize_dim(function, dim, input.ndim)
    where = np.asarray(unwrap(where)) if not isinstance(where, int) else where
    count = input.shape[dim]
    if np.ndim(where) == 0:
        sections = _whole(function, "indices_or_sections", where)
        if sections < 1 or (even and count % sections):
            raise ValueError(f"{function}: dim {dim} of shape {input.shape} cannot be cut into {sections} parts")
        return split(input, [count // sections + (i < count % sections) for i in range(sections)], dim)
    parts = [slice(a, b) for a, b in zip([0, *where.tolist()], [*where.tolist(), None], strict=True)]
    return tuple(getitem(input, (*[slice(None)] * dim, part)) for part in parts)


def hsplit(input: Any, indices_or_sections: Any) -> Any:
    """Cut along dimension 1, of vectors along dimension 0: into equal parts, or before the given indices."""
    check_array("hsplit", "input", input)
    return _cut("hsplit", input, indices_or_sections, 1 if input.ndim > 1 else 0, True)


def vsplit(input: Any, indices_or_sections: Any) -> Any:
    """Cut along dimension 0 of at least 2 into equal parts, or before the given indices."""
    return _cut_deep("vsplit", input, indices_or_sections, 2)


def dsplit(input: Any, indices_or_sections: Any) -> Any:
    """Cut along dimension 2 of at least 3 into equal parts, or before the given indices."""
    return _cut_deep("dsplit", input, indices_or_sections, 3)


def _cut_deep(function: str, input: Any, where: Any, least: int) -> Any:
    check_array(function, "input", input)
    if input.ndim < least:
        raise ValueError(f"{function}: input must have at least {least} dimensions, got shape {input.shape}")
    return _cut(function, input, where, 0 if least == 2 else 2, True)


@differentiable
def _windows(input: Array, dim: int, size: int, step: int) -> WithBackward:
    if not input.ndim:
        return np.array(input).reshape(1)[:size], lambda dy, needs: (add_rows(np.zeros(size, int), dy, 1).reshape(()),)
    count = (input.shape[dim] - size) // step + 1
    every = (*[slice(None)] * dim, slice(None, None, step))
    y = np.lib.stride_tricks.sliding_window_view(input, size, dim)[every]

    def backward(dy: Array, needs: Needs) -> Gradients:
        index = np.arange(count)[:, None] * step + np.arange(size)
        moved = np.moveaxis(np.moveaxis(dy, dim, 0), -1, 1)  # (count, size, ...)
        rows = moved.reshape(count * size, *moved.shape[2:])
        return (np.moveaxis(add_rows(index.reshape(-1), rows, input.shape[dim]), 0, dim),)

    return y, backward


def unfold_dimension(input: Any, dimension: int, size: int, step: int) -> Any:
    """Give all windows of `size` elements along a dimension, `step` apart, as a last dimension: Tensor.unfold.

    input (..., N, ...) -> (..., (N - size) // step + 1, ..., size), a read-only view. (`unfold` is PyTorch's function
    of that name: patches of images.)
    """
    check_array("unfold_dimension", "input", input)
    dim = checks.normalize_dim("unfold_dimension", dimension, input.ndim, "dimension")
    size = checks.integer("unfold_dimension", "size", size, 0)
    step = checks.integer("unfold_dimension", "step", step, 1)
    length = input.shape[dim] if input.ndim else 1
    if size > length:
        raise ValueError(f"unfold_dimension: size {size} is more than dim {dim} of shape {input.shape} has")
    return _windows(input, dim, size, step)


def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """Give a dimension the shape `sizes`, one of which may be -1."""
    check_array("unflatten", "input", input)
    dim = checks.normalize_dim("unflatten", dim, input.ndim)
    sizes, shape = tuple(int(size) for size in sizes), tuple(input.shape)
    if not shape:
        raise ValueError("unflatten: expected a tensor of at least 1 dimension, got shape ()")
    known = prod(size for size in sizes if size != -1)
    if sizes.count(-1) == 1 and known > 0 and shape[dim] % known == 0:
        sizes = tuple(shape[dim] // known if size == -1 else size for size in sizes)
    if -1 in sizes or prod(sizes) != shape[dim]:
        raise ValueError(f"unflatten: sizes {sizes} do not make up dim {dim} of shape {shape}")
    return reshape(input, (*shape[:dim], *sizes, *shape[dim + 1 :]))


# --- joined


def several(function: str, tensors: Any) -> list[Any]:
    """Give the tensors of f(a, b) or f([a, b]). TypeError for what is no tensor."""
    given = list(tensors[0]) if len(tensors) == 1 and isinstance(tensors[0], tuple | list) else list(tensors)
    if not given:
        raise ValueError(f"{function}: expected at least one tensor")
    for i, x in enumerate(given):
        check_array(function, f"tensors[{i}]", x)
    return given


def atleast_1d(*tensors: Any) -> Any:
    """Give a tensor without dimensions one; of several tensors a tuple."""
    return _deep("atleast_1d", tensors, lambda x: x if x.ndim else reshape(x, 1))


def atleast_2d(*tensors: Any) -> Any:
    """Give tensors at least 2 dimensions, new ones in front; of several tensors a tuple."""
    return _deep("atleast_2d", tensors, lambda x: x if x.ndim > 1 else reshape(x, 1, -1))


def atleast_3d(*tensors: Any) -> Any:
    """Give tensors at least 3 dimensions: (N,) as (1, N, 1), (M, N) as (M, N, 1); of several tensors a tuple."""
    return _deep("atleast_3d", tensors, lambda x: x if x.ndim > 2 else unsqueeze(atleast_2d(x), -1))


def _deep(function: str, tensors: Any, deepen: Any) -> Any:
    made = tuple(deepen(x) for x in several(function, tensors))
    return made[0] if len(tensors) == 1 and not isinstance(tensors[0], tuple | list) else made


def hstack(tensors: Sequence[Any]) -> Any:
    """Join along dimension 1, vectors along dimension 0."""
    given = [atleast_1d(x) for x in several("hstack", (tensors,))]
    return cat(given, 0 if given[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Any:
    """Join along dimension 0; vectors become rows."""
    return cat([atleast_2d(x) for x in several("vstack", (tensors,))], 0)


def dstack(tensors: Sequence[Any]) -> Any:
    """Join along dimension 2; vectors and matrices get that dimension."""
    return cat([atleast_3d(x) for x in several("dstack", (tensors,))], 2)


def column_stack(tensors: Sequence[Any]) -> Any:
    """Join along dimension 1; vectors become columns."""
    return cat([x if x.ndim > 1 else reshape(x, -1, 1) for x in several("column_stack", (tensors,))], 1)


def broadcast_tensors(*tensors: Any) -> Any:
    """Repeat tensors to their common shape, without copying; gives a tuple."""
    given = several("broadcast_tensors", tensors)
    try:
        shape = np.broadcast_shapes(*[x.shape for x in given])
    except ValueError:
        shapes = ", ".join(str(tuple(x.shape)) for x in given)
        raise ValueError(f"broadcast_tensors: shapes {shapes} do not fit together") from None
    return tuple(broadcast_to(x, shape) for x in given)


def meshgrid(*tensors: Any, indexing: str = "ij") -> Any:
    """Give the coordinates of a grid: of vectors (M,), (N,), ... as many tensors (M, N, ...), views, as a tuple.

    indexing="xy" exchanges the first two dimensions, as numpy.meshgrid does of itself.
    """
    given = [reshape(x, -1) if x.ndim == 0 else x for x in several("meshgrid", tensors)]
    checks.choice("meshgrid", "indexing", indexing, ("ij", "xy"))
    if any(x.ndim > 1 for x in given):
        raise ValueError(f"meshgrid: expected vectors, got shapes {[tuple(x.shape) for x in given]}")
    shape = tuple(x.shape[0] for x in given)
    made = [
        broadcast_to(reshape(x, [-1 if i == j else 1 for j in range(len(given))]), shape) for i, x in enumerate(given)
    ]
    return tuple(transpose(x, 0, 1) if indexing == "xy" and len(given) > 1 else x for x in made)


def cartesian_prod(*tensors: Any) -> Any:
    """Give all combinations of an element of each vector: (M,), (N,), ... -> (M N ..., their number)."""
    grids = meshgrid(*several("cartesian_prod", tensors))
    return grids[0] if len(grids) == 1 else stack([flatten(x) for x in grids], -1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """Give all choices of r elements of a vector, in order: (N,) -> (their number, r)."""
    check_array("combinations", "input", input)
    if input.ndim != 1:
        raise ValueError(f"combinations: input must be a vector, got shape {input.shape}")
    r = checks.integer("combinations", "r", r, 0)
    if not r:
        return getitem(input, slice(0))
    picks = list((repeated_choices if with_replacement else choices)(range(len(input)), r))
    return getitem(input, np.array(picks, np.int64).reshape(len(picks), r))
