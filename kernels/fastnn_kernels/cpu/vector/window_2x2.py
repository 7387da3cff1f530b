"""The largest of four neighbours, and where it was, or their sum, for a vector of pixels or channels at once.

Written in vector instructions because a loop over nine arrays would spend its time on asking whether they overlap.
Of equal numbers the first wins; NaN wins over all, the last one of it. `floor`, the first argument, is the smallest
result (0 makes it a ReLU); NaN for none.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm_tile import I32, I64, _Tile


class _Quad(_Tile):
    """Emits loads, comparisons and stores of at most one vector of quads."""

    def __init__(self, builder, module, number, count, masked):
        super().__init__(module, number, 1, 2, masked)
        self.builder = builder
        if masked:
            self.masks = self._masks(builder, count)
            self.pair_masks = self._masks(builder, builder.mul(count, I64(2)))

    def read(self, address):
        return self._load(self.builder, self._pointer(address), 0)

    def write(self, value, address):
        self._store(self.builder, value, self._pointer(address), 0)

    def read_pairs(self, address):
        """Load the even and the odd numbers of twice as many."""
        pointer = self._pointer(address)
        self._swap()
        both = [self._load(self.builder, pointer, j) for j in range(2)]
        self._swap()
        return [self._shuffle(both, range(start, 2 * self.lanes, 2)) for start in range(2)]

    def write_pairs(self, even, odd, address):
        """Store numbers in turns."""
        order = [i // 2 + i % 2 * self.lanes for i in range(2 * self.lanes)]
        pointer = self._pointer(address)
        self._swap()
        for j in range(2):
            part = order[j * self.lanes : (j + 1) * self.lanes]
            self._store(self.builder, self._shuffle((even, odd), part), pointer, j)
        self._swap()

    def largest(self, a, b, c, d):
        """Return the largest and, for each of the four, whether it is that one."""
        right_above, above = self._larger(a, b)
        right_below, below = self._larger(c, d)
        lower, best = self._larger(above, below)
        builder = self.builder
        upper = builder.not_(lower)
        chosen = [
            builder.and_(upper, builder.not_(right_above)),
            builder.and_(upper, right_above),
            builder.and_(lower, builder.not_(right_below)),
            builder.and_(lower, right_below),
        ]
        return best, chosen

    def _larger(self, a, b):
        take = self.builder.or_(self.builder.fcmp_ordered(">", b, a), self.builder.fcmp_unordered("uno", b, b))
        return take, self.builder.select(take, b, a)

    def _pointer(self, address):
        return self.builder.inttoptr(address, self.scalar.as_pointer())

    def _shuffle(self, two, order):
        order = list(order)
        return self.builder.shuffle_vector(*two, ir.Constant(ir.VectorType(I32, self.lanes), order))

    def _swap(self):
        if self.masked:
            self.masks, self.pair_masks = self.pair_masks, self.masks


def _whole_or_masked(emit):
    """Return the codegen of `emit(quad, floor, addresses)` for a whole vector or, of the last few numbers, a part."""

    def codegen(context, builder, signature, values):
        floor, *addresses, count = values
        number = signature.args[0]
        whole = builder.icmp_signed(">=", count, I64(_Tile(builder.module, number, 1, 1, False).lanes))
        with builder.if_else(whole) as (full, part):
            for block, masked in ((full, False), (part, True)):
                with block:
                    quad = _Quad(builder, builder.module, number, count, masked)
                    emit(quad, quad._splat(builder, floor), addresses)
        return context.get_dummy_value()

    return codegen


def _forward(read):
    def emit(quad, floor, addresses):
        best, _ = quad.largest(*read(quad, addresses[:-1]))
        builder = quad.builder
        quad.write(builder.select(builder.fcmp_ordered("<", best, floor), floor, best), addresses[-1])

    return _whole_or_masked(emit)


def _backward(read, write):
    def emit(quad, floor, addresses):
        half = len(addresses) // 2
        best, chosen = quad.largest(*read(quad, addresses[:half]))
        builder = quad.builder
        dy = builder.select(builder.fcmp_ordered("<=", best, floor), quad.zero, quad.read(addresses[half]))
        write(quad, [builder.select(one, dy, quad.zero) for one in chosen], addresses[half + 1 :])

    return _whole_or_masked(emit)


def _sum(read):
    def emit(quad, factor, addresses):
        a, b, c, d = read(quad, addresses[:-1])
        total = quad.builder.fadd(quad.builder.fadd(a, b), quad.builder.fadd(c, d))
        quad.write(quad.builder.fmul(total, factor), addresses[-1])

    return _whole_or_masked(emit)


def _share(write):
    def emit(quad, factor, addresses):
        write(quad, [quad.builder.fmul(quad.read(addresses[0]), factor)] * 4, addresses[1:])

    return _whole_or_masked(emit)


def _read_four(quad, addresses):
    return [quad.read(a) for a in addresses]


def _write_four(quad, values, addresses):
    for value, address in zip(values, addresses, strict=True):
        quad.write(value, address)


def _read_rows(quad, addresses):
    return [value for row in addresses for value in quad.read_pairs(row)]


def _write_rows(quad, values, addresses):
    quad.write_pairs(*values[:2], addresses[0])
    quad.write_pairs(*values[2:], addresses[1])


@intrinsic
def largest_of_pixels(typing_context, floor, a, b, c, d, y, count):
    """Write the largest of four pixels, channel by channel: `count` of them, at most a vector."""
    return types.void(floor, *[types.intp] * 6), _forward(_read_four)


@intrinsic
def largest_of_rows(typing_context, floor, upper, lower, y, count):
    """Write the largest of each 2x2 square of two rows: `count` squares, at most a vector."""
    return types.void(floor, *[types.intp] * 4), _forward(_read_rows)


@intrinsic
def spread_to_pixels(typing_context, floor, a, b, c, d, dy, da, db, dc, dd, count):
    """Write dy where the largest of four pixels is, zero to the other three."""
    return types.void(floor, *[types.intp] * 10), _backward(_read_four, _write_four)


@intrinsic
def spread_to_rows(typing_context, floor, upper, lower, dy, dupper, dlower, count):
    """Write dy where the largest of each 2x2 square of two rows is, zero to the other three."""
    return types.void(floor, *[types.intp] * 6), _backward(_read_rows, _write_rows)


@intrinsic
def sum_of_pixels(typing_context, factor, a, b, c, d, y, count):
    """Write the sum of four pixels times a factor, channel by channel: `count` of them, at most a vector."""
    return types.void(factor, *[types.intp] * 6), _sum(_read_four)


@intrinsic
def sum_of_rows(typing_context, factor, upper, lower, y, count):
    """Write the sum of each 2x2 square of two rows times a factor: `count` squares, at most a vector."""
    return types.void(factor, *[types.intp] * 4), _sum(_read_rows)


@intrinsic
def share_with_pixels(typing_context, factor, dy, da, db, dc, dd, count):
    """Write dy times a factor to four pixels."""
    return types.void(factor, *[types.intp] * 6), _share(_write_four)


@intrinsic
def share_with_rows(typing_context, factor, dy, dupper, dlower, count):
    """Write dy times a factor to each 2x2 square of two rows."""
    return types.void(factor, *[types.intp] * 4), _share(_write_rows)
