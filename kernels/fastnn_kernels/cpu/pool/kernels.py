"""Max and average pooling of channels-first planes (S = 1 number per pixel) and of channels-last rows (S = channels).

Windows of 2x2 side by side have kernels of their own. All others are boxes of taps, whose counts and first taps are in
tables, see `window_tables`:

    rows   (2, OD + OH): first tap and number of taps of each output, by depth and by height
    runs   (n, 8): outputs of a row that are computed vector by vector: first output, distance between outputs, number
           of them, first tap, its distance from output to output, taps; column of the first tap, of the output
    steps  (9,): distance between taps by depth, height and width in numbers (td, th, tw), in indices (id_, ih, iw);
           width of the image; 1 for planes, 0 for rows of pixels; 1 where, in rows of at most ROW numbers, the columns
           of windows are combined first, then these along the row

Within a window, ties go to the first tap; NaN wins, the last one of it, as in PyTorch.
"""

import math

from ...ground.jit import exact, jitted, kernel
from ..vector.simd import address, itemsize, lanes, maximum, stack_bytes
from ..vector.values import (
    broadcast,
    is_nan,
    lanes_before,
    no_unroll,
    pointer,
    read,
    read_pairs,
    select,
    width,
    write,
    write_pairs,
    zeros,
)
from ..vector.window_reduce import window_argmax, window_chosen, window_maximum, window_sum

ROW = 1024
BYTES = 8 * ROW


@jitted
def zero_edges(dx, rows, columns):
    """Clear the last row and column of an image (H,W,C) of odd size, which no square covers."""
    for i in range(dx.shape[0]):
        for j in range(2 * columns if i < 2 * rows else 0, dx.shape[1]):
            for c in range(dx.shape[2]):
                dx[i, j, c] = 0


# Windows of 2x2, side by side: vectors (a b / c d). Channels-first a vector has a lane per window, and rows are read in
# pairs; channels-last it has a lane per channel of one window.


@exact
def largest_of_four(square):
    """Return the largest of a, b, c and d, and whether b > a, d > c, and the larger of c and d is the largest of all.

    Of equal numbers the first is taken; NaN is larger than all, the last one of it.
    """
    a, b, c, d = square
    right_above, right_below = (b > a) | is_nan(b), (d > c) | is_nan(d)
    above, below = select(right_above, b, a), select(right_below, d, c)
    lower = (below > above) | is_nan(below)
    return select(lower, below, above), right_above, right_below, lower


@exact
def maximum_of_four(square, floor):
    """Return the largest of four, not smaller than the floor; NaN for no floor."""
    best, _, _, _ = largest_of_four(square)
    return select(best < floor, floor, best)


@exact
def sum_of_four(square, factor):
    """Return the sum of four times a factor."""
    a, b, c, d = square
    return ((a + b) + (c + d)) * factor


@exact
def spread_to_largest(square, floor, dy):
    """Return dy for the largest of four, if that is above the floor, and zeros for the others."""
    best, right_above, right_below, lower = largest_of_four(square)
    zero = zeros(dy)
    dy = select(best <= floor, zero, dy)
    above, below = select(lower, zero, dy), select(lower, dy, zero)
    return (
        select(right_above, zero, above), select(right_above, above, zero),
        select(right_below, zero, below), select(right_below, below, zero),
    )  # fmt: skip


