"""Plans of norms: how an input is cut into rows or columns, and the kernels that suit it."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from ...ground import memory
from ...ground.backend import plans
from ...ground.checks import F8, contiguous
from ...ground.memory import ALIGNMENT, FAR, empty, zeros
from ...ground.outputs import target
from ...ground.threads import tasks
from ..grains import SUMS as GRAIN
from . import channels_last, local, rows

SHORT = 64  # numbers of a row up to which the kernel with a weight per column is the faster one
BLOCKS = 64  # of rows, at most, whose sums are added in order
PIECE = 32768  # numbers in a block of pixels, whose variance is taken while they are in the cache
WIDE, WIDER = 128, 1024  # numbers that a row of pixels should have, of small and of large images


def streams(size, row):
    """Return 1 for streaming stores, of results of `size` bytes that are large and have rows of whole lines, else 0."""
    return int(size >= FAR and row % ALIGNMENT == 0)


def _contiguous(*layouts):
    """Return whether arrays of these layouts are contiguous; None counts as such."""
    return all(layout is None or layout.ghost().flags.c_contiguous for layout in layouts)


def _packed(*arrays):
    """Return arrays contiguous; None stays None."""
    return [x if x is None else contiguous(x) for x in arrays]


def _needed(needs, *gradients):
    return tuple([x if needed else None for x, needed in zip(gradients, needs, strict=False)])


def _nothing(problem, shape):
    """Plan a norm of no numbers, whose statistics have this shape."""

    def run(out, *_):
        y = target(out, *problem.result)
        return (y, zeros(shape, y.dtype)) if problem.statistics else y

    return run


def _update(problem, count):
    """Return what updates the running statistics by those of `count` numbers each; None if there are none."""
    given = [layout.dtype for layout in problem.running if layout is not None]
    if not given:
        return None
    channels, dtype = problem.input.shape[1], problem.input.dtype
    kind = dtype if {*given} == {dtype} else F8
    kernel, unbiased = rows.batch_norm__running[kind], count / (count - 1)
    if len(given) == 2 and kind == dtype:
        return lambda mean, variance, momentum, a, b: kernel(mean, variance, a, b, momentum, unbiased)

    def update(mean, variance, momentum, *states):
        views = [zeros((channels,), kind) if x is None else x.astype(kind, copy=False) for x in states]
        kernel(mean.astype(kind, copy=False), variance.astype(kind, copy=False), *views, momentum, unbiased)
        for x, view in zip(states, views, strict=True):
            if x is not None and view is not x:
                x[...] = view

    return update


# --- rows


@plans("layer_norm", "rms_norm", "group_norm")
def norm_rows(problem):
    """Plan a norm of rows, by the kernel with a weight per column or that with a weight per part of a row."""
    count, length, (shape, dtype) = problem.count, problem.length, problem.result
    size, weights = count * length * dtype.itemsize, [w for w in (problem.weight, problem.bias) if w is not None]
    if size == 0:
        return _nothing(problem, (2, count))
    columns, matrix = not problem.channels and (bool(weights) or length <= SHORT), (count, length)
    width = length if columns else shape[1] if weights else 1
    ones, nothing = np.ones(width, dtype), np.zeros(width, dtype)
    streaming, number = streams(size, length * dtype.itemsize), tasks(count, -(-GRAIN // length))
    centred, default, returned = problem.centred, problem.eps, problem.statistics
    plain = _contiguous(problem.input, *weights)
    reshaped = shape != matrix or any(w.ndim > 1 for w in weights)
    if columns:
        kernel, options = rows.layer_norm__rows[dtype], (centred, _wide(size, streaming), count, number)
    else:
        parts = problem.channels if weights else 1
        kernel, options = rows.group_norm__rows[dtype], (parts, centred, streaming, count, number)
    update = _update(problem, length)

    def run(out, x, weight, bias, eps, *rest):
        y, statistics = target(out, shape, dtype), memory.fresh((2, count), dtype)
        if not plain:
            x, weight, bias = _packed(x, weight, bias)
        eps = default if eps is None else eps
        weight, bias, flat = ones if weight is None else weight, nothing if bias is None else bias, y
        if not columns:
            kernel(x.reshape(-1), weight, bias, y.reshape(-1), *statistics, length, eps, *options)
        else:
            if reshaped:
                x, weight, bias, flat = x.reshape(matrix), weight.reshape(-1), bias.reshape(-1), y.reshape(matrix)
            kernel(x, weight, bias, flat, statistics, eps, *options)
        if update is not None:
            (mean, variance), (_, _, running_mean, running_var, momentum, *_) = statistics, rest
            update(mean, variance, momentum, running_mean, running_var)
        return (y, statistics) if returned else y

    return run


def _wide(size, streaming):
    """Return 1 for streaming stores, -1 for a large result without them, which only prefetches, else 0."""
    return streaming if streaming or size < FAR else -1


@plans("layer_norm_backward", "rms_norm_backward", "group_norm_backward")
def rows_gradient(problem):
    """Plan the gradient of a norm of rows."""
    norm, needs, weights = problem.norm, problem.needs, problem.weights
    count, length, (shape, dtype) = norm.count, norm.length, norm.result
    size, weighted = count * length * dtype.itemsize, any(needs[1:])
    if size == 0:
        return lambda *_: _needed(needs, empty(shape, dtype), zeros(weights, dtype), zeros(weights, dtype))
    columns, matrix = not norm.channels and (norm.weight is not None or weighted), (count, length)
    streaming, number = streams(size, length * dtype.itemsize), tasks(count, -(-GRAIN // length))
    if columns:
        block = max(-(-count // BLOCKS), -(-2 * GRAIN // length))
        parts, width = -(-count // block), length
        kernel, scratch = rows.layer_norm_backward__rows[dtype], parts * length
        options = block, norm.centred, _wide(size, streaming), parts, min(number, parts)
    else:
        channels, share, width = max(norm.channels, 1), 1 / length, prod(weights)
        kernel, scratch, parts = rows.group_norm_backward__rows[dtype], count * channels, count * channels // width
        options = channels, share * norm.centred, share, streaming, count, number
    merge = rows.layer_norm_backward__merge[dtype] if weighted and parts > 1 else None
    ones, default = np.ones(length if columns else width, dtype), norm.eps
    plain = _contiguous(problem.dy, norm.input, norm.weight, problem.statistics)
    forward = norm_rows(norm._replace(statistics=True)) if problem.statistics is None else None

    def merged(sums):
        if merge is not None:
            scattered, sums = sums, memory.fresh((width,), dtype)
            merge(scattered, sums)
        return sums if len(weights) == 1 else sums.reshape(weights)

    def run(out, dy, x, weight, eps, statistics, *_):
        dx, eps = empty(shape, dtype), default if eps is None else eps
        if not plain:
            dy, x, weight, statistics = _packed(dy, x, weight, statistics)
        if statistics is None:
            _, statistics = forward(dx, x, weight, None, eps)
        weight = ones if weight is None else weight.reshape(-1)
        dweight, dbias = empty((scratch,), dtype), empty((scratch,), dtype)
        if columns:
            views = dy.reshape(matrix), x.reshape(matrix), statistics, weight, dx.reshape(matrix)
            kernel(*views, dweight, dbias, eps, *options)
        else:
            views = dy.reshape(-1), x.reshape(-1), *statistics, weight, dx.reshape(-1)
            kernel(*views, dweight, dbias, length, eps, *options)
        if not weighted:
            return _needed(needs, dx, None, None)
        return _needed(needs, dx, merged(dweight), merged(dbias))

    return run


# --- channels over a batch


class _Images:
    """How (B, C, ...) is seen: flat, as (B, C, L), or with the channels last as (N, C), K pixels to a row."""

    def __init__(self, layout):
        self.shape, self.dtype = shape, dtype = layout.shape, layout.dtype
        self.channels, self.length = c, length = shape[1], prod(shape[2:])
        self.last_axes, self.first_axes = (0, *range(2, len(shape)), 1), (0, len(shape) - 1, *range(1, len(shape) - 1))
        ghost = layout.ghost()
        first = ghost.flags.c_contiguous
        self.last = not first and len(shape) > 2 and ghost.transpose(self.last_axes).flags.c_contiguous
        self.pixels = self.last or length == 1
        self.each = shape[0] * length
        self.size, fold = self.each * c * dtype.itemsize, 1
        wide = WIDE if self.size < FAR else WIDER
        while self.pixels and 0 < 2 * fold * c <= wide and self.each % (2 * fold) == 0 and self.each:
            fold *= 2
        self.rows, self.width = self.each // fold, fold * c
        width = max(self.width, 1)
        self.streaming = streams(self.size, dtype.itemsize * (self.width if self.pixels else length))
        self.piece = max(PIECE // width, 32)
        self.block = max(self.piece, -(-self.rows // BLOCKS))
        self.blocks = -(-self.rows // self.block)
        self.tasks_of_rows = tasks(self.rows, -(-GRAIN // width))
        self.tasks_of_blocks = min(self.tasks_of_rows, self.blocks)
        self.tasks_of_channels = tasks(c, -(-GRAIN // max(self.each, 1)))

    def flat(self, x):
        """Return an array flat in the order in which kernels see it, without a copy if its memory is in that order."""
        return contiguous(x.transpose(self.last_axes) if self.last else x).reshape(-1)

    def in_order(self, layout):
        """Return whether `flat` copies no array of a layout."""
        ghost = layout.ghost()
        return (ghost.transpose(self.last_axes) if self.last else ghost).flags.c_contiguous

    def result(self):
        """Return a new array in the input's memory layout if that is dense, and the same flat."""
        if not self.last:
            y = empty(self.shape, self.dtype)
            return y, y.reshape(-1)
        y = empty(tuple(self.shape[axis] for axis in self.last_axes), self.dtype)
        return y.transpose(self.first_axes), y.reshape(-1)

    def statistics(self):
        """Return f(flat x, weight, bias, flat y, mean, variance, eps), which normalises by those of the batch."""
        if not self.pixels:
            kernel = rows.group_norm__rows[self.dtype]
            length, options = self.length, (1, True, self.streaming, self.channels, self.tasks_of_channels)

            def normalize(x, weight, bias, y, mean, variance, eps):
                kernel(x, weight, bias, y, mean, variance, length, eps, *options)

        else:
            moments, kernel = (
                channels_last.batch_norm__statistics_channels_last[self.dtype],
                channels_last.batch_norm__channels_last[self.dtype],
            )
            blocks = self.block, self.piece, self.streaming, self.blocks, self.tasks_of_blocks
            options = self.block, self.streaming, self.rows, self.tasks_of_rows

            def normalize(x, weight, bias, y, mean, variance, eps):
                parts = empty((self.blocks, 4, self.width), self.dtype)
                moments(x, parts, *blocks)
                kernel(x, mean, variance, weight, bias, y, eps, parts, *options)

        return normalize

    def constants(self):
        """Return f(flat x, mean, variance, weight, bias, flat y, eps), which normalises by those statistics."""
        if not self.pixels:
            kernel, count = rows.batch_norm__channels_first[self.dtype], self.shape[0] * self.channels
            options = self.length, self.streaming, count, tasks(count, -(-GRAIN // max(self.length, 1)))
            return lambda *arguments: kernel(*arguments, *options)
        kernel, no_parts = channels_last.batch_norm__channels_last[self.dtype], np.empty((0, 4, self.width), self.dtype)
        options = no_parts, self.block, self.streaming, self.rows, self.tasks_of_rows

        def normalize(x, mean, variance, *rest):
            # the kernel writes statistics where it has parts, and so refuses read-only ones
            mean = mean if mean.flags.writeable else mean.copy()
            variance = variance if variance.flags.writeable else variance.copy()
            kernel(x, mean, variance, *rest, *options)

        return normalize


@plans("batch_norm")
def norm_channels(problem):
    """Plan a norm of channels over a batch."""
    images, own, returned = _Images(problem.input), problem.own_statistics, problem.statistics
    c, dtype = images.channels, images.dtype
    if images.size == 0:
        return _nothing(problem, (2, c))
    ones, nothing = np.ones(c, dtype), np.zeros(c, dtype)
    normalize, update = images.statistics() if own else images.constants(), _update(problem, images.each)
    direct = problem.out is not None and images.in_order(problem.out)

    def run(out, x, weight, bias, eps, mean, variance, running_mean, running_var, momentum, *_):
        weight, bias = ones if weight is None else weight, nothing if bias is None else bias
        y, flat = (out, images.flat(out)) if direct else images.result()
        if own:
            mean, variance = statistics = memory.fresh((2, c), dtype)
            normalize(images.flat(x), weight, bias, flat, mean, variance, eps)
            if update is not None:
                update(mean, variance, momentum, running_mean, running_var)
        else:
            statistics = mean, variance
            normalize(images.flat(x), mean, variance, weight, bias, flat, eps)
        if out is not None and not direct:
            out[...] = y
            y = out
        return (y, statistics) if returned else y

    return run


@plans("batch_norm_backward")
def channels_gradient(problem):
    """Plan the gradient of a norm of channels over a batch."""
    images, own, needs = _Images(problem.input), problem.own_statistics, problem.needs
    c, dtype = images.channels, images.dtype
    ones, nothing, share = np.ones(c, dtype), np.zeros(c, dtype), own / max(images.each, 1)
    if images.size == 0:
        return lambda *_: _needed(needs, images.result()[0], zeros((c,), dtype), zeros((c,), dtype))
    again = images.statistics() if own and problem.statistics is None else None
    if images.pixels:
        sums = channels_last.batch_norm_backward__sums_channels_last[dtype]
        kernel = channels_last.batch_norm_backward__channels_last[dtype]
        blocks = images.block, images.streaming, images.blocks, images.tasks_of_blocks
        options = images.streaming, images.rows, images.tasks_of_rows
    else:
        kernel = rows.group_norm_backward__rows[dtype]
        options = 1, share, share, images.streaming, images.channels, images.tasks_of_channels

    def run(out, dy, x, weight, eps, statistics, mean, variance, *_):
        weight = ones if weight is None else weight
        (dx, flat), dweight, dbias = images.result(), memory.fresh((c,), dtype), memory.fresh((c,), dtype)
        x, dy = images.flat(x), images.flat(dy)
        if statistics is not None:
            mean, variance = statistics
        elif again is not None:
            mean, variance = memory.fresh((2, c), dtype)
            again(x, ones, nothing, flat, mean, variance, eps)
        if images.pixels:
            parts = empty((2, images.blocks, images.width), dtype)
            sums(dy, x, contiguous(mean), parts, *blocks)
            kernel(dy, x, mean, variance, weight, parts, flat, dweight, dbias, eps, share, *options)
        else:
            kernel(dy, x, mean, variance, weight, flat, dweight, dbias, images.length, eps, *options)
        return _needed(needs, dx, dweight, dbias)

    return run


@plans("instance_norm")
def instance_norm(problem):
    """Plan a norm of the channels of each image, which are rows, or of a batch by given statistics."""
    return norm_rows(problem) if problem.own_statistics else norm_channels(problem)


@plans("instance_norm_backward")
def instance_norm_backward(problem):
    """Plan its gradient."""
    return rows_gradient(problem) if problem.own_statistics else channels_gradient(problem)


# --- lengths of vectors, and neighbouring channels


def _normalize(kernel, problem):
    """Plan the norm of vectors along a dimension, which is moved to the end."""
    (shape, dtype), dim = problem.result, problem.dim
    length, last = shape[dim] if shape else 1, dim == max(len(shape) - 1, 0)
    count = prod(shape) // max(length, 1)
    compute, number = kernel[dtype], tasks(count, -(-GRAIN // max(length, 1)))

    def run(out, *arguments):
        *arrays, _, _, eps = arguments
        y = target(out, shape, dtype)
        if y.size:
            arrays = [contiguous(x if last else np.moveaxis(x, dim, -1)) for x in arrays]
            moved = y if last else empty(arrays[0].shape, dtype)
            compute(*[x.reshape(count, length) for x in (*arrays, moved)], problem.p, eps, count, number)
            if not last:
                y[...] = np.moveaxis(moved, -1, dim)
        return y

    return run


plans("normalize")(partial(_normalize, local.normalize__rows))
plans("normalize_backward")(partial(_normalize, local.normalize_backward__rows))


def _local_response_norm(kernel, over_images, problem):
    """Plan the norm by neighbouring channels. over_images: its gradient works on whole images, with a workspace."""
    (shape, dtype), size, count = problem.result, problem.size, len(problem.arrays)
    planes = *shape[:2], prod(shape[2:])
    compute, items = kernel[dtype], planes[0] if over_images else planes[0] * planes[1]
    number = tasks(items, max(-(-GRAIN * items // max(prod(planes), 1)), 1))

    def run(out, *arguments):
        y, (alpha, beta, k) = target(out, shape, dtype), arguments[-3:]
        if y.size:
            views = [contiguous(x).reshape(planes) for x in (*arguments[:count], y)]
            views += [empty(planes, dtype)] * over_images
            compute(*views, size, alpha / size, beta, k, items, number)
        return y

    return run


plans("local_response_norm")(partial(_local_response_norm, local.local_response_norm__planes, False))
plans("local_response_norm_backward")(partial(_local_response_norm, local.local_response_norm_backward__planes, True))
