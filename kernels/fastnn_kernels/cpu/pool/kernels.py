"""Max and average pooling of images stored plane by plane (S = 1) or pixel by pixel (S = channels).

Windows of 2x2 side by side have kernels of their own. All others are boxes of taps, whose counts and first taps stand
in tables made by `fastnn_kernels.windows`:

    rows   (2, OD + OH): first tap and number of taps of each output, by depth and by height
    runs   (n, 8): outputs of a row that one vector after the other computes: first output, distance between outputs,
           number of them, first tap, its distance from output to output, taps; column of the first tap, of the output
    steps  distance between taps by depth, height and width in numbers, in places; width; 1 for planes, 0 for pixels;
           1 where, in rows of at most ROW numbers, the columns of windows are combined first, then these along the row

Within a window, ties go to the first position; NaN wins, the last one of it, as in PyTorch.
"""

import math

from ...ground.jit import jitted, kernel
from ..vector.simd import address, itemsize, lanes, maximum, stack_bytes
from ..vector.window_2x2 import (
    largest_of_pixels,
    largest_of_rows,
    share_with_pixels,
    share_with_rows,
    spread_to_pixels,
    spread_to_rows,
    sum_of_pixels,
    sum_of_rows,
)
from ..vector.window_reduce import window_argmax, window_chosen, window_maximum, window_sum

ROW = 1024
BYTES = 8 * ROW


@jitted
def zero_edges(dx, rows, columns):
    """Clear what lies behind the last square of an image (H,W,C): the last row and column of odd sizes."""
    for i in range(dx.shape[0]):
        for j in range(2 * columns if i < 2 * rows else 0, dx.shape[1]):
            for c in range(dx.shape[2]):
                dx[i, j, c] = 0


def _squares(operation, of_rows, of_pixels):
    """Make the kernels of an operation over windows of 2x2, side by side: of planes and of pixels.

    x(P,H,W) -> y(P,OH,OW) and x(B,H,W,C) -> y(B,OH,OW,C), whose range is over B * OH rows. `number` is what maxima are
    not smaller than, or what sums are multiplied by.
    """

    @kernel("T[:,:,::1], T, T[:,:,::1]", writes="y", parallel=True, name=f"{operation}__squares_of_planes")
    def planes(x, number, y, lo, hi):
        size, step = itemsize(number), lanes(number)
        for p in range(lo, hi):
            for i in range(y.shape[1]):
                upper = address(x) + p * x.strides[0] + 2 * i * x.strides[1]
                out = address(y) + p * y.strides[0] + i * y.strides[1]
                for j in range(0, y.shape[2], step):
                    at = upper + 2 * j * size
                    of_rows(number, at, at + x.strides[1], out + j * size, y.shape[2] - j)

    @kernel("T[:,:,:,::1], T, T[:,:,:,::1]", writes="y", parallel=True, name=f"{operation}__squares_of_pixels")
    def pixels(x, number, y, lo, hi):
        size, step = itemsize(number), lanes(number)
        down, right = x.strides[1], x.strides[2]
        for r in range(lo, hi):
            b, i = divmod(r, y.shape[1])
            for j in range(y.shape[2]):
                a = address(x) + b * x.strides[0] + 2 * i * down + 2 * j * right
                out = address(y) + b * y.strides[0] + i * y.strides[1] + j * y.strides[2]
                for c in range(0, y.shape[3], step):
                    at = a + c * size
                    last = at + down + right
                    of_pixels(number, at, at + right, at + down, last, out + c * size, y.shape[3] - c)

    return planes, pixels


max_pool2d__squares_of_planes, max_pool2d__squares_of_pixels = _squares(
    "max_pool2d", largest_of_rows, largest_of_pixels
)
avg_pool2d__squares_of_planes, avg_pool2d__squares_of_pixels = _squares("avg_pool2d", sum_of_rows, sum_of_pixels)


@kernel("T[:,:,::1], T[:,:,::1], T, T[:,:,::1]", writes="dx", parallel=True)
def max_pool2d_gradient__squares_of_planes(dy, x, floor, dx, lo, hi):
    """dy(P,OH,OW), x(P,H,W) -> dx(P,H,W) for max_pool2d__squares_of_planes."""
    size, step = itemsize(floor), lanes(floor)
    down = x.strides[1]
    for p in range(lo, hi):
        zero_edges(dx[p].reshape(dx.shape[1], dx.shape[2], 1), dy.shape[1], dy.shape[2])
        for i in range(dy.shape[1]):
            for j in range(0, dy.shape[2], step):
                offset = p * x.strides[0] + 2 * i * down + 2 * j * size
                at, to = address(x) + offset, address(dx) + offset
                g = address(dy) + p * dy.strides[0] + i * dy.strides[1] + j * size
                spread_to_rows(floor, at, at + down, g, to, to + down, dy.shape[2] - j)


