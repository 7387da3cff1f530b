"""What pooling does with a window, for a vector of outputs at once: maximum, its place, sum, or the sum of chosen ones.

A window is a box of taps: three counts and three strides. The lanes of a vector are neighbouring numbers of the result,
channels of one pixel or columns of one row; the numbers of a tap lie `step` elements apart from lane to lane. The
gradients are windows, too: over the outputs that a pixel had a part in.

Up to four vectors go through the taps together, so that the loops cost little and latencies overlap. Written in vector
instructions since a compiler sees neither that the outputs of a vector share their taps, nor how to
keep the result in a register over a loop of unknown length.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .gemm_tile import I32, I64, VOID, _Tile

THREE = types.UniTuple(types.intp, 3)


class _Window(_Tile):
    """Emits loads of taps and stores of results for a number of vectors of outputs, the last of them not full."""

    def __init__(self, builder, number, vectors, length, whole=False):
        super().__init__(builder.module, number, 1, vectors, True)
        self.builder, self.number, self.length = builder, number, length
        self.places = ir.VectorType(I32, self.lanes)
        self.iota = ir.Constant(self.places, list(range(self.lanes)))
        if whole:
            self.inside = [ir.Constant(ir.VectorType(ir.IntType(1), self.lanes), [1] * self.lanes)] * vectors
        else:
            self.inside = [self.below(length, v * self.lanes) for v in range(vectors)]

    def below(self, n, start=0):
        """Return a mask: those of the lanes start, start + 1, ... that come before the n-th."""
        builder = self.builder
        n = builder.sub(n, I64(start))
        some = builder.icmp_signed("<", n, I64(self.lanes))
        n = builder.select(some, n, I64(self.lanes))  # a row may be longer than 32 bits can say
        return builder.icmp_signed("<", self.iota, self._splat(builder, builder.trunc(n, I32)))

    def variables(self, values):
        """Return variables (registers, once LLVM has seen them) that hold these vectors."""
        places = [cgutils.alloca_once(self.builder, value.type) for value in values]
        for value, place in zip(values, places, strict=True):
            self.builder.store(value, place)
        return places

    def everywhere(self, number):
        """Return one number in all lanes of all vectors."""
        return [self._splat(self.builder, number)] * self.vectors

    def pointer(self, address, kind=None):
        return self.builder.inttoptr(address, (kind or self.scalar).as_pointer())

    def over_taps(self, counts, steps, lane_step, body):
        """Emit body(offset, way to load, indices) in loops over the taps, one for every distance of lanes."""
        builder = self.builder
        counts, steps = (cgutils.unpack_tuple(builder, three, 3) for three in (counts, steps))
        ways = [(1, self.read_row), (2, self._read_pairs), (0, self._read_same), (None, self._read_far)]
        if self.vectors > 1:  # see `vectors_at_once`
            ways = ways[:3] if self.vectors == 2 else [ways[0], ways[2]]

        def choose(ways):
            (step, read), *others = ways
            if not others:
                self.loops(counts, lambda at: body(self.dot(at, steps), lambda p: read(p, lane_step), at))
                return
            with builder.if_else(builder.icmp_signed("==", lane_step, I64(step))) as (this, other):
                with this:
                    self.loops(counts, lambda at: body(self.dot(at, steps), lambda p: read(p, lane_step), at))
                with other:
                    choose(others)

        choose(ways)

    def loops(self, counts, body, indices=()):
        if len(indices) == len(counts):
            # LLVM would unroll by eight, for windows that are two or three wide, but what is convergent it may not copy
            nothing = self.builder.asm(ir.FunctionType(VOID, []), "", "", [], side_effect=True)
            nothing.attributes.add("convergent")
            body(indices)
            return
        with cgutils.for_range(self.builder, counts[len(indices)]) as loop:
            self.loops(counts, body, (*indices, loop.index))

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

    def _ahead(self, pointer, elements):
        return self.builder.gep(pointer, [I64(elements)])

    def read_row(self, pointer, step=None):
        return [self._masked(self._ahead(pointer, v * self.lanes), mask) for v, mask in enumerate(self.inside)]

    def _read_pairs(self, pointer, step):
        """Load every other number, and touch none behind the last of them."""
        builder, half, found = self.builder, self.lanes // 2, []
        last = builder.sub(builder.mul(self.length, I64(2)), I64(1))
        order = [2 * i if i < half else 2 * i + 1 for i in range(self.lanes)]
        for start in range(0, 2 * self.lanes * self.vectors, 2 * self.lanes):
            low = self._masked(self._ahead(pointer, start), self.below(last, start))
            start += self.lanes - 1
            high = self._masked(self._ahead(pointer, start), self.below(last, start))
            found.append(builder.shuffle_vector(low, high, ir.Constant(self.places, order)))
        return found

    def _read_same(self, pointer, step):
        return self.everywhere(self.builder.load(pointer))

    def _read_far(self, pointer, step):
        kind = ir.VectorType(pointer.type.pointee, self.lanes)
        name, align = self._names(kind)
        addresses = self._addresses(pointer, step, align)
        name = f"llvm.masked.gather.{name}.v{self.lanes}p0"
        return [self._call(self.builder, name, kind, addresses, I32(align), self.inside[0], ir.Constant(kind, None))]

    def _addresses(self, pointer, step, size):
        builder = self.builder
        wide = ir.VectorType(I64, self.lanes)
        lanes = ir.Constant(wide, list(range(self.lanes)))
        start = self._splat(builder, builder.ptrtoint(pointer, I64))
        offsets = builder.mul(lanes, self._splat(builder, builder.mul(step, I64(size))))
        return builder.inttoptr(builder.add(start, offsets), ir.VectorType(pointer.type, self.lanes))

    def write(self, places, pointer):
        """Store what the variables hold, one vector behind the other."""
        for v, (place, mask) in enumerate(zip(places, self.inside, strict=True)):
            self._put(self.builder.load(place), self._ahead(pointer, v * self.lanes), mask)

    def write_apart(self, places, pointer, step):
        """Store the lanes of the vectors `step` elements apart."""
        builder = self.builder
        with builder.if_else(builder.icmp_signed("==", step, I64(1))) as (near, apart):
            with near:
                self.write(places, pointer)
            with apart, builder.if_else(builder.icmp_signed("==", step, I64(2))) as (two, far):
                with two:
                    self._write_pairs(places, pointer)
                with far:
                    name = f"llvm.masked.scatter.{self.suffix}.v{self.lanes}p0"
                    for v, (place, mask) in enumerate(zip(places, self.inside, strict=True)):
                        start = builder.gep(pointer, [builder.mul(step, I64(v * self.lanes))])
                        addresses = self._addresses(start, step, self.align)
                        self._call(builder, name, VOID, builder.load(place), addresses, I32(self.align), mask)

    def _write_pairs(self, places, pointer):
        builder = self.builder
        even = ir.Constant(self.inside[0].type, [1 - i % 2 for i in range(self.lanes)])
        twice = builder.mul(self.length, I64(2))
        for v, place in enumerate(places):
            value = builder.load(place)
            for half in range(2):
                start = (2 * v + half) * self.lanes
                order = ir.Constant(self.places, [(half * self.lanes + i) // 2 for i in range(self.lanes)])
                part = builder.shuffle_vector(value, value, order)
                self._put(part, self._ahead(pointer, start), builder.and_(even, self.below(twice, start)))

    def _put(self, value, pointer, mask):
        name, align = self._names(value.type)
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        self._call(self.builder, f"llvm.masked.store.{name}.p0", VOID, value, pointer, I32(align), mask)

    def divide(self, places, divisor):
        """Divide what the variables hold by a number: exactly, but powers of two as fast as one multiplies."""
        builder, bits = self.builder, 8 * self.align
        integer = ir.IntType(bits)
        mantissa = builder.and_(builder.bitcast(divisor, integer), integer((1 << (23 if bits == 32 else 52)) - 1))
        with builder.if_else(builder.icmp_signed("==", mantissa, integer(0))) as (power, other):
            with power:
                factor = self._splat(builder, builder.fdiv(ir.Constant(self.scalar, 1.0), divisor))
                for place in places:
                    builder.store(builder.fmul(builder.load(place), factor), place)
            with other:
                divisors = self._splat(builder, divisor)
                for place in places:
                    builder.store(builder.fdiv(builder.load(place), divisors), place)

    def numbered(self, start, step):
        """Return start, start + step, ... as 32-bit integers, vector by vector."""
        builder, found = self.builder, []
        stride = self._splat(builder, builder.trunc(step, I32))
        for v in range(self.vectors):
            here = builder.add(start, builder.mul(step, I64(v * self.lanes)))
            here = self._splat(builder, builder.trunc(here, I32))
            found.append(builder.add(here, builder.mul(self.iota, stride)))
        return found


def _for_each_number_of_vectors(emit):
    """Return the codegen of emit(window, builder, *values but the last two): vectors at once, and length."""

    def codegen(context, builder, signature, values):
        *values, vectors, length = values

        def choose(counts):
            count, *others = counts
            if not others:
                emit(_Window(builder, signature.args[0], count, length), builder, *values)
                return
            with builder.if_else(builder.icmp_signed("==", vectors, I64(count))) as (this, other):
                with this:
                    emit(_Window(builder, signature.args[0], count, length), builder, *values)
                with other:
                    choose(others)

        choose((4, 2, 1))
        return context.get_dummy_value()

    return codegen


@intrinsic
def window_maximum(typing_context, floor, at, counts, steps, lane_step, out, vectors, length):
    """Write the largest number of each window, or the floor where that is larger. NaN is larger than all numbers."""

    def emit(window, builder, floor, at, counts, steps, lane_step, out):
        bests, source = window.variables(window.everywhere(floor)), window.pointer(at)

        def tap(offset, read, indices):
            for value, best in zip(read(builder.gep(source, [offset])), bests, strict=True):
                old = builder.load(best)
                # the order of arguments keeps an old NaN, in one instruction (maxps)
                larger = builder.select(builder.fcmp_ordered(">", value, old), value, old)
                builder.store(builder.select(builder.fcmp_unordered("uno", value, value), value, larger), best)

        window.over_taps(counts, steps, lane_step, tap)
        window.write(bests, window.pointer(out))

    return types.void(floor, types.intp, THREE, THREE, *[types.intp] * 4), _for_each_number_of_vectors(emit)


@intrinsic
def window_argmax(
    typing_context,
    floor,
    at,
    counts,
    steps,
    lane_step,
    place,
    place_steps,
    place_step,
    out,
    where,
    vectors,
    length,
):
    """Write the largest number of each window, and its place: the first of equal ones, the last NaN.

    place: that of the first tap and lane; place_steps: from tap to tap, place_step: from lane to lane. Where the floor
    is larger, or the window has no taps, the place is -1.
    """

    def emit(window, builder, floor, at, counts, steps, lane_step, place, place_steps, place_step, out, where):
        source, bests = window.pointer(at), window.variables(window.everywhere(floor))
        lowest = builder.fcmp_ordered("==", floor, ir.Constant(floor.type, float("-inf")))
        nd, nh, nw = cgutils.unpack_tuple(builder, counts, 3)
        some = builder.icmp_signed(">", builder.mul(builder.mul(nd, nh), nw), I64(0))
        first = builder.select(builder.and_(lowest, some), I32(0), I32(-1))
        founds = window.variables(window.everywhere(first))

        def tap(offset, read, indices):
            place = window.dot(indices, cgutils.unpack_tuple(builder, place_steps, 3))
            (here, *_) = window.everywhere(builder.trunc(place, I32))
            for value, best, found in zip(read(builder.gep(source, [offset])), bests, founds, strict=True):
                old = builder.load(best)
                take = builder.or_(builder.fcmp_ordered(">", value, old), builder.fcmp_unordered("uno", value, value))
                builder.store(builder.select(take, value, old), best)
                builder.store(builder.select(take, here, builder.load(found)), found)

        window.over_taps(counts, steps, lane_step, tap)
        window.write(bests, window.pointer(out))
        none = ir.Constant(window.places, [-1] * window.lanes)
        for found, start in zip(founds, window.numbered(place, place_step), strict=True):
            offset = builder.load(found)
            known = builder.icmp_signed("!=", offset, none)
            builder.store(builder.select(known, builder.add(offset, start), none), found)
        window.write(founds, window.pointer(where, I32))

    signature = types.void(floor, types.intp, THREE, THREE, types.intp, types.intp, THREE, *[types.intp] * 5)
    return signature, _for_each_number_of_vectors(emit)


@intrinsic
def window_sum(typing_context, divisor, at, counts, steps, lane_step, out, out_step, vectors, length):
    """Write the sum of each window over the divisor."""

    def emit(window, builder, divisor, at, counts, steps, lane_step, out, out_step):
        totals, source = window.variables([window.zero] * window.vectors), window.pointer(at)

        def tap(offset, read, indices):
            for value, total in zip(read(builder.gep(source, [offset])), totals, strict=True):
                builder.store(builder.fadd(builder.load(total), value), total)

        window.over_taps(counts, steps, lane_step, tap)
        window.divide(totals, divisor)
        window.write_apart(totals, window.pointer(out), out_step)

    return types.void(divisor, types.intp, THREE, THREE, *[types.intp] * 5), _for_each_number_of_vectors(emit)


@intrinsic
def window_chosen(typing_context, number, at, where, counts, steps, place, out, vectors, length):
    """Write the sum of those numbers of each window whose `where` (32-bit integers beside them) is `place`."""

    def emit(window, builder, _, at, where, counts, steps, place, out):
        totals = window.variables([window.zero] * window.vectors)
        source, marks = window.pointer(at), window.pointer(where, I32)
        (here, *_) = window.everywhere(builder.trunc(place, I32))
        counts, steps = (cgutils.unpack_tuple(builder, three, 3) for three in (counts, steps))

        def tap(indices):
            offset = window.dot(indices, steps)
            values, chosen = (window.read_row(builder.gep(p, [offset])) for p in (source, marks))
            for value, choice, total in zip(values, chosen, totals, strict=True):
                part = builder.select(builder.icmp_signed("==", choice, here), value, window.zero)
                builder.store(builder.fadd(builder.load(total), part), total)

        window.loops(counts, tap)
        window.write(totals, window.pointer(out))

    signature = types.void(number, types.intp, types.intp, THREE, THREE, *[types.intp] * 4)
    return signature, _for_each_number_of_vectors(emit)
