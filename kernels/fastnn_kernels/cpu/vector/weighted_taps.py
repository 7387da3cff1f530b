"""Weighted sums of taps, a vector of them at a time: of rows, number by number, and along a row, by tables.

Rows have their numbers side by side, so that one weight goes for all lanes. Along a row every lane has taps and weights
of its own. The taps of neighbouring lanes lie near each other, and AVX-512 picks them out of vectors that are loaded
whole; other CPUs, and lanes that lie further apart, gather them.
"""

from functools import partial

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm_tile import I32, I64, _Tile
from .simd import vector_bytes
from .window_reduce import _Window

PAIRS = (1, 2, 4) if vector_bytes() == 64 else ()  # of vectors, from which lanes are picked


@intrinsic
def weigh_rows(typing_context, number, at, step, places, weights, count, out, vectors, length):
    """Write the sum over t < count of weights[t] times the numbers at `at` + places[t] * step (bytes): `length`.

    places: an address of int64; weights: of the dtype of `number`; vectors: 1, 2 or 4 that go through together.
    """

    def emit(window, builder, number, at, step, places, weights, count, out):
        totals = window.variables([window.zero] * window.vectors)
        places, weights = window.pointer(places, I64), window.pointer(weights)

        def tap(indices):
            place = builder.load(builder.gep(places, indices))
            weight = window._splat(builder, builder.load(builder.gep(weights, indices)))
            source = window.pointer(builder.add(at, builder.mul(place, step)))
            for value, total in zip(window.read_row(source), totals, strict=True):
                builder.store(window._fma(builder, weight, value, builder.load(total)), total)

        window.loops([count], tap)
        window.write(totals, window.pointer(out))

    def codegen(context, builder, signature, values):
        *values, vectors, length = values

        def choose(counts):
            count, *others = counts
            if not others:
                emit(_Window(builder, signature.args[0], 1, length), builder, *values)
                return
            with builder.if_else(builder.icmp_signed("==", vectors, I64(count))) as (this, other):
                with this:
                    emit(_Window(builder, signature.args[0], count, length, True), builder, *values)
                with other:
                    choose(others)

        choose((4, 2, 1, 0))
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 8), codegen


class _Lanes(_Window):
    """Emits sums along a row: taps that are picked from some pairs of vectors, or gathered (0 pairs)."""

    def sums(self, at, indices, weights, count, pairs, out):
        builder = self.builder
        (total,) = self.variables([self.zero])
        whole = _Tile(builder.module, self.number, 1, max(1, 2 * pairs), False)
        vectors = [whole._load(builder, at, v) for v in range(2 * pairs)]

        def tap(places):
            first = builder.mul(*places, I64(self.lanes))
            index = builder.bitcast(builder.gep(indices, [first]), self.places.as_pointer())
            index = builder.load(index, align=4)
            weight = whole._load(builder, builder.gep(weights, [first]), 0)
            some = builder.fcmp_unordered("!=", weight, self.zero)
            if pairs:
                value = builder.select(some, self._pick(vectors, index), self.zero)
            else:
                value = self._gather(at, index, some)
            builder.store(self._fma(builder, weight, value, builder.load(total)), total)

        self.loops([count], tap)
        self.write([total], out)

    def _pick(self, vectors, index):
        builder, found = self.builder, None
        kind, name = (self.places, "ps") if self.align == 4 else (ir.VectorType(I64, self.lanes), "pd")
        index = index if kind == self.places else builder.zext(index, kind)
        which = builder.lshr(index, ir.Constant(kind, [self.lanes.bit_length()] * self.lanes))
        for pair in range(len(vectors) // 2):  # the instruction looks at the lower bits of an index only
            low, high = vectors[2 * pair : 2 * pair + 2]
            name_of_type = f"llvm.x86.avx512.vpermi2var.{name}.512"
            picked = self._call(builder, name_of_type, self.vector, low, index, high)
            mine = builder.icmp_signed("==", which, ir.Constant(kind, [pair] * self.lanes))
            found = picked if found is None else builder.select(mine, picked, found)
        return found

    def _gather(self, source, index, some):
        builder, wide = self.builder, ir.VectorType(I64, self.lanes)
        steps = builder.mul(builder.zext(index, wide), ir.Constant(wide, [self.align] * self.lanes))
        addresses = builder.add(self._splat(builder, builder.ptrtoint(source, I64)), steps)
        addresses = builder.inttoptr(addresses, ir.VectorType(source.type, self.lanes))
        name = f"llvm.masked.gather.{self.suffix}.v{self.lanes}p0"
        return self._call(builder, name, self.vector, addresses, I32(self.align), some, self.zero)


@intrinsic
def weigh_lanes(typing_context, number, at, indices, weights, count, pairs, out, length):
    """Write sums of taps: lane l adds weights[t, l] times the number indices[t, l] behind `at`, t < count.

    indices, weights: addresses of int32 and of the dtype of `number`, a vector per tap. A tap of weight zero is none.
    pairs: one of PAIRS, of vectors behind `at` that hold what has an index and may be read; 0 to gather that.
    length: sums to write, at most a vector.
    """

    def codegen(context, builder, signature, values):
        _, at, indices, weights, count, pairs, out, length = values
        lanes = _Lanes(builder, signature.args[0], 1, length)
        emit = partial(lanes.sums, lanes.pointer(at), lanes.pointer(indices, I32), lanes.pointer(weights), count)

        def choose(ways):
            if not ways:
                emit(0, lanes.pointer(out))
                return
            with builder.if_else(builder.icmp_signed("==", pairs, I64(ways[0]))) as (this, other):
                with this:
                    emit(ways[0], lanes.pointer(out))
                with other:
                    choose(ways[1:])

        choose(PAIRS)
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 7), codegen
