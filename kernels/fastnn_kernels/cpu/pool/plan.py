"""Plans of pooling: 2x2 windows side by side, windows that are the whole image, all others by tables."""

from math import inf, nan, prod
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from ...ground.backend import plans
from ...ground.checks import in_range
from ...ground.dtypes import I8
from ...ground.memory import empty, zeros
from ...ground.operation import Layout, layout_of
from ...ground.threads import tasks
from ..grains import SUMS as GRAIN
from . import elementwise_kernels, kernels, unpool_kernels
from .images import Images
from .window_tables import divisors, tables, three

INT32 = np.dtype(np.int32)
NARROW = 1 << 31  # pixels of an image whose indices are numbers of 32 bits
TURNS = 4  # sequences of equal steps in which neighbouring sums may take turns


def dims(name: str) -> list[str]:
    """Return the names of an operation for one, two and three axes: of "max_pool{}", max_pool1d and so on."""
    return [name.format(f"{n}d") for n in (1, 2, 3)]


def pooled_size(axes) -> tuple[int, ...]:
    """Return the size of pooled images."""
    return tuple(axis.count for axis in axes)


def are_squares(axes, windows) -> bool:
    """Return whether windows over images are 2x2, side by side."""
    return len(axes) == 2 and all(
        w.dilation == 1 and (w.starts == 2 * np.arange(len(w))).all() and (w.counts == 2).all() for w in windows[1:]
    )


def are_whole(windows) -> bool:
    """Return whether the only window is the image."""
    return all(len(w) == 1 and w.counts[0] == w.whole[0] == w.length for w in windows)


def _pooling(images, size, kernel, form, arguments, ranges, out=None):
    """Return run(out, input, ...) of a kernel(images, *arguments, pooled), whose range is over `ranges` of its axes.

    form: what gives the shape in which the kernel sees images of a size.
    """
    source, target, kernel = form(images.size), form(size), kernel[images.dtype]
    if form == images.flat:
        target = target[0], *target[2:]  # a number per plane, or per image and channel
    read, count, number = images.reader(images.x, source), prod(target[:ranges]), tasks(prod(images.x.shape), GRAIN)

    def compute(y, x, *_):
        kernel(read(x), *arguments, y, count, number)

    return images.writer(size, target, compute, out)


# -------------------------------------------------------------------------------------------------- maxima


@plans(*dims("max_pool{}"), *dims("adaptive_max_pool{}"))
def max_pool(problem):
    """Plan maxima: run(out, input, ...) -> values, or (values, indices)."""
    x, axes, floor = problem.input, problem.axes, 0.0 if problem.relu else -inf
    images, windows, size = Images(x, len(axes)), three(axes), pooled_size(axes)
    if problem.indices is True:
        return _with_indices(x, axes, -inf, problem.relu, I8, problem.out)
    if are_squares(axes, windows):
        kernel = kernels.max_pool2d__squares_channels_last if images.last else kernels.max_pool2d__squares
        floor = (0.0 if problem.relu else nan,)  # NaN for none
        run = _pooling(images, size, kernel, images.squares, floor, 2 if images.last else 1, problem.out)
        return (
            (lambda *arguments: (run(*arguments), None)) if problem.indices else run
        )  # its gradient finds the maxima again
    if problem.indices:
        return _with_indices(x, axes, floor, False, None, problem.out)
    if are_whole(windows) and not images.last:
        return _pooling(images, size, kernels.max_pool3d__whole, images.flat, (floor,), 1, problem.out)
    table = tables(windows, images.inner, True, 1, windows[2].length)
    return _pooling(images, size, kernels.max_pool3d__windows, images.volumes, (*table, floor), 3, problem.out)


def _are_wide(size) -> bool:
    """Return whether indices of images need more than 32 bits."""
    return prod(size) > NARROW


class _Finder:
    """The kernel that finds maxima and their indices in images, as volumes.

    find(x, y, indices): not below the floor, and -1 for that. form: the shape of y and the indices; dtype: of these.
    """

    def __init__(self, images, axes, floor):
        wide, windows = _are_wide(images.size), three(axes)
        kernel = kernels.max_pool3d__windows_and_wide_indices if wide else kernels.max_pool3d__windows_and_indices
        self.kernel, self.floor, self.dtype = kernel[images.dtype], floor, I8 if wide else INT32
        self.table = tables(windows, images.inner, False, 1, windows[2].length)
        self.form, self.source = images.volumes(pooled_size(axes)), images.volumes(images.size)
        self.count, self.number = prod(self.form[:3]), tasks(prod(self.source), GRAIN)

    def find(self, x, y, indices):
        self.kernel(x, *self.table, self.floor, y, indices, self.count, self.number)


