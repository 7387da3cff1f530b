"""Plans of reductions: which dimensions vectors run along, and the blocks of fixed size that sums are taken in."""

from __future__ import annotations

from math import inf, nan, prod
from typing import Any, NamedTuple

import numpy as np

from ...ground import memory
from ...ground.backend import plans
from ...ground.checks import F4, F8, I8, contiguous
from ...ground.memory import FAR, empty
from ...ground.operation import Layout, layout_of
from ...ground.plans import ghost
from ...ground.threads import tasks
from ..grains import ROWS as GRAIN
from . import index_kernels, kernels

SMALL = 4096  # fewer results are not allocated from the pool
SHORT = 32  # a reduced dimension shorter than this is faster with vectors along a kept one
FEW = 4  # a kept dimension shorter than this leaves vectors along it too empty
PIECE_OF_ROW, PIECE_OF_ROWS = 8192, 256  # elements of a row, and rows, in one unit of work
ROW_LIMIT, ROWS_LIMIT = 1 << 17, 1 << 14  # most elements, or rows, of a block: the sum of errors is rounded, too
PRODUCT = 16  # times shorter are blocks of products: second-order errors, left out, grow with the length squared
ITEMS = 64  # fewer work items are cut into blocks, so that more than two threads have work
BLOCKS = 256  # most blocks of all results together
LANES = 256  # lanes to which a few columns are widened, by reading several rows as one
NOTHING = {dtype: np.empty(0, dtype) for dtype in (F4, F8)}


@plans("sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin")
def plan(problem):
    """Plan a reduction: run(out, x, ...) -> array, or a NumPy scalar for a result without axes and no `out`."""
    shape, dtype = problem.result
    corner, compute = _reducing(problem)
    size = prod(shape)
    flat, small, scalar = (size,), size < SMALL, shape == ()
    is_flat = shape == flat

    def run(out, x, *_):
        if out is None:
            y = memory.fresh(flat, dtype) if small else empty(flat, dtype)
            compute(x if corner is None else x[corner], y)
            return y[0] if scalar else y if is_flat else y.reshape(shape)
        compute(x if corner is None else x[corner], out.reshape(-1))
        return out

    return run


class _Sum(NamedTuple):
    """The problem of a plain sum, for other plans."""

    x: Layout
    axes: tuple[int, ...]
    result: tuple[tuple[int, ...], np.dtype]
    kind: str = "sum"
    divisor: float = 1.0


def sum_over(shape, dtype, axes):
    """Return run(out, x): the sum of a contiguous array over axes, all others kept."""
    kept = tuple(n for d, n in enumerate(shape) if d not in axes)
    return plan(_Sum(layout_of(ghost(shape, dtype)), axes, (kept, dtype)))


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


def _reducing(problem):
    """Return (corner, compute): compute(vector, y) writes to a flat y.

    corner: the index that gives a 1-d view starting at x's first element, the vector; None if x itself is taken.
    """
    x, kind, results = problem.x, problem.kind, prod(problem.result[0])
    shape, ndim, axes, dtype = x.shape, x.ndim, problem.axes, x.dtype
    kept = [d for d in range(ndim) if d not in axes]
    size, count = prod(shape), prod(shape[d] for d in axes)
    if size == 0:
        value = {"sum": 0.0, "prod": 1.0}.get(kind, nan) if problem.divisor else nan
        return (..., None), lambda x, y: y.fill(value if y.size else 0)
    corner = None if ndim == 1 else (0,) * (ndim - 1) + (slice(0, 1),) if ndim else (None,)
    indices = kind.startswith("arg")
    reduced, stay, base = _dimensions(shape, x.strides, dtype.itemsize, axes, kept, indices)
    whole = indices and len(reduced) > 1  # no stride leads through the elements in order
    stages = _stages([_Dim(size, 1)] if whole else reduced, stay, base, results, size, kind, dtype)
    if not indices:
        if kind == "var":
            return corner, _spread(stages, dtype, results, float(count), problem.divisor, problem.root)
        return corner, _reduce(stages, kind, dtype, results, problem.divisor)
    compute = _index(stages, kind, dtype, results)
    return (None, lambda x, y: compute(contiguous(x).reshape(-1), y)) if whole else (corner, compute)


def _compiled(stages, name, dtype):
    """Return the kernel of each stage."""
    stem = index_kernels if name.startswith("arg") else kernels
    tables = stem.LANE_KERNELS, stem.ROW_KERNELS
    return [tables[stage.rows][name][dtype] for stage in stages]


