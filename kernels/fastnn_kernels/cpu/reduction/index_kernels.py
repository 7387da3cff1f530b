"""argmax and argmin along one dimension. The extreme values themselves are found as in `kernels`."""

from ...ground.jit import jitted, kernel
from ..vector.simd import stack_bytes
from ..vector.values import (
    broadcast,
    every,
    found_in,
    pointer,
    pointer_at,
    read,
    read_part,
    where_above,
    width,
    write,
    zeros,
)
from .kernels import (
    BLOCKS,
    LANE_STRIDE,
    LANES,
    LENGTH,
    MAX,
    MIN,
    OUT_STRIDE,
    PER_BLOCK,
    PIECE,
    ROW_BYTES,
    SIZE,
    STATE_BYTES,
    STRIDE,
    TILE,
    TILES,
    UNITS,
    along,
    folded,
    kept_at,
    pack,
    skipped,
    unit_at,
)


def index_rows(op, sign):
    """Build the body of the kernel that finds the first extreme element, with vectors along the reduced dimension."""
    line, fold, neutral = along(op), folded(op), op.neutral

    def index_rows(x, out, values, g, lo, hi):
        """x(any) -> out(B K), and values(B K) if not empty, of B blocks. The range is over K B."""
        number, x = values.dtype.type(0), pointer(x)
        buffer, zero = pointer_at(number, stack_bytes(ROW_BYTES)), zeros(x)
        blocks, size, per, stride = g[BLOCKS], g[SIZE], g[PER_BLOCK], g[STRIDE]
        skip, apart = skipped(stride, width(zero))
        for item in range(lo, hi):
            index = item // blocks
            block = item - index * blocks
            at, to = kept_at(g, index)
            best, where = number, -1
            for u in range(block * per, min(block * per + per, g[UNITS])):
                start, _, n = unit_at(g, u)
                p, q = line(x, at + start, apart, (n - 1) * skip + 1, 0, neutral(zero), zero, zero, zero, buffer)
                value, error = fold(every(p, skip, neutral(zero)), every(q, skip, zero))
                value += error
                if where < 0 or sign * value > sign * best or value != value:
                    best, where = value, u
                if value != value:
                    break
            start, first, n = unit_at(g, where)
            out[block * size + to] = first + search(x, at + start, stride, n, best)
            if values.size:
                values[block * size + to] = best

    return index_rows


@jitted
def search(x, at, stride, n, value):
    """Return the index of the first element equal to `value`, which must be there. NaN equals NaN."""
    zero, wanted, i = zeros(x), broadcast(value), 0
    step = width(zero)
    if stride == 1:
        while i + step <= n and not found_in(read(x, at + i), wanted):
            i += step
    while i < n - 1:
        element = x[at + i * stride]
        if element == value or (element != element and value != value):
            break
        i += 1
    return i


def index_lanes(sign):
    """Build the body of the kernel that finds the first extreme element, with vectors along a kept dimension."""

    def index_lanes(x, out, values, g, lo, hi):
        """x(any) -> out(B K), and values(B K) if not empty. The range is over positions, blocks and tiles.

        Indices are kept as floats of the dtype and count from the start of a block, so float32 holds them exactly.
        """
        number, x = values.dtype.type(0), pointer(x)
        T = type(number)
        buffer, zero = pointer_at(number, stack_bytes(ROW_BYTES)), zeros(x)
        p, q = pointer_at(number, stack_bytes(STATE_BYTES)), pointer_at(number, stack_bytes(STATE_BYTES))
        blocks, size, per, apart, stride = g[BLOCKS], g[SIZE], g[PER_BLOCK], g[LANE_STRIDE], g[STRIDE]
        step = width(zero)
        for item in range(lo, hi):
            index = item // g[TILES]
            first = (item - index * g[TILES]) * g[TILE]
            block = index % blocks
            at, to = kept_at(g, index // blocks)
            count = min(g[TILE], g[LANES] - first)
            at, to = at + first * apart, to + first * g[OUT_STRIDE]
            base = block * per * g[PIECE]
            end = min(base + per * g[PIECE], g[LENGTH])
            for i in range(base, end):
                source, start = x, at + i * stride
                if apart != 1:
                    pack(x, start, apart, count, buffer, 0)
                    source, start = buffer, 0
                here = broadcast(T(i - base))
                for j in range(0, count, step):
                    value = read_part(source, start + j, count - j, zero)
                    value = -value if sign < 0 else value
                    if i == base:
                        write(p, j, value)
                        write(q, j, zero)
                    else:
                        top = read(p, j)
                        write(q, j, where_above(value, top, here, read(q, j)))
                        write(p, j, where_above(value, top, value, top))
            to += block * size
            for j in range(count):
                out[to + j * g[OUT_STRIDE]] = base + int(q[j])
            if values.size:
                for j in range(count):
                    values[to + j * g[OUT_STRIDE]] = p[j] if sign > 0 else -p[j]

    return index_lanes


@kernel("T[::1], i8[::1], i8[::1], int", writes="out")
def argmax__combine(values, indices, out, sign):
    """values(B K), indices(B K) -> out(K): the first index of the largest value, or of the smallest if sign is -1."""
    for k in range(out.size):
        best = k
        for i in range(k + out.size, values.size, out.size):
            value, top = values[i] * sign, values[best] * sign
            if value > top or (value != value and top == top):
                best = i
        out[k] = indices[best]


def _kernel(name, body):
    return kernel("T[:], i8[::1], T[::1], i8[::1]", writes="values out", parallel=True, name=name)(body)


ROW_KERNELS = {
    "argmax": _kernel("argmax__rows", index_rows(MAX, 1)),
    "argmin": _kernel("argmin__rows", index_rows(MIN, -1)),
}
LANE_KERNELS = {"argmax": _kernel("argmax__lanes", index_lanes(1)), "argmin": _kernel("argmin__lanes", index_lanes(-1))}