def _images_with_indices(x, axes):
    """Return how the kernels that find or use indices see images: channels-first if these have 64 bits."""
    return Images(x, len(axes), False if _are_wide(x.shape[-len(axes) :]) else None)


def _with_indices(x, axes, floor, relu, dtype, out):
    """Return run(out, input, ...) -> (values, indices).

    floor: of the values, whose index is -1. relu: whether values go through one at the end. dtype: of the indices, None
    for int32 where these suffice.
    """
    images, size = _images_with_indices(x, axes), pooled_size(axes)
    finder = _Finder(images, axes, floor)
    find, form, kind, count = finder.find, finder.form, finder.dtype, prod(finder.form)
    read, new = images.reader(x, finder.source), images.new(size, form, dtype or kind)
    same = dtype is None or dtype is kind
    clamp, number = kernels.max_pool3d__whole[x.dtype] if relu else None, tasks(count, GRAIN)

    def compute(y, x, indices):
        find(read(x), y, indices)
        if clamp is not None:  # the maximum of one number, not below 0
            clamp(y.reshape(-1, 1), 0.0, y.reshape(-1), count, number)

    write = images.writer(size, form, compute, out)

    def run(out, x, *_):
        indices, memory = new()
        found = memory if same else empty(form, kind)
        y = write(out, x, found)
        if not same:
            memory[...] = found
        return y, indices

    return run


@plans(*dims("max_pool{}_backward"), *dims("adaptive_max_pool{}_backward"))
def max_pool_backward(problem):
    """Plan gradients: run(out, dy, input, indices, ...)."""
    x, dy, axes, floor = problem.input, problem.dy, problem.axes, 0.0 if problem.relu else -inf
    if problem.indices is None and are_squares(axes, three(axes)):
        return _squares_backward(Images(x, len(axes)), dy, axes, problem.relu)
    images, size = _images_with_indices(x, axes), pooled_size(axes)
    scatter = _scattering(images, axes)
    pooled = images.volumes(size) if images.last else images.flat(size)
    read_dy, target = (
        images.reader(dy, pooled),
        images.volumes(images.size) if images.last else images.flat(images.size),
    )
    finder = _Finder(images, axes, floor)
    find, kind, found_form = finder.find, finder.dtype, finder.form
    if problem.indices is None:
        read = images.reader(x, finder.source)

        def compute(dx, dy, x, *_):
            indices = empty(found_form, kind)
            find(read(x), empty(found_form, dx.dtype), indices)
            scatter(read_dy(dy), indices.reshape(pooled), dx)

        return images.writer(images.size, target, compute)
    read, same, name = images.reader(problem.indices, pooled), problem.indices.dtype is kind, problem.name
    check, limit = problem.check, prod(images.size)

    def compute(dx, dy, x, indices, *_):
        if check:
            in_range(name, "indices", indices, limit, -1)
        indices = read(indices)
        if not same:
            found, indices = indices, empty(pooled, kind)
            indices[...] = found
        scatter(read_dy(dy), indices, dx)

    return images.writer(images.size, target, compute)


def _scattering(images, axes):
    """Return scatter(dy, indices, dx), which adds gradients up at their indices."""
    dtype, number, windows = images.dtype, tasks(prod(images.x.shape), GRAIN), three(axes)
    if not images.last:
        wide = _are_wide(images.size)
        kernel = (kernels.max_pool_backward__wide_indices if wide else kernels.max_pool_backward__channels_first)[dtype]
        count = images.flat(images.size)[0]
        return lambda dy, indices, dx: kernel(dy, indices, dx, count, number)
    kernel = kernels.max_pool_backward__channels_last[dtype]
    table = tables([w.transposed() for w in windows], images.inner, False, 1, windows[2].length)
    count = prod(images.volumes(images.size)[:3])
    return lambda dy, indices, dx: kernel(dy, indices, *table, 0.0, dx, count, number)


def _squares_backward(images, dy, axes, relu):
    """Return run(out, dy, input, ...) for 2x2 windows, whose maxima are found again."""
    kernel = kernels.max_pool_backward__squares
    if images.last:
        kernel = kernels.max_pool_backward__squares_channels_last
    kernel, floor = kernel[images.dtype], 0.0 if relu else nan
    form, pooled = images.squares(images.size), images.squares(pooled_size(axes))
    read, read_dy = images.reader(images.x, form), images.reader(dy, pooled)
    count, number = prod(pooled[: 2 if images.last else 1]), tasks(prod(form), GRAIN)

    def compute(dx, dy, x, *_):
        kernel(read_dy(dy), read(x), floor, dx, count, number)

    return images.writer(images.size, form, compute)


# ------------------------------------------------------------------------------------------------ unpooling


