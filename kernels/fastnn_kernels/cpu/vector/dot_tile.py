"""The micro-kernel for two operands that both run along the sum: C[m, n] = init + X[m, k] @ W[n, k]^T.

The other tiles want B as rows, and turning W around costs more than the product if only a few rows of X use it. Here
every element of a tile has a vector of partial sums; at the end these are added up, many elements at a time, half of
the lanes to the other half, so that every element is summed in the same order whatever the tile's shape.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm_tile import I32, I64, VOID, _Tile, switch
from .simd import vector_registers

ROWS, COLUMNS = (4, 6) if vector_registers() == 32 else (3, 3)
SINGLE = 8  # columns of a tile of one row
# k: length of the sum; x, w, init, c: addresses; *_row: strides in elements; ahead: how far to fetch W ahead, or 0
DOT_TILE = ir.FunctionType(VOID, [I64] * 10)


class _DotTile(_Tile):
    """Emits the function of `rows` rows of X and `columns` rows of W."""

    def __init__(self, module, number, rows: int, columns: int):
        super().__init__(module, number, rows, 1, masked=False)
        self.columns = columns
        self.name, self.kind = f"dot_tile_{rows}x{columns}.{self.suffix}", DOT_TILE

    def _emit(self, function):
        k, x, x_row, w, w_row, init, init_row, c, c_row, ahead = function.args
        entry, test, loop, rest, tail, done = (
            function.append_basic_block(name) for name in ("entry", "test", "loop", "rest", "tail", "done")
        )
        cells = [(i, j) for i in range(self.rows) for j in range(self.columns)]
        builder = ir.IRBuilder(entry)
        x, w, init, c = (builder.inttoptr(p, self.scalar.as_pointer()) for p in (x, w, init, c))
        x_rows = self._rows(builder, x, x_row)
        w_rows = [builder.gep(w, [builder.mul(w_row, I64(j))]) for j in range(self.columns)]
        builder.branch(test)

        builder = ir.IRBuilder(test)
        p, sums = builder.phi(I64), [builder.phi(self.vector) for _ in cells]
        p_next = builder.add(p, I64(self.lanes))
        builder.cbranch(builder.icmp_signed("<=", p_next, k), loop, rest)

        builder = ir.IRBuilder(loop)
        with builder.if_then(builder.icmp_signed(">", ahead, I64(0))):
            for row in w_rows:
                self._prefetch(builder, builder.gep(row, [builder.add(p, ahead)]))
        new = self._add(builder, x_rows, w_rows, p, sums)
        builder.branch(test)
        loop = builder.block
        steps = [(p, I64(0), p_next), *((s, self.zero, n) for s, n in zip(sums, new, strict=True))]
        for phi, first, following in steps:
            phi.add_incoming(first, entry)
            phi.add_incoming(following, loop)

        builder = ir.IRBuilder(rest)
        builder.cbranch(builder.icmp_signed("<", p, k), tail, done)

        builder = ir.IRBuilder(tail)
        self.masked, self.masks = True, self._masks(builder, builder.sub(k, p))
        last = self._add(builder, x_rows, w_rows, p, sums)
        builder.branch(done)

        builder = ir.IRBuilder(done)
        totals = [builder.phi(self.vector) for _ in cells]
        for phi, before, after in zip(totals, sums, last, strict=True):
            phi.add_incoming(before, rest)
            phi.add_incoming(after, tail)
        for i, rows in enumerate(zip(self._rows(builder, init, init_row), self._rows(builder, c, c_row), strict=True)):
            for j in range(0, self.columns, self.lanes):
                some = totals[i * self.columns + j : i * self.columns + min(self.columns, j + self.lanes)]
                mask = ir.Constant(ir.VectorType(ir.IntType(1), self.lanes), [q < len(some) for q in range(self.lanes)])
                self.masks = {j // self.lanes: mask}
                start = self._load(builder, rows[0], j // self.lanes)
                self._store(builder, builder.fadd(start, self._reduced(builder, some)), rows[1], j // self.lanes)
        builder.ret_void()

    def _add(self, builder, x_rows, w_rows, p, sums):
        x, w = ([self._load(builder, builder.gep(row, [p]), 0) for row in rows] for rows in (x_rows, w_rows))
        return [self._fma(builder, u, v, s) for (u, v), s in zip(((u, v) for u in x for v in w), sums, strict=True)]

    def _reduced(self, builder, vectors):
        """Return a vector with the sum of each of the given ones (at most as many as there are lanes)."""
        group = self.lanes  # lanes that belong to one sum
        while len(vectors) > 1:
            vectors = vectors + [self.zero] * (len(vectors) % 2)
            pairs = zip(vectors[::2], vectors[1::2], strict=True)
            vectors = [self._halves_added(builder, *pair, group) for pair in pairs]
            group //= 2
        (total,), count = vectors, self.lanes // group
        for half in (2**i for i in reversed(range(group.bit_length() - 1))):
            moved = self._shuffled(builder, total, total, [(q + half) % self.lanes for q in range(self.lanes)])
            total = builder.fadd(total, moved)
        return self._shuffled(builder, total, total, [q % count * group for q in range(self.lanes)])

    def _halves_added(self, builder, a, b, group):
        """Add the upper half of every group of lanes to its lower half, and join the two vectors' results."""
        low = [q for q in range(2 * self.lanes) if q % group < group // 2]
        one, other = (self._shuffled(builder, a, b, [q + shift for q in low]) for shift in (0, group // 2))
        return builder.fadd(one, other)

    def _shuffled(self, builder, a, b, order):
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(I32, self.lanes), order))


@intrinsic
def dot_tile(typing_context, number, rows, columns, k, x, x_row, w, w_row, init, init_row, c, c_row, ahead):
    """Compute a tile of rows <= ROWS and columns 1 or COLUMNS, or of one row and SINGLE columns."""

    def codegen(context, builder, signature, values):
        shapes = {(rows, columns) for rows in range(1, ROWS + 1) for columns in (1, COLUMNS)} | {(1, SINGLE)}
        cases = [(shape, _DotTile(builder.module, number, *shape)) for shape in sorted(shapes)]
        switch(builder, f"dot_tile.f{number.bitwidth}", (ROWS + 1, 16), cases, values[1:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 12), codegen
