"""Short rows of numbers, shorter than a vector: what a loop would do one by one goes through a mask at once."""

from numba import types
from numba.extending import intrinsic

from ._microkernel import _Tile


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
