"""Reductions over any axes: sum, mean, var, std, prod, max, min, argmax and argmin.

All take float32 or float64 arrays of any shape and strides (TypeError for other dtypes) and NumPy's arguments. axis: an
integer, a tuple of integers, or None for all; ValueError if one is out of range or comes twice. keepdims: keep reduced
axes with length 1. out: an array of the result's shape and dtype that does not overlap the input (ValueError,
TypeError); it is written and returned. Without it, a result without axes is a NumPy scalar.

Sums are compensated and taken in blocks of fixed size: results have the same bits for any number of threads.
"""

from __future__ import annotations

import builtins
from math import inf, nan
from math import prod as product
from operator import index
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .cpu import reduction as cpu
from .cpu import reduction_index as of_index
from .ground import memory
from .ground.checks import F4, F8, I8, as_float_array, check_out, normalize_dim, number
from .ground.memory import FAR, empty
from .ground.plans import Plans
from .ground.threads import get_num_threads, tasks

SMALL = 4096  # fewer results are not allocated from the pool
GRAIN = 32768  # elements worth waking a second thread for
SHORT = 32  # a reduced dimension shorter than this is faster with vectors along a kept one
FEW = 4  # a kept dimension shorter than this leaves vectors along it too empty
PIECE_OF_ROW, PIECE_OF_ROWS = 8192, 256  # elements of a row, and rows, in one unit of work
ROW_LIMIT, ROWS_LIMIT = 1 << 17, 1 << 14  # most elements, or rows, of a block: the sum of errors is rounded, too
PRODUCT = 16  # times shorter are blocks of products: second-order errors, left out, grow with the length squared
ITEMS = 64  # fewer work items are cut into blocks, so that more than two threads have work
BLOCKS = 256  # most blocks of all results together
LANES = 256  # lanes to which a few columns are widened, by reading several rows as one
NOTHING = {dtype: np.empty(0, dtype) for dtype in (F4, F8)}


def sum(x, axis=None, *, keepdims=False, out=None):
    """Return the sum over `axis`; 0 for no elements.

    The error is at most 1 ulp where no more than a few digits cancel (measured 0.51 over 1e8 numbers): the sum is
    compensated, apart from the additions within groups of four elements.
    """
    return _reduce("sum", x, axis, keepdims, out)


def mean(x, axis=None, *, keepdims=False, out=None):
    """Return the mean over `axis`, as accurate as the sum; NaN for no elements."""
    return _reduce("mean", x, axis, keepdims, out)


def var(x, axis=None, *, ddof=0, keepdims=False, out=None):
    """Return the sum of squared distances from the mean over `axis`, divided by the number of elements minus `ddof`.

    NaN or infinity where no more than `ddof` elements are reduced. The mean is subtracted in twice the precision, so
    that an offset of the data costs no digits: at most 3 ulp (measured 1.6).
    """
    return _reduce("var", x, axis, keepdims, out, number("var", "ddof", ddof))


def std(x, axis=None, *, ddof=0, keepdims=False, out=None):
    """Return the square root of the variance; see `var`."""
    return _reduce("std", x, axis, keepdims, out, number("std", "ddof", ddof))


def prod(x, axis=None, *, keepdims=False, out=None):
    """Return the product over `axis`; 1 for no elements.

    Compensated like the sum: at most 1 ulp, unless a part of the product is subnormal or overflows.
    """
    return _reduce("prod", x, axis, keepdims, out)


def max(x, axis=None, *, keepdims=False, out=None):
    """Return the largest element over `axis`, NaN if there is one. ValueError for no elements."""
    return _reduce("max", x, axis, keepdims, out)


def min(x, axis=None, *, keepdims=False, out=None):
    """Return the smallest element over `axis`, NaN if there is one. ValueError for no elements."""
    return _reduce("min", x, axis, keepdims, out)


def argmax(x, axis=None, *, keepdims=False, out=None):
    """Return the index of the first largest element along one axis, or in the flattened array, as int64.

    NaN is larger than everything. ValueError for no elements, TypeError for several axes.
    """
    return _reduce("argmax", x, axis, keepdims, out)


