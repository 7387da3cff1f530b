"""Short rows of numbers, of a few vectors at most: what a loop would do one by one goes through masks at once."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .gemm_tile import _Tile


def _row_operation(name, combine):
    @intrinsic
    def operation(typing_context, number, source, target, n):
        """Write up to `lanes` numbers from one address to another; touch nothing outside them."""

        def codegen(context, builder, signature, values):
            tile = _Tile(builder.module, number, 1, 1, masked=True)
            tile.masks = tile._masks(builder, values[3])
            source, target = (builder.inttoptr(p, tile.scalar.as_pointer()) for p in values[1:3])
            combine(tile, builder, source, target)
            return context.get_dummy_value()

        return types.void(number, types.intp, types.intp, types.intp), codegen

    operation.__name__ = name
    return operation


def _copy(tile, builder, source, target):
    tile._store(builder, tile._load(builder, source, 0), target, 0)


def _add(tile, builder, source, target):
    total = builder.fadd(tile._load(builder, target, 0), tile._load(builder, source, 0))
    tile._store(builder, total, target, 0)


copy_row = _row_operation("copy_row", _copy)
add_row = _row_operation("add_row", _add)


def _normalize_rows(vectors):
    @intrinsic
    def normalize_rows(typing_context, number, x, count, n, weight, bias, out, eps, centred, mean, variance):
        """Normalise rows of n numbers, at most `vectors` vectors; keep means (0 if not centred) and variances.

        All but number, count, n, eps and centred are addresses.
        """

        def codegen(context, builder, signature, values):
            tile = _Tile(builder.module, number, 1, vectors, masked=True)
            _, x, count, n, weight, bias, out, eps, centred, mean, variance = values
            tile.masks = tile._masks(builder, n)
            x, weight, bias, out, mean, variance = (
                builder.inttoptr(p, tile.scalar.as_pointer()) for p in (x, weight, bias, out, mean, variance)
            )
            one, none = ir.Constant(tile.scalar, 1.0), ir.Constant(tile.scalar, 0.0)
            share = builder.fdiv(one, builder.sitofp(n, tile.scalar))
            weight, bias = ([tile._load(builder, p, j) for j in range(vectors)] for p in (weight, bias))
            kind = ir.FunctionType(tile.scalar, [tile.scalar])
            sqrt = cgutils.get_or_insert_function(builder.module, kind, f"llvm.sqrt.f{number.bitwidth}")
            with cgutils.for_range(builder, count) as loop:
                at = builder.mul(loop.index, n)
                rows = [tile._load(builder, builder.gep(x, [at]), j) for j in range(vectors)]
                average = builder.fmul(_sum(tile, builder, rows), share)
                average = builder.select(builder.icmp_signed("!=", centred, n.type(0)), average, none)
                builder.store(average, builder.gep(mean, [loop.index]))
                average = tile._splat(builder, average)
                rows = [
                    builder.select(mask, builder.fsub(row, average), tile.zero)
                    for mask, row in zip(tile.masks, rows, strict=True)
                ]
                spread = builder.fmul(_sum(tile, builder, [builder.fmul(row, row) for row in rows]), share)
                builder.store(spread, builder.gep(variance, [loop.index]))
                root = builder.call(sqrt, [builder.fadd(spread, eps)])
                scale = tile._splat(builder, builder.fdiv(one, root))
                for j, (row, w, b) in enumerate(zip(rows, weight, bias, strict=True)):
                    value = tile._fma(builder, row, builder.fmul(scale, w), b)
                    tile._store(builder, value, builder.gep(out, [at]), j)
            return context.get_dummy_value()

        integers = [types.intp] * 6
        return types.void(number, *integers, number, *[types.intp] * 3), codegen

    return normalize_rows


def _sum(tile, builder, rows):
    """Return the sum of all lanes of some vectors, two by two."""
    while len(rows) > 1:
        rows = [builder.fadd(a, b) for a, b in zip(rows[::2], rows[1::2], strict=True)]
    kind = ir.FunctionType(tile.scalar, [tile.scalar, tile.vector])
    add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.vector.reduce.fadd.{tile.suffix}")
    return builder.call(add, [ir.Constant(tile.scalar, 0.0), rows[0]], fastmath=["reassoc"])


normalize_rows1, normalize_rows2, normalize_rows4 = _normalize_rows(1), _normalize_rows(2), _normalize_rows(4)
