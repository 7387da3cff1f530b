"""Reductions: sum, mean, variance, product, maximum, minimum and where these are, over any axes of any layout.

What is reduced goes by two kinds of kernel. `rows`: a vector runs along the reduced elements, and its lanes are put
together at the end. `lanes`: a vector runs along what stays, each lane with a sum of its own. Elements that do not lie
side by side are packed into a small buffer first, so that both see contiguous ones; or, a few apart, they are read
with what lies between them, whose lanes are left out of the result.

Both keep two numbers per lane, for sums the sum and what rounding took from it (TwoSum; Ogita, Rump and Oishi,
"Accurate sum and dot product", 2005), for products likewise. Every work item reduces a fixed block of elements; where
the elements of one result are several blocks, the states of all blocks are stored and merged in order by `combine`.
So nothing depends on the number of threads.

A kernel learns from its geometry, an array of integers made by `fastnn_kernels.reduction`, how the input lies: see
the names below.
"""

from math import inf
from typing import Any, NamedTuple

from .._jit import exact, jitted, kernel
from .._simd import constant, fma, stack_bytes, vector_bytes
from .._vector import (
    broadcast,
    every,
    first_lane,
    first_lanes,
    larger,
    marked,
    pointer,
    pointer_at,
    prefetch,
    read,
    read_part,
    smaller,
    swapped,
    width,
    write,
    zeros,
)

# Places in the geometry; strides are in elements, those of the output in `OUT_`
BASE, SIZE = 0, 1  # where the first element lies; results
LENGTH, STRIDE = 2, 3  # of the reduced dimension that is gone along first
PIECE, PIECES = 4, 5  # into which it is cut: how long, how many
UNITS, PER_BLOCK, BLOCKS = 6, 7, 8  # pieces over all reduced dimensions, of one block, blocks
LANES, LANE_STRIDE, OUT_STRIDE = 9, 10, 11  # the dimension that stays along which vectors run; 1 if none does
TILE, TILES = 12, 13  # into which that is cut
FAR = 14  # 1 if the input is larger than caches, else 0
KEPT, REDUCED = 15, 16  # numbers of other dimensions that stay, and of other reduced ones
OTHERS = 17  # their lengths, strides, output strides; lengths and strides

WIDEST = 1024  # lanes of a tile
PACKED = 256  # elements, or lanes of a tile, that are packed at once
ROWS = 4  # rows that go together
NEAR = 4  # elements apart up to which those in between are read, too
AHEAD = 8  # rows that are fetched before their turn
LINE, VECTOR = 64, vector_bytes()  # bytes that are fetched at once, and of a vector
ROW_BYTES, ROWS_BYTES, STATE_BYTES = 8 * PACKED, 8 * PACKED * ROWS, 8 * WIDEST


ZERO, ONE, NONE, ALL = constant(0.0, 0.0), constant(1.0, 1.0), constant(-inf, -inf), constant(inf, inf)


class Reduction(NamedTuple):
    """An operation, by functions of vectors; a state is two of them."""

    name: str
    neutral: Any  # the state that changes nothing, in its first part; the second is 0
    one: Any  # (state, x) -> state
    four: Any  # (state, four x) -> state
    merge: Any  # (state, state) -> state
    result: Any  # (state of float64, divisor) -> number
    element: Any  # (x, high, low) -> what is reduced


@exact
def itself(x, high, low):
    """Return x."""
    return x


@exact
def square(x, high, low):
    """Return the squared distance from a mean in two parts."""
    d = (x - high) - low
    return d * d


@exact
def add(p, q, x):
    """Add a number to a sum p, and to q what rounding took."""
    s = p + x
    part = s - p
    return s, q + ((p - (s - part)) + (x - part))


@exact
def add_four(p, q, a, b, c, d):
    """Add four numbers, of which pairs and pairs of pairs are rounded as they come: 2.5 additions each instead of 7."""
    return add(p, q, (a + b) + (c + d))


@exact
def add_four_exactly(p, q, a, b, c, d):
    """Add four numbers, by pairs, so that no sum waits for another."""
    a, e = add(a, q, b)
    c, f = add(c, ZERO(c), d)
    a, e = add(a, e, c)
    return add(p, e + f, a)


@exact
def merge_sums(p, q, r, s):
    """Add two sums."""
    p, q = add(p, q, r)
    return p, q + s


@exact
def sum_of(p, q, divisor):
    """Return the sum over the divisor; q is NaN where p is infinite."""
    return (p + q if abs(p) < inf else p) / divisor


@exact
def multiply(p, q, x):
    """Multiply a product p by a number, and q by it, to which goes what rounding took."""
    product = p * x
    return product, fma(q, x, fma(p, x, -product))