def _unpooling(x, dims):
    """Return how a kernel sees images as (B, C, N), whatever their layout, without a copy where possible."""
    *above, channels = (1, *x.shape[:-dims])
    return prod(above), channels, prod(x.shape[-dims:])


def _as_int64(indices):
    if indices.dtype is I8:
        return indices
    wide = empty(indices.shape, I8)
    wide[...] = indices  # beyond 64 bits they become negative, which is outside as well
    return wide


@plans(*dims("max_unpool{}"))
def max_unpool(problem):
    """Plan values that go to indices: run(out, input, indices, ...)."""
    name, x, size = problem.name, problem.input, problem.size
    images, form, limit = Images(x, len(size)), _unpooling(x, len(size)), prod(size)
    batch, channels, _ = form
    kernel, number = unpool_kernels.max_unpool3d__scatter[x.dtype], tasks(batch * channels * limit, GRAIN)
    last, new = images.last, images.new(size, (batch, limit, channels) if images.last else (batch, channels, limit))

    def run(out, x, indices, *_):
        y, memory = new()
        wrong = zeros((batch,), I8)
        memory = memory.transpose(0, 2, 1) if last else memory
        kernel(x.reshape(form), _as_int64(indices).reshape(form), memory, wrong, channels, number)
        if wrong.any():
            raise ValueError(f"{name}: indices must be from 0 to {limit - 1} for output size {size}")
        return y

    return run


@plans(*dims("max_unpool{}_backward"))
def max_unpool_backward(problem):
    """Plan gradients, which are read at indices: run(out, dy, indices)."""
    name, dy, shape = problem.name, problem.dy, problem.indices.shape
    source, form = _unpooling(dy, problem.dims), _unpooling(problem.indices, problem.dims)
    kernel, number = unpool_kernels.max_unpool_backward__gather[dy.dtype], tasks(prod(form), GRAIN)
    if 0 in source:  # no index is right
        form = (form[0], 0, 0) if 0 in form else form

    def run(out, dy, indices):
        dx, wrong = empty(shape, dy.dtype), zeros((form[0],), I8)
        kernel(dy.reshape(source), _as_int64(indices).reshape(form), dx.reshape(form), wrong, form[0], number)
        if wrong.any():
            in_range(name, "indices", indices, source[2])
        return dx

    return run


# ---------------------------------------------------------------------------------------- means, sums, norms


class _Counts(NamedTuple):
    """What sums are divided by: the same `divisor` for all, or None; and per output of each axis."""

    divisor: int | None
    axes: tuple[ndarray, ...]

    @property
    def halving(self) -> bool:
        """Whether the divisor is a power of two, so that multiplying by 1 / divisor is exact."""
        return self.divisor is not None and self.divisor.bit_count() == 1


def _counts(windows, padded, divisor) -> _Counts:
    if divisor is not None:
        axes = tuple(np.full(len(w), divisor if i == 0 else 1) for i, w in enumerate(windows))
    else:
        axes = tuple(w.whole if padded else w.counts for w in windows)
    same = all((count == count[:1]).all() for count in axes)
    return _Counts(prod(int(count[0]) for count in axes if len(count)) if same else None, axes)


@plans(*dims("avg_pool{}"), *dims("adaptive_avg_pool{}"), "sum_pool2d")
def avg_pool(problem):
    """Plan means: run(out, input, ...)."""
    return _means(problem.input, problem.axes, problem.padded, problem.divisor, problem.out)


def _means(x, axes, padded=True, divisor=None, out=None):
    images, windows, size = Images(x, len(axes)), three(axes), pooled_size(axes)
    counts = _counts(windows, padded, divisor)
    if are_whole(windows):
        kernel = kernels.avg_pool3d__whole_channels_last if images.last else kernels.avg_pool3d__whole
        return _pooling(images, size, kernel, images.flat, (counts.divisor,), 1, out)
    if counts.halving and are_squares(axes, windows):
        kernel = kernels.avg_pool2d__squares_channels_last if images.last else kernels.avg_pool2d__squares
        ranges = 2 if images.last else 1
        return _pooling(images, size, kernel, images.squares, (1 / counts.divisor,), ranges, out)
    table = tables(windows, images.inner, True, TURNS, windows[2].length)
    arguments = *table, divisors(counts.axes, table.runs, x.dtype)
    return _pooling(images, size, kernels.avg_pool3d__windows, images.volumes, arguments, 3, out)


@plans(*dims("avg_pool{}_backward"), *dims("adaptive_avg_pool{}_backward"))
def avg_pool_backward(problem):
    """Plan gradients: run(out, dy, ...)."""
    dy, axes, last = problem.dy, problem.axes, problem.channels_last
    last = Images(dy, len(axes)).last if last is None else last
    return _means_backward(dy, problem.shape, last, axes, problem.padded, problem.divisor)