def _squares(operation, of_four):
    """Build the kernels of an operation over windows of 2x2, side by side: channels-first and channels-last.

    x(P,H,W) -> y(P,OH,OW) and x(B,H,W,C) -> y(B,OH,OW,C), whose range is over B * OH rows. `number` is the floor of
    maxima, or what sums are multiplied by.
    """

    @kernel("S[:,:,::1], T, S[:,:,::1]", writes="y", parallel=True, name=f"{operation}__squares")
    def channels_first(x, number, y, lo, hi):
        height, down, n = y.shape[1], x.shape[2], y.shape[2]
        first, source, target, number = x.shape[1] * down, pointer(x), pointer(y), broadcast(number)
        step = width(number)
        for p in range(lo, hi):
            for i in range(height):
                at, to, j = p * first + 2 * i * down, (p * height + i) * n, 0
                while j + step <= n:
                    no_unroll()
                    square = read_pairs(source, at) + read_pairs(source, at + down)
                    write(target, to + j, of_four(square, number))
                    at, j = at + 2 * step, j + step
                if j < n:
                    square = read_pairs(source, at, n - j) + read_pairs(source, at + down, n - j)
                    write(target, to + j, of_four(square, number), lanes_before(number, n - j))

    @kernel("S[:,:,:,::1], T, S[:,:,:,::1]", writes="y", parallel=True, name=f"{operation}__squares_channels_last")
    def channels_last(x, number, y, lo, hi):
        height, columns, n = y.shape[1], y.shape[2], y.shape[3]
        down, source, target, number = x.shape[2] * n, pointer(x), pointer(y), broadcast(number)
        step = width(number)
        for r in range(lo, hi):
            b, i = divmod(r, height)
            at, to = (b * x.shape[1] + 2 * i) * down, r * columns * n
            for _ in range(columns):
                last = to + n
                while to + step <= last:
                    no_unroll()
                    upper = read(source, at), read(source, at + n)
                    lower = read(source, at + down), read(source, at + down + n)
                    write(target, to, of_four(upper + lower, number))
                    at, to = at + step, to + step
                if to < last:
                    m = lanes_before(number, last - to)
                    upper = read(source, at, m), read(source, at + n, m)
                    lower = read(source, at + down, m), read(source, at + down + n, m)
                    write(target, to, of_four(upper + lower, number), m)
                at, to = at + n + last - to, last

    return channels_first, channels_last


max_pool2d__squares, max_pool2d__squares_channels_last = _squares("max_pool2d", maximum_of_four)
avg_pool2d__squares, avg_pool2d__squares_channels_last = _squares("avg_pool2d", sum_of_four)


@kernel("S[:,:,::1], S[:,:,::1], T, S[:,:,::1]", writes="dx", parallel=True)
def max_pool_backward__squares(dy, x, floor, dx, lo, hi):
    """dy(P,OH,OW), x(P,H,W) -> dx(P,H,W) for max_pool2d__squares."""
    height, down, n = dy.shape[1], x.shape[2], dy.shape[2]
    source, grads, target, floor = pointer(x), pointer(dy), pointer(dx), broadcast(floor)
    step = width(floor)
    for p in range(lo, hi):
        zero_edges(dx[p].reshape(dx.shape[1], down, 1), height, n)
        for i in range(height):
            at, g, j = (p * x.shape[1] + 2 * i) * down, (p * height + i) * n, 0
            while j + step <= n:
                no_unroll()
                square = read_pairs(source, at) + read_pairs(source, at + down)
                a, b, c, d = spread_to_largest(square, floor, read(grads, g + j))
                write_pairs(target, at, a, b)
                write_pairs(target, at + down, c, d)
                at, j = at + 2 * step, j + step
            if j < n:
                square = read_pairs(source, at, n - j) + read_pairs(source, at + down, n - j)
                a, b, c, d = spread_to_largest(square, floor, read(grads, g + j, lanes_before(floor, n - j)))
                write_pairs(target, at, a, b, n - j)
                write_pairs(target, at + down, c, d, n - j)


@kernel("S[:,:,:,::1], S[:,:,:,::1], T, S[:,:,:,::1]", writes="dx", parallel=True)
def max_pool_backward__squares_channels_last(dy, x, floor, dx, lo, hi):
    """dy(B,OH,OW,C), x(B,H,W,C) -> dx(B,H,W,C) for max_pool2d__squares_channels_last. The range is over B * OH rows."""
    height, columns, n = dy.shape[1], dy.shape[2], dy.shape[3]
    down, source, grads, target, floor = x.shape[2] * n, pointer(x), pointer(dy), pointer(dx), broadcast(floor)
    step = width(floor)
    for r in range(lo, hi):
        image, i = divmod(r, height)
        if i == 0:
            zero_edges(dx[image], height, columns)
        for j in range(columns):
            at, g, k = (image * x.shape[1] + 2 * i) * down + 2 * j * n, (r * columns + j) * n, 0
            while k + step <= n:
                no_unroll()
                upper = read(source, at), read(source, at + n)
                lower = read(source, at + down), read(source, at + down + n)
                a, b, c, d = spread_to_largest(upper + lower, floor, read(grads, g + k))
                write(target, at, a)
                write(target, at + n, b)
                write(target, at + down, c)
                write(target, at + down + n, d)
                at, k = at + step, k + step
            if k < n:
                m = lanes_before(floor, n - k)
                upper = read(source, at, m), read(source, at + n, m)
                lower = read(source, at + down, m), read(source, at + down + n, m)
                a, b, c, d = spread_to_largest(upper + lower, floor, read(grads, g + k, m))
                write(target, at, a, m)
                write(target, at + n, b, m)
                write(target, at + down, c, m)
                write(target, at + down + n, d, m)


