"""Images and volumes sampled at the positions that a grid names.

Three steps: positions in pixels and how fast they move with the grid; the pixels around each, taps, with their weights
and the slopes of these; sums over the taps, plane by plane.
"""

import math
from math import prod

import numpy as np

from ...ground.backend import plans
from ...ground.checks import I8, contiguous
from ...ground.jit import jitted, kernel
from ...ground.memory import empty
from ...ground.threads import tasks
from ..grains import RANDOM as GRAIN
from ..vector.simd import rint

PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}
ZEROS, BORDER, REFLECTION = PADDINGS.values()
MODES = {"nearest": 0, "bilinear": 1, "bicubic": 2}
NEAREST, LINEAR, CUBIC = MODES.values()
ROOM = 4  # pixels outside of an image beyond which no tap reaches it
FAR = 1 << 30
BLOCK = 256  # pixels of a result that are computed together
TOGETHER = 1 << 14  # pixels whose taps are known at once
SHARPNESS = -0.75  # of Keys' kernel


@jitted
def reflected(v, n, align):
    """Return a position mirrored into an axis of n pixels, and whether it moves forward (1) or backward (-1)."""
    T = type(v)
    low, span = T(0) if align else T(-0.5), T(n - 1) if align else T(n)
    if span == 0:
        return T(0), T(0)
    distance = abs(v - low)
    turns = math.floor(distance / span)
    rest, odd = distance - turns * span, turns - T(2) * math.floor(turns * T(0.5)) > 0
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


@kernel("S[:,::1], i8[::1], int, int, T[:,::1], T[:,::1]", writes="position slope", parallel=True)
def grid_sample__positions(grid, sizes, padding, align, position, slope, lo, hi):
    """grid(M,A), sizes(A) -> position(M,A) in pixels, slope(M,A): its derivative. The range is over M."""
    T = grid.dtype.type
    for m in range(lo, hi):
        for a in range(sizes.size):
            n = sizes[a]
            scale = T(n - 1) * T(0.5) if align else T(n) * T(0.5)
            v = (grid[m, a] + T(1)) * scale - (T(0) if align else T(0.5))
            if not abs(v) < T(FAR):  # nan, too
                v, scale = T(-ROOM) if padding == ZEROS else T(0), T(0)
            if padding == REFLECTION:
                v, sign = reflected(v, n, align)
                scale *= sign
            if padding == ZEROS:
                v = min(max(v, T(-ROOM)), T(n + ROOM))
            else:
                v, inside = clipped(v, n)
                scale *= inside
            position[m, a], slope[m, a] = v, scale


@kernel("S[:,::1], i8[::1], int, T[:,::1], T[:,::1]", writes="position slope", parallel=True)
def grid_sample__plain_positions(grid, sizes, align, position, slope, lo, hi):
    """grid(M,A), sizes(A) -> position(M,A), slope(M,A) without padding, which is for the taps. The range is over M."""
    T = grid.dtype.type
    for m in range(lo, hi):
        for a in range(sizes.size):
            n = sizes[a]
            scale = T(n - 1) * T(0.5) if align else T(n) * T(0.5)
            v = (grid[m, a] + T(1)) * scale - (T(0) if align else T(0.5))
            if not abs(v) < T(FAR):
                v, scale = T(-FAR), T(0)
            position[m, a], slope[m, a] = v, scale


@kernel("T[:,::1], T[:,::1], i8[::1], int, i8[:,::1], T[:,::1], T[:,:,::1]", writes="place weight step", parallel=True)
def grid_sample__taps(position, slope, sizes, linear, place, weight, step, lo, hi):
    """position(M,A), slope(M,A), sizes(A) -> place(M,K), weight(M,K), step(M,A,K) or (0,A,K). The range is over M.

    The K taps are the nearest pixel, or the 2^A around a position; place is -1 outside. step: of the weights, by the
    grid.
    """
    T, axes, taps = position.dtype.type, sizes.size, place.shape[1]
    for m in range(lo, hi):
        for k in range(taps):
            index, stride, share, inside = 0, 1, T(1), True
            for a in range(axes):
                v, bit = position[m, a], (k >> a) & 1
                if linear:
                    below = math.floor(v)
                    share *= v - below if bit else T(1) - (v - below)
                    i = int(below) + bit
                else:
                    i = int(rint(v))
                inside = inside and i >= 0 and i < sizes[a]
                index += i * stride
                stride *= sizes[a]
            place[m, k], weight[m, k] = index if inside else -1, share
            for a in range(axes if step.shape[0] else 0):
                change = slope[m, a] if (k >> a) & 1 else -slope[m, a]
                for other in range(axes):
                    if other != a:
                        v = position[m, other]
                        rest = v - math.floor(v)
                        change *= rest if (k >> other) & 1 else T(1) - rest
                step[m, a, k] = change if linear else T(0)


