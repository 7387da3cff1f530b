"""The micro-kernel of convolution: C[m, n] = max(floor, init[m, n] + sum over runs r of A_r[m, k] @ B_r[k, n]).

It is a tile of matmul with one more loop around the sum. In the forward pass a run is a row of the window:
neighbouring pixels with all their channels, which lie side by side in memory. In the gradient of the weight it is a row
of the image. So neither needs a matrix of copied windows. A floor of 0 makes it a ReLU, of -inf changes nothing.

`init` is added last. So where C accumulates sums of many tiles, their errors do not pile up along one long chain (of
25,000 terms 2.6e-5 of the result, in chains of 64 2.3e-6), and it is fetched while the tile is computed.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm_tile import I64, TILE_ROWS, TILE_VECTORS, VOID, _Tile

AHEAD = 48 * TILE_ROWS  # rows of B, divided by those of A: B may come from the third-level cache or from memory
ARGUMENTS = 15  # runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, far, n; then floor


class _WindowTile(_Tile):
    """Emits the function of one tile shape into a module."""

    def function(self) -> ir.Function:
        name = f"window_tile_{self.rows}x{self.vectors}{'_masked' * self.masked}.{self.suffix}"
        if name in self.module.globals:
            return self.module.globals[name]
        function = ir.Function(self.module, ir.FunctionType(VOID, [I64] * ARGUMENTS + [self.scalar]), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        self._emit(function)
        return function

    def _emit(self, function):
        runs, k_end, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, far, n, floor = function.args
        names = ("entry", "run", "loop", "next_run", "done")
        entry, run, loop, next_run, done = (function.append_basic_block(name) for name in names)
        cells = [(i, j) for i in range(self.rows) for j in range(self.vectors)]

        builder = ir.IRBuilder(entry)
        a, b, init, c = (builder.inttoptr(p, self.scalar.as_pointer()) for p in (a, b, init, c))
        self.masks = self._masks(builder, n) if self.masked else None
        with builder.if_then(builder.icmp_signed("!=", init_row, I64(0))):
            for row in self._rows(builder, init, init_row):
                for j in range(self.vectors):
                    self._prefetch(builder, self._at(builder, row, j))
        start = [self.zero for _ in cells]
        offsets = [builder.mul(a_row, I64(i)) for i in range(self.rows)]
        results = self._rows(builder, c, c_row)
        past = builder.trunc(far, ir.IntType(1))
        with builder.if_then(builder.not_(past)):  # short sums are over before the cache has the lines they go to
            for i, j in cells:
                self._prefetch(builder, self._at(builder, results[i], j), write=1, near=3)
        some = builder.and_(builder.icmp_signed(">", k_end, I64(0)), builder.icmp_signed(">", runs, I64(0)))
        begun = builder.block
        builder.cbranch(some, run, done)

        builder = ir.IRBuilder(run)
        r, run_a, run_b = builder.phi(I64), builder.phi(a.type), builder.phi(b.type)
        before = [builder.phi(self.vector) for _ in cells]
        builder.branch(loop)

        builder = ir.IRBuilder(loop)
        k, at_a, at_b = builder.phi(I64), builder.phi(a.type), builder.phi(b.type)
        sums = [builder.phi(self.vector) for _ in cells]
        y = [self._load(builder, at_b, j) for j in range(self.vectors)]
        if not self.masked:
            ahead = builder.gep(at_b, [builder.mul(b_row, I64(AHEAD // self.rows))])
            for j in range(self.vectors):
                self._prefetch(builder, self._at(builder, ahead, j))
        new = []
        for i in range(self.rows):
            x = self._splat(builder, builder.load(builder.gep(at_a, [offsets[i]])))
            new += [self._fma(builder, x, y[j], sums[i * self.vectors + j]) for j in range(self.vectors)]
        steps = [(k, I64(0), builder.add(k, I64(1)))]
        steps += [(at_a, run_a, builder.gep(at_a, [a_col])), (at_b, run_b, builder.gep(at_b, [b_row]))]
        steps += zip(sums, before, new, strict=True)
        for phi, first, following in steps:
            phi.add_incoming(first, run)
            phi.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", steps[0][2], k_end), loop, next_run)

        builder = ir.IRBuilder(next_run)
        steps = [(r, I64(0), builder.add(r, I64(1)))]
        steps += [(run_a, a, builder.gep(run_a, [a_run])), (run_b, b, builder.gep(run_b, [b_run]))]
        steps += zip(before, start, new, strict=True)
        for phi, first, following in steps:
            phi.add_incoming(first, begun)
            phi.add_incoming(following, next_run)
        builder.cbranch(builder.icmp_signed("<", steps[0][2], runs), run, done)

        builder = ir.IRBuilder(done)
        totals = [builder.phi(self.vector) for _ in cells]
        for total, first, last in zip(totals, start, new, strict=True):
            total.add_incoming(first, begun)
            total.add_incoming(last, next_run)
        starts, floor = self._rows(builder, init, init_row), self._splat(builder, floor)
        totals = [
            builder.fadd(total, self._load(builder, starts[i], j)) for (i, j), total in zip(cells, totals, strict=True)
        ]
        # this order of arguments lets NaN pass, as one instruction (maxps) does
        kept = [builder.select(builder.fcmp_ordered(">", floor, total), floor, total) for total in totals]
        if not self.masked:
            with builder.if_then(past):
                for (i, j), value in zip(cells, kept, strict=True):
                    self._stream(builder, value, results[i], j)
                builder.ret_void()
        for (i, j), value in zip(cells, kept, strict=True):
            self._store(builder, value, results[i], j)
        builder.ret_void()


def _choice(module, number) -> ir.Function:
    """Emit the function that picks the tile: whole, masked, or masked and one vector wide; m = 1 ... TILE_ROWS rows."""
    name = f"window_tile.f{number.bitwidth}"
    if name in module.globals:
        return module.globals[name]
    tile = _Tile(module, number, 1, 1, False)
    function = ir.Function(module, ir.FunctionType(VOID, [I64] * (ARGUMENTS + 1) + [tile.scalar]), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    entry, end = function.append_basic_block(), function.append_basic_block()
    builder = ir.IRBuilder(entry)
    m, n = function.args[0], function.args[ARGUMENTS]
    shapes = [(TILE_VECTORS, False), (TILE_VECTORS, True), (1, True)]
    narrow = builder.select(builder.icmp_signed("<=", n, I64(tile.lanes)), I64(2), I64(1))
    shape = builder.select(builder.icmp_signed("==", n, I64(TILE_VECTORS * tile.lanes)), I64(0), narrow)
    switch = builder.switch(builder.add(builder.mul(shape, I64(TILE_ROWS)), m), end)
    for s, (vectors, masked) in enumerate(shapes):
        for rows in range(1, TILE_ROWS + 1):
            case = function.append_basic_block()
            builder = ir.IRBuilder(case)
            call = builder.call(_WindowTile(module, number, rows, vectors, masked).function(), function.args[1:])
            call.tail = "tail"
            builder.ret_void()
            switch.add_case(I64(s * TILE_ROWS + rows), case)
    ir.IRBuilder(end).ret_void()
    return function


@intrinsic
def window_tile(
    typing_context, number, m, runs, k, a, a_row, a_col, a_run, b, b_row, b_run, init, init_row, c, c_row, far, n, floor
):
    """Compute one tile of m <= TILE_ROWS rows and n <= TILE_VECTORS * lanes columns; touch nothing outside it.

    far: 1 if whole rows, which lie aligned then, are stored past the caches.
    """

    def codegen(context, builder, signature, values):
        builder.call(_choice(builder.module, number), values[1:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * (ARGUMENTS + 1), number), codegen
