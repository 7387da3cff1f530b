"""Winograd's gradient of a weight: which layers it suits, and how its work and its memory are cut.

A dilated layer is one of interleaved images, whose gradients add up; a strided one is several of stride 1, each of some
of the taps, which see every other pixel.
"""

from collections import namedtuple
from itertools import product

from ...ground.memory import empty
from ...ground.records import packed
from ...ground.threads import tasks
from ..grains import CONVOLUTION as GRAIN
from ..move import ghost_last, pixels
from ..vector.gemm_tile import TILE_VECTORS
from ..vector.simd import vector_bytes
from ..vector.winograd_gradient_tile import GRADIENTS
from . import winograd_gradient_kernels as kernels
from .layer import NO_MASK, Window

# These two are not from the size of caches, as sums are cut by them.
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


# What a plain layer of stride 1 sees along an axis: (first, step) in the image and in dy, and its padding.
_View = namedtuple("_View", "image gradient padding")
# A plain layer: (first, number) of its taps by row and column, its views of both axes, its form, its costs.
_Part = namedtuple("_Part", "rows columns views form costs")


def _axis(stride, padding, dilation, size):
    """Return [((first tap, number of taps), views)] for the plain axes that a strided or dilated one consists of."""
    if stride == 1:
        starts = [(a, (a - padding) % dilation) for a in range(dilation)]
        views = [_View((q, dilation), (a, dilation), (padding - a + q) // dilation) for a, q in starts]
        return [((0, size), views)]
    axes = []
    for e in range(min(stride, size)):
        q = (e - padding) % stride
        axes.append(((e, len(range(e, size, stride))), [_View((q, stride), (0, 1), (padding - e + q) // stride)]))
    return axes


def _parts(shape, channels, window):
    """Return the plain layers of which one with output `shape` consists."""
    sh, sw, top, left, dh, dw, kh, kw = window
    parts = []
    for (rows, over), (columns, across) in product(_axis(sh, top, dh, kh), _axis(sw, left, dw, kw)):
        size = shape[0] * len(over) * len(across), shape[1], -(-shape[2] // len(over)), -(-shape[3] // len(across))
        taps = rows[1], columns[1]
        costs = cost(size, channels, taps)
        form = FORMS[taps] if costs[1] < costs[0] else None
        parts.append(_Part(rows, columns, tuple(product(over, across)), form, costs))
    return parts


def worth(shape, channels, window):
    """Return the estimated time of a gradient by Winograd's algorithm, where that helps, over the direct one's."""
    sh, sw, _, _, dh, dw, _, _ = window
    if min(shape) == 0 or channels == 0 or max(sh, sw) > 1 < max(dh, dw):
        return 1.0
    costs = [part.costs for part in _parts(shape, channels, window)]
    return sum(min(both) for both in costs) / sum(direct for direct, _ in costs)


def plan_weight(dy, x, window, dw, masked, plan_rest):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C,KH,KW): f(dy, x, dw, mask). dy counts only where a mask is positive.

    plan_rest: plans the parts that Winograd's algorithm would not make faster. None if these cannot be masked but ought
    to be.
    """
    steps = window.sh, window.sw, window.dh, window.dw
    copied = [max(steps) > 1 and a.strides[1] != a.itemsize for a in (dy, x)]
    dy, x = (ghost_last(a.shape, a.dtype) if copy else a for a, copy in zip((dy, x), copied, strict=True))
    parts, every = [], (slice(None),) * 2
    for part in _parts(dy.shape, x.shape[1], window):
        target = *every, slice(part.rows[0], None, window.sh), slice(part.columns[0], None, window.sw)
        out, views = dw[target], []
        for over, across in part.views:
            read = *every, *(slice(view.image[0], None, view.image[1]) for view in (over, across))
            grads = *every, *(slice(view.gradient[0], None, view.gradient[1]) for view in (over, across))
            views.append((read, grads, over.padding, across.padding))
        if part.form is None:
            ((read, grads, top, left),) = views
            plain = Window(1, 1, top, left, 1, 1, part.rows[1], part.columns[1])
            convolve = plan_rest(dy[grads], x[read], plain, 1, out, False, masked)
            if convolve is None:
                return None
        else:
            views = [view for view in views if dy[view[1]].size]
            ghosts = [(dy[grads], x[read], top, left) for read, grads, top, left in views]
            convolve = _plan_sum(ghosts, part.form, out)
        parts.append((target, part.form, convolve, [view[:2] for view in views]))

    def compute(dy, x, dw, *mask):
        dy, x = (pixels(a).transpose(0, 3, 1, 2) if copy else a for a, copy in zip((dy, x), copied, strict=True))
        for target, form, convolve, views in parts:
            out = dw[target]
            if form is None:
                ((read, grads),) = views
                convolve(dy[grads], x[read], out, None, *(a[grads] for a in mask))
                continue
            sums = out if out.flags.c_contiguous else empty(out.shape, dw.dtype)
            convolve([(dy[grads], x[read], *(a[grads] for a in mask)) for read, grads in views], sums)
            if sums is not out:
                out[...] = sums

    return compute


def _pieces(count, most, step):
    """Cut a range into equal pieces of at most `most`, whole multiples of a step."""
    number = -(-count // most)
    length = -(-count // (number * step)) * step
    return [(start, min(length, count - start)) for start in range(0, count, length)]


# The sums of some filters and channels: (first, number) of these, the length of a row of sums, the tables.
_Piece = namedtuple("_Piece", "filters channels row products taps views tasks")
# A block of tiles, and the tasks for transforming x and dy and for their products.
_Block = namedtuple("_Block", "start strips tiles tasks")


def _plan_sum(views, number, dw):
    """Plan the sum over all views (dy, x, top, left) of a form: f([(dy, x, mask)], dw), with a contiguous dw."""
    form, dtype = GRADIENTS[number], dw.dtype
    lanes, width = vector_bytes() // 4, TILE_VECTORS * vector_bytes() // 4
    matrices, taps, (filters, channels) = form.sides[0] * form.sides[1], form.rows * form.columns, dw.shape[:2]
    most = max(1, SUMS // (matrices * 4 * min(channels, CHANNELS)) // width) * width
    tiles, products, back = (
        kernel[dtype]
        for kernel in (
            kernels.conv2d_backward_weight__winograd_tiles,
            kernels.conv2d_backward_weight__winograd_products,
            kernels.conv2d_backward_weight__winograd_taps,
        )
    )
    pieces = []
    for (o, outs), (c, ins) in product(_pieces(filters, most, width), _pieces(channels, CHANNELS, lanes)):
        row, v_row, u_row = -(-outs // lanes) * lanes, (-(-ins // lanes) | 1) * lanes, (-(-outs // lanes) | 1) * lanes
        parts = []
        for dy, _, top, left in views:
            segment, tall, wide, blocks = _blocks(form, dy.shape, v_row + u_row)
            size = segment, tall, wide
            v = packed(kernels.Tiles(number, 0, *form.sides, *form.taps, top, left, c, ins, *size, v_row))
            u = packed(kernels.Tiles(number, 1, *form.taps, *form.taps, 0, 0, o, outs, *size, u_row))
            cut = [
                _Block(*b, tuple(tasks(b[2] * matrices * n, GRAIN) for n in (ins * 12, outs * 12, ins * outs)))
                for b in blocks
            ]
            parts.append((v, u, cut))
        tables = packed(kernels.Products(ins, outs, v_row, u_row, row)), packed(kernels.Taps(number, taps, ins, row))
        pieces.append(_Piece((o, outs), (c, ins), row, *tables, parts, tasks(24 * matrices * ins * outs, GRAIN)))

    def compute(arrays, dw):
        flat = dw.reshape(filters, channels * taps)
        for (o, outs), (c, ins), row, product_table, taps_table, parts, count in pieces:
            v_row, u_row = (-(-ins // lanes) | 1) * lanes, (-(-outs // lanes) | 1) * lanes
            sums = empty((matrices, (ins * row // lanes | 1) * lanes), dtype)
            first = 1
            for (dy, x, *mask), (v_table, u_table, blocks) in zip(arrays, parts, strict=True):
                for start, strips, number_of_tiles, counts in blocks:
                    v = empty((matrices, (number_of_tiles * v_row // lanes | 1) * lanes), dtype)
                    u = empty((matrices, (number_of_tiles * u_row // lanes | 1) * lanes), dtype)
                    tiles(x, NO_MASK[dtype], v_table, start, v, strips, counts[0])
                    tiles(dy, mask[0] if mask else NO_MASK[dtype], u_table, start, u, strips, counts[1])
                    panels = matrices * -(-outs // width)
                    products(v, u, product_table, number_of_tiles, first, sums, panels, counts[2])
                    first = 0
            target = flat[o : o + outs, c * taps : (c + ins) * taps]
            back(sums, taps_table, target, -(-outs // lanes) * -(-ins // kernels.BLOCK), count)

    return compute


def _blocks(form, shape, numbers):
    """Return (tiles of a strip, rows and columns of tiles of an image, [(first strip, strips, tiles) of a block])."""
    batch, _, height, width = shape
    tall, wide = -(-height // form.taps[0]), -(-width // form.taps[1])
    longest = (STRIP - form.sides[1]) // form.taps[1] + 1
    parts = -(-wide // longest)
    segment = -(-wide // parts)
    parts = -(-wide // segment)
    total = batch * tall * parts
    most = max(1, TILES // (4 * form.sides[0] * form.sides[1] * numbers) // segment)
    before = lambda strip: strip // parts * wide + strip % parts * segment  # noqa: E731
    blocks = [(start, n, before(start + n) - before(start)) for start, n in _pieces(total, most, 1)]
    return segment, tall, wide, blocks