@jitted
def keys(j, t):
    """Return the weight of the j-th of four taps, and its derivative, for a position t behind the second."""
    T = type(t)
    A = T(SHARPNESS)
    x = T(1) + t if j == 0 else t if j == 1 else T(1) - t if j == 2 else T(2) - t
    sign = T(1) if j < 2 else T(-1)
    if j == 0 or j == 3:
        return ((A * x - T(5) * A) * x + T(8) * A) * x - T(4) * A, sign * ((T(3) * A * x - T(10) * A) * x + T(8) * A)
    return ((A + T(2)) * x - (A + T(3))) * x * x + T(1), sign * (T(3) * (A + T(2)) * x - T(2) * (A + T(3))) * x


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
    "T[:,::1], T[:,::1], i8[::1], int, int, i8[:,::1], T[:,::1], T[:,:,::1]",
    writes="place weight step",
    parallel=True,
)
def grid_sample__cubic_taps(position, slope, sizes, padding, align, place, weight, step, lo, hi):
    """position(M,2), slope(M,2), sizes(2) -> place(M,16), weight(M,16), step(M,2,16) or (0,2,16). Range: M."""
    for m in range(lo, hi):
        x, y = position[m, 0], position[m, 1]
        left, top = math.floor(x), math.floor(y)
        for j in range(4):
            wy, dy = keys(j, y - top)
            row = tap(int(top) + j - 1, sizes[1], padding, align, x)
            for i in range(4):
                wx, dx = keys(i, x - left)
                column = tap(int(left) + i - 1, sizes[0], padding, align, x)
                k = 4 * j + i
                place[m, k] = row * sizes[0] + column if row >= 0 and column >= 0 else -1
                weight[m, k] = wx * wy
                if step.shape[0]:
                    step[m, 0, k], step[m, 1, k] = dx * wy * slope[m, 0], wx * dy * slope[m, 1]


@kernel("S[:,:,::1], i8[:,:,::1], T[:,:,::1], S[:,:,::1]", writes="out", parallel=True)
def grid_sample__planes(x, place, weight, out, lo, hi):
    """x(B,C,N), place(B,L,K), weight(B,L,K) -> out(B,C,L). The range is over blocks of planes."""
    T, channels, length, taps = x.dtype.type, x.shape[1], out.shape[2], place.shape[2]
    blocks = -(-length // BLOCK)
    for item in range(lo, hi):
        plane, first = item // blocks, item % blocks * BLOCK
        b, c = plane // channels, plane % channels
        image, result = x[b, c], out[b, c]
        for l in range(first, min(first + BLOCK, length)):  # noqa: E741
            total = T(0)
            for k in range(taps):
                i = place[b, l, k]
                if i >= 0:
                    total += weight[b, l, k] * image[i]
            result[l] = total


@kernel("S[:,:,::1], i8[:,:,::1], T[:,:,::1], S[:,:,::1]", writes="dx", parallel=True)
def grid_sample_backward__planes(dy, place, weight, dx, lo, hi):
    """dy(B,C,L), place(B,L,K), weight(B,L,K) -> dx(B,C,N). The range is over B C."""
    T, channels, taps = dy.dtype.type, dy.shape[1], place.shape[2]
    for plane in range(lo, hi):
        b, c = plane // channels, plane % channels
        above, result = dy[b, c], dx[b, c]
        result[:] = T(0)
        for l in range(above.size):  # noqa: E741
            for k in range(taps):
                i = place[b, l, k]
                if i >= 0:
                    result[i] += weight[b, l, k] * above[l]


@kernel("S[:,:,::1], S[:,:,::1], i8[:,:,::1], T[:,:,:,::1], S[:,:,::1]", writes="dgrid", parallel=True)
def grid_sample_backward__grid(dy, x, place, step, dgrid, lo, hi):
    """dy(B,C,L), x(B,C,N), place(B,L,K), step(B,L,A,K) -> dgrid(B,L,A). The range is over blocks of L."""
    T, axes, taps, length = x.dtype.type, step.shape[2], place.shape[2], dy.shape[2]
    blocks = -(-length // BLOCK)
    for item in range(lo, hi):
        b, first = item // blocks, item % blocks * BLOCK
        last = min(first + BLOCK, length)
        for l in range(first, last):  # noqa: E741
            for a in range(axes):
                dgrid[b, l, a] = T(0)
        for c in range(x.shape[1]):
            above, image = dy[b, c], x[b, c]
            for l in range(first, last):  # noqa: E741
                for k in range(taps):
                    i = place[b, l, k]
                    if i >= 0:
                        product = above[l] * image[i]
                        for a in range(axes):
                            dgrid[b, l, a] += product * step[b, l, a, k]


class _Taps:
    """How the taps of a grid are found, for as many images at a time as TOGETHER pixels of the result have.

    `find(grid, slopes)` gives place (B,L,K), weight (B,L,K) and step (B,L,A,K), which is empty without `slopes`.
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
        batch, dtype = grid.shape[0], self.dtype
        count = batch * self.length
        form, run = (count, self.axes), (count, tasks(count * self.taps, GRAIN))
        flat, position, slope = grid.reshape(form), empty(form, dtype), empty(form, dtype)
        place, weight = empty((count, self.taps), I8), empty((count, self.taps), dtype)
        step = empty((count if slopes else 0, self.axes, self.taps), dtype)
        options = self.padding, self.align
        if self.mode == CUBIC:
            grid_sample__plain_positions[dtype](flat, self.sizes, self.align, position, slope, *run)
            grid_sample__cubic_taps[dtype](position, slope, self.sizes, *options, place, weight, step, *run)
        else:
            grid_sample__positions[dtype](flat, self.sizes, *options, position, slope, *run)
            linear = int(self.mode == LINEAR)
            grid_sample__taps[dtype](position, slope, self.sizes, linear, place, weight, step, *run)
        pixels = batch, self.length, self.taps
        whole = batch if slopes else 0, self.length, self.axes, self.taps
        return place.reshape(pixels), weight.reshape(pixels), step.reshape(whole)


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
                of_grid(dy[part], x[part], place, step, dgrid.reshape(places)[part], items, number)
        return dx, dgrid

    return run