@kernel("T[:,:,:,::1], T[:,:,:,::1], T, T[:,:,:,::1]", writes="dx", parallel=True)
def max_pool2d_gradient__squares_of_pixels(dy, x, floor, dx, lo, hi):
    """dy(B,OH,OW,C), x(B,H,W,C) -> dx(B,H,W,C) for max_pool2d__squares_of_pixels. The range is over B * OH rows."""
    size, step = itemsize(floor), lanes(floor)
    down, right = x.strides[1], x.strides[2]
    for r in range(lo, hi):
        b, i = divmod(r, dy.shape[1])
        if i == 0:
            zero_edges(dx[b], dy.shape[1], dy.shape[2])
        for j in range(dy.shape[2]):
            g = address(dy) + b * dy.strides[0] + i * dy.strides[1] + j * dy.strides[2]
            offset = b * x.strides[0] + 2 * i * down + 2 * j * right
            for c in range(0, dy.shape[3], step):
                at, to = address(x) + offset + c * size, address(dx) + offset + c * size
                last, to_last = at + down + right, to + down + right
                left = dy.shape[3] - c
                spread_to_pixels(
                    floor, at, at + right, at + down, last, g + c * size, to, to + right, to + down, to_last, left
                )


@jitted
def vectors_at_once(length, step, vector):
    """Return how many vectors of outputs go through a window together; `step` is the distance of their numbers."""
    if length <= vector or not 0 <= step <= 2:
        return 1
    return 2 if step == 2 or length <= 2 * vector else 4


@kernel("T[:,:,::1], T, T[:,:,::1]", writes="dx", parallel=True)
def avg_pool2d_backward__squares_of_planes(dy, factor, dx, lo, hi):
    """dy(P,OH,OW) -> dx(P,H,W) for avg_pool2d__squares_of_planes."""
    size, step = itemsize(factor), lanes(factor)
    down = dx.strides[1]
    for p in range(lo, hi):
        zero_edges(dx[p].reshape(dx.shape[1], dx.shape[2], 1), dy.shape[1], dy.shape[2])
        for i in range(dy.shape[1]):
            for j in range(0, dy.shape[2], step):
                to = address(dx) + p * dx.strides[0] + 2 * i * down + 2 * j * size
                g = address(dy) + p * dy.strides[0] + i * dy.strides[1] + j * size
                share_with_rows(factor, g, to, to + down, dy.shape[2] - j)


@kernel("T[:,:,:,::1], T, T[:,:,:,::1]", writes="dx", parallel=True)
def avg_pool2d_backward__squares_of_pixels(dy, factor, dx, lo, hi):
    """dy(B,OH,OW,C) -> dx(B,H,W,C) for avg_pool2d__squares_of_pixels. The range is over B * OH rows."""
    size, step = itemsize(factor), lanes(factor)
    down, right = dx.strides[1], dx.strides[2]
    for r in range(lo, hi):
        b, i = divmod(r, dy.shape[1])
        if i == 0:
            zero_edges(dx[b], dy.shape[1], dy.shape[2])
        for j in range(dy.shape[2]):
            g = address(dy) + b * dy.strides[0] + i * dy.strides[1] + j * dy.strides[2]
            target = address(dx) + b * dx.strides[0] + 2 * i * down + 2 * j * right
            for c in range(0, dy.shape[3], step):
                to = target + c * size
                last = to + down + right
                share_with_pixels(factor, g + c * size, to, to + right, to + down, last, dy.shape[3] - c)


@jitted
def first_tap(x, y, rows, r):
    """Return (offset in x of the windows of row r of y, index of their first row in x, taps in depth and height)."""
    rest, i = divmod(r, y.shape[2])
    p, k = divmod(rest, y.shape[1])
    row = rows[0, k] * x.shape[2] + rows[0, y.shape[1] + i]
    return (p * x.shape[1] * x.shape[2] + row) * x.shape[3], row, rows[1, k], rows[1, y.shape[1] + i]


