"""Small buffers of convolutions: what windows see of images, the taps of a panel of filters, finished pixels.

Pixels are gathered one after the other, each with all its channels, with zeros where a window sticks out of the image,
whatever the layout of the source. There the window of an output pixel is KH runs of KW * C numbers. Only for a dilation
of columns are windows copied column by column, so that a run is contiguous again.
"""

from ...ground.jit import jitted, shared
from ..vector.conv_tile import window_tile
from ..vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from ..vector.simd import address, itemsize, lanes, prefetch, vector_at
from ..vector.transpose import transpose_block, transpose_edge
from .layer import WINDOW

LINE = 64  # bytes of a cache line
AHEAD = 2  # how many steps before they are read filters are prefetched
TAPS = 8192  # bytes of the stack for a panel's taps: 8x8 of them
FEW = 4  # channels that are copied one by one: transposing them in registers would cost more


@shared
def tile(number, m, runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, streaming, n):
    """Compute one `window_tile`, not below `number`."""
    window_tile(
        number, m, runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, streaming, n, number
    )


@shared
def transpose(number, rows, columns, source, source_row, target, target_row):
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
    """Write `count` channels of rows x columns finished pixels, `pitch` numbers apart, to an image."""
    size = itemsize(number)
    if by_column == size and by_row == columns * size:
        transpose(number, rows * columns, count, source, pitch, target, by_channel // size)
        return
    for i in range(rows):
        if by_column == size:
            transpose(number, columns, count, source, pitch, target + i * by_row, by_channel // size)
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
def tile_rows(count):
    """Return how many rows a tile gets if `count` rows are cut into the fewest tiles, all about equal."""
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
    values, out = vector_at(number, source, count), vector_at(number, target, count)
    for i in range(count):
        out[i] = values[i]


@jitted
def copy_masked(number, source, mask, target, count):
    """Copy `count` contiguous numbers, zero where the mask is not above 0: the gradient of a ReLU."""
    values, masks, out = (
        vector_at(number, source, count),
        vector_at(number, mask, count),
        vector_at(number, target, count),
    )
    for i in range(count):
        out[i] = values.dtype.type(0) if masks[i] <= 0 else values[i]


@jitted
def gather_pixels(number, x, mask, b, first, channels, row, column, step, count, target, pitch):
    """Copy `channels` channels of `count` pixels of a row, `step` apart, to a buffer; zeros outside the image.

    The pixels come `pitch` apart. They are zero where a mask is not above 0, which has the layout of x, or no elements.
    """
    size, masked = itemsize(number), mask.size > 0
    if row < 0 or row >= x.shape[2]:  # no window reads it
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
    source, mask_at = address(x) + offset, address(mask) + offset
    target += lo * pitch * size
    by_pixel = step * by_column
    if by_channel == size and by_pixel == channels * size and pitch == channels:
        if masked:
            copy_masked(number, source, mask_at, target, (hi - lo) * channels)
        else:
            copy_numbers(number, source, target, (hi - lo) * channels)
    elif by_channel == size:
        for t in range(hi - lo):
            if masked:
                copy_masked(number, source + t * by_pixel, mask_at + t * by_pixel, target + t * pitch * size, channels)
            else:
                copy_numbers(number, source + t * by_pixel, target + t * pitch * size, channels)
    elif by_pixel == size and not masked and channels >= FEW:
        transpose(number, channels, hi - lo, source, by_channel // size, target, pitch)
    else:
        out = vector_at(number, target, (hi - lo) * pitch)
        for c in range(channels):
            for t in range(hi - lo):
                at = c * by_channel + t * by_pixel
                value = vector_at(number, source + at, 1)[0]
                if masked and vector_at(number, mask_at + at, 1)[0] <= 0:
                    value = x.dtype.type(0)
                out[t * pitch + c] = value


@jitted
def gather_band(number, x, mask, table, b, first, channels, top, left, rows, columns, target):
    """Copy what the windows of rows x columns outputs, from (top, left) on, see of image b to a buffer.

    table: begins with a `Window`.
    """
    sh, sw, dh, dw = table[WINDOW.sh], table[WINDOW.sw], table[WINDOW.dh], table[WINDOW.dw]
    kh, kw = table[WINDOW.kh], table[WINDOW.kw]
    size, top, left = itemsize(number), top * sh - table[WINDOW.top], left * sw - table[WINDOW.left]
    if dw == 1:
        count = (columns - 1) * sw + kw
        for r in range((rows - 1) * sh + (kh - 1) * dh + 1):
            at = target + r * count * channels * size
            gather_pixels(number, x, mask, b, first, channels, top + r, left, 1, count, at, channels)
        return
    for r in range((rows - 1) * sh + (kh - 1) * dh + 1):
        for column in range(kw):
            at = target + (r * columns * kw + column) * channels * size
            start, pitch = left + column * dw, kw * channels
            gather_pixels(number, x, mask, b, first, channels, top + r, start, sw, columns, at, pitch)


@jitted
def corner(strides, unit, bands, across, rows, columns):
    """Return the offset of a piece of images that are cut into bands of `rows`, each into `across` of `columns`."""
    band = unit // across
    return band // bands * strides[0] + band % bands * rows * strides[2] + unit % across * columns * strides[3]


@jitted
def fetch_part(part, parts, at, length):
    """Prefetch one of equal parts of contiguous memory."""
    lines = length // LINE
    for line in range(lines * part // parts, lines * (part + 1) // parts):
        prefetch(at + line * LINE)


@jitted
def inside(position, step, size, count):
    """Return the first and the number of position, position + step, ... (`count` of them) that are in range(size)."""
    first = 0 if position >= 0 else (step - 1 - position) // step
    last = (size - 1 - position) // step + 1 if size > position else 0
    return min(first, count), max(0, min(last, count) - first)


@jitted
def band_form(table, channels, columns):
    """Return (length of a run, distance of neighbouring windows, distance of rows) in a band."""
    sw, dw, kw = table[WINDOW.sw], table[WINDOW.dw], table[WINDOW.kw]
    if dw == 1:
        return kw * channels, sw * channels, ((columns - 1) * sw + kw) * channels
    return kw * channels, kw * channels, columns * kw * channels


@jitted
def channels_at_once(number, w):
    """Return of how many channels `gather_taps` takes the taps at once; 0 if they are too distant for that."""
    size, (_, _, by_channel, by_row, by_column) = itemsize(number), w.strides
    span = (abs(by_row) * (w.shape[3] - 1) + abs(by_column) * (w.shape[4] - 1)) // size + 1
    most = TAPS // (panel_width(number) * size)
    if span > most or by_row % size or by_column % size or by_channel % size or w.strides[1] % size:
        return 0
    return max(1, min(w.shape[2], (most - span) // max(1, abs(by_channel) // size) + 1))


@jitted
def gather_taps(number, w, g, first, c, channels, target):
    """Write the taps of a panel of filters, from `first` on, for `channels` channels from c on: rows of NR numbers.

    Returns the address of the first tap's row, and how many rows further on those of the next channel, row and column
    of the kernel are. All memory between the first and the last tap is transposed.
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
    transpose(number, count, rows, at + lowest, by_filter // size, target, width)
    return target - lowest * width, by_channel // size, by_row // size, by_column // size


@jitted
def gather_scattered_taps(number, w, g, first, c, target):
    """Write the same for one channel, tap by tap, and return the same."""
    _, filters, _, kh, kw = w.shape
    width = panel_width(number)
    out = vector_at(number, target, kh * kw * width)
    for i in range(kh):
        for j in range(kw):
            for o in range(width):
                out[(i * kw + j) * width + o] = w[g, first + o, c, i, j] if first + o < filters else number
    return target, 0, kw, 1
