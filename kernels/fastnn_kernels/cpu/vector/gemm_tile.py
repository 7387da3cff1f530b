"""The generator of matmul micro-kernels: C[m, n] = init[m, n] + A[m, k] @ B[k, n] for one tile held in registers.

The accumulators are phi nodes of vector type, so LLVM keeps them in registers; the k-loop is one fma per accumulator,
one load per vector of B and one broadcast per row of A. A is read through two strides, B through one (its rows are
contiguous), so packed panels and arrays in place are the same to it. `init` is C itself to accumulate, a bias row
(row stride 0), a row of zeros, or anything else of the tile's shape.

Every element is summed in the order of k, by one fma at a time, whatever the tile's shape: results have the same bits
however a product is cut into tiles.
"""

from numba import types
from numba.extending import intrinsic

from .emit import I64, Tile, before, dispatch, fma, loop, prefetch
from .machine import vector_bytes, vector_registers

# The largest tile that leaves registers for one row of B and one broadcast: 14 x 2 vectors of 32, 6 x 2 of 16.
TILE_VECTORS = 2
TILE_ROWS = (vector_registers() - 1) // TILE_VECTORS - 1
# How many panel rows ahead a tile of few rows prefetches B into the second-level cache, from memory.
AHEAD_PACKED, AHEAD_IN_PLACE = 64, 2
# k: length of the sum; a, b, init, c: addresses; *_row, *_col: strides in elements; n: columns of a masked tile
ARGUMENTS = [I64] * 11


class _GemmTile(Tile):
    """Emits the function of one tile shape into a module."""

    def __init__(self, module, number, rows: int, vectors: int, masked: bool):
        super().__init__(module, number)
        self.shape, self.masked = (rows, vectors), masked

    def function(self):
        """Return the tile's function."""
        rows, vectors = self.shape
        return self.once(f"tile_{rows}x{vectors}{'_masked' * self.masked}", ARGUMENTS, self._emit)

    def _emit(self, builder, k_end, a, a_row, a_col, b, b_row, init, init_row, c, c_row, n):
        rows, vectors = self.shape
        a, b, init, c = (self.pointer(builder, address) for address in (a, b, init, c))
        masks = before(builder, n, self.lanes, vectors) if self.masked else [None] * vectors
        panel, below = I64(vectors * self.lanes), builder.gep(c, [builder.mul(c_row, I64(rows))])
        if not self.masked:  # a further block of k: the next tile of C, which begins with loads, arrives meanwhile
            with builder.if_then(builder.icmp_unsigned("==", init, c)):
                for row in self.rows(builder, below, c_row, rows):
                    for j in range(0, vectors, max(1, 64 // vector_bytes())):
                        prefetch(builder, self.at(builder, row, j), write=1)
        starts = self.rows(builder, init, init_row, rows)
        sums = [self.load(builder, row, j, masks[j]) for row in starts for j in range(vectors)]
        if self.masked:  # few rows: B comes from memory; in place, the panels behind this one are the rest of its rows
            packed = builder.icmp_signed("==", b_row, panel)
            ahead = builder.mul(panel, builder.select(packed, I64(AHEAD_PACKED), I64(AHEAD_IN_PLACE)))

        def step(builder, k, values):
            b, a, sums = values[0], values[1 : 1 + len(bases)], values[1 + len(bases) :]
            y = [self.load(builder, b, j, masks[j]) for j in range(vectors)]
            if self.masked:
                for j in range(0, vectors, max(1, 64 // vector_bytes())):
                    prefetch(builder, self.at(builder, builder.gep(b, [ahead]), j))
            x = [self.splat(builder, builder.load(row)) for row in self.spread(builder, a, a_row, rows)]
            products = [(factor, vector) for factor in x for vector in y]
            sums = [fma(builder, *pair, total) for pair, total in zip(products, sums, strict=True)]
            return [builder.gep(b, [b_row]), *[builder.gep(row, [a_col]) for row in a], *sums]

        bases = self.bases(builder, a, a_row, rows)
        sums = loop(builder, k_end, [b, *bases, *sums], step)[1 + len(bases) :]
        for i, row in enumerate(self.rows(builder, c, c_row, rows)):
            for j in range(vectors):
                self.store(builder, sums[i * vectors + j], row, j, masks[j])


@intrinsic
def full_tile(typing_context, number, k, a, a_row, a_col, b, b_row, init, init_row, c, c_row):
    """Compute one tile of TILE_ROWS rows and TILE_VECTORS vectors."""

    def codegen(context, builder, signature, values):
        tile = _GemmTile(builder.module, number, TILE_ROWS, TILE_VECTORS, masked=False)
        builder.call(tile.function(), [*values[1:], I64(0)])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 10), codegen


@intrinsic
def edge_tile(typing_context, number, m, k, a, a_row, a_col, b, b_row, init, init_row, c, c_row, n):
    """Compute one tile of m <= TILE_ROWS rows and n <= TILE_VECTORS * lanes columns; touch nothing outside it."""
    return types.void(number, *[types.intp] * 12), _masked("edge_tile", TILE_VECTORS)


@intrinsic
def narrow_tile(typing_context, number, m, k, a, a_row, a_col, b, b_row, init, init_row, c, c_row, n):
    """Compute one tile of m <= TILE_ROWS rows and n <= lanes columns; touch nothing outside it."""
    return types.void(number, *[types.intp] * 12), _masked("narrow_tile", 1)


def _masked(name, vectors):
    """Return the codegen that calls the masked tile of m rows and `vectors` vectors."""

    def codegen(context, builder, signature, values):
        _, m, *values = values
        tiles = {m: _GemmTile(builder.module, signature.args[0], m, vectors, True) for m in range(1, TILE_ROWS + 1)}
        suffix = tiles[1].suffix
        dispatch(builder, f"{name}.{suffix}", m, {m: tile.function() for m, tile in tiles.items()}, values)
        return context.get_dummy_value()

    return codegen
