"""Convolution and its two gradients, without a matrix of copied windows.

The images are worked on in bands of a few rows. A band is first brought into a small buffer: pixel by pixel, each with
all its channels, with zeros where it sticks out of the image, whatever the layout of the source. There the window of an
output pixel is KH runs of KW * C numbers, neighbouring windows lie `step` apart, and `window_tile` reads them in place:
14 pixels times 32 filters per tile. The weight is laid out once per call in panels of 32 filters, k = (row, column,
channel). Only for a dilation of columns are windows copied column by column, so that a run is contiguous again.

The gradient of the input is a convolution too, with the filters turned around; for a stride s it is s * s of them, one
for each remainder of the pixel's position. The gradient of the weight sums over pixels: A and B are band and dy.
"""

import numpy as np

from ...ground.jit import jitted, kernel, shared
from ..vector.conv_tile import window_tile
from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.simd import address, fence, itemsize, lanes, prefetch, stack_bytes, vector_at
from ..vector.transpose import transpose_block, transpose_edge

LINE = 64  # bytes of a cache line
AHEAD = 2  # how many turns before they are read filters are asked for
TAPS = 8192  # bytes of the stack for a panel's taps: 8x8 of them
SHARES = 16  # tiles among which fetching is divided, at least: all at once it would hold them up
FEW = 4  # channels that are copied one by one: turning them around in registers would cost more


@shared
def tile(number, m, runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, far, n):
    """Compute one `window_tile`, no smaller than `number`."""
    window_tile(number, m, runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, far, n, number)


@shared
def turn(number, rows, columns, source, source_row, target, target_row):
    """Write the transpose of a matrix whose rows are contiguous."""
    size, step = itemsize(number), lanes(number)
    for i in range(0, rows, step):
        for j in range(0, columns, step):
            at, to = source + (i * source_row + j) * size, target + (j * target_row + i) * size
            if rows - i >= step and columns - j >= step:
                transpose_block(number, at, source_row, to, target_row)
            else:
                transpose_edge(number, at, source_row, to, target_row, min(rows - i, step), min(columns - j, step))