def _states(stages, name, dtype):
    """Return states(x, centre) -> the values and rests of all blocks."""
    compiled, total = _compiled(stages, name, dtype), stages[-1].first + stages[-1].states

    def states(x, centre):
        values, rests = (empty((total,), dtype) for _ in range(2))
        for kernel, (_, geometry, items, number, first, length) in zip(compiled, stages, strict=True):
            block = slice(first, first + length)
            kernel(x, values[block], rests[block], geometry, centre, 1.0, items, number)
        return values, rests

    return states


def _reduce(stages, kind, dtype, results, divisor):
    """Return compute(x, y, centre)."""
    nothing, stage = NOTHING[dtype], stages[0]
    if stages[-1].first + stages[-1].states == results:
        (kernel,) = _compiled(stages, kind, dtype)
        geometry, items, number = stage.geometry, stage.items, stage.number
        return lambda x, y, centre=nothing: kernel(x, y, nothing, geometry, centre, divisor, items, number)
    states, combine = _states(stages, kind, dtype), kernels.COMBINE_KERNELS[kind][dtype]
    return lambda x, y, centre=nothing: combine(*states(x, centre), y, divisor)


def _spread(stages, dtype, results, count, divisor, root):
    """Return compute(x, y): the means first, in twice the precision, then the squared distances from them."""
    sums, reduce = _states(stages, "exact_sum", dtype), _reduce(stages, "var", dtype, results, divisor)
    means, roots, nothing = kernels.mean__pair[dtype], kernels.std__roots[dtype], NOTHING[dtype]

    def compute(x, y):
        centre = empty((2 * results,), dtype)
        means(*sums(x, nothing), centre, count)
        reduce(x, y, centre)
        if root:
            roots(y)

    return compute


def _index(stages, kind, dtype, results):
    """Return compute(x, y)."""
    (kernel,) = _compiled(stages, kind, dtype)
    _, geometry, items, number, _, states = stages[0]
    nothing, sign = NOTHING[dtype], 1 if kind == "argmax" else -1
    if states == results:
        return lambda x, y: kernel(x, y, nothing, geometry, items, number)
    combine = index_kernels.argmax__combine[dtype]

    def compute(x, y):
        values, indices = empty((states,), dtype), empty((states,), I8)
        kernel(x, indices, values, geometry, items, number)
        combine(values, indices, y, sign)

    return compute


def _dimensions(shape, strides, step, axes, kept, ordered):
    """Return the reduced and the kept dimensions, merged and innermost last, and the offset of the first element.

    ordered: keep the order of the reduced elements.
    """
    reduced = [_Dim(shape[d], strides[d] // step) for d in axes if shape[d] > 1]
    base = 0
    if not ordered:
        base = sum((d.n - 1) * d.stride for d in reduced if d.stride < 0)
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


def _stages(reduced, stay, base, results, size, kind, dtype):
    """Choose between `rows` and `lanes`; return one launch, or two where rows are left over."""
    limit, reduced = PRODUCT if kind == "prod" else 1, reduced or [_Dim(1, 0)]
    inner = reduced[-1] if reduced[-1].n >= SHORT else max(reduced, key=lambda d: d.n)
    others = [d for d in reduced if d is not inner]
    lane = stay[-1] if stay else None
    if lane is None or inner.n >= SHORT and inner.apart < lane.apart:
        return [_stage(True, inner, others, None, stay, base, results, size, 0, limit, dtype)]
    near = lane.stride == 1 and len(reduced) == len(stay) == 1 and inner.stride == lane.n
    if near and not kind.startswith("arg") and 2 * lane.n <= LANES and size >= 4 * LANES:
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
    units = pieces * prod(d.n for d in others)
    positions, lane = prod(d.n for d in stay), lane or _Dim(1, 0, 0)
    tile = kernels.WIDEST if lane.stride == 1 else kernels.PACKED
    tiles = -(-lane.n // tile)
    items = positions * tiles
    longest = (ROW_LIMIT if rows else ROWS_LIMIT) // limit
    blocks = -(-units // max(longest // min(piece, inner.n), 1))
    if items < ITEMS:
        blocks = max(blocks, min(units, BLOCKS // items, size // GRAIN))
    per_block = -(-units // blocks)
    blocks = -(-units // per_block)
    items *= blocks
    geometry = [base, results, inner.n, inner.stride, piece, pieces, units, per_block, blocks]
    geometry += [*lane, tile, tiles, size * dtype.itemsize >= FAR, len(stay), len(others)]
    for dims, fields in ((stay, ("n", "stride", "out")), (others, ("n", "stride"))):
        geometry += [getattr(d, field) for field in fields for d in dims]
    number = tasks(items, max(-(-GRAIN * items // size), 1))
    return _Stage(rows, np.array(geometry, I8), items, number, first, blocks * results)


from . import gradient as gradient  # noqa: E402  (it plans by reductions)