@kernel("S[:,:,::1], T, S[:,:,::1]", writes="dx", parallel=True)
def avg_pool_backward__squares(dy, factor, dx, lo, hi):
    """dy(P,OH,OW) -> dx(P,H,W) for avg_pool2d__squares."""
    height, down, n = dy.shape[1], dx.shape[2], dy.shape[2]
    grads, target, factor = pointer(dy), pointer(dx), broadcast(factor)
    step = width(factor)
    for p in range(lo, hi):
        zero_edges(dx[p].reshape(dx.shape[1], down, 1), height, n)
        for i in range(height):
            at, g, j = (p * dx.shape[1] + 2 * i) * down, (p * height + i) * n, 0
            while j + step <= n:
                no_unroll()
                share = read(grads, g + j) * factor
                write_pairs(target, at, share, share)
                write_pairs(target, at + down, share, share)
                at, j = at + 2 * step, j + step
            if j < n:
                share = read(grads, g + j, lanes_before(factor, n - j)) * factor
                write_pairs(target, at, share, share, n - j)
                write_pairs(target, at + down, share, share, n - j)


@kernel("S[:,:,:,::1], T, S[:,:,:,::1]", writes="dx", parallel=True)
def avg_pool_backward__squares_channels_last(dy, factor, dx, lo, hi):
    """dy(B,OH,OW,C) -> dx(B,H,W,C) for avg_pool2d__squares_channels_last. The range is over B * OH rows."""
    height, columns, n = dy.shape[1], dy.shape[2], dy.shape[3]
    down, grads, target, factor = dx.shape[2] * n, pointer(dy), pointer(dx), broadcast(factor)
    step = width(factor)
    for r in range(lo, hi):
        image, i = divmod(r, height)
        if i == 0:
            zero_edges(dx[image], height, columns)
        at, g = (image * dx.shape[1] + 2 * i) * down, r * columns * n
        for _ in range(columns):
            last = g + n
            while g + step <= last:
                no_unroll()
                share = read(grads, g) * factor
                write(target, at, share)
                write(target, at + n, share)
                write(target, at + down, share)
                write(target, at + down + n, share)
                at, g = at + step, g + step
            if g < last:
                m = lanes_before(factor, last - g)
                share = read(grads, g, m) * factor
                write(target, at, share, m)
                write(target, at + n, share, m)
                write(target, at + down, share, m)
                write(target, at + down + n, share, m)
            at, g = at + n + last - g, last


@jitted
def vectors_at_once(length, step, vector):
    """Return how many vectors of outputs go through a window together; `step` is the distance of their numbers."""
    if length <= vector or not 0 <= step <= 2:
        return 1
    return 2 if step == 2 or length <= 2 * vector else 4


@exact  # which means inlined: a call would cost the loops around it every vector that they keep in a register
def first_tap(x, y, rows, r):
    """Return (offset in x of the windows of row r of y, index of their first row in x, taps in depth and height)."""
    rest, i = divmod(r, y.shape[2])
    p, k = divmod(rest, y.shape[1])
    row = rows[0, k] * x.shape[2] + rows[0, y.shape[1] + i]
    return (p * x.shape[1] * x.shape[2] + row) * x.shape[3], row, rows[1, k], rows[1, y.shape[1] + i]