def _means_backward(dy, shape, last, axes, padded=True, divisor=None):
    dtype, windows, size = dy.dtype, three(axes), pooled_size(axes)
    images = Images(Layout(shape, (), dtype), len(axes), last)
    counts, number = _counts(windows, padded, divisor), tasks(prod(shape), GRAIN)
    if are_whole(windows) and not last:
        form = images.flat(images.size)
        kernel, read = kernels.avg_pool_backward__whole[dtype], images.reader(dy, form[:1])

        def compute(dx, dy, *_):
            kernel(read(dy), counts.divisor, dx, form[0], number)

        return images.writer(images.size, form, compute)
    if counts.halving and are_squares(axes, windows):
        kernel = kernels.avg_pool_backward__squares
        if last:
            kernel = kernels.avg_pool_backward__squares_channels_last
        kernel, pooled, factor = kernel[dtype], images.squares(size), 1 / counts.divisor
        read, count = images.reader(dy, pooled), prod(pooled[: 2 if last else 1])

        def compute(dx, dy, *_):
            kernel(read(dy), factor, dx, count, number)

        return images.writer(images.size, images.squares(images.size), compute)
    kernel, pooled = kernels.avg_pool3d__windows[dtype], images.volumes(size)
    read, back = images.reader(dy, pooled), [w.transposed() for w in windows]
    table = tables(back, images.inner, True, TURNS, windows[2].length)
    ones = [np.full(len(w), counts.divisor or 1 if i == 0 else 1) for i, w in enumerate(back)]
    over, form = divisors(ones, table.runs, dtype), images.volumes(images.size)
    count = prod(form[:3])
    if counts.divisor is None:  # windows at the edges count less: divide before the sum
        depth, height, width = counts.axes
        each = np.concatenate([depth, height, np.repeat(width, images.inner)]).astype(dtype)
        quotients, before = elementwise_kernels.avg_pool_backward__quotients[dtype], prod(pooled[:3])

    def compute(dx, dy, *_):
        grads = read(dy)
        if counts.divisor is None:
            dy, grads = grads, empty(pooled, dtype)
            quotients(dy, each, grads, before, number)
        kernel(grads, *table, over, dx, count, number)

    return images.writer(images.size, form, compute)


@plans(*dims("lp_pool{}"))
def lp_pool(problem):
    """Plan norms: run(out, input, ...). Powers, their means, and the roots of these times the taps."""
    x, axes, power, taps, dtype = problem.input, problem.axes, problem.power, problem.taps, problem.input.dtype
    images = Images(x, len(axes))
    count, pooled = prod(x.shape), prod((*images.above, *pooled_size(axes)))
    powers, roots = elementwise_kernels.lp_pool3d__powers[dtype], elementwise_kernels.lp_pool3d__roots[dtype]
    read, new = images.reader(x, (count,)), images.new(images.size, (count,))
    means, number, pooled_number = _means(layout_of(new()[0]), axes), tasks(count, GRAIN), tasks(pooled, GRAIN)
    flat = images.reader(layout_of(images.new(pooled_size(axes), (pooled,))()[0]), (pooled,))

    def run(out, x, *_):
        raised, memory = new()
        powers(read(x), power, memory, count, number)
        y = means(None, raised)
        roots(flat(y), taps, 1 / power, pooled, pooled_number)
        return y

    return run


@plans(*dims("lp_pool{}_backward"))
def lp_pool_backward(problem):
    """Plan gradients of norms: run(out, dy, input, output, ...). Those of the means, and of the powers before these."""
    x, dy, axes, power, taps, dtype = (
        problem.input, problem.dy, problem.axes, problem.power, problem.taps, problem.input.dtype,
    )  # fmt: skip
    images, size = Images(x, len(axes)), pooled_size(axes)
    count, pooled = prod(x.shape), prod(dy.shape)
    quotients, powers = (
        elementwise_kernels.lp_pool_backward__quotients[dtype],
        elementwise_kernels.lp_pool_backward__powers[dtype],
    )
    read, read_dy, read_y = images.reader(x, (count,)), *(images.reader(a, (pooled,)) for a in (dy, problem.output))
    new, flat = images.new(size, (pooled,)), images.reader(layout_of(images.new(images.size, (count,))()[0]), (count,))
    back = _means_backward(layout_of(new()[0]), x.shape, images.last, axes)
    number, pooled_number = tasks(count, GRAIN), tasks(pooled, GRAIN)

    def run(out, dy, x, y, *_):
        shares, memory = new()
        quotients(read_dy(dy), read_y(y), 1 - power, taps, memory, pooled, pooled_number)
        dx = back(None, shares)
        powers(read(x), power - 1, flat(dx), count, number)
        return dx

    return run
