"""The micro-kernel for a few rows: C[m, n] += A[m, depth] @ B[depth, n], along whole rows of B.

A product of up to four rows uses each number of B too few times to hide the latency of memory. So B is streamed: a few
of its rows together, from end to end, prefetched into the second-level cache. A stays in registers instead of C.
"""

from numba import types
from numba.extending import intrinsic

from .emit import I64, Tile, before, dispatch, fma, loop, no_unroll, prefetch
from .machine import vector_registers

ROWS = 4  # of A, at most


def depth(rows: int) -> int:
    """Return how many rows of B a tile takes at once: half of the registers hold the numbers of A that they meet."""
    return min(8, vector_registers() // 2 // rows)


DEPTHS = tuple(depth(rows) for rows in range(1, ROWS + 1))
NEAR_DEPTHS = tuple(min(4, depth) for depth in DEPTHS)  # from a cache: more rows would push each other out of their set
# a, b, c: addresses; *_row, *_col: strides in elements; n: columns; ahead: how many columns to fetch B ahead, or 0
ARGUMENTS = [I64] * 9


class _GemvTile(Tile):
    """Emits the function of `rows` rows of A and `depth` rows of B."""

    def __init__(self, module, number, rows: int, depth: int):
        super().__init__(module, number)
        self.shape = rows, depth

    def function(self):
        """Return the tile's function."""
        rows, depth = self.shape
        return self.once(f"gemv_tile_{rows}x{depth}", ARGUMENTS, self._emit)

    def _emit(self, builder, a, a_row, a_col, b, b_row, c, c_row, n, ahead):
        rows, depth = self.shape
        a, b, c = (self.pointer(builder, address) for address in (a, b, c))
        columns = [builder.mul(a_col, I64(p)) for p in range(depth)]
        x = [
            [self.splat(builder, builder.load(builder.gep(row, [column]))) for column in columns]
            for row in self.rows(builder, a, a_row, rows)
        ]
        b_rows, c_rows = self.rows(builder, b, b_row, depth), self.rows(builder, c, c_row, rows)

        def add(builder, j, mask=None):
            y = [self.load(builder, builder.gep(row, [j]), 0, mask) for row in b_rows]
            for row, factors in zip((builder.gep(row, [j]) for row in c_rows), x, strict=True):
                total = self.load(builder, row, 0, mask)
                for factor, vector in zip(factors, y, strict=True):
                    total = fma(builder, factor, vector, total)
                self.store(builder, total, row, 0, mask)

        def whole(builder, i, _):
            no_unroll(builder)
            j = builder.mul(i, I64(self.lanes))
            with builder.if_then(builder.icmp_signed(">", ahead, I64(0))):
                for row in b_rows:
                    prefetch(builder, builder.gep(row, [builder.add(j, ahead)]))
            add(builder, j)
            return []

        vectors = builder.udiv(n, I64(self.lanes))
        loop(builder, vectors, [], whole)
        done = builder.mul(vectors, I64(self.lanes))
        with builder.if_then(builder.icmp_signed("<", done, n)):
            add(builder, done, *before(builder, builder.sub(n, done), self.lanes))


@intrinsic
def gemv_tile(typing_context, number, m, depth, a, a_row, a_col, b, b_row, c, c_row, n, ahead):
    """Compute a tile of m <= ROWS rows and depth 1, NEAR_DEPTHS[m - 1] or DEPTHS[m - 1]."""

    def codegen(context, builder, signature, values):
        shapes = {(m, depth) for m in range(1, ROWS + 1) for depth in (1, NEAR_DEPTHS[m - 1], DEPTHS[m - 1])}
        tiles = {shape: _GemvTile(builder.module, number, *shape) for shape in sorted(shapes)}
        radix, (_, m, depth, *values) = max(DEPTHS) + 1, values
        key = builder.add(builder.mul(m, I64(radix)), depth)
        cases = {m * radix + depth: tile.function() for (m, depth), tile in tiles.items()}
        dispatch(builder, f"gemv_tile.{number}", key, cases, values)
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 11), codegen
