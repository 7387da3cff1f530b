"""Images and volumes sampled at the positions that a grid names.

Three steps: positions in pixels and how fast they move with the grid; the pixels around each, taps, with their weights
and the slopes of these; sums over the taps, plane by plane.
"""

from math import prod

import numpy as np

from ...ground.backend import plans
from ...ground.checks import I8, contiguous
from ...ground.jit import exact, jitted, kernel
from ...ground.memory import empty
from ...ground.threads import tasks
from ..grains import RANDOM as GRAIN
from ..vector.simd import load, rint, store

PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}
ZEROS, BORDER, REFLECTION = PADDINGS.values()
MODES = {"nearest": 0, "bilinear": 1, "bicubic": 2}
NEAREST, LINEAR, CUBIC = MODES.values()
ROOM = 4  # pixels outside of an image beyond which no tap reaches it
FAR = 1 << 30
BLOCK = 256  # pixels of a result that are computed together
TOGETHER = 1 << 14  # pixels whose taps are known at once
SHARPNESS = -0.75  # of Keys' kernel


@exact
def floor(v):
    """Return the largest whole number up to v, of its dtype: math.floor gives an integer, and products in float64."""
    nearest = rint(v)
    return nearest - type(v)(1) if nearest > v else nearest


@exact
def split(v):
    """Return the largest whole number up to v, and the rest; rounded here, so that no other sum mixes with it."""
    before = floor(v)
    return before, v - before


@jitted
def reflected(v, n, align):
    """Return a position mirrored into an axis of n pixels, and whether it moves forward (1) or backward (-1)."""
    T = type(v)
    low, span = T(0) if align else T(-0.5), T(n - 1) if align else T(n)
    if span == 0:
        return T(0), T(0)
    distance = abs(v - low)
    turns = floor(distance / span)
    rest, odd = distance - turns * span, turns - T(2) * floor(turns * T(0.5)) > 0
    sign = T(-1) if (v < low) != odd else T(1)
    return (span - rest if odd else rest) + low, sign


@jitted
def clipped(v, n):
    """Return a position within an axis of n pixels, and 1 if it was inside, else 0."""
    T = type(v)
    last = T(n - 1)
    if not v > T(0):
        return T(0), T(0)
    if v >= last:
        return last, T(0)
    return v, T(1)