@kernel("T[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, T[:,:,:,::1]", writes="y", parallel=True)
def max_pool__windows(x, rows, runs, steps, floor, y, lo, hi):
    """x(P,D,H,W*S) -> y(P,OD,OH,OW*S), not smaller than the floor. The range is over the rows of y."""
    size, vector = itemsize(floor), lanes(floor)
    taps, columns = (steps[0], steps[1], steps[2]), stack_bytes(BYTES)
    for r in range(lo, hi):
        start, _, nd, nh = first_tap(x, y, rows, r)
        images, out = address(x) + start * size, address(y) + r * y.strides[2]
        if steps[8]:
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


@kernel("T[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, T[:,:,:,::1], i4[:,:,:,::1]", writes="y where", parallel=True)
def max_pool__windows_and_places(x, rows, runs, steps, floor, y, where, lo, hi):
    """x(P,D,H,W*S) -> y, where(P,OD,OH,OW*S): the place in its image, -1 for the floor. The range: the rows of y."""
    size, vector = itemsize(floor), lanes(floor)
    taps, places, width, planar = (steps[0], steps[1], steps[2]), (steps[3], steps[4], steps[5]), steps[6], steps[7]
    for r in range(lo, hi):
        start, row, nd, nh = first_tap(x, y, rows, r)
        out, marks = address(y) + r * y.strides[2], address(where) + r * where.strides[2]
        for run in range(len(runs)):
            to, _, length, source, step, nw, column, _ = runs[run]
            c = 0
            while c < length:
                several = vectors_at_once(length - c, step, vector)
                at, counts = address(x) + (start + source + c * step) * size, (nd, nh, nw)
                place, target, mark = (
                    row * width + column + c * step * planar,
                    out + (to + c) * size,
                    marks + (to + c) * 4,
                )
                window_argmax(
                    floor, at, counts, taps, step, place, places, step * planar, target, mark, several, length - c
                )
                c += several * vector


@kernel("T[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, T[:,:,:,::1], i8[:,:,:,::1]", writes="y where", parallel=True)
def max_pool__windows_and_far_places(x, rows, runs, steps, floor, y, where, lo, hi):
    """x(P,D,H,W) -> y, where(P,OD,OH,OW): as `max_pool__windows_and_places`, with 64-bit places, not vectorised."""
    pixels, width = x.reshape(x.size), steps[6]
    for r in range(lo, hi):
        start, row, nd, nh = first_tap(x, y, rows, r)
        rest, i = divmod(r, y.shape[2])
        p, k = divmod(rest, y.shape[1])
        values, places = y[p, k, i], where[p, k, i]
        for run in range(len(runs)):
            to, apart, length, source, step, nw, _, _ = runs[run]
            for c in range(length):
                first = source + c * step
                best, place = floor, row * width + first if floor == -math.inf and nd * nh * nw > 0 else -1
                for a in range(nd):
                    for b in range(nh):
                        for t in range(nw):
                            value = pixels[start + first + a * steps[0] + b * steps[1] + t * steps[2]]
                            if value > best or value != value:
                                best = value
                                place = row * width + first + a * steps[3] + b * steps[4] + t * steps[5]
                values[to + c * apart] = best
                places[to + c * apart] = place


@kernel("T[:,:,:,::1], i4[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T, T[:,:,:,::1]", writes="dx", parallel=True)
def max_pool_backward__pixels(dy, where, rows, runs, steps, number, dx, lo, hi):
    """dy, where(B,OD,OH,OW*C) -> dx(B,D,H,W*C): of the windows over a pixel, those that chose it. The range: rows."""
    size, vector = itemsize(number), lanes(number)
    taps, width = (steps[0], steps[1], steps[2]), steps[6]
    for r in range(lo, hi):
        start, _, nd, nh = first_tap(dy, dx, rows, r)
        row, out = r % (dx.shape[1] * dx.shape[2]), address(dx) + r * dx.strides[2]
        for run in range(len(runs)):
            to, _, length, source, _, nw, _, column = runs[run]
            place, c = row * width + column, 0
            while c < length:
                several, counts = vectors_at_once(length - c, 1, vector), (nd, nh, nw)
                at, mark = address(dy) + (start + source + c) * size, address(where) + (start + source + c) * 4
                window_chosen(number, at, mark, counts, taps, place, out + (to + c) * size, several, length - c)
                c += several * vector