@jitted
def put_pixels(number, source, pitch, rows, columns, count, target, by_channel, by_row, by_column):
    """Write `count` channels of rows x columns finished pixels, which lie `pitch` numbers apart, to an image."""
    size = itemsize(number)
    if by_column == size and by_row == columns * size:
        turn(number, rows * columns, count, source, pitch, target, by_channel // size)
        return
    for i in range(rows):
        if by_column == size:
            turn(number, columns, count, source, pitch, target + i * by_row, by_channel // size)
        else:
            for j in range(columns):
                pixel = vector_at(number, source + j * pitch * size, count)
                for c in range(count):
                    vector_at(number, target + c * by_channel + i * by_row + j * by_column, 1)[0] = pixel[c]
        source += columns * pitch * size


@jitted
def panel_width(number):
    """Return how many filters a panel has."""
    return TILE_VECTORS * lanes(number)


@jitted
def share(count):
    """Return the size of the smallest equal pieces, none longer than a tile, into which `count` rows are cut."""
    pieces = -(-count // TILE_ROWS)
    return -(-count // max(pieces, 1))


@jitted
def fill_zeros(number, target, count):
    """Write `count` zeros at an address."""
    values = vector_at(number, target, count)
    for i in range(count):
        values[i] = 0


@jitted
def copy_numbers(number, source, target, count):
    """Copy `count` contiguous numbers."""
    values, made = vector_at(number, source, count), vector_at(number, target, count)
    for i in range(count):
        made[i] = values[i]


@jitted
def copy_positive(number, source, gate, target, count):
    """Copy `count` contiguous numbers, zero where the gate is not above 0: the gradient of a ReLU."""
    values, gates, made = (
        vector_at(number, source, count),
        vector_at(number, gate, count),
        vector_at(number, target, count),
    )
    for i in range(count):
        made[i] = values.dtype.type(0) if gates[i] <= 0 else values[i]


@jitted
def bring_pixels(number, x, gate, gated, b, first, channels, row, column, step, count, target, pitch):
    """Copy `channels` channels of `count` pixels of a row, `step` apart, to a buffer; zeros outside the image.

    The pixels come `pitch` apart. If `gated`, they are zero where `gate`, which lies as x does, is not above 0.
    """
    size = itemsize(number)
    if row < 0 or row >= x.shape[2]:  # no window looks at it
        return
    lo, hi = inside(column, step, x.shape[3], count)
    hi += lo
    for t in range(lo):
        fill_zeros(number, target + t * pitch * size, channels)
    for t in range(hi, count):
        fill_zeros(number, target + t * pitch * size, channels)
    if lo >= hi:
        return
    _, by_channel, _, by_column = x.strides
    offset = b * x.strides[0] + first * by_channel + row * x.strides[2] + (column + lo * step) * by_column
    source, opened = address(x) + offset, address(gate) + offset
    target += lo * pitch * size
    by_pixel = step * by_column
    if by_channel == size and by_pixel == channels * size and pitch == channels:
        if gated:
            copy_positive(number, source, opened, target, (hi - lo) * channels)
        else:
            copy_numbers(number, source, target, (hi - lo) * channels)
    elif by_channel == size:
        for t in range(hi - lo):
            if gated:
                copy_positive(number, source + t * by_pixel, opened + t * by_pixel, target + t * pitch * size, channels)
            else:
                copy_numbers(number, source + t * by_pixel, target + t * pitch * size, channels)
    elif by_pixel == size and not gated and channels >= FEW:
        turn(number, channels, hi - lo, source, by_channel // size, target, pitch)
    else:
        made = vector_at(number, target, (hi - lo) * pitch)
        for c in range(channels):
            for t in range(hi - lo):
                at = c * by_channel + t * by_pixel
                value = vector_at(number, source + at, 1)[0]
                if gated and vector_at(number, opened + at, 1)[0] <= 0:
                    value = x.dtype.type(0)
                made[t * pitch + c] = value


@jitted
def bring_band(number, x, gate, gated, window, b, first, channels, top, left, rows, columns, target):
    """Copy what windows see of image b to a band's buffer: those of rows x columns of the output, from top, left on."""
    sh, sw, ph, pw, dh, dw, kh, kw = window[:8]
    size, top, left = itemsize(number), top * sh - ph, left * sw - pw
    if dw == 1:
        count = (columns - 1) * sw + kw
        for r in range((rows - 1) * sh + (kh - 1) * dh + 1):
            at = target + r * count * channels * size
            bring_pixels(number, x, gate, gated, b, first, channels, top + r, left, 1, count, at, channels)
        return
    for r in range((rows - 1) * sh + (kh - 1) * dh + 1):
        for column in range(kw):
            at = target + (r * columns * kw + column) * channels * size
            start, pitch = left + column * dw, kw * channels
            bring_pixels(number, x, gate, gated, b, first, channels, top + r, start, sw, columns, at, pitch)


@jitted
def corner(strides, unit, bands, across, rows, columns):
    """Return where a piece of images begins, which are cut into bands of `rows` and each into `across` of `columns`."""
    band = unit // across
    return band // bands * strides[0] + band % bands * rows * strides[2] + unit % across * columns * strides[3]


@jitted
def ask(share, shares, at, length):
    """Prefetch one of equal shares of a stretch of memory."""
    lines = length // LINE
    for line in range(lines * share // shares, lines * (share + 1) // shares):
        prefetch(at + line * LINE)


@jitted
def inside(position, step, size, count):
    """Return the first and the number of position, position + step, ... (`count` of them) that lie in range(size)."""
    first = 0 if position >= 0 else (step - 1 - position) // step
    last = (size - 1 - position) // step + 1 if size > position else 0
    return min(first, count), max(0, min(last, count) - first)


@jitted
def band_form(window, channels, columns):
    """Return (length of a run, distance of neighbouring windows, distance of rows) in a band."""
    sw, dw, kw = window[1], window[5], window[7]
    if dw == 1:
        return kw * channels, sw * channels, ((columns - 1) * sw + kw) * channels
    return kw * channels, kw * channels, columns * kw * channels


@jitted
def channels_at_once(number, w):
    """Return of how many channels `bring_taps` takes the taps at once; 0 if they lie too far apart for that."""
    size, (_, _, by_channel, by_row, by_column) = itemsize(number), w.strides
    span = (abs(by_row) * (w.shape[3] - 1) + abs(by_column) * (w.shape[4] - 1)) // size + 1
    most = TAPS // (panel_width(number) * size)
    if span > most or by_row % size or by_column % size or by_channel % size or w.strides[1] % size:
        return 0
    return max(1, min(w.shape[2], (most - span) // max(1, abs(by_channel) // size) + 1))


@jitted
def bring_taps(number, w, g, first, c, channels, target):
    """Write what a panel of filters, from `first` on, has for some channels from c on: rows of NR numbers.

    Returns where the row of the first tap is, and how many rows further on those of the next channel, row and column of
    the kernel are. All that lies between the first and the last tap in memory is turned around.
    """
    size, width, (_, filters, _, kh, kw) = itemsize(number), panel_width(number), w.shape
    _, by_filter, by_channel, by_row, by_column = w.strides
    count, at = min(width, filters - first), address(w) + g * w.strides[0] + first * by_filter + c * by_channel
    lowest = min(0, by_channel * (channels - 1)) + min(0, by_row * (kh - 1)) + min(0, by_column * (kw - 1))
    span = abs(by_channel) * (channels - 1) + abs(by_row) * (kh - 1) + abs(by_column) * (kw - 1)
    rows = span // size + 1
    for o in range(count):  # more rows than the hardware has prefetchers
        for line in range(0, span + size, 64):
            prefetch(at + lowest + o * by_filter + AHEAD * channels * by_channel + line)
    if count < width:
        fill_zeros(number, target, rows * width)
    whole = -(-rows // lanes(number)) * lanes(number)  # vectors, where they end before the last channel does
    if whole * size <= by_channel * (w.shape[2] - c - channels) + span + size:
        rows = whole
    turn(number, count, rows, at + lowest, by_filter // size, target, width)
    return target - lowest * width, by_channel // size, by_row // size, by_column // size


@jitted
def bring_scattered_taps(number, w, g, first, c, target):
    """Write the same for one channel, tap by tap, and return the same."""
    _, filters, _, kh, kw = w.shape
    width = panel_width(number)
    made = vector_at(number, target, kh * kw * width)
    for i in range(kh):
        for j in range(kw):
            for o in range(width):
                made[(i * kw + j) * width + o] = w[g, first + o, c, i, j] if first + o < filters else number
    return target, 0, kw, 1


@kernel("T[:,:,:,:,:], T[:,:,:,::1]", writes="panels", parallel=True)
def conv2d_filters__panels(w, panels, lo, hi):
    """w(G,OC,C,KH,KW) -> panels(G,P,KH*KW*C,NR), filled up with zeros. The range is over the G * P panels."""
    _, filters, channels, kh, kw = w.shape
    width, number = panels.shape[3], w.dtype.type(0)
    size = itemsize(number)
    buffer = stack_bytes(TAPS)
    for q in range(lo, hi):
        g, p = divmod(q, panels.shape[1])
        target, count = address(panels) + q * panels.strides[1], min(width, filters - p * width)
        if kh * kw == 1 and w.strides[2] == size and count == width:
            turn(number, width, channels, address(w[g, p * width :]), w.strides[1] // size, target, width)
            continue
        some = channels_at_once(number, w)
        for c in range(0, channels, max(1, some)):
            if some:
                n = min(some, channels - c)
                at, by_channel, by_row, by_column = bring_taps(number, w, g, p * width, c, n, buffer)
                for k in range(kh * kw):
                    for i in range(n):
                        row = at + (i * by_channel + k // kw * by_row + k % kw * by_column) * width * size
                        copy_numbers(number, row, target + (k * channels + c + i) * width * size, width)
                continue
            for k in range(kh * kw):
                row = panels[g, p, k * channels + c]
                for o in range(width):
                    row[o] = w[g, p * width + o, c, k // kw, k % kw] if o < count else number


@kernel(
    "T[:,:,:,:], T[:,:,:,:], T[:,:,:,::1], T[::1], T, i8[::1], T[:,:], T[:,:,:,:]", writes="y scratch", parallel=True
)
def conv2d__bands(x, gate, panels, bias, floor, window, scratch, y, lo, hi):
    """x(B,C,H,W), panels(G,P,KH*KW*C/G,NR), bias(G*OC) -> y(B,G*OC,OH,OW), not smaller than the floor.

    window: stride, padding, dilation, kernel (each by row and column), rows of a band, panels of a piece of work,
    whether x counts only where `gate` is positive, and whether an aligned y by pixels is stored past the caches. The
    range is over rows of scratch: tasks with a buffer each.
    """
    kh, kw, band, block, gated, far = window[6:12]
    far = far and address(y) % 64 == 0
    sh, ph, dh = window[0], window[2], window[4]
    number, size, width = floor, itemsize(floor), panels.shape[3]
    groups, channels = panels.shape[0], panels.shape[2] // (kh * kw)
    filters, columns = y.shape[1] // groups, y.shape[3]
    run, step, pitch = band_form(window, channels, columns)
    pieces, bands = -(-panels.shape[1] // block), -(-y.shape[2] // band)
    by_image, by_filter, by_row, by_column = y.strides
    direct = by_filter == size
    total = y.shape[0] * bands * groups * pieces
    for task in range(lo, hi):
        here = -1
        buffer = address(scratch) + task * scratch.strides[0]
        finished = buffer + (scratch.shape[1] - band * columns * width) * size
        for unit in range(total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]):
            place, piece = divmod(unit, pieces)
            b, s, g = place // groups // bands, place // groups % bands, place % groups
            top = s * band
            rows = min(band, y.shape[2] - top)
            if place != here:
                bring_band(number, x, gate, gated, window, b, g * channels, channels, top, 0, rows, columns, buffer)
                here = place
            for p in range(piece * block, min((piece + 1) * block, panels.shape[1])):
                first, n = g * filters + p * width, min(width, filters - p * width)
                weights = address(panels) + (g * panels.shape[1] + p) * panels.shape[2] * width * size
                target, c_row, next_row = finished, width, columns * width * size
                if direct:
                    target = address(y) + b * by_image + first * by_filter + top * by_row
                    c_row, next_row = by_column // size, by_row
                for i in range(rows):
                    row, runs = inside((top + i) * sh - ph, dh, x.shape[2], kh)
                    for j in range(0, columns, share(columns)):
                        m = min(share(columns), columns - j)
                        a = buffer + ((i * sh + row * dh) * pitch + j * step) * size
                        k, c = weights + row * run * width * size, target + i * next_row + j * c_row * size
                        start = address(bias) + first * size
                        tile(
                            floor, m, runs, run, a, step, 1, dh * pitch, k, width, run * width, start, 0,
                            c, c_row, far, n,
                        )  # fmt: skip
                if not direct:
                    at = address(y) + b * by_image + first * by_filter + top * by_row
                    put_pixels(number, finished, width, rows, columns, n, at, by_filter, by_row, by_column)
    if far:
        fence()


@kernel(
    "T[:,:,:,:], T[:,:,:,:], T[:,:,:,:], i8[::1], T[:,:], T[:,:,:,:,::1], T[:,::1]",
    writes="scratch parts dbias",
    parallel=True,
)
def conv2d_backward_weight__bands(dy, gate, x, window, scratch, parts, dbias, lo, hi):
    """dy(B,G*OC,OH,OW), x(B,G*C,H,W) -> parts(N,G,KH,KW*C,OC), dbias(N,G*OC) or none: sums over 1/N of the bands each.

    window, gate, range: as in conv2d__bands, but dy counts only where the gate is positive, and window has also the
    columns of a band. What the next band needs of x and dy is asked for while one is computed.
    """
    sh, sw, ph, dh, kh = window[0], window[1], window[2], window[4], window[6]
    band, block, gated, segment = window[8], window[9], window[10], window[11]
    number = dy.dtype.type(0)
    size, width = itemsize(number), panel_width(number)
    groups, filters = parts.shape[1], parts.shape[4]
    channels, wide = x.shape[1] // groups, dy.shape[3]
    bands, across = -(-dy.shape[2] // band), -(-wide // segment)
    pieces = -(-filters // (block * width))
    units = dy.shape[0] * bands * across
    direct = dy.strides[1] == size and not gated
    ahead = direct and groups * pieces == 1 and dy.strides[3] == filters * size
    floor = number - dy.dtype.type(np.inf)
    total = parts.shape[0] * groups * pieces
    taps = kh * parts.shape[3]
    for task in range(lo, hi):
        buffer = address(scratch) + task * scratch.strides[0]
        brought = buffer + (scratch.shape[1] - band * segment * block * width - 1) * size
        one = buffer + (scratch.shape[1] - 1) * size
        vector_at(number, one, 1)[0] = 1
        for item in range(total * task // scratch.shape[0], total * (task + 1) // scratch.shape[0]):
            part, g, piece = item // pieces // groups, item // pieces % groups, item % pieces
            first = piece * block * width
            count = min(block * width, filters - first)
            part_row = address(parts) + ((part * groups + g) * taps * filters + first) * size
            sums = address(dbias) + (part * groups * filters + g * filters + first) * size
            for i in range(taps):
                fill_zeros(number, part_row + i * filters * size, count)
            if dbias.size:
                fill_zeros(number, sums, count)
            for unit in range(units * part // parts.shape[0], units * (part + 1) // parts.shape[0]):
                b, top, left = unit // across // bands, unit // across % bands * band, unit % across * segment
                rows, columns = min(band, dy.shape[2] - top), min(segment, wide - left)
                run, step, pitch = band_form(window, channels, columns)
                bring_band(number, x, x, 0, window, b, g * channels, channels, top, left, rows, columns, buffer)
                grads, b_row, b_run = brought, count, columns * count
                if direct:
                    grads = address(dy) + corner(dy.strides, unit, bands, across, band, segment)
                    grads += (g * filters + first) * size
                    b_row, b_run = dy.strides[3] // size, dy.strides[2] // size
                else:
                    for i in range(rows):
                        at = brought + i * columns * count * size
                        bring_pixels(
                            number, dy, gate, gated, b, g * filters + first, count, top + i, left, 1, columns, at, count
                        )
                coming = address(dy) + corner(dy.strides, unit + 1, bands, across, band, segment)
                coming_x = address(x) + corner(x.strides, unit + 1, bands, across, band * sh, segment * sw)
                shares, asked = -(-count // width) * kh * -(-run // share(run)), 0
                for p in range(0, count, width):
                    n = min(width, count - p)
                    for i in range(kh):
                        row, runs = inside(top * sh - ph + i * dh, sh, x.shape[2], rows)
                        for j in range(0, run, share(run)):
                            if ahead and shares >= SHARES:
                                ask(asked, shares, coming, rows * columns * dy.strides[3])
                                ask(asked, shares, coming_x, rows * columns * sh * sw * x.strides[3])
                                asked += 1
                            m = min(share(run), run - j)
                            a = buffer + ((row * sh + i * dh) * pitch + j) * size
                            k, c = grads + (row * b_run + p) * size, part_row + ((i * run + j) * filters + p) * size
                            tile(
                                floor, m, runs, columns, a, 1, step, sh * pitch, k, b_row, b_run,
                                c, filters, c, filters, 0, n,
                            )  # fmt: skip
                    if dbias.size:
                        k, c = grads + p * size, sums + p * size
                        tile(floor, 1, rows, columns, one, 0, 0, 0, k, b_row, b_run, c, 0, c, 0, 0, n)


@kernel("T[:,:,:,:,::1], T[:,:,:,:]", writes="dw", parallel=True)
def conv2d_backward_weight__sum(parts, dw, lo, hi):
    """parts(N,G,KH,KW*C,OC) -> dw(G*OC,C,KH,KW), the parts added in order. The range is over the G * KH * KW*C rows."""
    filters, channels, kw = parts.shape[4], dw.shape[1], dw.shape[3]
    rows = parts[0].size // max(filters, 1)
    flat = parts.reshape(parts.shape[0], rows, filters)
    for r in range(lo, hi):
        place, c = divmod(r, channels)
        g, i, j = place // kw // dw.shape[2], place // kw % dw.shape[2], place % kw
        for part in range(1, parts.shape[0]):
            for o in range(filters):
                flat[0, r, o] += flat[part, r, o]
        for o in range(filters):
            dw[g * filters + o, c, i, j] = flat[0, r, o]


@kernel("T[:,:,:,:], T[::1]", writes="dbias", parallel=True)
def conv2d_backward_bias__planes(dy, dbias, lo, hi):
    """dy(B,OC,OH,OW) -> dbias(OC); each row of dy contiguous. The range is over OC."""
    number, (batch, _, rows, width) = dy.dtype.type(0), dy.shape
    if dy.strides[2] == width * itemsize(number):
        rows, width = 1, rows * width
    for o in range(lo, hi):
        total = 0.0
        for b in range(batch):
            for i in range(rows):
                row = vector_at(number, address(dy) + b * dy.strides[0] + o * dy.strides[1] + i * dy.strides[2], width)
                part = number
                for j in range(width):
                    part += row[j]
                total += part
        dbias[o] = total