@kernel("S[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, S[:,:,:,::1]", writes="y", parallel=True)
def max_pool3d__windows(x, rows, runs, steps, floor, y, lo, hi):
    """x(P,D,H,W*S) -> y(P,OD,OH,OW*S), not smaller than the floor. The range is over the rows of y."""
    size, vector = itemsize(floor), lanes(floor)
    td, th, tw, _, _, _, _, _, columns_first = steps
    taps, columns = (td, th, tw), stack_bytes(BYTES)
    for r in range(lo, hi):
        start, _, nd, nh = first_tap(x, y, rows, r)
        images, out = address(x) + start * size, address(y) + r * y.strides[2]
        if columns_first:
            for c in range(0, x.shape[3], 4 * vector):
                window_maximum(floor, images + c * size, (nd, nh, 1), taps, 1, columns + c * size, 4, x.shape[3] - c)
            images, nd, nh = columns, 1, 1
        for run in range(len(runs)):
            to, _, length, source, step, nw, _, _ = runs[run]
            c = 0
            while c < length:
                several = vectors_at_once(length - c, step, vector)
                at = images + (source + c * step) * size
                window_maximum(floor, at, (nd, nh, nw), taps, step, out + (to + c) * size, several, length - c)
                c += several * vector


@kernel(
    "S[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, S[:,:,:,::1], i4[:,:,:,::1]", writes="y indices", parallel=True
)
def max_pool3d__windows_and_indices(x, rows, runs, steps, floor, y, indices, lo, hi):
    """x(P,D,H,W*S) -> y, indices(P,OD,OH,OW*S): of the image, -1 for the floor. The range is over the rows of y."""
    size, vector = itemsize(floor), lanes(floor)
    td, th, tw, id_, ih, iw, image_width, planar, _ = steps
    taps, index_steps = (td, th, tw), (id_, ih, iw)
    for r in range(lo, hi):
        start, row, nd, nh = first_tap(x, y, rows, r)
        out, marks = address(y) + r * y.strides[2], address(indices) + r * indices.strides[2]
        for run in range(len(runs)):
            to, _, length, source, step, nw, column, _ = runs[run]
            c = 0
            while c < length:
                several = vectors_at_once(length - c, step, vector)
                at, counts = address(x) + (start + source + c * step) * size, (nd, nh, nw)
                index = row * image_width + column + c * step * planar
                target, mark = out + (to + c) * size, marks + (to + c) * 4
                window_argmax(
                    floor, at, counts, taps, step, index, index_steps, step * planar, target, mark, several, length - c
                )
                c += several * vector


@kernel(
    "S[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, S[:,:,:,::1], i8[:,:,:,::1]", writes="y indices", parallel=True
)
def max_pool3d__windows_and_wide_indices(x, rows, runs, steps, floor, y, indices, lo, hi):
    """x(P,D,H,W) -> y, indices(P,OD,OH,OW): `max_pool3d__windows_and_indices` with 64-bit indices, not vectorised."""
    td, th, tw, id_, ih, iw, image_width, _, _ = steps
    pixels = x.reshape(x.size)
    for r in range(lo, hi):
        start, row, nd, nh = first_tap(x, y, rows, r)
        rest, i = divmod(r, y.shape[2])
        p, k = divmod(rest, y.shape[1])
        values, found = y[p, k, i], indices[p, k, i]
        for run in range(len(runs)):
            to, apart, length, source, step, nw, _, _ = runs[run]
            for c in range(length):
                first = source + c * step
                best, index = floor, row * image_width + first if floor == -math.inf and nd * nh * nw > 0 else -1
                for a in range(nd):
                    for b in range(nh):
                        for t in range(nw):
                            value = pixels[start + first + a * td + b * th + t * tw]
                            if value > best or value != value:
                                best = value
                                index = row * image_width + first + a * id_ + b * ih + t * iw
                values[to + c * apart] = best
                found[to + c * apart] = index


@kernel("S[:,:,:,::1], i4[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, S[:,:,:,::1]", writes="dx", parallel=True)
def max_pool_backward__channels_last(dy, indices, rows, runs, steps, number, dx, lo, hi):
    """dy, indices(B,OD,OH,OW*C) -> dx(B,D,H,W*C): sums over the windows that chose a pixel. The range: rows of dx."""
    size, vector = itemsize(number), lanes(number)
    td, th, tw, _, _, _, image_width, _, _ = steps
    taps = td, th, tw
    for r in range(lo, hi):
        start, _, nd, nh = first_tap(dy, dx, rows, r)
        row, out = r % (dx.shape[1] * dx.shape[2]), address(dx) + r * dx.strides[2]
        for run in range(len(runs)):
            to, _, length, source, _, nw, _, column = runs[run]
            index, c = row * image_width + column, 0
            while c < length:
                several, counts = vectors_at_once(length - c, 1, vector), (nd, nh, nw)
                at, mark = address(dy) + (start + source + c) * size, address(indices) + (start + source + c) * 4
                window_chosen(number, at, mark, counts, taps, index, out + (to + c) * size, several, length - c)
                c += several * vector


