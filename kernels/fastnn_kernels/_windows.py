"""What pooling does with a window, for a vector of outputs at once: maximum, its place, sum, or the sum of chosen ones.

A window is a box of taps: three counts and three strides. The lanes of a vector are neighbouring numbers of the result,
channels of one pixel or columns of one row; the numbers of a tap lie `step` elements apart from lane to lane. The
gradients are windows, too: over the outputs that a pixel had a part in.

Written in vector instructions since a compiler sees neither that the outputs of a vector share their taps, nor how to
keep the result in a register over a loop of unknown length.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ._microkernel import I32, I64, VOID, _Tile

THREE = types.UniTuple(types.intp, 3)


class _Window(_Tile):
    """Emits loads of taps and stores of results for at most a vector of outputs."""

    def __init__(self, builder, number, length):
        super().__init__(builder.module, number, 1, 1, True)
        self.builder, self.length = builder, length
        self.places = ir.VectorType(I32, self.lanes)
        self.iota = ir.Constant(self.places, list(range(self.lanes)))
        self.inside = self.below(length)
        self.first_of_pairs = self.below(builder.sub(builder.mul(length, I64(2)), I64(1)))
        self.rest_of_pairs = self.below(builder.sub(builder.mul(length, I64(2)), I64(self.lanes)))

    def below(self, n):
        """Return a mask: lanes before the n-th."""
        return self._masks(self.builder, n)[0]

    def variable(self, value):
        """Return a variable (a register, once LLVM has seen it) that holds a vector."""
        place = cgutils.alloca_once(self.builder, value.type)
        self.builder.store(value, place)
        return place

    def pointer(self, address, kind=None):
        return self.builder.inttoptr(address, (kind or self.scalar).as_pointer())

    def over_taps(self, counts, steps, lane_step, body):
        """Emit body(offset, the way to load, indices) in loops over the taps, for every distance of lanes."""
        builder = self.builder
        counts, steps = (cgutils.unpack_tuple(builder, three, 3) for three in (counts, steps))
        ways = [(1, self._read_row), (2, self._read_pairs), (0, self._read_same), (None, self._read_far)]

        def choose(ways):
            (step, read), *others = ways
            if step is None:
                self._loops(counts, lambda at: body(self.dot(at, steps), lambda p: read(p, lane_step), at))
                return
            with builder.if_else(builder.icmp_signed("==", lane_step, I64(step))) as (this, other):
                with this:
                    self._loops(counts, lambda at: body(self.dot(at, steps), read, at))
                with other:
                    choose(others)

        choose(ways)

    def _loops(self, counts, body, indices=()):
        if len(indices) == len(counts):
            body(indices)
            return
        with cgutils.for_range(self.builder, counts[len(indices)]) as loop:
            self._loops(counts, body, (*indices, loop.index))

    def dot(self, indices, steps):
        """Return the sum of products."""
        a, b, c = (self.builder.mul(index, step) for index, step in zip(indices, steps, strict=True))
        return self.builder.add(self.builder.add(a, b), c)

    def _masked(self, pointer, mask):
        kind = ir.VectorType(pointer.type.pointee, self.lanes)
        pointer = self.builder.bitcast(pointer, kind.as_pointer())
        name, align = self._names(kind)
        zero = ir.Constant(kind, None)
        return self._call(self.builder, f"llvm.masked.load.{name}.p0", kind, pointer, I32(align), mask, zero)

    def _names(self, kind):
        letter = "i" if kind.element == I32 else "f"
        bits = 32 if kind.element == I32 else 8 * self.align
        return f"v{self.lanes}{letter}{bits}", bits // 8

    def _read_row(self, pointer):
        return self._masked(pointer, self.inside)

    def _read_pairs(self, pointer):
        """Load every other number, and touch none behind the last of them."""
        low = self._masked(pointer, self.first_of_pairs)
        high = self._masked(self.builder.gep(pointer, [I64(self.lanes - 1)]), self.rest_of_pairs)
        half = self.lanes // 2
        order = [2 * i if i < half else self.lanes + 2 * i - self.lanes + 1 for i in range(self.lanes)]
        return self.builder.shuffle_vector(low, high, ir.Constant(self.places, order))

    def _read_same(self, pointer):
        return self._splat(self.builder, self.builder.load(pointer))

    def _read_far(self, pointer, step):
        kind = ir.VectorType(pointer.type.pointee, self.lanes)
        name, align = self._names(kind)
        addresses = self._addresses(pointer, step, align)
        name = f"llvm.masked.gather.{name}.v{self.lanes}p0"
        return self._call(self.builder, name, kind, addresses, I32(align), self.inside, ir.Constant(kind, None))

    def _addresses(self, pointer, step, size):
        builder = self.builder
        wide = ir.VectorType(I64, self.lanes)
        lanes = ir.Constant(wide, list(range(self.lanes)))
        start = self._splat(builder, builder.ptrtoint(pointer, I64))
        offsets = builder.mul(lanes, self._splat(builder, builder.mul(step, I64(size))))
        return builder.inttoptr(builder.add(start, offsets), ir.VectorType(pointer.type, self.lanes))

    def write(self, value, pointer):
        """Store a vector."""
        self._put(value, pointer, self.inside)

    def write_apart(self, value, pointer, step):
        """Store the lanes of a vector `step` elements apart."""
        builder = self.builder
        with builder.if_else(builder.icmp_signed("==", step, I64(1))) as (near, apart):
            with near:
                self._put(value, pointer, self.inside)
            with apart, builder.if_else(builder.icmp_signed("==", step, I64(2))) as (two, far):
                with two:
                    even = ir.Constant(self.inside.type, [1 - i % 2 for i in range(self.lanes)])
                    twice = builder.mul(self.length, I64(2))
                    for half in range(2):
                        start = half * self.lanes
                        order = ir.Constant(self.places, [(start + i) // 2 for i in range(self.lanes)])
                        mask = builder.and_(even, self.below(builder.sub(twice, I64(start))))
                        part = builder.shuffle_vector(value, value, order)
                        self._put(part, builder.gep(pointer, [I64(start)]), mask)
                with far:
                    addresses = self._addresses(pointer, step, self.align)
                    name = f"llvm.masked.scatter.{self.suffix}.v{self.lanes}p0"
                    self._call(builder, name, VOID, value, addresses, I32(self.align), self.inside)

    def _put(self, value, pointer, mask):
        name, align = self._names(value.type)
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        self._call(self.builder, f"llvm.masked.store.{name}.p0", VOID, value, pointer, I32(align), mask)

    def numbered(self, start, step):
        """Return start, start + step, ... as 32-bit integers."""
        builder = self.builder
        start, step = (self._splat(builder, builder.trunc(n, I32)) for n in (start, step))
        return builder.add(start, builder.mul(self.iota, step))


@intrinsic
def window_maximum(typing_context, floor, at, counts, steps, lane_step, out, length):
    """Write the largest number of each window, or the floor where that is larger. NaN is larger than all numbers."""

    def codegen(context, builder, signature, values):
        floor, at, counts, steps, lane_step, out, length = values
        window = _Window(builder, signature.args[0], length)
        best, source = window.variable(window._splat(builder, floor)), window.pointer(at)

        def tap(offset, read, indices):
            value, old = read(builder.gep(source, [offset])), builder.load(best)
            # the order of arguments keeps an old NaN, in one instruction (maxps)
            larger = builder.select(builder.fcmp_ordered(">", value, old), value, old)
            builder.store(builder.select(builder.fcmp_unordered("uno", value, value), value, larger), best)

        window.over_taps(counts, steps, lane_step, tap)
        window.write(builder.load(best), window.pointer(out))
        return context.get_dummy_value()

    return types.void(floor, types.intp, THREE, THREE, *[types.intp] * 3), codegen


@intrinsic
def window_argmax(
    typing_context, floor, at, counts, steps, lane_step, place, place_steps, place_step, out, where, length
):
    """Write the largest number of each window, and its place: the first of equal ones, the last NaN.

    place: that of the first tap and lane; place_steps: from tap to tap, place_step: from lane to lane. Where the floor
    is larger, or the window has no taps, the place is -1.
    """

    def codegen(context, builder, signature, values):
        floor, at, counts, steps, lane_step, place, place_steps, place_step, out, where, length = values
        window = _Window(builder, signature.args[0], length)
        source = window.pointer(at)
        best = window.variable(window._splat(builder, floor))
        lowest = builder.fcmp_ordered("==", floor, ir.Constant(floor.type, float("-inf")))
        nd, nh, nw = cgutils.unpack_tuple(builder, counts, 3)
        some = builder.icmp_signed(">", builder.mul(builder.mul(nd, nh), nw), I64(0))
        first = builder.select(builder.and_(lowest, some), I32(0), I32(-1))
        found = window.variable(window._splat(builder, first))

        def tap(offset, read, indices):
            value, old = read(builder.gep(source, [offset])), builder.load(best)
            take = builder.or_(builder.fcmp_ordered(">", value, old), builder.fcmp_unordered("uno", value, value))
            builder.store(builder.select(take, value, old), best)
            here = window._splat(
                builder, builder.trunc(window.dot(indices, cgutils.unpack_tuple(builder, place_steps, 3)), I32)
            )
            builder.store(builder.select(take, here, builder.load(found)), found)

        window.over_taps(counts, steps, lane_step, tap)
        window.write(builder.load(best), window.pointer(out))
        offsets = builder.load(found)
        none = ir.Constant(offsets.type, [-1] * window.lanes)
        places = builder.add(offsets, window.numbered(place, place_step))
        places = builder.select(builder.icmp_signed("==", offsets, none), none, places)
        window.write(places, window.pointer(where, I32))
        return context.get_dummy_value()

    return types.void(floor, types.intp, THREE, THREE, types.intp, types.intp, THREE, *[types.intp] * 4), codegen


@intrinsic
def window_sum(typing_context, divisor, at, counts, steps, lane_step, out, out_step, length):
    """Write the sum of each window over the divisor."""

    def codegen(context, builder, signature, values):
        divisor, at, counts, steps, lane_step, out, out_step, length = values
        window = _Window(builder, signature.args[0], length)
        total, source = window.variable(window.zero), window.pointer(at)

        def tap(offset, read, indices):
            builder.store(builder.fadd(builder.load(total), read(builder.gep(source, [offset]))), total)

        window.over_taps(counts, steps, lane_step, tap)
        mean = builder.fdiv(builder.load(total), window._splat(builder, divisor))
        window.write_apart(mean, window.pointer(out), out_step)
        return context.get_dummy_value()

    return types.void(divisor, types.intp, THREE, THREE, *[types.intp] * 4), codegen


@intrinsic
def window_chosen(
    typing_context, number, at, where, counts, steps, lane_step, place, place_step, out, out_step, length
):
    """Write the sum of those numbers of each window whose `where` (32-bit integers beside them) is the lane's place."""

    def codegen(context, builder, signature, values):
        _, at, where, counts, steps, lane_step, place, place_step, out, out_step, length = values
        window = _Window(builder, signature.args[0], length)
        total, source, marks = window.variable(window.zero), window.pointer(at), window.pointer(where, I32)
        here = window.numbered(place, place_step)

        def tap(offset, read, indices):
            meant = builder.icmp_signed("==", read(builder.gep(marks, [offset])), here)
            value = builder.select(meant, read(builder.gep(source, [offset])), window.zero)
            builder.store(builder.fadd(builder.load(total), value), total)

        window.over_taps(counts, steps, lane_step, tap)
        window.write_apart(builder.load(total), window.pointer(out), out_step)
        return context.get_dummy_value()

    return types.void(number, types.intp, types.intp, THREE, THREE, *[types.intp] * 6), codegen
