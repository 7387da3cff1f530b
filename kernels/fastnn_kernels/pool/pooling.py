"""Pooling of signals, images and volumes alike: what stands behind the names in `fastnn_kernels.pool`.

dims is 1, 2 or 3; a `window` holds what the forward takes after its input: (kernel_size, stride, padding, dilation,
ceil_mode) for maxima, (kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override) for means, or
(output_size,) for adaptive pooling of both kinds.
"""

from functools import reduce
from math import prod
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from ..cpu.pool import kernels as cpu
from ..ground.checks import F4, F8, I8, as_float_array, check_out, flag, integer
from ..ground.layout import channels_last, with_batch
from ..ground.memory import empty
from ..ground.plans import ghost, planned, planner
from ..ground.threads import tasks
from .windows import Tables, adaptive, as_images, divisors, laid, result, sliding, tables

GRAIN = 16384  # numbers read by a task, at least
INT32 = np.dtype(np.int32)
FEW = 4096  # windows, for each of which a plan may hold a number
NARROW = 1 << 31  # pixels of an image whose places are numbers of 32 bits


class Plan(NamedTuple):
    """What depends on shapes only, and is kept from call to call."""

    size: tuple[int, ...]  # of the pooled image
    table: Tables
    squares: bool  # 2x2 side by side
    whole: bool  # one window that is the image
    divisor: int | None  # what all sums are divided by, if it is the same
    counts: tuple[ndarray, ...]  # else, in a gradient, its factors: (OD, 1, 1, 1), (OH, 1, 1), (OW, 1)
    over: ndarray | None  # divisors as the kernel wants them; in a gradient ones, if dy has to be divided first

    @property
    def halving(self) -> bool:
        """Whether the divisor is a power of two, so that multiplying by 1 / divisor is exact."""
        return self.divisor is not None and self.divisor.bit_count() == 1


def plan_of(name, size, dtype, inner, merge, back, window, mean=False) -> Plan:
    """Return the Plan for images of this size with `inner` numbers at a place; merge: see `Axis.runs`."""
    return planned(_plan_of, name, size, dtype, inner, merge, back, mean, *window)


@planner
def _plan_of(name, size, dtype, inner, merge, back, mean, *window):
    dims = len(size)
    axes = adaptive(name, size, window[0]) if len(window) == 1 else sliding(name, dims, size, *_sliding(window, mean))
    result_size = tuple(len(axis) for axis in axes[3 - dims :])
    squares = dims == 2 and all(
        axis.dilation == 1 and (axis.starts == 2 * np.arange(len(axis))).all() and (axis.counts == 2).all()
        for axis in axes[1:]
    )
    whole = all(len(axis) == 1 and axis.counts[0] == axis.whole[0] == axis.length for axis in axes)
    counts = _counts(name, axes, window) if mean else ()
    same = all((count == count[:1]).all() for count in counts)
    divisor = prod(int(count[0]) for count in counts if len(count)) if same else None
    width, each = axes[2].length, ()
    if back and not same:
        shaped = (count.astype(dtype).reshape(-1, *[1] * (3 - axis)) for axis, count in enumerate(counts))
        each = tuple(count for count in shaped if (count != 1).any())
        each = (reduce(np.multiply, each),) if prod(result_size) <= FEW else each
    if back:
        axes = tuple(axis.transposed() for axis in axes)
        counts = [np.full(len(axis), divisor if axis is axes[0] and same else 1) for axis in axes]
    table = tables(axes, inner, merge, 4 if mean else 1, width)
    over = divisors(counts, table.runs, dtype) if mean else None
    return Plan(result_size, table, squares, whole, divisor, each, over)


def _sliding(window, mean):
    if not mean:
        return window
    kernel_size, stride, padding, ceil_mode = window[:4]
    return kernel_size, stride, padding, 1, ceil_mode


def _counts(name, axes, window):
    if len(window) == 1:
        return tuple(axis.counts for axis in axes)
    *_, count_include_pad, override = window
    if override is not None:
        override = integer(name, "divisor_override", override, 1)
        return tuple(np.full(len(axis), override if axis is axes[0] else 1) for axis in axes)
    return tuple(axis.whole if flag(name, "count_include_pad", count_include_pad) else axis.counts for axis in axes)


