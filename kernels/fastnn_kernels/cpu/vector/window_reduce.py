"""What pooling does with a window, for a vector of outputs at once: maximum, its place, sum, or the sum of chosen ones.

A window is a box of taps: three counts and three strides. The lanes of a vector are neighbouring numbers of the result,
channels of one pixel or columns of one row; the numbers of a tap are `step` elements apart from lane to lane. The
gradients are windows, too: over the outputs that a pixel contributed to.

Up to four vectors go through the taps together, so that the loops cost little and latencies overlap. A generator,
because there are nine ways to do so (by step and number of vectors) for each of four operations: in `values` each is a
function of its own, and the nine of one operation take Numba 0.9 s, more than all of `max_pool2d__windows` takes now
(0.8 s). Plain loops are no vector code: a compiler sees neither that the outputs of a vector share their taps, nor how
to keep the result in a register over a loop of unknown length.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .emit import I1, I32, I64, Tile, before, constant, gather, load, no_unroll, scatter, shuffle, size, store

THREE = types.UniTuple(types.intp, 3)


class _Window(Tile):
    """Emits loads of taps and stores of results for a number of vectors of outputs, the last of them not full."""

    def __init__(self, builder, number, vectors, length):
        super().__init__(builder.module, number)
        self.builder, self.vectors, self.length = builder, vectors, length
        self.places = ir.VectorType(I32, self.lanes)
        # a comparison each with the same constant, which LLVM keeps before a loop; those with constants of their own it
        # repeats in every round: 1.2 to 1.35 times the time
        starts = range(0, vectors * self.lanes, self.lanes)
        self.inside = [before(builder, builder.sub(length, I64(start)), self.lanes)[0] for start in starts]

    def variables(self, values):
        """Return variables (registers, once LLVM has seen them) that hold these vectors."""
        return [cgutils.alloca_once_value(self.builder, value) for value in values]

    def everywhere(self, number):
        """Return one number in all lanes of all vectors."""
        return [self.splat(self.builder, number)] * self.vectors

    def pointer_to(self, address, kind=None):
        return self.builder.inttoptr(address, (kind or self.scalar).as_pointer())

    def over_taps(self, counts, steps, lane_step, body):
        """Emit body(offset, way to load, indices) in loops over the taps, one for every distance of lanes."""
        builder = self.builder
        counts, steps = (cgutils.unpack_tuple(builder, three, 3) for three in (counts, steps))
        ways = [(1, self.read_row), (2, self._read_pairs), (0, self._read_same), (None, self._read_apart)]
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
            no_unroll(self.builder)
            body(indices)
            return
        with cgutils.for_range(self.builder, counts[len(indices)]) as loop:
            self.loops(counts, body, (*indices, loop.index))

    def dot(self, indices, steps):
        """Return the sum of products."""
        a, b, c = (self.builder.mul(index, step) for index, step in zip(indices, steps, strict=True))
        return self.builder.add(self.builder.add(a, b), c)

    def read_row(self, pointer, step=None):
        return [self._read(pointer, v * self.lanes, mask) for v, mask in enumerate(self.inside)]

    def _read(self, pointer, start, mask):
        """Load a vector of numbers or places from number `start` on."""
        kind = ir.VectorType(pointer.type.pointee, self.lanes)
        return load(self.builder, kind, self.builder.gep(pointer, [I64(start)]), mask)

    def _read_pairs(self, pointer, step):
        """Load every other number, and touch none behind the last of them."""
        builder, half, found = self.builder, self.lanes // 2, []
        last = builder.sub(builder.mul(self.length, I64(2)), I64(1))
        order = [2 * i if i < half else 2 * i + 1 for i in range(self.lanes)]
        for start in range(0, 2 * self.lanes * self.vectors, 2 * self.lanes):
            pair = []
            for first in (start, start + self.lanes - 1):
                (mask,) = before(builder, builder.sub(last, I64(first)), self.lanes)
                pair.append(self._read(pointer, first, mask))
            found.append(shuffle(builder, *pair, order))
        return found

    def _read_same(self, pointer, step):
        return self.everywhere(self.builder.load(pointer))

    def _read_apart(self, pointer, step):
        return [gather(self.builder, pointer, self._apart(step), self.inside[0])]

    def _apart(self, step):
        """Return the distances of the lanes from the first."""
        lanes = constant(I64, range(self.lanes))
        return self.builder.mul(lanes, self.splat(self.builder, step))

    def write(self, places, pointer):
        """Store what the variables hold, one vector behind the other."""
        for v, (place, mask) in enumerate(zip(places, self.inside, strict=True)):
            self._write(self.builder.load(place), pointer, v * self.lanes, mask)

    def write_apart(self, places, pointer, step):
        """Store the lanes of the vectors `step` elements apart."""
        builder = self.builder
        with builder.if_else(builder.icmp_signed("==", step, I64(1))) as (contiguous, apart):
            with contiguous:
                self.write(places, pointer)
            with apart, builder.if_else(builder.icmp_signed("==", step, I64(2))) as (two, more):
                with two:
                    self._write_pairs(places, pointer)
                with more:
                    for v, (place, mask) in enumerate(zip(places, self.inside, strict=True)):
                        start = builder.gep(pointer, [builder.mul(step, I64(v * self.lanes))])
                        scatter(builder, builder.load(place), start, self._apart(step), mask)

    def _write_pairs(self, places, pointer):
        builder, twice = self.builder, self.builder.mul(self.length, I64(2))
        even = constant(I1, [1 - i % 2 for i in range(self.lanes)])
        masks = before(builder, twice, self.lanes, 2 * self.vectors)
        for v, place in enumerate(places):
            value = builder.load(place)
            for half in range(2):
                part = shuffle(builder, value, value, [(half * self.lanes + i) // 2 for i in range(self.lanes)])
                mask = builder.and_(even, masks[2 * v + half])
                self._write(part, pointer, (2 * v + half) * self.lanes, mask)

    def _write(self, value, pointer, start, mask):
        store(self.builder, value, self.builder.gep(pointer, [I64(start)]), mask)

    def divide(self, places, divisor):
        """Divide what the variables hold by a number: exactly, but powers of two as fast as one multiplies."""
        builder, bits = self.builder, 8 * size(self.scalar)
        integer = ir.IntType(bits)
        mantissa = builder.and_(builder.bitcast(divisor, integer), integer((1 << (23 if bits == 32 else 52)) - 1))
        with builder.if_else(builder.icmp_signed("==", mantissa, integer(0))) as (power, other):
            with power:
                factor = self.splat(builder, builder.fdiv(ir.Constant(self.scalar, 1.0), divisor))
                for place in places:
                    builder.store(builder.fmul(builder.load(place), factor), place)
            with other:
                divisors = self.splat(builder, divisor)
                for place in places:
                    builder.store(builder.fdiv(builder.load(place), divisors), place)

    def numbered(self, start, step):
        """Return start, start + step, ... as 32-bit integers, vector by vector."""
        builder, found = self.builder, []
        stride = self.splat(builder, builder.trunc(step, I32))
        for v in range(self.vectors):
            here = builder.add(start, builder.mul(step, I64(v * self.lanes)))
            here = self.splat(builder, builder.trunc(here, I32))
            found.append(builder.add(here, builder.mul(constant(I32, range(self.lanes)), stride)))
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
        bests, source = window.variables(window.everywhere(floor)), window.pointer_to(at)

        def tap(offset, read, indices):
            for value, best in zip(read(builder.gep(source, [offset])), bests, strict=True):
                old = builder.load(best)
                # the order of arguments keeps an old NaN, in one instruction (maxps)
                larger = builder.select(builder.fcmp_ordered(">", value, old), value, old)
                builder.store(builder.select(builder.fcmp_unordered("uno", value, value), value, larger), best)

        window.over_taps(counts, steps, lane_step, tap)
        window.write(bests, window.pointer_to(out))

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
        source, bests = window.pointer_to(at), window.variables(window.everywhere(floor))
        lowest = builder.fcmp_ordered("==", floor, ir.Constant(floor.type, float("-inf")))
        nd, nh, nw = cgutils.unpack_tuple(builder, counts, 3)
        has_taps = builder.icmp_signed(">", builder.mul(builder.mul(nd, nh), nw), I64(0))
        first = builder.select(builder.and_(lowest, has_taps), I32(0), I32(-1))
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
        window.write(bests, window.pointer_to(out))
        none = ir.Constant(window.places, [-1] * window.lanes)
        for found, start in zip(founds, window.numbered(place, place_step), strict=True):
            offset = builder.load(found)
            known = builder.icmp_signed("!=", offset, none)
            builder.store(builder.select(known, builder.add(offset, start), none), found)
        window.write(founds, window.pointer_to(where, I32))

    signature = types.void(floor, types.intp, THREE, THREE, types.intp, types.intp, THREE, *[types.intp] * 5)
    return signature, _for_each_number_of_vectors(emit)


@intrinsic
def window_sum(typing_context, divisor, at, counts, steps, lane_step, out, out_step, vectors, length):
    """Write the sum of each window over the divisor."""

    def emit(window, builder, divisor, at, counts, steps, lane_step, out, out_step):
        totals, source = window.variables([window.zero] * window.vectors), window.pointer_to(at)

        def tap(offset, read, indices):
            for value, total in zip(read(builder.gep(source, [offset])), totals, strict=True):
                builder.store(builder.fadd(builder.load(total), value), total)

        window.over_taps(counts, steps, lane_step, tap)
        window.divide(totals, divisor)
        window.write_apart(totals, window.pointer_to(out), out_step)

    return types.void(divisor, types.intp, THREE, THREE, *[types.intp] * 5), _for_each_number_of_vectors(emit)


@intrinsic
def window_chosen(typing_context, number, at, where, counts, steps, place, out, vectors, length):
    """Write the sum of those numbers of each window whose `where` (32-bit integers beside them) is `place`."""

    def emit(window, builder, _, at, where, counts, steps, place, out):
        totals = window.variables([window.zero] * window.vectors)
        source, marks = window.pointer_to(at), window.pointer_to(where, I32)
        (here, *_) = window.everywhere(builder.trunc(place, I32))
        counts, steps = (cgutils.unpack_tuple(builder, three, 3) for three in (counts, steps))

        def tap(indices):
            offset = window.dot(indices, steps)
            values, chosen = (window.read_row(builder.gep(p, [offset])) for p in (source, marks))
            for value, choice, total in zip(values, chosen, totals, strict=True):
                part = builder.select(builder.icmp_signed("==", choice, here), value, window.zero)
                builder.store(builder.fadd(builder.load(total), part), total)

        window.loops(counts, tap)
        window.write(totals, window.pointer_to(out))

    signature = types.void(number, types.intp, types.intp, THREE, THREE, *[types.intp] * 4)
    return signature, _for_each_number_of_vectors(emit)
