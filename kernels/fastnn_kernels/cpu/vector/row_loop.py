"""Loops over rows of numbers, a vector at a time: sums over rows, and rows that come of rows.

A compiler takes what is left behind a row's full vectors number by number: of 1000 numbers, as long as the rest takes.
Here a mask takes it at once. And results that no cache could keep go past the caches, where they would push out what is
still needed, while the next row is fetched.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ...ground.jit import exact
from .emit import I64, Tile, before, fma, prefetch, size, sum_of_lanes
from .machine import vector_bytes

TOGETHER = 4  # vectors, whose sums do not wait for each other


def row_loop(reads, writes=0, sums=0, rows=1, far_writes=1, together=TOGETHER):
    """Make of `body(t, reads, numbers, sums) -> (sums, results)`, all vectors, a function for kernels.

    t.add, t.sub, t.mul, t.fma (x y + z), t.fms (x y - z) and t.fnma (z - x y) compute with vectors. They are rounded as
    written: where the first result is aligned decides which numbers go by a mask, and bits must not depend on that.

    loop(n, addresses, numbers, far) goes over n numbers: addresses of what is read and, behind, written; a tuple of
    numbers of the dtype that are the same for all. It returns a tuple of sums. What it writes it may read before.

    far: 0, or how many numbers behind the first `rows` of what is read lies what will be read next. Then the first
    `far_writes` results, which lie aligned alike, go past the caches. Sums depend on no address.

    together: vectors of a row that are in flight at once.
    """

    def make(body):
        @intrinsic
        def loop(typing_context, n, addresses, numbers, far):
            number = numbers.dtype
            returned = types.UniTuple(number, sums) if sums else types.void

            def codegen(context, builder, signature, values):
                n, addresses, numbers, far = values
                pointers, numbers = (cgutils.unpack_tuple(builder, v) for v in (addresses, numbers))
                made = _Loop(builder, number, body, pointers, numbers, (reads, sums, rows, far_writes))
                made.together = together
                made.emit(n, far)
                if not sums:
                    return context.get_dummy_value()
                return context.make_tuple(builder, signature.return_type, made.totals())

            integers = types.UniTuple(types.intp, reads + writes)
            return returned(types.intp, integers, types.UniTuple(number, len(numbers)), types.intp), codegen

        loop.__name__ = body.__name__

        def call(n, addresses, numbers, far):
            return loop(n, addresses, numbers, far)

        call.__name__, call.__doc__, call.__module__ = body.__name__, body.__doc__, body.__module__
        call.__qualname__ = f"{body.__qualname__}.{reads}.{writes}.{sums}"
        return exact(call)

    return make


class _Loop(Tile):
    """Emits one loop."""

    def __init__(self, builder, number, body, addresses, numbers, counts):
        super().__init__(builder.module, number)
        reads, sums, self.fetched, self.streamed = counts
        self.builder, self.body = builder, body
        self.add, self.sub, self.mul = builder.fadd, builder.fsub, builder.fmul
        pointers = [self.pointer(builder, address) for address in addresses]
        self.reads, self.writes = pointers[:reads], pointers[reads:]
        self.numbers = [self.splat(builder, value) for value in numbers]
        self.sums = [[cgutils.alloca_once_value(builder, self.zero) for _ in range(TOGETHER)] for _ in range(sums)]

    def fma(self, x, y, z):
        return fma(self.builder, x, y, z)

    def fms(self, x, y, z):
        return self.fma(x, y, self.builder.fneg(z))

    def fnma(self, x, y, z):
        return self.fma(self.builder.fneg(x), y, z)

    def emit(self, n, far):
        b, step = self.builder, I64(self.together * self.lanes)
        near = b.icmp_signed("==", far, I64(0))
        start = I64(0)
        if self.writes:  # begin where the first result is aligned, as it must be to bypass the caches
            misplaced = b.sub(I64(0), b.udiv(b.ptrtoint(self.writes[0], I64), I64(size(self.scalar))))
            start = b.and_(misplaced, I64(self.lanes - 1))
            start = b.select(b.icmp_signed("<", start, n), start, n)
            with b.if_then(b.icmp_signed(">", start, I64(0))):
                self.part(I64(0), start)
        end = b.add(start, b.mul(b.sdiv(b.sub(n, start), step), step))
        with b.if_else(near) as ways:
            for way, ahead in zip(ways, (None, far), strict=True):
                with way, cgutils.for_range_slice(b, start, end, step, I64) as (at, _):
                    self.whole(at, ahead)
        with cgutils.for_range_slice(b, end, n, I64(self.lanes), I64) as (at, _):
            self.part(at, b.sub(n, at))

    def whole(self, at, far=None):
        """Go over as many whole vectors as are in flight at once."""
        b = self.builder
        if far is not None:
            for x in self.reads[: self.fetched]:
                for j in range(0, self.together, max(1, 64 // vector_bytes())):
                    prefetch(b, self.at(b, b.gep(x, [b.add(at, far)]), j))
        rows = [b.gep(x, [at]) for x in self.reads]
        vectors = [[self.load(b, row, j) for row in rows] for j in range(self.together)]
        for j, read in enumerate(vectors):
            sums, results = self.body(self, read, self.numbers, [b.load(places[j]) for places in self.sums])
            for places, value in zip(self.sums, sums, strict=True):
                b.store(value, places[j])
            for i, (row, value) in enumerate(zip(self.writes, results, strict=True)):
                store = self.stream if i < self.streamed and far is not None else self.store
                store(b, value, b.gep(row, [at]), j)

    def part(self, at, n):
        """Go over one vector, of which only the first n numbers count."""
        b, (mask,) = self.builder, before(self.builder, n, self.lanes)
        old = [b.load(places[0]) for places in self.sums]
        read = [self.load(b, b.gep(x, [at]), mask=mask) for x in self.reads]
        sums, results = self.body(self, read, self.numbers, old)
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