def max_pool(dims, input, window, *, return_indices=False, activation=None, out=None):
    """Return the largest value of each window, through an activation; with return_indices=True, (values, int64)."""
    if return_indices is False:
        return _pooled("max_pool", dims, input, window, activation, out)
    name = name_of("max_pool", dims, window)
    if not flag(name, "return_indices", return_indices):
        return _pooled("max_pool", dims, input, window, activation, out)
    relu = is_relu(name, activation)
    y, places = pool_with_places(name, dims, input, window, -np.inf, out)
    if relu:
        y[...] = relu.apply(y)
    if places.dtype is I8:
        return y, places
    return y, as_type(places, I8)


def as_type(places, dtype):
    """Return a copy of places as integers of another width, in the same memory layout."""
    last = channels_last(places) if places.ndim > 2 else False
    made = result("max_pool", None, places.shape, dtype, last)
    made[...] = places
    return made


def max_pool_with_places(dims, input, window, activation=None):
    """Return (values, places) for `max_pool_gradient`: -1 where the ReLU's zero is larger.

    No places (None) for the windows whose maximum is found again faster than a place is read.
    """
    name = name_of("max_pool", dims, window)
    relu = is_relu(name, activation)
    x, _ = with_batch(name, "input", as_float_array(name, "input", input), dims)
    if plan_of(name, x.shape[2:], x.dtype, 1, True, False, window).squares:
        return _pooled("max_pool", dims, input, window, activation, None), None
    return pool_with_places(name, dims, input, window, 0.0 if relu else -np.inf, None)


def pool_with_places(name, dims, input, window, floor, out):
    """Return (values, not smaller than the floor, and places, -1 for the floor): int32 where that can hold them."""
    x, batched = with_batch(name, "input", as_float_array(name, "input", input), dims)
    far = are_far(x.shape)
    last = channels_last(x) and not far
    plan = plan_of(name, x.shape[2:], x.dtype, x.shape[1] if last else 1, False, False, window)
    shape = (*x.shape[:2], *plan.size)
    if out is not None:
        check_out(name, out, shape if batched else shape[1:], x.dtype, x)
    target = out if batched or out is None else out[None]
    y, where = result(name, target, shape, x.dtype, last), result(name, None, shape, I8 if far else INT32, last)
    images, memory, marks = as_images(x, last), as_images(y, last), as_images(where, last)
    rows, count = prod(memory.shape[:3]), tasks(x.size, GRAIN)
    kernel = cpu.max_pool__windows_and_far_places if far else cpu.max_pool__windows_and_places
    kernel[x.dtype](images, *plan.table, floor, memory, marks, rows, count)
    if target is not None and target is not y:
        target[...] = y
    where = where if batched else where[0]
    return (y if batched else y[0]) if out is None else out, where


def are_far(shape) -> bool:
    """Return whether places in images (B, C, ...) need more than 32 bits."""
    return prod(shape[2:]) > NARROW


def avg_pool(dims, input, window, *, out=None, kind="avg_pool"):
    """Return the mean of each window."""
    return _pooled(kind, dims, input, window, None, out)


def _pooled(kind, dims, input, window, activation, out):
    """Return the maxima or means of windows."""
    if type(input) is not ndarray or (input.dtype is not F4 and input.dtype is not F8) or not input.flags.aligned:
        input = as_float_array(name_of(kind, dims, window), "input", input)
    return planned(_plan, kind, dims, input.shape, input.strides, input.dtype, activation, *window)(input, out)


