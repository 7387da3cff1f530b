"""The micro-kernel of convolution: C[m, n] = max(floor, init[m, n] + sum over runs r of A_r[m, k] @ B_r[k, n]).

It is a tile of matmul with one more loop around the sum. In the forward pass a run is a row of the window: neighbouring
pixels with all their channels, which are contiguous. In the gradient of the weight it is a row of the image. So neither
needs a matrix of copied windows. A floor of 0 makes it a ReLU, of -inf changes nothing.

`init` is added last. So where C accumulates sums of many tiles, their errors do not pile up along one long chain (of
25,000 terms 2.6e-5 of the result, in chains of 64 2.3e-6), and it is fetched while the tile is computed.
"""

from itertools import product

from numba import types
from numba.extending import intrinsic

from .emit import I1, I64, Tile, before, dispatch, fma, loop, not_below, prefetch
from .gemm_tile import TILE_ROWS, TILE_VECTORS

AHEAD = 48 * TILE_ROWS  # rows of B, divided by those of A: B may come from the third-level cache or from memory
ARGUMENTS = 15  # runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, streamed, n; then floor


class _ConvTile(Tile):
    """Emits the function of one tile shape into a module."""

    def __init__(self, module, number, rows: int, vectors: int, masked: bool):
        super().__init__(module, number)
        self.shape, self.masked = (rows, vectors), masked

    def function(self):
        """Return the tile's function."""
        rows, vectors = self.shape
        name = f"conv_tile_{rows}x{vectors}{'_masked' * self.masked}"
        return self.once(name, [I64] * ARGUMENTS + [self.scalar], self._emit)

    def _emit(
        self,
        builder,
        runs,
        k_end,
        a,
        a_row,
        a_col,
        a_run,
        b,
        b_row,
        b_run,
        init,
        init_row,
        c,
        c_row,
        streamed,
        n,
        floor,
    ):
        rows, vectors = self.shape
        cells = list(product(range(rows), range(vectors)))
        a, b, init, c = (self.pointer(builder, address) for address in (a, b, init, c))
        masks = before(builder, n, self.lanes, vectors) if self.masked else [None] * vectors
        starts, results = self.rows(builder, init, init_row, rows), self.rows(builder, c, c_row, rows)
        with builder.if_then(builder.icmp_signed("!=", init_row, I64(0))):
            for i, j in cells:
                prefetch(builder, self.at(builder, starts[i], j))
        streamed = builder.trunc(streamed, I1)
        with builder.if_then(builder.not_(streamed)):  # short sums end before the cache has the lines they go to
            for i, j in cells:
                prefetch(builder, self.at(builder, results[i], j), write=1, near=3)
        offsets = [builder.mul(a_row, I64(i)) for i in range(rows)]

        def step(builder, k, values):
            at_a, at_b, *sums = values
            y = [self.load(builder, at_b, j, mask) for j, mask in enumerate(masks)]
            if not self.masked:
                ahead = builder.gep(at_b, [builder.mul(b_row, I64(AHEAD // rows))])
                for j in range(vectors):
                    prefetch(builder, self.at(builder, ahead, j))
            x = [self.splat(builder, builder.load(builder.gep(at_a, [offset]))) for offset in offsets]
            sums = [fma(builder, x[i], y[j], total) for (i, j), total in zip(cells, sums, strict=True)]
            return [builder.gep(at_a, [a_col]), builder.gep(at_b, [b_row]), *sums]

        def run(builder, r, values):
            at_a, at_b, *sums = values
            _, _, *sums = loop(builder, k_end, [at_a, at_b, *sums], step, nonempty=True)
            return [builder.gep(at_a, [a_run]), builder.gep(at_b, [b_run]), *sums]

        count = builder.select(builder.icmp_signed(">", k_end, I64(0)), runs, I64(0))
        _, _, *sums = loop(builder, count, [a, b, *[self.zero] * len(cells)], run)
        floor = self.splat(builder, floor)
        kept = []
        for (i, j), total in zip(cells, sums, strict=True):
            start = self.load(builder, starts[i], j, masks[j])
            kept.append(not_below(builder, floor, builder.fadd(total, start)))

        def write(store):
            for (i, j), value in zip(cells, kept, strict=True):
                store(builder, value, results[i], j)

        if self.masked:
            write(lambda builder, value, row, j: self.store(builder, value, row, j, masks[j]))
            return
        with builder.if_else(streamed) as (bypassing, cached):
            with bypassing:
                write(self.stream)
            with cached:
                write(self.store)


@intrinsic
def window_tile(
    typing_context, number, m, runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, streamed,
    n, floor,
):  # fmt: skip
    """Compute one tile of m <= TILE_ROWS rows and n <= TILE_VECTORS * lanes columns; touch nothing outside it.

    streamed: 1 to store whole rows, which are aligned then, bypassing the caches.
    """

    def codegen(context, builder, signature, values):
        _, m, *values = values
        shapes, cases = [(TILE_VECTORS, False), (TILE_VECTORS, True), (1, True)], {}
        for s, (vectors, masked) in enumerate(shapes):
            for rows in range(1, TILE_ROWS + 1):
                tile = _ConvTile(builder.module, number, rows, vectors, masked)
                cases[s * TILE_ROWS + rows] = tile.function()
        n, lanes = values[-2], tile.lanes
        narrow = builder.select(builder.icmp_signed("<=", n, I64(lanes)), I64(2), I64(1))
        shape = builder.select(builder.icmp_signed("==", n, I64(TILE_VECTORS * lanes)), I64(0), narrow)
        key = builder.add(builder.mul(shape, I64(TILE_ROWS)), m)
        dispatch(builder, f"conv_tile.{number}", key, cases, values)
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * (ARGUMENTS + 1), number), codegen
