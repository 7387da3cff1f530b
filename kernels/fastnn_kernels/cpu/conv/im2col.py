"""Convolution and its gradients as products of whole matrices: for few pixels, and for few channels.

`plan_columns` lays out what each tap of the window reads, (C * KH * KW, pixels). The filters times these are the
result; for a few pixels that takes less than packing large filters. The gradient of the weight is dy times the columns'
transpose; with few pixels and large filters that beats the direct algorithm, whose sums come panel by panel and have to
be unpacked afterwards. The other way round, the weight's transpose times dy is the gradient of the columns, and
`plan_fold` adds it up: for images of few channels, which would leave the direct tiles half empty.
"""

from __future__ import annotations

from math import prod

import numpy as np

from ...ground.backend import plans
from ...ground.checks import contiguous
from ...ground.memory import empty, zeros
from ...ground.outputs import target
from ...ground.plans import ghost
from ...ground.records import packed
from ...ground.threads import tasks
from ..grains import MOVES as GRAIN
from ..matmul.plan import plan_product, plan_products
from ..move import plan_transpose, planes
from ..vector.gemm_tile import TILE_ROWS
from ..vector.simd import vector_bytes
from .im2col_kernels import fold__planes, unfold__rows
from .layer import Planned, image_window

FEW_PIXELS = 2048
FEW_STRIDED_PIXELS = 512
MANY_WEIGHTS = 1 << 21  # which take longer to pack than a few pixels to multiply by them
ROWS = 4 * TILE_ROWS  # pixels, for which tiles read the weights in place
# Not from the size of caches, as the gradient's sums are cut by it.
COLUMNS = 1 << 21  # bytes of columns at a time, more only where one image has more
LARGEST = 1 << 23


def refusal(layer) -> str:
    """Say why a layer cannot be computed so."""
    if layer.groups > 1:
        return "is for groups=1"
    columns = layer.channels * layer.window.taps * layer.pixels
    return "would need more than 8 MB for its columns" if columns * layer.dtype.itemsize > LARGEST else ""


def suits(layer, kept) -> bool:
    """Return whether the pixels of a layer are so few that its filters are better read in place than packed."""
    weights = layer.filters * layer.channels * layer.window.taps
    return not kept and layer.pixels <= ROWS and weights >= MANY_WEIGHTS and not refusal(layer)


def plan(layer, x, y, floor, kept, masked):
    """Return the `Planned` of a product of filters, not packed, with the columns of x.

    The sums run along the rows of both matrices: only what the windows read is laid out.
    """
    (batch, filters, *size), dtype, pixels = y.shape, layer.dtype, layer.pixels
    length = layer.channels * layer.window.taps
    rows, matrix = ghost((1, pixels, length), dtype), ghost((filters, length), dtype)
    multiply = plan_products(rows, matrix, ghost((1, pixels, filters), dtype), int(floor == 0), transposed=True)
    transpose, columns_of = plan_transpose(1, length, pixels, dtype), plan_columns(layer.window, x.shape, size, dtype)

    def compute(x, weight, bias, y):
        rows, out = empty((pixels, length), dtype), empty((batch, *size, filters), dtype)
        transpose(columns_of(planes(x)), rows)
        multiply(rows, weight, bias, out.reshape(pixels, filters))
        y[...] = out.transpose(0, 3, 1, 2)

    return Planned(lambda weight: weight.reshape(filters, length), compute)


def suits_weight(dy, filters) -> bool:
    """Return whether `plan_weight` is the way to a weight's gradient: for few pixels and many filters."""
    return dy.shape[0] * dy.shape[2] * dy.shape[3] <= FEW_PIXELS and filters >= 64


