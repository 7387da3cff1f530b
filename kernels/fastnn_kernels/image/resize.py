"""Resampling of signals, images and volumes.

Interpolation is a product with a sparse matrix along each axis: a table of taps and weights. All modes are such tables,
and the gradient is the product with the transposed matrix.
"""

from math import floor, inf, prod

import numpy as np

from ..cpu.image import resize as cpu
from ..cpu.image.resize import PAIRS
from ..cpu.pool.window_tables import Windows as Axis
from ..cpu.vector.simd import vector_bytes
from ..ground.checks import as_float_array, choice, contiguous, flag, integer, integers, output
from ..ground.layout import channels_last
from ..ground.memory import ALIGNMENT, empty
from ..ground.plans import ghost, planned, planner
from ..ground.threads import tasks
from ..pool.windows import check_size

GRAIN = 16384  # numbers written by a task, at least
INT32 = np.dtype(np.int32)
LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5}
MODES = ("nearest", "nearest-exact", *LINEAR, "bicubic", "area")


class Taps:
    """A sparse matrix (count, length): row m has the taps first[m] .. first[m + 1], each with a place and a weight."""

    def __init__(self, rows, columns, weights, count, length):
        order = np.argsort(rows, kind="stable")
        self.length, self.first = length, np.searchsorted(rows[order], np.arange(count + 1))
        self.places, self.weights = columns[order].astype(np.int64), weights[order]
        self.identity = count == length == len(rows) and bool(
            (self.places == np.arange(count)).all() and (rows[order] == self.places).all() and (weights == 1).all()
        )

    def __len__(self):
        return len(self.first) - 1

    def by_rows(self, dtype):
        """Return (table, weights) as `cpu/resize.py` wants them."""
        return np.concatenate([self.first, self.places]), self.weights.astype(dtype)

    def by_lanes(self, dtype, size):
        """Return (table, indices, weights, pairs) by vectors of outputs, where `size` numbers lie at a place."""
        lanes = vector_bytes() // dtype.itemsize
        vectors = -(-len(self) * size // lanes)
        outputs = np.minimum(np.arange(vectors * lanes), len(self) * size - 1).reshape(vectors, lanes)
        m, number = np.divmod(outputs, size)
        counts = np.diff(self.first)[m]
        most = counts.max(1)
        first = np.append(0, np.cumsum(most))
        vector = np.repeat(np.arange(vectors), most)
        tap = (np.arange(first[-1]) - first[vector])[:, None]
        some = tap < counts[vector]
        taps = np.where(some, self.first[m][vector] + tap, 0)
        places = self.places[taps] * size + number[vector]
        starts = np.full(vectors, places.max(initial=0))
        np.minimum.at(starts, vector, np.where(some, places, places.max(initial=0)).min(1))
        for offsets in (starts // lanes * lanes, starts):  # rather where vectors can be read as they lie
            indices = np.where(some, places - offsets[vector, None], 0)
            pairs = next((n for n in PAIRS if indices.max(initial=0) < 2 * n * lanes), 0)
            if pairs == 1:
                break
        weights = np.where(some, self.weights[taps], 0)
        return np.append(first, offsets), aligned(indices, INT32), aligned(weights, dtype), pairs


def aligned(values, dtype):
    """Return a copy aligned for vectors. It belongs to a plan, so it does not come from the calls' allocator."""
    size = values.size * dtype.itemsize
    room = np.empty(size + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    made = room[start : start + size].view(dtype).reshape(values.shape)
    made[...] = values
    return made


ONE = Taps(*np.array([[0], [0], [1]]), 1, 1)  # for the axes that signals and images lack


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=False, recompute_scale_factor=False):
    """Return signals, images or volumes resampled along all axes after the channels.

    input (B, C, L), (B, C, H, W) or (B, C, D, H, W), float32 or float64 -> (B, C, *size), same dtype, by pixels in
    memory if the input is. size: a number or one per axis; or scale_factor: the result is floor(scale_factor * length)
    long. mode: "nearest" takes the pixel at floor(position), "nearest-exact" the nearest; "linear" ("bilinear",
    "trilinear" by the number of axes) weighs the two next; "bicubic" the four next, by Keys' kernel with a = -0.75;
    "area" is the mean of what a pixel covers. align_corners=True lays the centres of the corner pixels on each other,
    False the corners themselves. With recompute_scale_factor the positions follow from the sizes alone.

    All as in PyTorch. Error: a few eps of the largest value nearby (the weights are rounded from float64). Method of
    "bicubic": Keys, Cubic convolution interpolation (1981). Raises ValueError for unknown modes, sizes below 1 or
    not one of size and scale_factor; TypeError for integer input.
    """
    x = _images("interpolate", "input", input)
    more = x.dtype, size, scale_factor, mode, align_corners, recompute_scale_factor
    return planned(_forward, x.shape, x.strides, *more)(x)


def interpolate_backward(
    dy, input_shape, size=None, scale_factor=None, mode="nearest", align_corners=False, recompute_scale_factor=False
):
    """Return the gradient of interpolate's input from that of its output; the other arguments as in the forward.

    dy (B, C, ...) -> input_shape. Raises ValueError unless the shapes fit together.
    """
    name = "interpolate_backward"
    dy = _images(name, "dy", dy)
    more = dy.dtype, input_shape, size, scale_factor, mode, align_corners, recompute_scale_factor
    return planned(_backward, dy.shape, dy.strides, *more)(dy)


@planner
def _forward(shape, strides, dtype, *options):
    """Return the function that resamples what lies so."""
    matrices = _matrices("interpolate", shape, *options)
    if prod(shape[2:]) > 1:
        return _resampling("interpolate", shape, strides, dtype, matrices)

    def run(x):  # one pixel goes everywhere
        y = output("interpolate", None, (*shape[:2], *map(len, matrices)), dtype)
        y[...] = x
        return y

    return run


@planner
def _backward(shape, strides, dtype, *options):
    """Return the function that takes the gradient back."""
    name, (given, *arguments) = "interpolate_backward", options
    input_shape = integers(name, "input_shape", given, 0)
    if len(input_shape) != len(shape):
        raise ValueError(f"{name}: dy has shape {shape}, which does not fit an input of shape {input_shape}")
    matrices = _matrices(name, input_shape, *arguments, back=True)
    expected = (*input_shape[:2], *(matrix.length for matrix in matrices))
    if shape != expected:
        raise ValueError(f"{name}: dy has shape {shape}, an input {input_shape} gives {expected}")
    return _resampling(name, shape, strides, dtype, matrices)


def _images(function, name, x):
    x = as_float_array(function, name, x)
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"{function}: {name} must be (B, C, L), (B, C, H, W) or (B, C, D, H, W), got shape {x.shape}")
    return x


def _resampling(function, shape, strides, dtype, matrices):
    """Return the function that multiplies by a sparse matrix along each axis.

    Rows and columns go together, the depth of volumes before them or, if it grows, after them.
    """
    x, axis = ghost(shape, dtype, strides), len(shape) - 1
    last = channels_last(x)
    there, back = (0, *range(2, len(shape)), 1), (0, axis, *range(1, axis))
    size, outer = (shape[1], shape[:1]) if last else (1, shape[:2])
    made = *outer, *map(len, matrices), *[size] * last
    depth, rows, columns = (*[ONE] * (3 - len(matrices)), *matrices)
    steps = []
    deep, high, wide = (1, 1, *shape[2:])[-3:]
    count, width = prod(outer), len(columns) * size
    if prod(made):
        steps.append(_images_step(count * deep, high, wide * size, rows, columns, size, dtype))
        if len(depth) <= depth.length:
            steps[0] = _images_step(count * len(depth), high, wide * size, rows, columns, size, dtype)
            steps.insert(0, _rows_step(count, high * wide * size, depth, dtype))
        else:
            steps.append(_rows_step(count, len(rows) * width, depth, dtype))
    steps = [step for step in steps if step is not None]

    def run(x):
        memory = contiguous(x.transpose(there) if last else x)
        if not steps:
            before, memory = memory, output(function, None, made, dtype)
            memory[...] = before if memory.size else 0
        for step in steps:
            memory = step(memory)
        memory = memory.reshape(made)
        return memory.transpose(back) if last else memory

    return run


def _rows_step(count, size, matrix, dtype):
    """Return x(P,N,S) -> (P,M,S), None if that is the same."""
    if matrix.identity:
        return None
    source, target = (count, matrix.length, size), (count, len(matrix), size)
    tables, kernel, rows = matrix.by_rows(dtype), cpu.resample__rows[dtype], count * len(matrix)

    def step(x):
        y = output("interpolate", None, target, dtype)
        kernel(x.reshape(source), *tables, y, rows, tasks(y.size, GRAIN))
        return y

    return step


def _images_step(count, height, width, rows, columns, size, dtype):
    """Return x(P,H,W*S) -> (P,OH,OW*S), None if that is the same."""
    vector = vector_bytes() // dtype.itemsize
    if columns.identity:
        return _rows_step(count, width, rows, dtype)
    if rows.length == len(rows) == 1 and size >= vector:
        return _rows_step(count, size, columns, dtype)
    source, target = (count, height, width), (count, len(rows), len(columns) * size)
    room = cpu.ROWS * (-(-width // vector) + 2 * max(PAIRS, default=0)) * vector
    if size >= vector:
        kernel, tables = cpu.resample__pixels[dtype], (*columns.by_rows(dtype), size)
    else:
        kernel, tables = cpu.resample__planes[dtype], columns.by_lanes(dtype, size)
    tables = *rows.by_rows(dtype), *tables

    def step(x):
        y = output("interpolate", None, target, dtype)
        number = tasks(y.size, GRAIN)
        kernel(x.reshape(source), *tables, empty((number, room), dtype), y, number, number)
        return y

    return step


def _matrices(function, shape, size, scale_factor, mode, align_corners, recompute, back=False):
    """Return the matrix of each axis, or if `back` its transpose."""
    dims = len(shape) - 2
    align_corners = flag(function, "align_corners", align_corners)
    recompute = flag(function, "recompute_scale_factor", recompute)
    choice(function, "mode", mode, MODES)
    if LINEAR.get(mode, 4 if mode == "bicubic" else dims + 2) not in (dims + 2, 3):
        raise ValueError(f"{function}: mode {mode!r} does not fit an input of shape {shape}")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{function}: give one of size and scale_factor, got {size!r} and {scale_factor!r}")
    if align_corners and mode not in (*LINEAR, "bicubic"):
        raise ValueError(f"{function}: align_corners is for linear and bicubic modes, got mode {mode!r}")
    if recompute and size is not None:
        raise ValueError(f"{function}: recompute_scale_factor is for a scale_factor, got size {size!r}")
    given = size if scale_factor is None else scale_factor
    given = given if isinstance(given, tuple) else (given,) * dims
    if len(given) != dims:
        raise ValueError(f"{function}: size or scale_factor must be a number or {dims} of them, got {given!r}")
    axes = []
    for length, one in zip(shape[2:], given, strict=True):
        if not length:
            raise ValueError(f"{function}: images must not be empty, got shape {shape}")
        factor = None if scale_factor is None else _factor(function, one)
        count = integer(function, "size", one if factor is None else floor(length * factor), 1)
        by_sizes = factor is None or recompute
        if mode == "nearest" and dims == 2 and count in (length, 2 * length):
            by_sizes = True  # as in PyTorch, which does so for images and not for signals and volumes
        axes.append((length, count, length / count if by_sizes else 1 / factor))
    check_size(function, [count for _, count, _ in axes])
    return [_taps(*axis, mode, align_corners, back) for axis in axes]


def _factor(function, value):
    """Return a scale factor as a float; TypeError unless a number, ValueError unless positive and finite."""
    try:
        if isinstance(value, (str, bytes, bool, np.bool_)):  # which float() takes
            raise TypeError
        factor = float(value)
    except OverflowError:
        factor = inf
    except (TypeError, ValueError):
        raise TypeError(f"{function}: scale_factor must be a number or one per axis, got {value!r}") from None
    if not 0 < factor < inf:
        raise ValueError(f"{function}: scale_factor must be positive and finite, got {value!r}")
    return factor


def _taps(length, count, scale, mode, align_corners, back):
    """Return the matrix (count, length) of a mode, or its transpose."""
    i = np.arange(count)
    if mode == "area":
        axis = Axis.adaptive(length, count)
        rows = np.repeat(i, axis.counts)
        ends = np.cumsum(axis.counts)
        columns = np.arange(len(rows)) - np.repeat(ends - axis.counts - axis.starts, axis.counts)
        return _matrix(rows, columns, np.repeat(1 / axis.counts, axis.counts), count, length, back)
    if mode.startswith("nearest"):
        # in float32, as in PyTorch: where a position is a whole number, rounding decides
        at = np.floor(np.float32(i + (mode == "nearest-exact") / 2) * np.float32(scale)).astype(np.int64)
        return _matrix(i, np.minimum(at, length - 1), np.ones(count), count, length, back)
    if align_corners:
        at = i * ((length - 1) / (count - 1)) if count > 1 else np.zeros(count)
    else:
        at = (i + 0.5) * scale - 0.5
    if mode != "bicubic":
        at = i if count == length else at  # whatever the scale factor, as in PyTorch
        at = np.clip(at, 0, length - 1)
    whole = np.floor(at).astype(np.int64)
    t = at - whole
    weights = _keys(t) if mode == "bicubic" else {0: 1 - t, 1: t}
    rows = np.repeat(i, len(weights))
    columns = np.stack([np.clip(whole + k, 0, length - 1) for k in weights], 1).ravel()
    return _matrix(rows, columns, np.stack(list(weights.values()), 1).ravel(), count, length, back)


def _keys(t, a=-0.75):
    """Return the weights of the four pixels around a position, t behind the second of them."""

    def near(d):
        return ((a + 2) * d - (a + 3)) * d * d + 1

    def far(d):
        return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a

    return {-1: far(t + 1), 0: near(t), 1: near(1 - t), 2: far(2 - t)}


def _matrix(rows, columns, weights, count, length, back):
    """Return a sparse matrix or its transpose; taps of weight zero are left out (they would turn inf into NaN)."""
    kept = weights != 0
    rows, columns, weights = rows[kept], columns[kept], weights[kept]
    return Taps(columns, rows, weights, length, count) if back else Taps(rows, columns, weights, count, length)
