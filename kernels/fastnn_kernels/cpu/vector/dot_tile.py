"""The micro-kernel for two operands that both run along the sum: C[m, n] = init + X[m, k] @ W[n, k]^T.

The other tiles want B as rows, and transposing W costs more than the product if only a few rows of X use it. Here every
element of a tile has a vector of partial sums; at the end these are added up, many elements at a time, half of the
lanes to the other half, so that every element is summed in the same order whatever the tile's shape.
"""

from numba import types
from numba.extending import intrinsic

from .emit import I1, I64, Tile, before, constant, dispatch, fma, loop, no_unroll, prefetch, shuffle
from .machine import vector_registers

ROWS, COLUMNS = (4, 6) if vector_registers() == 32 else (3, 3)
SINGLE = 8  # columns of a tile of one row
# k: length of the sum; x, w, init, c: addresses; *_row: strides in elements; ahead: how far to fetch W ahead, or 0
ARGUMENTS = [I64] * 10


class _DotTile(Tile):
    """Emits the function of `rows` rows of X and `columns` rows of W."""

    def __init__(self, module, number, rows: int, columns: int):
        super().__init__(module, number)
        self.shape = rows, columns

    def function(self):
        """Return the tile's function."""
        rows, columns = self.shape
        return self.once(f"dot_tile_{rows}x{columns}", ARGUMENTS, self._emit)

    def _emit(self, builder, k, x, x_row, w, w_row, init, init_row, c, c_row, ahead):
        rows, columns = self.shape
        x, w, init, c = (self.pointer(builder, address) for address in (x, w, init, c))
        x_rows, w_rows = self.rows(builder, x, x_row, rows), self.rows(builder, w, w_row, columns)

        def add(builder, p, sums, mask=None):
            x, w = ([self.load(builder, builder.gep(row, [p]), 0, mask) for row in rows] for rows in (x_rows, w_rows))
            return [fma(builder, u, v, s) for (u, v), s in zip(((u, v) for u in x for v in w), sums, strict=True)]

        def whole(builder, i, sums):
            no_unroll(builder)
            p = builder.mul(i, I64(self.lanes))
            with builder.if_then(builder.icmp_signed(">", ahead, I64(0))):
                for row in w_rows:
                    prefetch(builder, builder.gep(row, [builder.add(p, ahead)]))
            return add(builder, p, sums)

        vectors = builder.udiv(k, I64(self.lanes))
        sums = loop(builder, vectors, [self.zero] * (rows * columns), whole)
        done = builder.mul(vectors, I64(self.lanes))
        rest = builder.sub(k, done)
        tail = lambda builder, _, sums: add(builder, done, sums, *before(builder, rest, self.lanes))  # noqa: E731
        sums = loop(builder, builder.zext(builder.icmp_signed(">", rest, I64(0)), I64), sums, tail)
        starts, results = self.rows(builder, init, init_row, rows), self.rows(builder, c, c_row, rows)
        for i in range(rows):
            for j in range(0, columns, self.lanes):
                group = sums[i * columns + j : i * columns + min(columns, j + self.lanes)]
                mask = constant(I1, [lane < len(group) for lane in range(self.lanes)])
                start = self.load(builder, starts[i], j // self.lanes, mask)
                total = builder.fadd(start, self._sums_of_lanes(builder, group))
                self.store(builder, total, results[i], j // self.lanes, mask)

    def _sums_of_lanes(self, builder, vectors):
        """Return a vector with the sum of the lanes of each of the vectors (at most as many as there are lanes)."""
        group = self.lanes  # lanes that belong to one sum
        while len(vectors) > 1:
            vectors = vectors + [self.zero] * (len(vectors) % 2)
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self._halves_added(builder, *pair, group) for pair in pairs]
            group //= 2
        (total,), count = vectors, self.lanes // group
        for half in (2**i for i in reversed(range(group.bit_length() - 1))):
            moved = shuffle(builder, total, total, [(lane + half) % self.lanes for lane in range(self.lanes)])
            total = builder.fadd(total, moved)
        return shuffle(builder, total, total, [lane % count * group for lane in range(self.lanes)])

    def _halves_added(self, builder, a, b, group):
        """Add the upper half of every group of lanes to its lower half, and join the two vectors' results."""
        low = [lane for lane in range(2 * self.lanes) if lane % group < group // 2]
        return builder.fadd(shuffle(builder, a, b, low), shuffle(builder, a, b, [lane + group // 2 for lane in low]))


@intrinsic
def dot_tile(typing_context, number, rows, columns, k, x, x_row, w, w_row, init, init_row, c, c_row, ahead):
    """Compute a tile of rows <= ROWS and columns 1 or COLUMNS, or of one row and SINGLE columns."""

    def codegen(context, builder, signature, values):
        shapes = {(rows, columns) for rows in range(1, ROWS + 1) for columns in (1, COLUMNS)} | {(1, SINGLE)}
        tiles = {shape: _DotTile(builder.module, number, *shape) for shape in sorted(shapes)}
        radix, (_, rows, columns, *values) = SINGLE + 1, values
        key = builder.add(builder.mul(rows, I64(radix)), columns)
        cases = {rows * radix + columns: tile.function() for (rows, columns), tile in tiles.items()}
        dispatch(builder, f"dot_tile.{number}", key, cases, values)
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 12), codegen