@planner
def _plan(kind, dims, shape, strides, dtype, activation, *window):
    """Return run(x, out): what pools images of this shape that lie so."""
    name = name_of(kind, dims, window)
    relu = is_relu(name, activation)
    x, batched = with_batch(name, "input", ghost(shape, dtype, strides), dims)
    last = channels_last(x)
    make = _max_kernel if kind == "max_pool" else _avg_kernel
    size, kernel, form, arguments = make(name, dims, x.shape, dtype, window, last, relu)
    kernel, full = kernel[dtype], (*x.shape[:2], *size)
    source, _ = form(*x.shape[:2], x.shape[2:], last)
    target, axes = form(*x.shape[:2], None if form is as_wholes else size, last)
    length, work = prod(target[:axes]), prod(shape)
    axis, end = (1, x.ndim) if batched else (0, x.ndim - 1)
    there = (*range(axis), *range(axis + 1, end), axis)
    back = (*range(axis), end - 1, *range(axis, end - 1))
    full = full if batched else full[1:]
    memory = tuple(full[a] for a in there) if last else full
    gaps = not (x.transpose(0, *range(2, x.ndim), 1) if last else x).flags.c_contiguous

    def run(x, out):
        if out is not None:
            check_out(name, out, full, dtype, x)
        if gaps:
            x = laid(x, last) if batched else laid(x[None], last)[0]
        y = out
        if out is None or not (out.transpose(there) if last else out).flags.carray:
            y = empty(memory, dtype)
            y = y.transpose(back) if last else y
        images, pooled = (x.transpose(there), y.transpose(there)) if last else (x, y)
        kernel(images.reshape(source), *arguments, pooled.reshape(target), length, tasks(work, GRAIN))
        if out is None or y is out:
            return y
        out[...] = y
        return out

    return run


def _max_kernel(name, dims, shape, dtype, window, last, relu):
    """Return the size of the pooled images, a kernel, the form in which it takes images, its other arguments."""
    plan = plan_of(name, shape[2:], dtype, shape[1] if last else 1, True, False, window)
    floor = 0.0 if relu else -np.inf
    if plan.squares:
        kernel = cpu.max_pool2d__squares_of_pixels if last else cpu.max_pool2d__squares_of_planes
        return plan.size, kernel, as_squares, (0.0 if relu else np.nan,)
    if plan.whole and not last:
        return plan.size, cpu.max_pool__whole_planes, as_wholes, (floor,)
    return plan.size, cpu.max_pool__windows, as_volumes, (*plan.table, floor)


def _avg_kernel(name, dims, shape, dtype, window, last, _):
    """Return for means what `_max_kernel` does for maxima."""
    plan = plan_of(name, shape[2:], dtype, shape[1] if last else 1, True, False, window, True)
    if plan.whole:
        kernel = cpu.avg_pool__whole_pixels if last else cpu.avg_pool__whole_planes
        return plan.size, kernel, as_wholes, (plan.divisor,)
    if plan.squares and plan.halving:
        kernel = cpu.avg_pool2d__squares_of_pixels if last else cpu.avg_pool2d__squares_of_planes
        return plan.size, kernel, as_squares, (1 / plan.divisor,)
    return plan.size, cpu.avg_pool__windows, as_volumes, (*plan.table, plan.over)


def as_volumes(batch, channels, size, last):
    """Return the shape of planes (P, D, H, W) or pixels (B, D, H, W * C), and over how many of its axes work goes."""
    *above, width = (1, 1, *size)[-3:]
    return ((batch, *above, width * channels) if last else (batch * channels, *above, width)), 3


def as_squares(batch, channels, size, last):
    """Return the shape of planes (P, H, W) or pixels (B, H, W, C), and over how many of its axes work goes."""
    return ((batch, *size, channels), 2) if last else ((batch * channels, *size), 1)


def as_wholes(batch, channels, size, last):
    """Return the shape of planes (P, N) or pixels (B, N, C), for a result (size None) without N; one axis of work."""
    pixels = () if size is None else (prod(size),)
    return ((batch, *pixels, channels) if last else (batch * channels, *pixels)), 1


def name_of(kind, dims, window=()):
    """Return what the entry point is called."""
    if type(dims) is not int or dims not in (1, 2, 3):
        raise ValueError(f"{kind}: dims must be 1, 2 or 3, got {dims!r}")
    return f"{'adaptive_' * (len(window) == 1)}{kind}{dims}d"


def is_relu(name, activation):
    """Return whether the activation, checked, is a ReLU."""
    if activation is not None and not (isinstance(activation, str) and activation == "relu"):
        raise ValueError(f"{name}: activation must be None or 'relu', got {activation!r}")
    return activation == "relu"
