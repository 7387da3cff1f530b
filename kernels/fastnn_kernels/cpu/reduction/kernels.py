"""Reductions: sum, variance, product, maximum and minimum over any axes of arrays of any strides.

There are two kinds of kernel. `rows`: vectors run along a reduced dimension, and their lanes are merged at the end.
`lanes`: vectors run along a dimension that is kept, and each lane accumulates a result of its own. Strided elements are
packed into a small contiguous buffer first. With a stride of at most NEAR the elements in between are read, too, and
their lanes are dropped.

Both keep two numbers per lane: a sum and its accumulated rounding error (TwoSum; Ogita, Rump and Oishi, "Accurate sum
and dot product", 2005), a product likewise. Every work item reduces a block of fixed size; where a result takes several
blocks, their states are stored, and `combine` merges them in order. So the bits do not depend on the number of threads.

The strides and blocks of a call come in its geometry, an array of integers that `plan` computes;
the names of its entries are below.
"""

from math import inf, sqrt
from typing import Any, NamedTuple

from ...ground.jit import exact, jitted, kernel
from ..vector.simd import constant, fma, stack_bytes, vector_bytes
from ..vector.values import (
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

# Indices of the geometry's entries; all strides are in elements
BASE, SIZE = 0, 1  # offset of the first element; number of results
LENGTH, STRIDE = 2, 3  # the innermost reduced dimension
PIECE, PIECES = 4, 5  # length and number of the pieces that it is cut into
UNITS, PER_BLOCK, BLOCKS = 6, 7, 8  # number of pieces over all reduced dimensions; pieces per block; blocks
LANES, LANE_STRIDE, OUT_STRIDE = 9, 10, 11  # `lanes`: length, stride and output's stride of the vectors' dimension
TILE, TILES = 12, 13  # length and number of the tiles that it is cut into
FAR = 14  # 1 if the input is larger than the caches, else 0
KEPT, REDUCED = 15, 16  # number of other kept dimensions, and of other reduced ones
OTHERS = 17  # lengths, strides and output's strides of the kept ones; then lengths and strides of the reduced ones

WIDEST = 1024  # most lanes of a tile
PACKED = 256  # elements, or lanes of a tile, that are packed at once
ROWS = 4  # rows that are added in one step
NEAR = 4  # largest stride at which the elements in between are read, too
AHEAD = 8  # rows by which prefetching is ahead
LINE, VECTOR = 64, vector_bytes()  # bytes of a cache line, and of a vector
ROW_BYTES, ROWS_BYTES, STATE_BYTES = 8 * PACKED, 8 * PACKED * ROWS, 8 * WIDEST


ZERO, ONE, NONE, ALL = constant(0.0, 0.0), constant(1.0, 1.0), constant(-inf, -inf), constant(inf, inf)


class Reduction(NamedTuple):
    """An operation as functions of vectors. Its state is two vectors, p and q."""

    name: str
    neutral: Any  # the neutral p; the neutral q is 0
    one: Any  # (state, x) -> state
    four: Any  # (state, four x) -> state
    merge: Any  # (state, state) -> state
    result: Any  # (state of float64, divisor) -> number
    element: Any  # (x, high, low) -> the number to reduce; high + low is the mean


@exact
def itself(x, high, low):
    """Return x."""
    return x


@exact
def square(x, high, low):
    """Return the squared distance from a mean, which is high + low."""
    d = (x - high) - low
    return d * d


@exact
def add(p, q, x):
    """Add x to the sum p, and the rounding error of that to q (TwoSum)."""
    s = p + x
    part = s - p
    return s, q + ((p - (s - part)) + (x - part))


@exact
def add_four(p, q, a, b, c, d):
    """Add four numbers. Only their sum is added by TwoSum: 2.5 additions per number instead of 7."""
    return add(p, q, (a + b) + (c + d))


@exact
def add_four_exactly(p, q, a, b, c, d):
    """Add four numbers, all by TwoSum; in pairs, which do not wait for each other."""
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
    """Return the sum divided by the divisor. q is left out where p is infinite: it is NaN then."""
    return (p + q if abs(p) < inf else p) / divisor


@exact
def multiply(p, q, x):
    """Multiply p and its accumulated error q by x, and add the rounding error of p * x to q."""
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
    """Return the product. q is left out where p is 0 or infinite, or q itself is: it may be NaN then."""
    return p + q if 0 < abs(p) < inf and abs(q) < inf else p


@exact
def top_one(p, q, x):
    """Return the larger of p and x, and mark NaN in q."""
    return larger(x, p), marked(q, x, x)


@exact
def top_four(p, q, a, b, c, d):
    """Return the largest of five, and mark NaN in q."""
    return larger(larger(larger(a, b), larger(c, d)), p), marked(marked(q, a, b), c, d)


@exact
def merge_tops(p, q, r, s):
    """Merge two maxima."""
    return larger(r, p), q + s


@exact
def bottom_one(p, q, x):
    """Return the smaller of p and x, and mark NaN in q."""
    return smaller(x, p), marked(q, x, x)


@exact
def bottom_four(p, q, a, b, c, d):
    """Return the smallest of five, and mark NaN in q."""
    return smaller(smaller(smaller(a, b), smaller(c, d)), p), marked(marked(q, a, b), c, d)


@exact
def merge_bottoms(p, q, r, s):
    """Merge two minima."""
    return smaller(r, p), q + s


@exact
def extreme_of(p, q, divisor):
    """Return p, or NaN if there was a NaN."""
    return p if q == q else q


SUM = Reduction("sum", ZERO, add, add_four, merge_sums, sum_of, itself)
EXACT_SUM = SUM._replace(name="exact_sum", four=add_four_exactly)  # for the means that `var` subtracts
SPREAD = SUM._replace(name="var", element=square)
PROD = Reduction("prod", ONE, multiply, multiply_four, merge_products, product_of, itself)
MAX = Reduction("max", NONE, top_one, top_four, merge_tops, extreme_of, itself)
MIN = Reduction("min", ALL, bottom_one, bottom_four, merge_bottoms, extreme_of, itself)


@jitted
def kept_at(g, index):
    """Return the offsets in input and output of the `index`-th position along the other kept dimensions."""
    n, at, to = g[KEPT], g[BASE], 0
    for d in range(OTHERS + n - 1, OTHERS - 1, -1):
        length = g[d]
        rest = index // length
        digit = index - rest * length
        at += digit * g[d + n]
        to += digit * g[d + 2 * n]
        index = rest
    return at, to


@jitted
def unit_at(g, u):
    """Return the u-th piece: its offset in the input, its first index along the innermost dimension, and its length."""
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
def pack(x, at, stride, count, buffer, to):
    """Copy `count` elements of a stride into a contiguous buffer."""
    for i in range(count):
        buffer[to + i] = x[at + i * stride]


def _named(function, op):
    """Compile one operation's function under a name of its own, by which the kernel cache finds it."""
    function.__name__ = function.__qualname__ = f"{op.name}_{function.__name__}"
    return exact(function)


def folded(op):
    """Build the function that merges the lanes of a state."""
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
    """Build the function that adds a line of n elements to a state. ahead: offset of the line to prefetch, or 0."""
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
    """Return (skip, stride): every `skip`-th lane of a vector counts, and the vector's elements are `stride` apart."""
    near = 1 < stride <= NEAR and lanes % stride == 0
    return (stride, 1) if near else (1, stride)


STATES = "S[:], S[::1], T[::1], i8[::1], T[::1], f8"


def rows(op):
    """Build the body of the kernel whose vectors run along a reduced dimension."""
    line, fold, neutral, result = along(op), folded(op), op.neutral, op.result
    centred = op.element is square

    def rows(x, out, rest, g, centre, divisor, lo, hi):
        """x(any), centre(2 K or 0) -> out(K), or out(B K) and rest(B K), the states of B blocks.

        The range is over K B. centre: the means to subtract, as K high and K low parts.
        """
        number, x = out.dtype.type(0), pointer(x)
        buffer, zero = pointer_at(number, stack_bytes(ROW_BYTES)), zeros(x)
        blocks, size, per = g[BLOCKS], g[SIZE], g[PER_BLOCK]
        skip, stride = skipped(g[STRIDE], width(zero))
        for item in range(lo, hi):
            index = item // blocks
            block = item - index * blocks
            at, to = kept_at(g, index)
            p, q, high, low = neutral(zero), zero, zero, zero
            if centred:
                high, low = broadcast(centre[to]), broadcast(centre[size + to])
            start, _, n = unit_at(g, block * per)
            for u in range(block * per + 1, min(block * per + per, g[UNITS]) + 1):
                after, _, m = unit_at(g, u)
                ahead = after - start if g[PIECES] == 1 else 0
                p, q = line(x, at + start, stride, (n - 1) * skip + 1, ahead, p, q, high, low, buffer)
                start, n = after, m
            value, error = fold(every(p, skip, neutral(zero)), every(q, skip, zero))
            if rest.size:
                out[block * size + to], rest[block * size + to] = value, error
            else:
                out[to] = result(float(value), float(error), divisor)

    return rows


def lanes(op):
    """Build the body of the kernel whose vectors run along a kept dimension."""
    neutral, one, four, result, element = op.neutral, op.one, op.four, op.result, op.element
    centred = op.element is square

    def add_rows(source, start, row, many, j, n, ahead, p, q, high, low):
        """Add one vector of one row, or of ROWS rows if `many`, to the state from lane j on."""
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
        """x(any), centre(2 K or 0) -> out(K), or out(B K) and rest(B K); see `rows`.

        The range is over positions, blocks and tiles. A centre of fewer than K means is repeated.
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
            at, to = kept_at(g, index // blocks)
            number_of_lanes = min(g[TILE], g[LANES] - first)
            count = (number_of_lanes - 1) * skip + 1
            at, to = at + first * apart, to + first * g[OUT_STRIDE]
            for j in range(0, count, step):
                write(p, j, none)
                write(q, j, zero)
            if centred:
                for j in range(0, count, step):
                    write(high, j, zero)
                    write(low, j, zero)
                half = centre.size // 2
                for j in range(number_of_lanes):
                    of = (to + j * g[OUT_STRIDE]) % half
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
                to += block * size
                for j in range(number_of_lanes):
                    out[to + j * apart_out], rest[to + j * apart_out] = p[j * skip], q[j * skip]
            else:
                for j in range(number_of_lanes):
                    out[to + j * apart_out] = result(float(p[j * skip]), float(q[j * skip]), divisor)

    return lanes


def combine(op):
    """Build the body of the kernel that merges the states of blocks, in order."""
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
    """Return the exact mean less the rounded one."""
    return (fma(-mean, divisor, p) + q) / divisor


@kernel("T[::1], T[::1], T[::1], f8", writes="centre")
def mean__pair(values, rests, centre, divisor):
    """values(B K), rests(B K) -> centre(2 K): means as K high and K low parts."""
    size = centre.size // 2
    for k in range(size):
        p, q = float(values[k]), float(rests[k])
        for i in range(k + size, values.size, size):
            p, q = merge_sums(p, q, float(values[i]), float(rests[i]))
        centre[k] = sum_of(p, q, divisor)
        centre[size + k] = rest_of_mean(float(centre[k]), p, q, divisor)


@kernel("S[::1]", writes="y")
def std__roots(y):
    """y(N) = the square root of y, in place."""
    for i in range(y.size):
        y[i] = sqrt(y[i])


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
