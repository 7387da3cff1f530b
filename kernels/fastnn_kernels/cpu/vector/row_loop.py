"""Loops over rows of numbers, a vector at a time: sums over rows, and rows computed from rows.

A compiler handles what is left of a row after its last whole vectors number by number: of 1000 numbers, as long as the
rest takes. Here that is one masked vector. And results too large for any cache are streamed past them, so that they
evict nothing that is still needed, while the next row is prefetched.

A generator, because kernels of norms consist of a dozen such loops: written out in `values` each has 25 lines, for
which Numba takes 0.5 s of processor time instead of 0.15 s.
"""

from dataclasses import dataclass

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...ground.jit import exact
from . import emit
from .emit import I64, Tile, before, prefetch, size, sum_of_lanes
from .machine import vector_bytes

TOGETHER = 4  # vectors, whose sums do not wait for each other


@dataclass
class Vector:
    """A vector in the body of a loop, with arithmetic. It is rounded as written."""

    builder: ir.IRBuilder
    value: ir.Value

    def __add__(self, other):
        return Vector(self.builder, self.builder.fadd(self.value, other.value))

    def __sub__(self, other):
        return Vector(self.builder, self.builder.fsub(self.value, other.value))

    def __mul__(self, other):
        return Vector(self.builder, self.builder.fmul(self.value, other.value))

    def __neg__(self):
        return Vector(self.builder, self.builder.fneg(self.value))


def fma(x, y, z):
    """Return x y + z in the body of a loop, rounded once where the CPU can."""
    return Vector(x.builder, emit.fma(x.builder, x.value, y.value, z.value))


def row_loop(reads, writes=0, sums=0, fetched=1, streamed=1, together=TOGETHER):
    """Turn `body(reads, numbers, sums) -> (sums, results)`, lists of `Vector`, into a function for kernels.

    Everything is rounded as written: where the first result is aligned decides which numbers are masked, and bits must
    not depend on that.

    loop(n, addresses, numbers, ahead) goes over n numbers: addresses of the rows that are read and, after them, of
    those written; a tuple of numbers of the dtype that are the same for all. It returns a tuple of sums. It may write
    what it reads.

    ahead: 0, or the distance from the first `fetched` rows that are read to those that will be read next, in numbers.
    Then these are prefetched, and the first `streamed` results, which are all aligned alike, bypass the caches. Sums
    depend on no address.

    together: vectors of a row that are in flight at once.
    """

    def decorate(body):
        @intrinsic
        def loop(typing_context, n, addresses, numbers, ahead):
            number = numbers.dtype
            returned = types.UniTuple(number, sums) if sums else types.void

            def codegen(context, builder, signature, values):
                n, addresses, numbers, ahead = values
                rows, numbers = (cgutils.unpack_tuple(builder, v) for v in (addresses, numbers))
                emitted = _Loop(builder, number, body, rows, numbers, (reads, sums, fetched, streamed, together))
                emitted.emit(n, ahead)
                if not sums:
                    return context.get_dummy_value()
                return context.make_tuple(builder, signature.return_type, emitted.totals())

            integers = types.UniTuple(types.intp, reads + writes)
            return returned(types.intp, integers, types.UniTuple(number, len(numbers)), types.intp), codegen

        loop.__name__ = body.__name__

        def call(n, addresses, numbers, ahead):
            return loop(n, addresses, numbers, ahead)

        call.__name__, call.__doc__, call.__module__ = body.__name__, body.__doc__, body.__module__
        call.__qualname__ = f"{body.__qualname__}.{reads}.{writes}.{sums}"
        return exact(call)

    return decorate


class _Loop(Tile):
    """Emits one loop."""

    def __init__(self, builder, number, body, addresses, numbers, counts):
        super().__init__(builder.module, number)
        reads, sums, self.fetched, self.streamed, self.together = counts
        self.builder, self.body = builder, body
        rows = [self.pointer(builder, address) for address in addresses]
        self.reads, self.writes = rows[:reads], rows[reads:]
        self.numbers = [self.splat(builder, value) for value in numbers]
        self.sums = [[cgutils.alloca_once_value(builder, self.zero) for _ in range(TOGETHER)] for _ in range(sums)]

    def emit(self, n, ahead):
        b, step, start = self.builder, I64(self.together * self.lanes), I64(0)
        if self.writes:  # begin where the first result is aligned, as it must be to bypass the caches
            misplaced = b.sub(I64(0), b.udiv(b.ptrtoint(self.writes[0], I64), I64(size(self.scalar))))
            start = b.and_(misplaced, I64(self.lanes - 1))
            start = b.select(b.icmp_signed("<", start, n), start, n)
            with b.if_then(b.icmp_signed(">", start, I64(0))):
                self.part(I64(0), start)
        end = b.add(start, b.mul(b.sdiv(b.sub(n, start), step), step))
        with b.if_else(b.icmp_signed("==", ahead, I64(0))) as ways:
            for way, distance in zip(ways, (None, ahead), strict=True):
                with way, cgutils.for_range_slice(b, start, end, step, I64) as (at, _):
                    self.whole(at, distance)
        with cgutils.for_range_slice(b, end, n, I64(self.lanes), I64) as (at, _):
            self.part(at, b.sub(n, at))

    def computed(self, read, sums):
        """Return the body's (sums, results) for vectors."""
        lists = ([Vector(self.builder, value) for value in values] for values in (read, self.numbers, sums))
        return ([vector.value for vector in vectors] for vectors in self.body(*lists))

    def whole(self, at, ahead):
        """Go over as many whole vectors as are in flight at once."""
        b = self.builder
        if ahead is not None:
            for x in self.reads[: self.fetched]:
                for j in range(0, self.together, max(1, 64 // vector_bytes())):
                    prefetch(b, self.at(b, b.gep(x, [b.add(at, ahead)]), j))
        rows = [b.gep(x, [at]) for x in self.reads]
        vectors = [[self.load(b, row, j) for row in rows] for j in range(self.together)]
        for j, read in enumerate(vectors):
            sums, results = self.computed(read, [b.load(places[j]) for places in self.sums])
            for places, value in zip(self.sums, sums, strict=True):
                b.store(value, places[j])
            for i, (row, value) in enumerate(zip(self.writes, results, strict=True)):
                store = self.stream if i < self.streamed and ahead is not None else self.store
                store(b, value, b.gep(row, [at]), j)

    def part(self, at, n):
        """Go over one vector, of which only the first n numbers count."""
        b, (mask,) = self.builder, before(self.builder, n, self.lanes)
        old = [b.load(places[0]) for places in self.sums]
        sums, results = self.computed([self.load(b, b.gep(x, [at]), mask=mask) for x in self.reads], old)
        for places, value, total in zip(self.sums, old, sums, strict=True):
            b.store(b.select(mask, total, value), places[0])
        for row, value in zip(self.writes, results, strict=True):
            self.store(b, value, b.gep(row, [at]), mask=mask)

    def totals(self):
        """Return the sums over all lanes."""
        b, totals = self.builder, []
        for places in self.sums:
            one, two, three, four = (b.load(place) for place in places)
            totals.append(sum_of_lanes(b, b.fadd(b.fadd(one, two), b.fadd(three, four))))
        return totals