def argmin(x, axis=None, *, keepdims=False, out=None):
    """Return the index of the first smallest element along one axis, or in the flattened array, as int64.

    NaN is smaller than everything. ValueError for no elements, TypeError for several axes.
    """
    return _reduce("argmin", x, axis, keepdims, out)


def _reduce(function, x, axis, keepdims, out, ddof=0.0):
    if type(x) is not ndarray or (x.dtype is not F4 and x.dtype is not F8) or not x.flags.aligned:
        x = as_float_array(function, "x", x)
    if axis is not None and type(axis) is not int:
        axis = _integers(function, axis)
    if type(keepdims) is not bool:
        keepdims = _flag(function, keepdims)
    plan = _plans[function, x.shape, x.strides, x.dtype, axis, keepdims, ddof, get_num_threads()]
    if out is not None:
        return plan.into(x, out)
    y = memory.fresh(plan.flat, plan.dtype) if plan.small else empty(plan.flat, plan.dtype)
    vector = x if plan.corner is None else x[plan.corner]
    if plan.given is None:
        plan.run(vector, y)
    else:
        plan.kernel(vector, y, *plan.given)
    return y[0] if plan.shape == () else y if plan.is_flat else y.reshape(plan.shape)


def _integers(function, axis):
    """Return an axis as an int, several as a tuple of them."""
    if isinstance(axis, (tuple, list)):
        return tuple(_integer(function, one) for one in axis)
    return _integer(function, axis)


def _integer(function, axis):
    if isinstance(axis, (bool, np.bool_)):
        raise TypeError(f"{function}: axis must be an integer, several or None, got {axis!r}")
    try:
        return index(axis)
    except TypeError:
        raise TypeError(f"{function}: axis must be an integer, several or None, got {axis!r}") from None


def _flag(function, keepdims):
    try:
        return bool(keepdims if isinstance(keepdims, np.bool_) else index(keepdims))
    except TypeError:
        raise TypeError(f"{function}: keepdims must be True or False, got {keepdims!r}") from None


class _Dim(NamedTuple):
    """One or several merged dimensions: length, stride in elements, and the output's stride if they are kept."""

    n: int
    stride: int
    out: int = 0

    @property
    def apart(self):
        return abs(self.stride) or inf


class _Stage(NamedTuple):
    """One launch: `rows` or `lanes`, geometry, numbers of work items and tasks, the states it writes."""

    rows: bool
    geometry: Any
    items: int
    number: int
    first: int
    states: int


