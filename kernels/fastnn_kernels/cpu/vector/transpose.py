"""Transposes of blocks of lanes x lanes elements, and copies of rows of a few vectors, in registers."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .emit import I1, I64, Tile, before, shuffle
from .gemm_tile import TILE_ROWS, TILE_VECTORS


def _transpose(tile, builder, source, source_row, target, target_row, masks=None):
    """Emit the transpose of a block, log2(lanes) rounds of shuffles. masks: those of loads, of stores, by row."""
    lanes = tile.lanes
    load_masks, store_masks = masks or ([None] * lanes, [None] * lanes)
    source, target = (
        tile.rows(builder, tile.pointer(builder, address), stride, lanes)
        for address, stride in ((source, source_row), (target, target_row))
    )
    rows = [tile.load(builder, row, 0, mask) for row, mask in zip(source, load_masks, strict=True)]
    # Eklundh: round s swaps, in each pair of rows i and i + s, the upper s of every 2 s lanes with the lower s
    s = lanes // 2
    while s:
        low = [j if not j & s else lanes + (j - s) for j in range(lanes)]
        high = [j + s if not j & s else lanes + j for j in range(lanes)]
        for i in range(lanes):
            if not i & s:
                pair = rows[i], rows[i + s]
                rows[i], rows[i + s] = shuffle(builder, *pair, low), shuffle(builder, *pair, high)
        s //= 2
    for value, row, mask in zip(rows, target, store_masks, strict=True):
        tile.store(builder, value, row, 0, mask)


@intrinsic
def transpose_block(typing_context, number, source, source_row, target, target_row):
    """Write the transpose of a block of lanes x lanes elements."""

    def codegen(context, builder, signature, values):
        _transpose(Tile(builder.module, number), builder, *values[1:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 4), codegen


@intrinsic
def transpose_edge(typing_context, number, source, source_row, target, target_row, rows, columns):
    """Write the transpose of a block of rows x columns elements, at most lanes of either; touch nothing outside it."""

    def codegen(context, builder, signature, values):
        tile = Tile(builder.module, number)
        *block, rows, columns = values[1:]
        none = ir.Constant(ir.VectorType(I1, tile.lanes), None)

        def masks(count, length):
            (whole,) = before(builder, length, tile.lanes)
            return [builder.select(builder.icmp_signed("<", I64(i), count), whole, none) for i in range(tile.lanes)]

        _transpose(tile, builder, *block, (masks(rows, columns), masks(columns, rows)))
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 6), codegen


def _copy(vectors_for):
    """Return the codegen of a copy of n numbers, padded with zeros to a whole number of vectors."""

    def codegen(context, builder, signature, values):
        _, source, target, n = values
        tile = Tile(builder.module, signature.args[0])
        source, target = tile.pointer(builder, source), tile.pointer(builder, target)
        vectors = vectors_for(tile.lanes)
        with builder.if_else(builder.icmp_signed("==", n, I64(vectors * tile.lanes))) as (full, part):
            for block, masked in ((full, False), (part, True)):
                with block:
                    masks = before(builder, n, tile.lanes, vectors) if masked else [None] * vectors
                    loaded = [tile.load(builder, source, j, mask) for j, mask in enumerate(masks)]
                    for j, value in enumerate(loaded):
                        tile.store(builder, value, target, j)
        return context.get_dummy_value()

    return codegen


@intrinsic
def copy_panel_row(typing_context, number, source, target, n):
    """Copy n numbers into a row of a panel of B, TILE_VECTORS vectors long, padded with zeros."""
    return types.void(number, *[types.intp] * 3), _copy(lambda lanes: TILE_VECTORS)


@intrinsic
def copy_tile_column(typing_context, number, source, target, n):
    """Copy n <= TILE_ROWS numbers into a column of a tile of A, padded with zeros to whole vectors."""
    return types.void(number, *[types.intp] * 3), _copy(lambda lanes: -(-TILE_ROWS // lanes))
