"""The micro-kernel for a few rows: C[m, n] += A[m, depth] @ B[depth, n], along whole rows of B.

A product of up to four rows uses each number of B too seldom to hide where it comes from, so B is read as memory likes
it: some of its rows side by side, from end to end, into the second-level cache well ahead of its use. What a tile keeps
in registers instead is A.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm_tile import I64, VOID, _Tile, switch
from .simd import vector_registers

ROWS = 4  # of A, at most


def depth(rows: int) -> int:
    """Return how many rows of B a tile takes at once: half of the registers hold the numbers of A that they meet."""
    return min(8, vector_registers() // 2 // rows)


DEPTHS = tuple(depth(rows) for rows in range(1, ROWS + 1))
NEAR_DEPTHS = tuple(min(4, depth) for depth in DEPTHS)  # from a cache: more rows would push each other out of their set
# a, b, c: addresses; *_row, *_col: strides in elements; n: columns; ahead: how many columns to fetch B ahead, or 0
ROW_TILE = ir.FunctionType(VOID, [I64] * 9)


class _RowTile(_Tile):
    """Emits the function of `rows` rows of A and `depth` rows of B."""

    def __init__(self, module, number, rows: int, depth: int):
        super().__init__(module, number, rows, 1, masked=False)
        self.depth = depth
        self.name, self.kind = f"row_tile_{rows}x{depth}.{self.suffix}", ROW_TILE

    def _emit(self, function):
        a, a_row, a_col, b, b_row, c, c_row, n, ahead = function.args
        entry, test, loop, rest, tail, done = (
            function.append_basic_block(name) for name in ("entry", "test", "loop", "rest", "tail", "done")
        )
        builder = ir.IRBuilder(entry)
        a, b, c = (builder.inttoptr(p, self.scalar.as_pointer()) for p in (a, b, c))
        columns = [builder.mul(a_col, I64(p)) for p in range(self.depth)]
        x = [
            [self._splat(builder, builder.load(builder.gep(row, [column]))) for column in columns]
            for row in self._rows(builder, a, a_row)
        ]
        b_rows = [builder.gep(b, [builder.mul(b_row, I64(p))]) for p in range(self.depth)]
        c_rows = self._rows(builder, c, c_row)
        builder.branch(test)

        builder = ir.IRBuilder(test)
        j = builder.phi(I64)
        j_next = builder.add(j, I64(self.lanes))
        builder.cbranch(builder.icmp_signed("<=", j_next, n), loop, rest)

        builder = ir.IRBuilder(loop)
        with builder.if_then(builder.icmp_signed(">", ahead, I64(0))):
            for row in b_rows:
                self._prefetch(builder, builder.gep(row, [builder.add(j, ahead)]))
        self._add(builder, x, b_rows, c_rows, j)
        builder.branch(test)
        j.add_incoming(I64(0), entry)
        j.add_incoming(j_next, builder.block)

        builder = ir.IRBuilder(rest)
        builder.cbranch(builder.icmp_signed("<", j, n), tail, done)

        builder = ir.IRBuilder(tail)
        self.masked, self.masks = True, self._masks(builder, builder.sub(n, j))
        self._add(builder, x, b_rows, c_rows, j)
        builder.branch(done)
        ir.IRBuilder(done).ret_void()

    def _add(self, builder, x, b_rows, c_rows, j):
        b_rows, c_rows = ([builder.gep(row, [j]) for row in rows] for rows in (b_rows, c_rows))
        y = [self._load(builder, row, 0) for row in b_rows]
        for row, factors in zip(c_rows, x, strict=True):
            total = self._load(builder, row, 0)
            for factor, vector in zip(factors, y, strict=True):
                total = self._fma(builder, factor, vector, total)
            self._store(builder, total, row, 0)


@intrinsic
def row_tile(typing_context, number, m, depth, a, a_row, a_col, b, b_row, c, c_row, n, ahead):
    """Compute a tile of m <= ROWS rows and depth 1, NEAR_DEPTHS[m - 1] or DEPTHS[m - 1]."""

    def codegen(context, builder, signature, values):
        shapes = {(m, depth) for m in range(1, ROWS + 1) for depth in (1, NEAR_DEPTHS[m - 1], DEPTHS[m - 1])}
        cases = [(shape, _RowTile(builder.module, number, *shape)) for shape in sorted(shapes)]
        switch(builder, f"row_tile.f{number.bitwidth}", (ROWS + 1, 9), cases, values[1:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 11), codegen