@exact
def multiply_four(p, q, a, b, c, d):
    """Multiply by four numbers."""
    p, q = multiply(p, q, a)
    p, q = multiply(p, q, b)
    p, q = multiply(p, q, c)
    return multiply(p, q, d)


@exact
def merge_products(p, q, r, s):
    """Multiply two products."""
    product = p * r
    return product, fma(p, s, fma(q, r, fma(p, r, -product)))


@exact
def product_of(p, q, divisor):
    """Return the product; q is NaN where p, or a number that made p 0, is infinite."""
    return p + q if 0 < abs(p) < inf and abs(q) < inf else p


@exact
def top_one(p, q, x):
    """Return the larger one, and mark NaN."""
    return larger(x, p), marked(q, x, x)


@exact
def top_four(p, q, a, b, c, d):
    """Return the largest, and mark NaN."""
    return larger(larger(larger(a, b), larger(c, d)), p), marked(marked(q, a, b), c, d)


@exact
def merge_tops(p, q, r, s):
    """Return the larger of two."""
    return larger(r, p), q + s


@exact
def bottom_one(p, q, x):
    """Return the smaller one, and mark NaN."""
    return smaller(x, p), marked(q, x, x)


@exact
def bottom_four(p, q, a, b, c, d):
    """Return the smallest, and mark NaN."""
    return smaller(smaller(smaller(a, b), smaller(c, d)), p), marked(marked(q, a, b), c, d)


@exact
def merge_bottoms(p, q, r, s):
    """Return the smaller of two."""
    return smaller(r, p), q + s


@exact
def extreme_of(p, q, divisor):
    """Return p, or NaN if there was one."""
    return p if q == q else q


SUM = Reduction("sum", ZERO, add, add_four, merge_sums, sum_of, itself)
EXACT_SUM = SUM._replace(name="exact_sum", four=add_four_exactly)  # for means that are taken off
SPREAD = SUM._replace(name="var", element=square)
PROD = Reduction("prod", ONE, multiply, multiply_four, merge_products, product_of, itself)
MAX = Reduction("max", NONE, top_one, top_four, merge_tops, extreme_of, itself)
MIN = Reduction("min", ALL, bottom_one, bottom_four, merge_bottoms, extreme_of, itself)


@jitted
def kept_at(g, index):
    """Return where in the input and in the output the `index`-th place of the other dimensions that stay begins."""
    n, at, place = g[KEPT], g[BASE], 0
    for d in range(OTHERS + n - 1, OTHERS - 1, -1):
        length = g[d]
        rest = index // length
        digit = index - rest * length
        at += digit * g[d + n]
        place += digit * g[d + 2 * n]
        index = rest
    return at, place


@jitted
def unit_at(g, u):
    """Return where in the input the u-th piece of what is reduced begins, its first element there and its length."""
    rest = u // g[PIECES]
    first = (u - rest * g[PIECES]) * g[PIECE]
    n, at = g[REDUCED], first * g[STRIDE]
    start = OTHERS + 3 * g[KEPT]
    for d in range(start + n - 1, start - 1, -1):
        length = g[d]
        other = rest // length
        at += (rest - other * length) * g[d + n]
        rest = other
    return at, first, min(g[PIECE], g[LENGTH] - first)


@jitted
def pack(x, at, stride, count, buffer, place):
    """Copy elements that lie `stride` apart."""
    for i in range(count):
        buffer[place + i] = x[at + i * stride]


def _named(function, op):
    """Compile a function made for an operation, under a name of its own: the kernel cache goes by names."""
    function.__name__ = function.__qualname__ = f"{op.name}_{function.__name__}"
    return exact(function)


def folded(op):
    """Make the function that merges the lanes of a state."""
    merge = op.merge

    def fold(p, q):
        if width(p) > 8:
            p, q = merge(p, q, swapped(p, 8), swapped(q, 8))
        if width(p) > 4:
            p, q = merge(p, q, swapped(p, 4), swapped(q, 4))
        if width(p) > 2:
            p, q = merge(p, q, swapped(p, 2), swapped(q, 2))
        p, q = merge(p, q, swapped(p, 1), swapped(q, 1))
        return first_lane(p), first_lane(q)

    return _named(fold, op)


