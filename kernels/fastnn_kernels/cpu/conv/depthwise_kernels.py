"""Depthwise convolution: every channel has filters of its own, so nothing is summed over channels.

There is no matrix product in it, and every number is used only KH * KW times: the work is to keep the numbers in the
nearest cache and to load each for as many windows as can be. A band of rows of one channel, or of one vector of
channels of channels-last images, is copied into a buffer with zeros around it. There the windows of neighbouring
outputs are vectors at the same offsets, whatever the layout, stride, padding and dilation: see `depthwise_strip`. For a
stride of columns a row of a channel is split into its remainders first, so that neighbours are a vector again.
"""

from collections import namedtuple

from ...ground.jit import jitted, kernel
from ...ground.records import fields
from ..vector.depthwise_strip import (
    STRIP_ROWS,
    SUM_ROWS,
    SUM_TAPS,
    UNROLLED,
    depthwise_strip,
    depthwise_sums,
    pixels_padded,
    rows_padded,
    rows_split,
)
from ..vector.depthwise_tile import TAPS, edge_tiles, inner_tiles
from ..vector.simd import address, fence, itemsize, lanes, prefetch, stack_bytes, vector_at
from .layer import WINDOW

BLOCK = (TAPS + 1) * 64  # bytes of the weights of a vector of channels and of its bias
IN_PLACE = 16  # pixels of a row, at least, that are read in place: the edges beside them cost, too


# A band: its rows, the length of a remainder of a row and of a row in the buffer, whether lanes are channels.
Strips = namedtuple("Strips", "rows span pitch last")
# Tiles of channels-last images, those with all inputs inside and those at edges. window: which of the compiled ones.
# x_first, y_first: offset of the first inner column in x and y. count: inner tiles of a row. x_band: numbers of a
# band of x. streaming: whether an aligned y is stored by streaming stores.
Tiles = namedtuple("Tiles", "window taps x_first y_first count x_band streaming")


STRIPS, TILES = fields(Strips, WINDOW), fields(Tiles)


