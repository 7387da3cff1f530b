"""Winograd's gradient of a weight: which layers it suits, and how its work and its memory are cut.

A dilated layer is one of interleaved images, whose gradients add up; a strided one is several of stride 1, each of some
of the taps, which see every other pixel.
"""

from functools import lru_cache
from itertools import product

import numpy as np

from ...ground.memory import empty
from ...ground.threads import tasks
from ..move import pixels
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.simd import vector_bytes
from ..vector.winograd_gradient_tile import GRADIENTS
from . import winograd_gradient_kernels as cpu

GRAIN = 1 << 20  # multiplications of a task, at least
SUMS = 5 << 20  # bytes of sums at a time
TILES = 3 << 20  # bytes of transformed tiles at a time
CHANNELS = 256  # at a time, lest the sums of few filters take all the room
STRIP = 80  # pixels of a strip: its channels fit on the stack
FORMS = {(form.rows, form.columns): number for number, form in enumerate(GRADIENTS)}


def cost(shape, channels, taps):
    """Estimate a layer of stride 1 in units of a multiplication: (directly, by Winograd's algorithm if there is one).

    A transform costs 12 per number of a tile, the one back 24, and every block of tiles some 8 for each sum.
    """
    batch, filters, height, width = shape
    lanes = vector_bytes() // 4
    filters = -(-filters // lanes) * lanes
    direct = taps[0] * taps[1] * batch * height * width * channels * filters
    if taps not in FORMS:
        return direct, direct
    form = GRADIENTS[FORMS[taps]]
    numbers = form.sides[0] * form.sides[1]
    tiles = batch * -(-height // form.taps[0]) * -(-width // form.taps[1])
    channels = -(-channels // lanes) * lanes
    blocks = -(-tiles * 4 * numbers * (min(channels, CHANNELS) + min(filters, CHANNELS)) // TILES)
    return direct, numbers * (channels * filters * (tiles + 8 * blocks + 24) + 12 * tiles * (channels + filters))


@lru_cache(maxsize=512)
def _axis(stride, padding, dilation, size):
    """Return how a strided or dilated axis is made of plain ones: (first tap, number of taps, views), every so often.

    A view: (start, step) in the image and in the gradient, and the padding.
    """
    if stride == 1:
        starts = [(a, (a - padding) % dilation) for a in range(dilation)]
        return [(0, size, [((q, dilation), (a, dilation), (padding - a + q) // dilation) for a, q in starts])]
    made = []
    for e in range(min(stride, size)):
        q = (e - padding) % stride
        made.append((e, len(range(e, size, stride)), [((q, stride), (0, 1), (padding - e + q) // stride)]))
    return made


@lru_cache(maxsize=512)
def _parts(shape, channels, window):
    """Return the plain layers that one with output `shape` is made of.

    For each (rows of taps, columns of taps, their views, as `_axis` has them, form or None, costs).
    """
    sh, sw, ph, pw, dh, dw, kh, kw = window
    made = []
    for (i, rows, over), (j, columns, across) in product(_axis(sh, ph, dh, kh), _axis(sw, pw, dw, kw)):
        size = shape[0] * len(over) * len(across), shape[1], -(-shape[2] // len(over)), -(-shape[3] // len(across))
        costs = cost(size, channels, (rows, columns))
        form = FORMS[rows, columns] if costs[1] < costs[0] else None
        made.append(((i, rows), (j, columns), tuple(product(over, across)), form, costs))
    return made


@lru_cache(maxsize=512)
def worth(shape, channels, window):
    """Return the estimated time of a gradient by Winograd's algorithm, where that helps, over the direct one's."""
    if min(shape) == 0 or channels == 0 or max(window[:2]) > 1 < max(window[4:6]):
        return 1.0
    costs = [part[-1] for part in _parts(shape, channels, window)]
    return sum(min(both) for both in costs) / sum(direct for direct, _ in costs)


def correlate(dy, gate, gated, x, window, dw, rest):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C,KH,KW); dy counts only where the gate is positive, if gated.

    rest(dy, gate, gated, x, window, dw) computes what Winograd's algorithm would not make faster.
    """
    if max(window[:2] + window[4:6]) > 1:
        dy, gate, x = (a if a.strides[1] == a.itemsize else pixels(a).transpose(0, 3, 1, 2) for a in (dy, gate, x))
    for (i, rows), (j, columns), places, form, _ in _parts(dy.shape, x.shape[1], window):
        target, views = dw[:, :, i :: window[0], j :: window[1]], []
        for (from_h, at_h, top), (from_w, at_w, left) in places:
            taken = slice(at_h[0], None, at_h[1]), slice(at_w[0], None, at_w[1])
            seen = x[:, :, from_h[0] :: from_h[1], from_w[0] :: from_w[1]]
            views.append((seen, dy[:, :, *taken], gate[:, :, *taken], top, left))
        if form is None:
            ((seen, grads, opened, top, left),) = views
            rest(grads, opened, gated, seen, (1, 1, top, left, 1, 1, rows, columns), target)
            continue
        made = target if target.flags.c_contiguous else empty(target.shape, dw.dtype)
        _sum([view for view in views if view[1].size], gated, form, made)
        if made is not target:
            target[...] = made


def _pieces(count, most, step):
    """Cut a range into equal pieces of at most `most`, whole multiples of a step."""
    number = -(-count // most)
    length = -(-count // (number * step)) * step
    return [(start, min(length, count - start)) for start in range(0, count, length)]


def _sum(views, gated, number, dw):
    """Write the sum over views (x, dy, gate, top, left) of a form."""
    form = GRADIENTS[number]
    lanes, width = vector_bytes() // 4, TILE_VECTORS * vector_bytes() // 4
    matrices, (filters, channels) = form.sides[0] * form.sides[1], dw.shape[:2]
    some = min(channels, CHANNELS)
    most = max(1, SUMS // (matrices * 4 * some) // width) * width
    flat = dw.reshape(filters, -1)
    for (o, outs), (c, ins) in product(_pieces(filters, most, width), _pieces(channels, CHANNELS, lanes)):
        row, v_row, u_row = -(-outs // lanes) * lanes, (-(-ins // lanes) | 1) * lanes, (-(-outs // lanes) | 1) * lanes
        sums = empty((matrices, (ins * row // lanes | 1) * lanes), dw.dtype)
        fresh = 1
        for x, dy, gate, top, left in views:
            for start, strips, segment, tall, wide, tiles in _blocks(form, dy.shape, v_row + u_row):
                work = tiles * matrices
                v = empty((matrices, (tiles * v_row // lanes | 1) * lanes), dw.dtype)
                u = empty((matrices, (tiles * u_row // lanes | 1) * lanes), dw.dtype)
                place = start, segment, tall, wide
                sight = (number, 0, *form.sides, *form.taps, top, left, 0, c, ins, *place, v_row)
                count = tasks(work * ins * 12, GRAIN)
                cpu.conv2d_tiles__winograd[dw.dtype](x, x, np.array(sight, np.int64), v, strips, count)
                sight = (number, 1, *form.taps, *form.taps, 0, 0, gated, o, outs, *place, u_row)
                count = tasks(work * outs * 12, GRAIN)
                cpu.conv2d_tiles__winograd[dw.dtype](dy, gate, np.array(sight, np.int64), u, strips, count)
                plan = np.array((tiles, ins, outs, v_row, u_row, row, fresh), np.int64)
                count = tasks(work * ins * outs, GRAIN)
                cpu.conv2d_products__winograd[dw.dtype](v, u, plan, sums, matrices * -(-outs // width), count)
                fresh = 0
        taps = form.rows * form.columns
        plan = np.array((number, taps, ins, row), np.int64)
        length = -(-outs // lanes) * -(-ins // cpu.BLOCK)
        target = flat[o : o + outs, c * taps : (c + ins) * taps]
        cpu.conv2d_taps__winograd[dw.dtype](sums, plan, target, length, tasks(24 * matrices * ins * outs, GRAIN))


def _blocks(form, shape, numbers):
    """Yield blocks of tiles: (first strip, strips, tiles of a strip, rows and columns of tiles of an image, tiles)."""
    batch, _, height, width = shape
    tall, wide = -(-height // form.taps[0]), -(-width // form.taps[1])
    longest = (STRIP - form.sides[1]) // form.taps[1] + 1
    parts = -(-wide // longest)
    segment = -(-wide // parts)
    parts = -(-wide // segment)
    total = batch * tall * parts
    most = max(1, TILES // (4 * form.sides[0] * form.sides[1] * numbers) // segment)
    before = lambda strip: strip // parts * wide + strip % parts * segment  # noqa: E731
    for start, strips in _pieces(total, most, 1):
        yield start, strips, segment, tall, wide, before(start + strips) - before(start)