class _Plan:
    """What to do with inputs of one shape and strides.

    shape, flat: the result's shape, and the 1-d shape it is computed in; small: whether it has few elements. corner:
    the index that gives a 1-d view starting at the input's first element; None if the input is 1-d. run(vector, y):
    compute. given: if not None, kernel(vector, y, *given) does the same.
    """

    given = None

    def __init__(self, function, shape, strides, dtype, axis, keepdims, ddof, threads):
        self.function, ndim = function, len(shape)
        axes = _normalized(function, axis, ndim)
        kept = [d for d in range(ndim) if d not in axes]
        size, count = product(shape), product(shape[d] for d in axes)
        self.shape = tuple(1 if d in axes else shape[d] for d in range(ndim) if keepdims or d not in axes)
        self.flat = (product(shape[d] for d in kept),)
        self.is_flat, self.small = self.shape == self.flat, self.flat[0] < SMALL
        indices = function.startswith("arg")
        self.dtype, self.input_dtype = I8 if indices else dtype, dtype
        self.corner = None if ndim == 1 else (0,) * (ndim - 1) + (slice(0, 1),) if ndim else (None,)
        self.value = 0 if count else _of_nothing(function, shape, axis)
        if size == 0:
            self.corner, self.run = (..., None), self._fill
            return
        reduced, stay, base = _dimensions(shape, strides, dtype.itemsize, axes, kept, indices)
        whole = indices and len(reduced) > 1  # no stride leads through the elements in order
        reduced = [_Dim(size, 1)] if whole else reduced
        self.stages = _stages(reduced, stay, base, self.flat[0], size, function, dtype)
        self.states, stage = self.stages[-1].first + self.stages[-1].states, self.stages[0]
        self.direct, self.nothing = self.states == self.flat[0], NOTHING[dtype]
        self.count, self.divisor = float(count), float(count) if function == "mean" else 1.0
        if indices:
            self.kernels, self.run = self._compiled(function), self._index
            options = (self.nothing, stage.geometry, stage.items, stage.number)
        else:
            self.name = {"mean": "sum", "std": "var"}.get(function, function)
            self.kernels, self.run = self._compiled(self.name), self._reduce
            options = (self.nothing, stage.geometry, self.nothing, self.divisor, stage.items, stage.number)
        if whole:
            self.corner, self.run = None, self._copied
        elif function in ("var", "std"):
            self.divisor = builtins.max(count - ddof, 0.0)
            self.sums, self.run = self._compiled("exact_sum"), self._spread
        elif self.direct:
            self.kernel, self.given = self.kernels[0], options

    def into(self, x, out):
        """Write the result to the caller's array."""
        check_out(self.function, out, self.shape, self.dtype, x)
        plain = out.flags.c_contiguous and out.flags.aligned
        y = out.reshape(-1) if plain else empty(self.flat, self.dtype)
        self.run(x if self.corner is None else x[self.corner], y)
        if not plain:
            out[...] = y.reshape(self.shape)
        return out

    def _compiled(self, name):
        """Return the kernel of each stage."""
        stem = of_index if name.startswith("arg") else cpu
        tables = stem.LANE_KERNELS, stem.ROW_KERNELS
        return [tables[stage.rows][name][self.input_dtype] for stage in self.stages]

    def _fill(self, x, y):
        y[...] = self.value

    def _reduce(self, x, y, centre=None):
        centre = self.nothing if centre is None else centre
        if self.direct:
            _, geometry, items, number, *_ = self.stages[0]
            self.kernels[0](x, y, self.nothing, geometry, centre, self.divisor, items, number)
        else:
            combine = cpu.COMBINE_KERNELS[self.name][self.input_dtype]
            combine(*self._states(self.kernels, x, centre), y, self.divisor)

    def _states(self, kernels, x, centre):
        """Return the states of all blocks."""
        values, rests = (empty((self.states,), self.input_dtype) for _ in range(2))
        for kernel, (_, geometry, items, count, first, states) in zip(kernels, self.stages, strict=True):
            some = slice(first, first + states)
            kernel(x, values[some], rests[some], geometry, centre, 1.0, items, count)
        return values, rests

    def _spread(self, x, y):
        centre = empty((2 * y.size,), self.input_dtype)
        cpu.mean__pair[self.input_dtype](*self._states(self.sums, x, self.nothing), centre, self.count)
        self._reduce(x, y, centre)
        if self.function == "std":
            np.sqrt(y, out=y)

    def _index(self, x, y):
        (_, geometry, items, number, *_), values, places = self.stages[0], self.nothing, y
        if not self.direct:
            values, places = empty((self.states,), self.input_dtype), empty((self.states,), I8)
        self.kernels[0](x, places, values, geometry, items, number)
        if not self.direct:
            sign = 1 if self.function == "argmax" else -1
            of_index.argmax__combine[self.input_dtype](values, places, y, sign)

    def _copied(self, x, y):
        self._index(x.copy(order="C").reshape(-1), y)


_plans = Plans(_Plan)