def along(op):
    """Make the function that reduces a line of n elements into a state; ahead: where the next line begins, or 0."""
    neutral, one, four, element = op.neutral, op.one, op.four, op.element

    def line(x, at, stride, n, ahead, p, q, high, low, buffer):
        zero = zeros(x)
        none, step = neutral(zero), width(zero)
        together = n if stride == 1 else PACKED
        for first in range(0, n, together):
            count = min(together, n - first)
            if stride == 1:
                source, start = x, at
            else:
                pack(x, at + first * stride, stride, count, buffer, 0)
                source, start = buffer, 0
            end = start + count
            while start + 4 * step <= end:
                a, b = read(source, start), read(source, start + step)
                c, d = read(source, start + 2 * step), read(source, start + 3 * step)
                a, b = element(a, high, low), element(b, high, low)
                c, d = element(c, high, low), element(d, high, low)
                if ahead:
                    for k in range(0, 4 * step, LINE * step // VECTOR):
                        prefetch(source, start + ahead + k, 0)
                p, q = four(p, q, a, b, c, d)
                start += 4 * step
            while start < end:
                value = element(read_part(source, start, end - start, zero), high, low)
                p, q = one(p, q, first_lanes(value, end - start, none))
                start += step
        return p, q

    return _named(line, op)


@jitted
def skipped(stride, lanes):
    """Return how far apart the lanes of a vector are that count, and the elements that it is made of."""
    near = 1 < stride <= NEAR and lanes % stride == 0
    return (stride, 1) if near else (1, stride)


STATES = "T[:], T[::1], T[::1], i8[::1], T[::1], f8"


def rows(op):
    """Make the body of the kernel whose vectors run along what is reduced."""
    line, fold, neutral, result = along(op), folded(op), op.neutral, op.result
    centred = op.element is square

    def rows(x, out, rest, g, centre, divisor, lo, hi):
        """x(any), centre(2 K or 0) -> out(K), or out(B K) and rest(B K), the states of B blocks.

        The range is over K B. centre: the means that are taken off first, in two parts.
        """
        number, x = out.dtype.type(0), pointer(x)
        buffer, zero = pointer_at(number, stack_bytes(ROW_BYTES)), zeros(x)
        blocks, size, per = g[BLOCKS], g[SIZE], g[PER_BLOCK]
        skip, stride = skipped(g[STRIDE], width(zero))
        for item in range(lo, hi):
            index = item // blocks
            block = item - index * blocks
            at, place = kept_at(g, index)
            p, q, high, low = neutral(zero), zero, zero, zero
            if centred:
                high, low = broadcast(centre[place]), broadcast(centre[size + place])
            start, _, n = unit_at(g, block * per)
            for u in range(block * per + 1, min(block * per + per, g[UNITS]) + 1):
                after, _, m = unit_at(g, u)
                ahead = after - start if g[PIECES] == 1 else 0
                p, q = line(x, at + start, stride, (n - 1) * skip + 1, ahead, p, q, high, low, buffer)
                start, n = after, m
            value, error = fold(every(p, skip, neutral(zero)), every(q, skip, zero))
            if rest.size:
                out[block * size + place], rest[block * size + place] = value, error
            else:
                out[place] = result(float(value), float(error), divisor)

    return rows


def lanes(op):
    """Make the body of the kernel whose vectors run along what stays."""
    neutral, one, four, result, element = op.neutral, op.one, op.four, op.result, op.element
    centred = op.element is square

    def add_rows(source, start, row, many, j, n, ahead, p, q, high, low):
        """Take rows of one vector into the state at lane j."""
        zero = zeros(source)
        if ahead:
            for r in range(ROWS):
                prefetch(source, start + ahead + r * row + j, 0)
        a = element(read_part(source, start + j, n, zero), read(high, j), read(low, j))
        s, t = read(p, j), read(q, j)
        if many:
            b = element(read_part(source, start + row + j, n, zero), read(high, j), read(low, j))
            c = element(read_part(source, start + 2 * row + j, n, zero), read(high, j), read(low, j))
            d = element(read_part(source, start + 3 * row + j, n, zero), read(high, j), read(low, j))
            s, t = four(s, t, a, b, c, d)
        else:
            s, t = one(s, t, a)
        write(p, j, s)
        write(q, j, t)

    add_rows = _named(add_rows, op)

    def lanes(x, out, rest, g, centre, divisor, lo, hi):
        """x(any), centre(2 K or 0) -> out(K), or out(B K) and rest(B K); see `rows`. The range is over places B tiles.

        centre may belong to a part of the lanes, and then serves the others, too.
        """
        number, x = out.dtype.type(0), pointer(x)
        buffer, zero = pointer_at(number, stack_bytes(ROWS_BYTES)), zeros(x)
        p, q = pointer_at(number, stack_bytes(STATE_BYTES)), pointer_at(number, stack_bytes(STATE_BYTES))
        high, low = pointer_at(number, stack_bytes(STATE_BYTES)), pointer_at(number, stack_bytes(STATE_BYTES))
        blocks, size, per, apart, stride = g[BLOCKS], g[SIZE], g[PER_BLOCK], g[LANE_STRIDE], g[STRIDE]
        none, step, ahead = neutral(zero), width(zero), AHEAD * stride * g[FAR]
        skip = apart if 1 < apart <= NEAR else 1
        for item in range(lo, hi):
            index = item // g[TILES]
            first = (item - index * g[TILES]) * g[TILE]
            block = index % blocks
            at, place = kept_at(g, index // blocks)
            number_of_lanes = min(g[TILE], g[LANES] - first)
            count = (number_of_lanes - 1) * skip + 1
            at, place = at + first * apart, place + first * g[OUT_STRIDE]
            for j in range(0, count, step):
                write(p, j, none)
                write(q, j, zero)
            if centred:
                for j in range(0, count, step):
                    write(high, j, zero)
                    write(low, j, zero)
                half = centre.size // 2
                for j in range(number_of_lanes):
                    of = (place + j * g[OUT_STRIDE]) % half
                    high[j * skip], low[j * skip] = centre[of], centre[half + of]
            full = count - count % step
            for u in range(block * per, min(block * per + per, g[UNITS])):
                begin, _, n = unit_at(g, u)
                begin += at
                i = 0
                while i < n:
                    many = i + ROWS <= n
                    if apart == skip:
                        source, start, row = x, begin + i * stride, stride
                    else:
                        for r in range(ROWS if many else 1):
                            pack(x, begin + (i + r) * stride, apart, count, buffer, r * PACKED)
                        source, start, row = buffer, 0, PACKED
                    if many:
                        for j in range(0, full, step):
                            add_rows(source, start, row, True, j, step, ahead, p, q, high, low)
                        if full < count:
                            add_rows(source, start, row, True, full, count - full, 0, p, q, high, low)
                    else:
                        for j in range(0, count, step):
                            add_rows(source, start, row, False, j, count - j, 0, p, q, high, low)
                    i += ROWS if many else 1
            apart_out = g[OUT_STRIDE]
            if rest.size:
                place += block * size
                for j in range(number_of_lanes):
                    out[place + j * apart_out], rest[place + j * apart_out] = p[j * skip], q[j * skip]
            else:
                for j in range(number_of_lanes):
                    out[place + j * apart_out] = result(float(p[j * skip]), float(q[j * skip]), divisor)

    return lanes


def combine(op):
    """Make the body of the kernel that merges the states of blocks, in order."""
    merge, result = op.merge, op.result

    def combine(values, rests, out, divisor):
        """values(B K), rests(B K) -> out(K)."""
        for k in range(out.size):
            p, q = float(values[k]), float(rests[k])
            for i in range(k + out.size, values.size, out.size):
                p, q = merge(p, q, float(values[i]), float(rests[i]))
            out[k] = result(p, q, divisor)

    return combine


@exact
def rest_of_mean(mean, p, q, divisor):
    """Return what a rounded mean lacks."""
    return (fma(-mean, divisor, p) + q) / divisor


@kernel("T[::1], T[::1], T[::1], f8", writes="centre")
def mean__pair(values, rests, centre, divisor):
    """values(B K), rests(B K) -> centre(2 K): sums over the divisor, in two parts."""
    size = centre.size // 2
    for k in range(size):
        p, q = float(values[k]), float(rests[k])
        for i in range(k + size, values.size, size):
            p, q = merge_sums(p, q, float(values[i]), float(rests[i]))
        centre[k] = sum_of(p, q, divisor)
        centre[size + k] = rest_of_mean(float(centre[k]), p, q, divisor)


def _kernel(name, signature, body, writes="out rest", parallel=True):
    return kernel(signature, writes=writes, parallel=parallel, name=name)(body)


ROW_KERNELS, LANE_KERNELS, COMBINE_KERNELS = {}, {}, {}
for _name, _op in {"sum": SUM, "exact_sum": EXACT_SUM, "var": SPREAD, "prod": PROD, "max": MAX, "min": MIN}.items():
    ROW_KERNELS[_name] = _kernel(f"{_name}__rows", STATES, rows(_op))
    LANE_KERNELS[_name] = _kernel(f"{_name}__lanes", STATES, lanes(_op))
    COMBINE_KERNELS[_name] = (
        COMBINE_KERNELS["sum"]
        if _op.merge is merge_sums and _op is not SUM
        else _kernel(f"{_name}__combine", "T[::1], T[::1], T[::1], f8", combine(_op), "out", False)
    )
