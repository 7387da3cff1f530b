"""Normalisation of rows of at most four vectors, which stay in registers; the last vector is masked.

A generator, because a row has 1, 2 or 4 vectors in registers: in `values` each of the three would be a function of its
own, for which Numba takes 0.1 s.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .emit import I64, Tile, before, call, fma, suffix, sum_of_lanes


def _normalize_rows(vectors):
    @intrinsic
    def normalize_rows(typing_context, number, x, count, n, weight, bias, out, eps, centred, mean, variance):
        """Normalise rows of n numbers, at most `vectors` vectors; keep means (0 if not centred) and variances.

        All but number, count, n, eps and centred are addresses.
        """

        def codegen(context, builder, signature, values):
            tile = Tile(builder.module, number)
            _, x, count, n, weight, bias, out, eps, centred, mean, variance = values
            masks = before(builder, n, tile.lanes, vectors)
            x, weight, bias, out, mean, variance = (
                tile.pointer(builder, address) for address in (x, weight, bias, out, mean, variance)
            )
            one, zero = ir.Constant(tile.scalar, 1.0), ir.Constant(tile.scalar, 0.0)
            share = builder.fdiv(one, builder.sitofp(n, tile.scalar))

            def read(pointer):
                return [tile.load(builder, pointer, j, mask) for j, mask in enumerate(masks)]

            weight, bias = read(weight), read(bias)
            with cgutils.for_range(builder, count) as loop:
                start = builder.mul(loop.index, n)
                row = read(builder.gep(x, [start]))
                average = builder.fmul(_sum(builder, row), share)
                average = builder.select(builder.icmp_signed("!=", centred, I64(0)), average, zero)
                builder.store(average, builder.gep(mean, [loop.index]))
                average = tile.splat(builder, average)
                row = [builder.select(m, builder.fsub(v, average), tile.zero) for m, v in zip(masks, row, strict=True)]
                spread = builder.fmul(_sum(builder, [builder.fmul(v, v) for v in row]), share)
                builder.store(spread, builder.gep(variance, [loop.index]))
                root = call(builder, f"llvm.sqrt.{suffix(tile.scalar)}", tile.scalar, builder.fadd(spread, eps))
                scale, target = tile.splat(builder, builder.fdiv(one, root)), builder.gep(out, [start])
                for j, (value, w, b) in enumerate(zip(row, weight, bias, strict=True)):
                    tile.store(builder, fma(builder, value, builder.fmul(scale, w), b), target, j, masks[j])
            return context.get_dummy_value()

        integers = [types.intp] * 6
        return types.void(number, *integers, number, *[types.intp] * 3), codegen

    return normalize_rows


def _sum(builder, row):
    """Return the sum of all lanes of 1, 2 or 4 vectors, two by two."""
    while len(row) > 1:
        row = [builder.fadd(a, b) for a, b in zip(row[::2], row[1::2], strict=True)]
    return sum_of_lanes(builder, row[0])


normalize_rows1, normalize_rows2, normalize_rows4 = _normalize_rows(1), _normalize_rows(2), _normalize_rows(4)