def _normalized(function, axis, ndim):
    """Return the axes as nonnegative integers in ascending order."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is not tuple:
        axis = (axis,)
    elif function.startswith("arg"):
        raise TypeError(f"{function}: axis must be an integer or None, got {axis}")
    axes = [normalize_dim(function, one, ndim, "axis") for one in axis]
    if len(set(axes)) < len(axes):
        raise ValueError(f"{function}: axis {axis} has an axis twice")
    return tuple(sorted(axes)) if ndim else ()


def _of_nothing(function, shape, axis):
    """Return the result of reducing no elements. Raises ValueError where there is none."""
    if function in ("sum", "prod"):
        return 0 if function == "sum" else 1
    if function in ("mean", "var", "std"):
        return nan
    over = "" if axis is None else f" over axis {axis}"
    raise ValueError(f"{function}: a zero-size array of shape {shape} has no element to give{over}")


def _dimensions(shape, strides, step, axes, kept, ordered):
    """Return the reduced and the kept dimensions, merged and innermost last, and the offset of the first element.

    ordered: keep the order of the reduced elements.
    """
    reduced = [_Dim(shape[d], strides[d] // step) for d in axes if shape[d] > 1]
    base = 0
    if not ordered:
        base = builtins.sum((d.n - 1) * d.stride for d in reduced if d.stride < 0)
        reduced = sorted((_Dim(d.n, abs(d.stride)) for d in reduced), key=lambda d: -d.apart)
    stay, out = [], 1
    for d in reversed(kept):
        if shape[d] > 1:
            stay.append(_Dim(shape[d], strides[d] // step, out))
        out *= shape[d]
    return _merged(reduced), _merged(sorted(reversed(stay), key=lambda d: -d.apart)), base


def _merged(dims):
    """Merge neighbouring dimensions that one stride can step through."""
    merged: list[_Dim] = []
    for d in dims:
        if merged and merged[-1].stride == d.n * d.stride and merged[-1].out == d.n * d.out:
            d = d._replace(n=d.n * merged.pop().n)
        merged.append(d)
    return merged


def _stages(reduced, stay, base, results, size, function, dtype):
    """Choose between `rows` and `lanes`; return one launch, or two where rows are left over."""
    limit, reduced = PRODUCT if function == "prod" else 1, reduced or [_Dim(1, 0)]
    inner = reduced[-1] if reduced[-1].n >= SHORT else builtins.max(reduced, key=lambda d: d.n)
    others = [d for d in reduced if d is not inner]
    lane = stay[-1] if stay else None
    if lane is None or inner.n >= SHORT and inner.apart < lane.apart:
        return [_stage(True, inner, others, None, stay, base, results, size, 0, limit, dtype)]
    near = lane.stride == 1 and len(reduced) == len(stay) == 1 and inner.stride == lane.n
    if near and not function.startswith("arg") and 2 * lane.n <= LANES and size >= 4 * LANES:
        # few columns: several rows are read as one wide row, whose sums are merged at the end
        rows = LANES // lane.n
        n, left = divmod(inner.n, rows)
        wide = rows * lane.n
        stages = [_stage(False, _Dim(n, wide), [], _Dim(wide, 1, 1), [], base, wide, size, 0, limit, dtype)]
        if left:
            rest, start = _Dim(left, lane.n), base + n * wide
            stages.append(
                _stage(False, rest, [], lane, [], start, results, left * lane.n, stages[0].states, limit, dtype)
            )
        return stages
    if lane.n < FEW and inner.n >= SHORT:
        return [_stage(True, inner, others, None, stay, base, results, size, 0, limit, dtype)]
    return [_stage(False, inner, others, lane, stay[:-1], base, results, size, 0, limit, dtype)]


def _stage(rows, inner, others, lane, stay, base, results, size, first, limit, dtype):
    """Return one launch. Blocks depend on shapes and strides only, never on the number of threads."""
    piece = PIECE_OF_ROW if rows else PIECE_OF_ROWS
    pieces = -(-inner.n // piece)
    units = pieces * product(d.n for d in others)
    places, lane = product(d.n for d in stay), lane or _Dim(1, 0, 0)
    tile = cpu.WIDEST if lane.stride == 1 else cpu.PACKED
    tiles = -(-lane.n // tile)
    items = places * tiles
    longest = (ROW_LIMIT if rows else ROWS_LIMIT) // limit
    blocks = -(-units // builtins.max(longest // builtins.min(piece, inner.n), 1))
    if items < ITEMS:
        blocks = builtins.max(blocks, builtins.min(units, BLOCKS // items, size // GRAIN))
    per_block = -(-units // blocks)
    blocks = -(-units // per_block)
    items *= blocks
    geometry = [base, results, inner.n, inner.stride, piece, pieces, units, per_block, blocks]
    geometry += [*lane, tile, tiles, size * dtype.itemsize >= FAR, len(stay), len(others)]
    for dims, fields in ((stay, ("n", "stride", "out")), (others, ("n", "stride"))):
        geometry += [getattr(d, field) for field in fields for d in dims]
    number = tasks(items, builtins.max(-(-GRAIN * items // size), 1))
    return _Stage(rows, np.array(geometry, I8), items, number, first, blocks * results)