def _scatter(integer, name):
    """Build the kernel that adds every gradient at its index, for one integer type of indices."""

    @kernel(f"S[:,::1], {integer}[:,::1], S[:,::1]", writes="dx", parallel=True, name=name)
    def scatter(dy, indices, dx, lo, hi):
        """dy, indices(P,N) -> dx(P,M). The range is over P."""
        for p in range(lo, hi):
            grads, index, plane = dy[p], indices[p], dx[p]
            for i in range(plane.size):
                plane[i] = 0
            for i in range(grads.size):
                inside = 0 <= index[i] < plane.size  # no branch: windows zeroed by a ReLU cannot be predicted
                plane[index[i] if inside else 0] += grads[i] if inside else 0

    return scatter


max_pool_backward__channels_first = _scatter("i4", "max_pool_backward__channels_first")
max_pool_backward__wide_indices = _scatter("i8", "max_pool_backward__wide_indices")


@kernel("S[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T[::1], S[:,:,:,::1]", writes="y", parallel=True)
def avg_pool3d__windows(x, rows, runs, steps, divisors, y, lo, hi):
    """x(P,D,H,W*S) -> y(P,OD,OH,OW*S): sums over a divisor by depth, one by row and one by run. The range: rows."""
    size, vector, one = itemsize(divisors[0]), lanes(divisors[0]), divisors.dtype.type(1)
    td, th, tw, _, _, _, _, _, columns_first = steps
    taps, depth, height, columns = (td, th, tw), y.shape[1], y.shape[2], stack_bytes(BYTES)
    for r in range(lo, hi):
        start, _, nd, nh = first_tap(x, y, rows, r)
        images, out, i = address(x) + start * size, address(y) + r * y.strides[2], r % (depth * height)
        divisor = divisors[i // height] * divisors[depth + i % height]
        if columns_first:
            for c in range(0, x.shape[3], 4 * vector):
                window_sum(one, images + c * size, (nd, nh, 1), taps, 1, columns + c * size, 1, 4, x.shape[3] - c)
            images, nd, nh = columns, 1, 1
        for run in range(len(runs)):
            to, apart, length, source, step, nw, _, _ = runs[run]
            count = divisor * divisors[depth + height + run]
            c = 0
            while c < length:
                several = vectors_at_once(length - c, step, vector)
                at, target = images + (source + c * step) * size, out + (to + c * apart) * size
                window_sum(count, at, (nd, nh, nw), taps, step, target, apart, several, length - c)
                c += several * vector


@kernel("S[:,::1], T, S[::1]", writes="y", parallel=True)
def max_pool3d__whole(x, floor, y, lo, hi):
    """x(P,N) -> y(P), not smaller than the floor."""
    for p in range(lo, hi):
        row, best = x[p], floor
        for i in range(row.size):
            best = maximum(best, row[i])
        y[p] = best


@kernel("S[:,::1], T, S[::1]", writes="y", parallel=True)
def avg_pool3d__whole(x, divisor, y, lo, hi):
    """x(P,N) -> y(P): sums over the divisor."""
    for p in range(lo, hi):
        row, total = x[p], divisor - divisor
        for i in range(row.size):
            total += row[i]
        y[p] = total / divisor


@kernel("S[:,:,::1], T, S[:,::1]", writes="y", parallel=True)
def avg_pool3d__whole_channels_last(x, divisor, y, lo, hi):
    """x(B,N,C) -> y(B,C): sums over the divisor, pixel by pixel, in the order of memory."""
    for b in range(lo, hi):
        total = y[b]
        for c in range(total.size):
            total[c] = 0
        for n in range(x.shape[1]):
            pixel = x[b, n]
            for c in range(total.size):
                total[c] += pixel[c]
        for c in range(total.size):
            total[c] /= divisor


@kernel("S[::1], T, S[:,::1]", writes="dx", parallel=True)
def avg_pool_backward__whole(dy, divisor, dx, lo, hi):
    """dy(P) -> dx(P,N): a number over the divisor, everywhere."""
    for p in range(lo, hi):
        row, share = dx[p], dy[p] / divisor
        for i in range(row.size):
            row[i] = share