def plan_weight(dy, x, window, groups, dw):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> dw(OC,C/groups,KH,KW): f(dy, x, dw), some channels at a time."""
    batch, count, height, width = dy.shape
    filters, channels, dtype = count // groups, dw.shape[1], dw.dtype
    pixels, taps = batch * height * width, window.taps
    shape, direct = dw.shape, dw.flags.c_contiguous
    step = max(1, COLUMNS // (taps * pixels * dtype.itemsize))
    pieces = [(first, min(channels, first + step)) for first in range(0, channels, step)]
    columns_of = {
        last - first: plan_columns(window, (batch, last - first, *x.shape[2:]), (height, width), dtype)
        for first, last in pieces
    }
    grads_of = ghost((filters, pixels), dtype)
    multiply_of = {n: plan_product(grads_of, ghost((n * taps, pixels), dtype).T) for n in columns_of}

    def compute(dy, x, dw):
        grads = contiguous(dy.transpose(1, 0, 2, 3)).reshape(groups, filters, pixels)
        x = planes(x)
        out = dw if direct else empty(shape, dtype)
        matrix = out.reshape(groups, filters, channels * taps)
        for g in range(groups):
            for first, last in pieces:
                columns = columns_of[last - first](x[:, g * channels + first : g * channels + last])
                multiply_of[last - first](grads[g], columns.T, matrix[g, :, first * taps : last * taps])
        if not direct:
            dw[...] = out

    return compute


def suits_images(dy, channels, window, groups, kept) -> bool:
    """Return whether `plan_back` is the way to an image: one of few channels, or of few pixels that see many weights.

    Strided windows overlap less, so that there is less to add up; 3x3 without a stride is what Winograd's way is for.
    Few pixels are not worth packing filters, unless that is done already; nor is a single one without padding.
    """
    (batch, filters, *size), taps = dy.shape, window.taps
    strided, pixels = window.sh * window.sw > 1, batch * prod(size)
    few = vector_bytes() // dy.itemsize // (2 if strided or (window.kh, window.kw) != (3, 3) else 4)
    if channels == 1 or channels * taps * prod(size) * dy.itemsize > LARGEST:
        return False
    if channels <= few or (prod(size) == groups == 1 and window.top == window.left == 0):
        return True
    if kept:
        return False
    many = filters * channels * taps >= MANY_WEIGHTS
    return pixels <= (FEW_STRIDED_PIXELS if strided else ROWS // 2 if many else 0)


def plan_back(dy, dx, window, groups, channels, floor):
    """dy(B,OC,OH,OW), w(G,OC/G,C/G,KH,KW), bias(C) -> dx(B,C,H,W), not below the floor: f(dy, w, bias, dx).

    Some images at a time. Few pixels of dy are the rows of the product, which is then transposed: as its columns they
    would not fill the tiles.
    """
    (batch, count, height, width), dtype = dy.shape, dy.dtype
    filters, length = count // groups, channels * window.taps
    alone = groups == height == width == 1 and window.top == window.left == 0
    if alone and dx.shape[2:] == (window.kh, window.kw) and dx.flags.c_contiguous:
        a, w, out = (ghost(shape, dtype) for shape in ((batch, count), (count, length), (1, batch, length)))
        multiply = plan_products(a, w, out, int(floor == 0))

        def compute_pixels(dy, w, bias, dx):
            row = empty((channels, window.taps), dtype)
            row[...] = bias[:, np.newaxis]
            multiply(dy.reshape(batch, count), w.reshape(count, length), row.reshape(length), dx.reshape(batch, length))

        return compute_pixels
    step = min(batch, max(1, COLUMNS // (length * height * width * dtype.itemsize)))
    several = _plan_back(dy[:step], dx[:step], window, groups, channels, floor)
    rest = several
    if batch % step:
        rest = _plan_back(dy[: batch % step], dx[: batch % step], window, groups, channels, floor)

    def compute(dy, w, bias, dx):
        w = w.reshape(groups, filters, length)
        for first in range(0, batch, step):
            convolve = several if first + step <= batch else rest
            convolve(dy[first : first + step], w, bias, dx[first : first + step])

    return compute


def _plan_back(dy, dx, window, groups, channels, floor):
    """Do as `plan_back` for w(G,OC/G,C/G*KH*KW) and images whose columns are not too many."""
    (batch, count, height, width), dtype = dy.shape, dy.dtype
    filters, length, pixels = count // groups, channels * window.taps, batch * height * width
    columns, w = ghost((groups, length, pixels), dtype), ghost((groups, filters, length), dtype)
    by_rows = pixels <= ROWS and length >= 8 * pixels
    if by_rows:
        grads = ghost((pixels, groups, filters), dtype).swapaxes(0, 1)
        multiply = plan_products(grads, w, ghost((groups, pixels, length), dtype), 0)
        transpose, nothing = plan_transpose(groups, pixels, length, dtype), zeros((length,), dtype)
    else:
        multiply = plan_products(w.swapaxes(1, 2), ghost((groups, filters, pixels), dtype), columns, 0)
        nothing = zeros((pixels,), dtype)
    shape, order = (groups * channels, window.kh, window.kw, batch, height, width), (3, 0, 1, 2, 4, 5)
    add_up = plan_fold(columns.reshape(shape).transpose(order), floor, window, dx)

    def compute(dy, w, bias, dx):
        columns = empty((groups, length, pixels), dtype)
        if by_rows:
            grads = contiguous(dy.transpose(0, 2, 3, 1)).reshape(pixels, groups, filters)
            rows = empty((groups, pixels, length), dtype)
            multiply(grads[:, 0], w[0], nothing, rows[0])
            transpose(rows, columns)
        else:
            grads = contiguous(dy.transpose(1, 0, 2, 3)).reshape(groups, filters, pixels)
            multiply(w[0].T, grads[0], nothing, columns[0])
        add_up(columns.reshape(shape).transpose(order), bias, dx)

    return compute


def plan_columns(window, shape, positions, dtype):
    """Return f(x) for images (B, C, H, W) of a shape: their windows, (C * KH * KW, B * OH * OW)."""
    batch, channels = shape[:2]
    memory, order = (channels, window.kh, window.kw, batch, *positions), (3, 0, 1, 2, 4, 5)
    lay_out = plan_unfold(window, memory, batch * channels, dtype)

    def columns(x):
        out = empty(memory, dtype)
        lay_out(x, out.transpose(order))
        return out.reshape(channels * window.taps, batch * prod(positions))

    return columns


def plan_unfold(window, shape, channels, dtype):
    """x(B,C,H,W) -> columns(B,C,KH,KW,OH,OW), the last axis contiguous: f(x, columns). channels: B * C."""
    if not prod(shape):
        return lambda x, columns: None
    table, count, kernel = packed(window), tasks(prod(shape), GRAIN), unfold__rows[dtype]
    return lambda x, columns: kernel(x, 0.0, table, columns, channels, count)


def plan_fold(columns, floor, window, y):
    """columns(B,C,KH,KW,OH,OW), the last axis contiguous, bias(C) -> y(B,C,H,W): sums, not below the floor."""
    if not y.size:
        return lambda columns, bias, y: None
    table, count = packed(window), tasks(columns.size, GRAIN)
    apart = [min(s, n) * -(-n // s) for s, n in zip((window.sh, window.sw), y.shape[2:], strict=True)]
    shape, dtype, kernel = (count, apart[0] * apart[1]), y.dtype, fold__planes[y.dtype]
    return lambda columns, bias, y: kernel(columns, bias, floor, table, empty(shape, dtype), y, count, count)


@plans("unfold")
def _unfold(problem):
    window, images, dtype = image_window(problem.window), problem.images, problem.input.dtype
    shape = *images[:2], window.kh, window.kw, *problem.positions
    lay_out = plan_unfold(window, shape, images[0] * images[1], dtype)

    def run(out, x, *_):
        y = target(out, *problem.result)
        lay_out(planes(x.reshape(images)), y.reshape(shape))
        return y

    return run


@plans("fold")
def _fold(problem):
    window, images, dtype = image_window(problem.window), problem.images, problem.input.dtype
    shape = *images[:2], window.kh, window.kw, *problem.positions
    nothing = zeros(images[1:2], dtype)
    add_up = plan_fold(ghost(shape, dtype), -np.inf, window, ghost(images, dtype))

    def run(out, columns, *_):
        y = target(out, *problem.result)
        add_up(contiguous(columns).reshape(shape), nothing, y.reshape(images))
        return y

    return run