@jitted
def within(padding, stride, span, size, count):
    """Return the first and the end of the outputs, of `count`, whose windows are inside of the image."""
    first = min(max(0, -(-padding // stride)), count)
    return first, min(max(first, (size - 1 + padding - span) // stride + 1), count)


@jitted
def gather(number, x, table, b, c, n, top, rows, left, columns, buffer):
    """Copy what windows see of channel c, or n channels, to a buffer; table: `Window`, `Strips`.

    Their outputs: `rows` rows from row `top` on; channels-last `columns` columns from `left` on, channels-first all.
    """
    sh, sw, dh, dw = table[WINDOW.sh], table[WINDOW.sw], table[WINDOW.dh], table[WINDOW.dw]
    kh, kw, above_padding, side = table[WINDOW.kh], table[WINDOW.kw], table[WINDOW.top], table[WINDOW.left]
    length, pitch, channels_last = table[STRIPS.span], table[STRIPS.pitch], table[STRIPS.last]
    size, step = itemsize(number), lanes(number)
    height, width = x.shape[2:]
    total, start = (rows - 1) * sh + (kh - 1) * dh + 1, top * sh - above_padding
    above = min(max(0, -start), total)
    inside = max(0, min(height - start, total) - above)
    at = address(x) + b * x.strides[0] + c * x.strides[1] + (start + above) * x.strides[2]
    x_row, x_step, vectors = x.strides[2] // size, x.strides[3] // size, pitch // step
    if channels_last:
        vectors = (columns - 1) * sw + (kw - 1) * dw + 1
    middle, below = buffer + above * pitch * size, buffer + (above + inside) * pitch * size
    rows_padded(number, above, at, 0, 1, 0, 0, vectors, step, buffer, pitch)
    rows_padded(number, total - above - inside, at, 0, 1, 0, 0, vectors, step, below, pitch)
    if channels_last:
        pixels_padded(number, inside, at, x_row, x_step, side - left * sw, width, vectors, n, middle, pitch)
    elif sw == 1:
        rows_padded(number, inside, at, x_row, 1, side, width, vectors, step, middle, pitch)
    elif sw == 2:
        odd = middle + length * size
        rows_split(number, inside, at, x_row, 1, side, width, length // step, step, middle, odd, pitch)
    else:
        for r in range(inside):
            out, values = vector_at(number, middle + r * pitch * size, pitch), vector_at(number, at, width)
            for p in range(sw):
                for t in range(length):
                    column = t * sw + p - side
                    out[p * length + t] = values[column] if 0 <= column < width else x.dtype.type(0)
            at += x.strides[2]


@jitted
def strips(
    number, table, rows, count, x, x_step, x_pitch, offsets, w, w_row, bias, y, y_step, y_pitch, n, n_last
):  # fmt: skip
    """Compute `rows` rows of `count` vectors each, not below `number`; pitch: distance of rows. table: a `Window`."""
    sh, dh, kh, kw = table[WINDOW.sh], table[WINDOW.dh], table[WINDOW.kh], table[WINDOW.kw]
    size = itemsize(number)
    window = kh if kh == kw and sh == 1 and kh in UNROLLED else 0
    between = dh if sh == 1 else 1  # windows of rows so far apart share rows of the input
    for first in range(between):
        mine = (rows - first + between - 1) // between
        whole = mine // STRIP_ROWS * STRIP_ROWS
        for m, tiles, past in ((STRIP_ROWS, mine // STRIP_ROWS, 0), (mine - whole, 1, whole)):
            row = first + past * between
            if m > 0 < tiles:
                depthwise_strip(
                    number, m, window, tiles, count, x + row * sh * x_pitch * size, x_step, sh * between * x_pitch,
                    offsets, kh * kw, w, w_row, bias, y + row * y_pitch * size, y_step, between * y_pitch,
                    n, n_last, number,
                )  # fmt: skip


@kernel("S[:,:,:,:], T[:,::1], S[::1], T, i8[::1], i8[::1], T[:,::1], S[:,:,:,:]", writes="y scratch", parallel=True)
def conv2d__depthwise(x, w, bias, floor, table, offsets, scratch, y, lo, hi):
    """x(B,C,H,W), w(KH*KW,OC), bias(OC) -> y(B,OC,OH,OW), not below the floor.

    Gather a band, spread the filters of a channel over all lanes, compute strips of vectors. Windows inside of a
    channels-last image are read in place. table: `Window`, `Strips`. offsets: of the taps of a window in the buffer
    and, for channels-last images, in the image. The range is over rows of scratch: tasks with a buffer each.
    """
    sh, sw, ph, pw = table[WINDOW.sh], table[WINDOW.sw], table[WINDOW.top], table[WINDOW.left]
    dh, dw, kh, kw = table[WINDOW.dh], table[WINDOW.dw], table[WINDOW.kh], table[WINDOW.kw]
    band, pitch, channels_last = table[STRIPS.rows], table[STRIPS.pitch], table[STRIPS.last]
    number, size, step = floor, itemsize(floor), lanes(floor)
    taps, multiplier, columns = kh * kw, y.shape[1] // x.shape[1], y.shape[3]
    slices, bands = -(-y.shape[1] // step) if channels_last else y.shape[1], -(-y.shape[2] // band)
    count, direct = -(-columns // step), y.strides[3] == size
    x_pitch, x_column, y_pitch = x.strides[2] // size, x.strides[3] // size, y.strides[2] // size
    up, down = within(ph, sh, (kh - 1) * dh, x.shape[2], y.shape[2])
    left, right = within(pw, sw, (kw - 1) * dw, x.shape[3], columns)
    total = y.shape[0] * bands * slices
    for task in range(lo, hi):
        weights = (address(scratch) + task * scratch.strides[0] + 63) // 64 * 64
        finished = weights + (taps + 1) * step * size
        buffer = finished + (0 if direct or channels_last else band * count * step * size)
        for unit in range(total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]):
            item, s = divmod(unit, slices)
            b, top = item // bands, item % bands * band
            rows = min(band, y.shape[2] - top)
            if channels_last:
                c, n = s * step, min(step, y.shape[1] - s * step)
                a, z = min(max(up - top, 0), rows), min(max(down - top, 0), rows)
                if n < step or right - left < IN_PLACE or z <= a:
                    a = z = rows
                for r, r_end, t, t_end, inner in (
                    (0, a, 0, columns, False),
                    (z, rows, 0, columns, False),
                    (a, z, 0, left, False),
                    (a, z, right, columns, False),
                    (a, z, left, right, True),
                ):
                    if r >= r_end or t >= t_end:
                        continue
                    source, source_step, source_pitch, near = buffer, sw * step, pitch, address(offsets)
                    if inner:
                        corner = ((top + r) * sh - ph) * x_pitch + (t * sw - pw) * x_column
                        source = address(x) + b * x.strides[0] + (c + corner) * size
                        source_step, source_pitch, near = sw * x_column, x_pitch, near + taps * 8
                    else:
                        gather(number, x, table, b, c, n, top + r, r_end - r, t, t_end - t, buffer)
                    to = address(y) + b * y.strides[0] + c * size + (top + r) * y.strides[2] + t * y.strides[3]
                    strips(
                        number, table, r_end - r, t_end - t, source, source_step, source_pitch, near,
                        address(w) + c * size, w.shape[1], address(bias) + c * size, to, y.strides[3] // size, y_pitch,
                        n, n,
                    )  # fmt: skip
                continue
            spread = vector_at(number, weights, (taps + 1) * step)
            for k in range(taps + 1):
                value = w[k, s] if k < taps else bias[s]
                for i in range(step):
                    spread[k * step + i] = value
            if s % multiplier == 0 or unit == total * task // scratch.shape[0]:
                gather(number, x, table, b, s // multiplier, step, top, rows, 0, columns, buffer)
            to = address(y) + b * y.strides[0] + s * y.strides[1] + top * y.strides[2]
            target, target_pitch = (to, y_pitch) if direct else (finished, count * step)
            strips(
                number, table, rows, count, buffer, step, pitch, address(offsets), weights, step,
                weights + taps * step * size, target, step, target_pitch, step, (columns - 1) % step + 1,
            )  # fmt: skip
            if not direct:
                for i in range(rows):
                    values = vector_at(number, finished + i * count * step * size, columns)
                    for t in range(columns):
                        y[b, s, top + i, t] = values[t]


@kernel("S[:,:,:,:], T[:,::1], S[::1], T, i8[::1], i8[:,::1], i8[:,::1], S[:,:,:,:]", writes="y", parallel=True)
def conv2d__depthwise_tiles(x, w, bias, floor, table, bands, edges, y, lo, hi):
    """x(B,C,H,W), w(P*KH*KW,C/P), bias(C) -> y(B,C,OH,OW), not below the floor: channels contiguous, vectors of them.

    Load the filters of a vector of channels, prefetch the next band, compute the tiles at edges, then the inner ones.
    Or x(B,1,H,W), with any number of filters. w: P panels of them. table: `Tiles`. bands: the first edge, their number,
    then the offset of the first row of inner tiles in x and y and how many rows of them there are. The range is over
    images, bands and vectors of channels.
    """
    window, taps, count, x_band = table[TILES.window], table[TILES.taps], table[TILES.count], table[TILES.x_band]
    x_first, y_first = table[TILES.x_first], table[TILES.y_first]
    streaming = table[TILES.streaming] and address(y) % 64 == 0
    number, size, step = floor, itemsize(floor), lanes(floor)
    slices = -(-y.shape[1] // step)
    x_row, x_column = x.strides[2] // size, x.strides[3] // size
    y_row, y_column = y.strides[2] // size, y.strides[3] // size
    weights = stack_bytes(BLOCK)
    start = weights + taps * step * size
    block = vector_at(number, weights, (taps + 1) * step)
    for unit in range(lo, hi):
        item, s = divmod(unit, slices)
        b, band = divmod(item, bands.shape[0])
        c = s * step
        if x.shape[1] > 1:
            c = min(c, y.shape[1] - step)  # the last vector computes some channels again
        n = min(step, y.shape[1] - c)
        for k in range(taps + 1):
            panel, column = divmod(c, w.shape[1])
            source = address(w) + ((panel * taps + k) * w.shape[1] + column) * size
            if k == taps:
                source = address(bias) + c * size
            values = vector_at(number, source, n)
            for i in range(step):  # lanes without a filter are multiplied, too
                block[k * step + i] = values[i] if i < n else number
        later, next_band = divmod(item + 1, bands.shape[0])
        if (
            later < y.shape[0]
        ):  # prefetch the next band in the order of memory: few of its lines follow one another here
            at = address(x) + later * x.strides[0] + next_band * x_band * size
            for line in range(x_band * size * s // slices // 64, x_band * size * (s + 1) // slices // 64):
                prefetch(at + 64 * line)
        source = address(x) + b * x.strides[0] + (c * size if x.shape[1] > 1 else 0)
        target = address(y) + b * y.strides[0] + c * size
        first, edge_count, x_inner, y_inner, tiles = bands[band]
        if edge_count > 0:
            at = address(edges) + first * edges.strides[0]
            edge_tiles(
                number, window, edge_count, at, source, x_row, x_column, weights, start, target, y_row, y_column,
                n, 0, floor,
            )  # fmt: skip
        if tiles > 0 < count:
            inner_tiles(
                number, window, tiles, count, source + (x_inner + x_first) * size, x_row, x_column, weights, start,
                target + (y_inner + y_first) * size, y_row, y_column, n, streaming, floor,
            )  # fmt: skip
    if streaming:
        fence()


@kernel("S[:,:,:,:], S[:,:,:,:], i8[::1], i8[::1], T[:,::1], T[:,:,::1]", writes="scratch parts", parallel=True)
def conv2d_backward_weight__depthwise(dy, x, table, offsets, scratch, parts, lo, hi):
    """dy(B,OC,OH,OW), x(B,C,H,W) -> parts(N,KH*KW,OC): sums over 1/N of the images each.

    Gather a band, add up products of vectors, then the lanes. Arguments and range as in conv2d__depthwise.
    """
    sh, sw, dh, kh, kw = table[WINDOW.sh], table[WINDOW.sw], table[WINDOW.dh], table[WINDOW.kh], table[WINDOW.kw]
    band, pitch, channels_last = table[STRIPS.rows], table[STRIPS.pitch], table[STRIPS.last]
    number = dy.dtype.type(0)
    size, step = itemsize(number), lanes(number)
    taps, multiplier = kh * kw, dy.shape[1] // x.shape[1]
    window = kh if kh == kw and sh == dh == 1 and kh in UNROLLED else 0
    slices = -(-dy.shape[1] // step) if channels_last else dy.shape[1]
    columns = dy.shape[3]
    count, last = (columns, step) if channels_last else (-(-columns // step), (columns - 1) % step + 1)
    x_step, dy_step = (sw if channels_last else 1) * step, dy.strides[3] // size if channels_last else step
    dy_row = dy.strides[2] // size
    total = parts.shape[0] * slices
    for task in range(lo, hi):
        totals = (address(scratch) + task * scratch.strides[0] + 63) // 64 * 64
        buffer = totals + (taps + 1) * step * size
        for item in range(total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]):
            part, s = divmod(item, slices)
            c, n, n_last = s, step, last
            if channels_last:
                c, n = s * step, min(step, dy.shape[1] - s * step)
                n_last = n
            sums = vector_at(number, totals, taps * step)
            for i in range(taps * step):
                sums[i] = 0
            batch = dy.shape[0]
            for b in range(batch * part // parts.shape[0], batch * (part + 1) // parts.shape[0]):
                for top in range(0, dy.shape[2], band):
                    rows = min(band, dy.shape[2] - top)
                    gather(number, x, table, b, c // multiplier, n, top, rows, 0, columns, buffer)
                    grads = address(dy) + b * dy.strides[0] + c * dy.strides[1] + top * dy.strides[2]
                    if window:
                        whole = rows // SUM_ROWS * SUM_ROWS
                        for m, tiles, past in ((SUM_ROWS, rows // SUM_ROWS, 0), (rows - whole, 1, whole)):
                            if m > 0 < tiles:
                                depthwise_sums(
                                    number, m, window, tiles, count, buffer + past * pitch * size, x_step, pitch,
                                    address(offsets), grads + past * dy_row * size, dy_step, dy_row, n, n_last, totals,
                                )  # fmt: skip
                    for k in range(0, 0 if window else taps, SUM_TAPS):
                        depthwise_sums(
                            number, min(SUM_TAPS, taps - k), 0, rows, count, buffer, x_step, sh * pitch,
                            address(offsets) + 8 * k, grads, dy_step, dy_row, n, n_last, totals + k * step * size,
                        )  # fmt: skip
            for k in range(taps):
                if channels_last:
                    for i in range(n):
                        parts[part, k, c + i] = sums[k * step + i]
                else:
                    value = number
                    for i in range(step):
                        value += sums[k * step + i]
                    parts[part, k, c] = value