def _backward_of_planes(integer, name):
    """Build the kernel that adds every gradient at its place, for one integer type of places."""

    @kernel(f"T[:,::1], {integer}[:,::1], T[:,::1]", writes="dx", parallel=True, name=name)
    def planes(dy, where, dx, lo, hi):
        """dy, where(P,N) -> dx(P,M). The range is over P."""
        for p in range(lo, hi):
            grads, places, plane = dy[p], where[p], dx[p]
            for i in range(plane.size):
                plane[i] = 0
            for i in range(grads.size):
                inside = 0 <= places[i] < plane.size  # no branch: windows zeroed by a ReLU cannot be predicted
                plane[places[i] if inside else 0] += grads[i] if inside else 0

    return planes


max_pool_backward__planes = _backward_of_planes("i4", "max_pool_backward__planes")
max_pool_backward__far_planes = _backward_of_planes("i8", "max_pool_backward__far_planes")


@kernel("T[:,:,:,::1], i8[:,::1], i8[:,::1], i8[::1], T[::1], T[:,:,:,::1]", writes="y", parallel=True)
def avg_pool__windows(x, rows, runs, steps, divisors, y, lo, hi):
    """x(P,D,H,W*S) -> y(P,OD,OH,OW*S): sums over a divisor by depth, one by row and one by run. The range: rows."""
    size, vector, one = itemsize(divisors[0]), lanes(divisors[0]), divisors.dtype.type(1)
    taps, depth, height = (steps[0], steps[1], steps[2]), y.shape[1], y.shape[2]
    columns = stack_bytes(BYTES)
    for r in range(lo, hi):
        start, _, nd, nh = first_tap(x, y, rows, r)
        images, out, i = address(x) + start * size, address(y) + r * y.strides[2], r % (depth * height)
        divisor = divisors[i // height] * divisors[depth + i % height]
        if steps[8]:
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


@kernel("T[:,::1], T, T[::1]", writes="y", parallel=True)
def max_pool__whole_planes(x, floor, y, lo, hi):
    """x(P,N) -> y(P), not smaller than the floor."""
    for p in range(lo, hi):
        row, best = x[p], floor
        for i in range(row.size):
            best = maximum(best, row[i])
        y[p] = best


@kernel("T[:,::1], T, T[::1]", writes="y", parallel=True)
def avg_pool__whole_planes(x, divisor, y, lo, hi):
    """x(P,N) -> y(P): sums over the divisor."""
    for p in range(lo, hi):
        row, total = x[p], divisor - divisor
        for i in range(row.size):
            total += row[i]
        y[p] = total / divisor


@kernel("T[:,:,::1], T, T[:,::1]", writes="y", parallel=True)
def avg_pool__whole_pixels(x, divisor, y, lo, hi):
    """x(B,N,C) -> y(B,C): sums over the divisor. Pixel by pixel, as they lie: memory likes that better than windows."""
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


@kernel("T[::1], T, T[:,::1]", writes="dx", parallel=True)
def avg_pool_backward__whole_planes(dy, divisor, dx, lo, hi):
    """dy(P) -> dx(P,N): a number over the divisor, everywhere."""
    for p in range(lo, hi):
        row, share = dx[p], dy[p] / divisor
        for i in range(row.size):
            row[i] = share


@kernel("T[:,:,:], i8[:,:,:], T[:,:,:], i8[::1]", writes="out wrong", parallel=True)
def max_unpool__scatter(x, indices, out, wrong, lo, hi):
    """x, indices(B,C,N) -> out(B,C,M), zero where nothing goes; wrong(B): whether an index was outside.

    The range is over channels, of every image: they may be neighbours in memory.
    """
    for b in range(out.shape[0]):
        if out.strides[2] <= out.strides[1]:
            for c in range(lo, hi):
                values, places, plane = x[b, c], indices[b, c], out[b, c]
                for i in range(plane.size):
                    plane[i] = 0
                for i in range(values.size):
                    if 0 <= places[i] < plane.size:  # indices come from outside: never write out of bounds
                        plane[places[i]] = values[i]
                    else:
                        wrong[b] = 1
            continue
        for i in range(out.shape[2]):
            pixel = out[b, lo:hi, i]
            for c in range(pixel.size):
                pixel[c] = 0
        for i in range(x.shape[2]):
            values, places, image = x[b, lo:hi, i], indices[b, lo:hi, i], out[b, lo:hi]
            for c in range(values.size):
                if 0 <= places[c] < out.shape[2]:
                    image[c, places[c]] = values[c]
                else:
                    wrong[b] = 1