@kernel("S[:,:,::1], i8[::1], int, int, T[:,:,::1], T[:,:,::1]", writes="position slope", parallel=True)
def grid_sample__positions(grid, sizes, padding, align, position, slope, lo, hi):
    """grid(B,L,A), sizes(A) -> position(B,A,L) in pixels, slope(B,A,L): its derivative. The range: blocks of L.

    padding: without (-1) positions stay outside: it is for the taps.
    """
    T, length = grid.dtype.type, grid.shape[1]
    blocks, half, nothing = -(-length // BLOCK), T(0.5), T(0)
    for item in range(lo, hi):
        b, start = item // blocks, item % blocks * BLOCK
        part = slice(start, min(start + BLOCK, length))
        given = grid[b, part]
        for a in range(sizes.size):
            n, places, slopes = sizes[a], position[b, a, part], slope[b, a, part]
            scale = T(n - 1) * half if align else T(n) * half
            shift, outside = nothing if align else half, T(-FAR) if padding < 0 else T(-ROOM)
            outside = outside if padding <= ZEROS else nothing
            for l in range(places.size):  # noqa: E741
                v = (given[l, a] + T(1)) * scale - shift
                known = abs(v) < T(FAR)  # not for nan
                store(places, l, v if known else outside)
                store(slopes, l, scale if known else nothing)
            if padding == ZEROS:
                for l in range(places.size):  # noqa: E741
                    store(places, l, min(max(load(places, l), T(-ROOM)), T(n + ROOM)))
            if padding == REFLECTION:
                for l in range(places.size):  # noqa: E741
                    v, sign = reflected(load(places, l), n, align)
                    store(places, l, v)
                    store(slopes, l, load(slopes, l) * sign)
            if padding > ZEROS:
                for l in range(places.size):  # noqa: E741
                    v, inside = clipped(load(places, l), n)
                    store(places, l, v)
                    store(slopes, l, load(slopes, l) * inside)


@jitted
def shared(v, bit):
    """Return the pixel before a position, or with `bit` the one behind it, and its weight."""
    below, rest = split(v)
    return int(below) + bit, rest if bit else type(v)(1) - rest


@kernel(
    "T[:,:,::1], T[:,:,::1], i8[::1], int, i8[:,:,::1], T[:,:,::1], T[:,:,:,::1]",
    writes="place weight step",
    parallel=True,
)
def grid_sample__taps(position, slope, sizes, linear, place, weight, step, lo, hi):
    """position(B,A,L), slope(B,A,L), sizes(A) -> place(B,K,L), weight(B,K,L), step(B,A,K,L) or (0,A,K,L).

    The K taps are the nearest pixel, or the 2^A around a position; place is -1 outside. step: of the weights, by the
    grid. The range: blocks of L.
    """
    T, axes, taps, length = position.dtype.type, sizes.size, place.shape[1], position.shape[2]
    blocks = -(-length // BLOCK)
    for item in range(lo, hi):
        b, start = item // blocks, item % blocks * BLOCK
        part = slice(start, min(start + BLOCK, length))
        for k in range(taps):
            places, weights, stride = place[b, k, part], weight[b, k, part], 1
            for l in range(places.size):  # noqa: E741
                store(places, l, 0)
                store(weights, l, T(1))
            for a in range(axes):
                values, n, bit = position[b, a, part], sizes[a], (k >> a) & 1
                for l in range(places.size):  # noqa: E741
                    i, share = shared(load(values, l), bit)
                    i = i if linear else int(rint(load(values, l)))
                    inside, before = i >= 0 and i < n, load(places, l)
                    store(places, l, before + i * stride if inside and before >= 0 else -1)
                    store(weights, l, load(weights, l) * share if linear else T(1))
                stride *= n
            for a in range(axes if step.shape[0] else 0):
                steps, slopes, sign = step[b, a, k, part], slope[b, a, part], T(1) if (k >> a) & 1 else T(-1)
                for l in range(places.size):  # noqa: E741
                    store(steps, l, load(slopes, l) * sign if linear else T(0))
                for other in range(axes):
                    values = position[b, other, part]
                    for l in range(places.size if other != a and linear else 0):  # noqa: E741
                        store(steps, l, load(steps, l) * shared(load(values, l), (k >> other) & 1)[1])


@jitted
def keys(j, t):
    """Return the weight of the j-th of four taps, and its derivative, for a position t behind the second."""
    T = type(t)
    A, x, sign = T(SHARPNESS), abs(t + T(1 - j)), T(1) if j < 2 else T(-1)
    far = ((A * x - T(5) * A) * x + T(8) * A) * x - T(4) * A
    far_slope = (T(3) * A * x - T(10) * A) * x + T(8) * A
    near = ((A + T(2)) * x - (A + T(3))) * x * x + T(1)
    near_slope = (T(3) * (A + T(2)) * x - T(2) * (A + T(3))) * x
    outer = j == 0 or j == 3
    return far if outer else near, sign * (far_slope if outer else near_slope)


@jitted
def tap(i, n, padding, align, number):
    """Return the pixel that tap i along an axis of n pixels is, -1 for none; number: of the dtype to compute in."""
    T = type(number)
    if padding == ZEROS:
        return i if i >= 0 and i < n else -1
    v = T(i)
    if padding == REFLECTION:
        v, _ = reflected(v, n, align)
    v, _ = clipped(v, n)
    return int(v + T(0.5))


@kernel(
    "T[:,:,::1], T[:,:,::1], i8[::1], int, int, i8[:,:,::1], T[:,:,::1], i8[:,:,::1], T[:,:,::1], T[:,:,:,::1]",
    writes="pixels lines place weight step",
    parallel=True,
)
def grid_sample__cubic_taps(position, slope, sizes, padding, align, pixels, lines, place, weight, step, lo, hi):
    """position(B,2,L), slope(B,2,L), sizes(2) -> place(B,16,L), weight(B,16,L), step(B,2,16,L) or (0,2,16,L).

    pixels(I,8,BLOCK), lines(I,16,BLOCK): the four pixels along each axis, their weights and the slopes of these. The
    range: I blocks of L.
    """
    length = position.shape[2]
    blocks = -(-length // BLOCK)
    for item in range(lo, hi):
        b, start = item // blocks, item % blocks * BLOCK
        part = slice(start, min(start + BLOCK, length))
        for a in range(2):
            values, slopes = position[b, a, part], slope[b, a, part]
            for i in range(4):
                places, weights, steps = pixels[item, 4 * a + i], lines[item, 4 * a + i], lines[item, 8 + 4 * a + i]
                for l in range(values.size):  # noqa: E741
                    v = load(values, l)
                    before, rest = split(v)
                    share, change = keys(i, rest)
                    store(places, l, tap(int(before) + i - 1, sizes[a], padding, align, v))
                    store(weights, l, share)
                    store(steps, l, change * load(slopes, l))
        for k in range(16):
            i, j = k % 4, 4 + k // 4
            columns, rows, places, weights = pixels[item, i], pixels[item, j], place[b, k, part], weight[b, k, part]
            for l in range(places.size):  # noqa: E741
                column, row = load(columns, l), load(rows, l)
                store(places, l, row * sizes[0] + column if row >= 0 and column >= 0 else -1)
                store(weights, l, load(lines[item, i], l) * load(lines[item, j], l))
            for a in range(2 if step.shape[0] else 0):
                steps, other = step[b, a, k, part], lines[item, i if a else j]
                change = lines[item, 8 + (j if a else i)]
                for l in range(steps.size):  # noqa: E741
                    store(steps, l, load(change, l) * load(other, l))


@kernel("S[:,:,::1], i8[:,:,::1], T[:,:,::1], S[:,:,::1]", writes="out", parallel=True)
def grid_sample__planes(x, place, weight, out, lo, hi):
    """x(B,C,N), place(B,K,L), weight(B,K,L) -> out(B,C,L). The range is over blocks of planes."""
    T, channels, length, taps = x.dtype.type, x.shape[1], out.shape[2], place.shape[1]
    blocks = -(-length // BLOCK)
    for item in range(lo, hi):
        plane, start = item // blocks, item % blocks * BLOCK
        b, c = plane // channels, plane % channels
        part = slice(start, min(start + BLOCK, length))
        image, result = x[b, c], out[b, c, part]
        result[:] = T(0)
        for k in range(taps):
            places, weights = place[b, k, part], weight[b, k, part]
            for l in range(result.size):  # noqa: E741
                i = load(places, l)
                value = load(image, max(i, 0))
                store(result, l, load(result, l) + (load(weights, l) * value if i >= 0 else T(0)))


@kernel("S[:,:,::1], i8[:,:,::1], T[:,:,::1], S[:,:,::1]", writes="dx", parallel=True)
def grid_sample_backward__planes(dy, place, weight, dx, lo, hi):
    """dy(B,C,L), place(B,K,L), weight(B,K,L) -> dx(B,C,N). The range is over B C."""
    T, channels, taps, length = dy.dtype.type, dy.shape[1], place.shape[1], dy.shape[2]
    for plane in range(lo, hi):
        b, c = plane // channels, plane % channels
        result = dx[b, c]
        result[:] = T(0)
        for start in range(0, length, BLOCK):
            part = slice(start, min(start + BLOCK, length))
            above = dy[b, c, part]
            for k in range(taps):
                places, weights = place[b, k, part], weight[b, k, part]
                for l in range(above.size):  # noqa: E741
                    i = load(places, l)
                    if i >= 0:
                        store(result, i, load(result, i) + load(weights, l) * load(above, l))


@kernel(
    "S[:,:,::1], S[:,:,::1], i8[:,:,::1], T[:,:,:,::1], T[:,::1], S[:,:,::1]", writes="scratch dgrid", parallel=True
)
def grid_sample_backward__grid(dy, x, place, step, scratch, dgrid, lo, hi):
    """dy(B,C,L), x(B,C,N), place(B,K,L), step(B,A,K,L), scratch(I,BLOCK) -> dgrid(B,L,A). The range is over I blocks.

    For each tap sum dy times its pixel over the channels; add that times its steps.
    """
    T, axes, taps, length = x.dtype.type, step.shape[1], place.shape[1], dy.shape[2]
    blocks = -(-length // BLOCK)
    for item in range(lo, hi):
        b, start = item // blocks, item % blocks * BLOCK
        part = slice(start, min(start + BLOCK, length))
        result = dgrid[b, part]
        result[:] = T(0)
        for k in range(taps):
            places = place[b, k, part]
            total = scratch[item, : places.size]
            total[:] = T(0)
            for c in range(x.shape[1]):
                above, image = dy[b, c, part], x[b, c]
                for l in range(total.size):  # noqa: E741
                    i = load(places, l)
                    value = load(image, max(i, 0))
                    store(total, l, load(total, l) + (load(above, l) * value if i >= 0 else T(0)))
            for a in range(axes):
                steps = step[b, a, k, part]
                for l in range(total.size):  # noqa: E741
                    result[l, a] += load(total, l) * load(steps, l)


class _Taps:
    """How the taps of a grid are found, for as many images at a time as TOGETHER pixels of the result have.

    `find(grid, slopes)` gives place (B,K,L), weight (B,K,L) and step (B,A,K,L), which is empty without `slopes`.
    """

    def __init__(self, problem):
        shape, dtype = problem.grid.shape, problem.grid.dtype
        self.length, self.axes = prod(shape[1:-1]), shape[-1]
        self.dtype, self.mode, self.padding = dtype, MODES[problem.mode], PADDINGS[problem.padding]
        self.sizes, self.align = np.array(problem.input.shape[:1:-1], I8), int(problem.align_corners)
        self.taps = {NEAREST: 1, LINEAR: 1 << self.axes, CUBIC: 16}[self.mode]
        step = max(1, TOGETHER // max(self.length, 1))
        self.parts = [slice(b, min(b + step, shape[0])) for b in range(0, shape[0], step)]

    def find(self, grid, slopes):
        """Return place, weight and step of the taps of a grid (B,L,A)."""
        batch, length, dtype = grid.shape[0], self.length, self.dtype
        form, pixels = (batch, self.axes, length), (batch, self.taps, length)
        position, slope = empty(form, dtype), empty(form, dtype)
        place, weight = empty(pixels, I8), empty(pixels, dtype)
        step = empty((batch if slopes else 0, self.axes, self.taps, length), dtype)
        blocks = batch * -(-length // BLOCK)
        items = blocks, tasks(blocks, max(1, GRAIN // (BLOCK * self.taps)))
        cubic = self.mode == CUBIC
        padding = -1 if cubic else self.padding
        grid_sample__positions[dtype](grid, self.sizes, padding, self.align, position, slope, *items)
        around = position, slope, self.sizes
        if cubic:
            scratch = empty((blocks, 8, BLOCK), I8), empty((blocks, 16, BLOCK), dtype)
            grid_sample__cubic_taps[dtype](*around, self.padding, self.align, *scratch, place, weight, step, *items)
        else:
            grid_sample__taps[dtype](*around, int(self.mode == LINEAR), place, weight, step, *items)
        return place, weight, step


@plans("grid_sample")
def grid_sample(problem):
    """Plan sampled images: run(out, input, grid, mode, padding_mode, align_corners)."""
    taps, shape, x = _Taps(problem), problem.shape, problem.input
    images, results = (*x.shape[:2], prod(x.shape[2:])), (*shape[:2], taps.length)
    places = (x.shape[0], taps.length, taps.axes)
    compute, each = grid_sample__planes[x.dtype], x.shape[1] * -(-taps.length // BLOCK)
    grain = max(1, GRAIN // (BLOCK * taps.taps))

    def run(out, x, grid, *_):
        y = empty(shape, problem.input.dtype)
        if y.size:
            x, grid, result = contiguous(x).reshape(images), contiguous(grid).reshape(places), y.reshape(results)
            for part in taps.parts:
                items = (part.stop - part.start) * each
                place, weight, _ = taps.find(grid[part], False)
                compute(x[part], place, weight, result[part], items, tasks(items, grain))
        return y

    return run


@plans("grid_sample_backward")
def grid_sample_backward(problem):
    """Plan the gradients: run(out, dy, input, grid, ...) -> (dinput, dgrid)."""
    taps, shape, x = _Taps(problem), problem.shape, problem.input
    dtype, of_dx, of_dgrid = x.dtype, *problem.needs
    images, results = (*x.shape[:2], prod(x.shape[2:])), (*shape[:2], taps.length)
    places = (x.shape[0], taps.length, taps.axes)
    planes, blocks = x.shape[1], -(-taps.length // BLOCK)
    of_input, of_grid = grid_sample_backward__planes[dtype], grid_sample_backward__grid[dtype]
    work = max(x.shape[1] * max(taps.length * taps.taps, images[2]), 1)  # of an image

    def run(out, dy, x, grid, *_):
        dx = empty(problem.input.shape, dtype) if of_dx else None
        dgrid = empty(problem.grid.shape, dtype) if of_dgrid else None
        dy, x = contiguous(dy).reshape(results), contiguous(x).reshape(images)
        grid = contiguous(grid).reshape(places)
        for part in taps.parts:
            place, weight, step = taps.find(grid[part], of_dgrid)
            count = part.stop - part.start
            if of_dx and dx.size:
                items = count * planes
                number = tasks(items, max(1, GRAIN * planes // work))
                of_input(dy[part], place, weight, dx.reshape(images)[part], items, number)
            if of_dgrid and dgrid.size:
                items = count * blocks
                number = tasks(items, max(1, GRAIN * blocks // work))
                scratch = empty((items, BLOCK), dtype)
                of_grid(dy[part], x[part], place, step, scratch, dgrid.reshape(places)[part], items, number)
        return dx, dgrid

    return run
