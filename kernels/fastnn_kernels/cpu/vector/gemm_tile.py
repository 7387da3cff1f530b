"""The generator of matmul micro-kernels: C[m, n] = init[m, n] + A[m, k] @ B[k, n] for one tile held in registers.

The accumulators are phi nodes of vector type, so LLVM keeps them in registers; the k-loop is one fma per accumulator,
one load per vector of B and one broadcast per row of A. A is read through two strides, B through one (its rows are
contiguous), so packed panels and arrays in place are the same to it. `init` is C itself to accumulate, a bias row
(row stride 0), a row of zeros, or anything else of the tile's shape.

Every element is summed in the order of k, by one fma at a time, whatever the tile's shape: results have the same bits
however a product is cut into tiles.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .simd import _float_type, features, vector_bytes, vector_registers

I64, I32, VOID = ir.IntType(64), ir.IntType(32), ir.VoidType()
# The largest tile that leaves registers for one row of B and one broadcast: 14 x 2 vectors of 32, 6 x 2 of 16.
TILE_VECTORS = 2
TILE_ROWS = (vector_registers() - 1) // TILE_VECTORS - 1
HAS_FMA = bool({"fma", "neon", "fp-armv8"} & features())
# How many panel rows ahead a tile of few rows fetches B into the second-level cache: so far is memory from there.
AHEAD_PACKED, AHEAD_IN_PLACE = 64, 2
# k: length of the sum; a, b, init, c: addresses; *_row, *_col: strides in elements; n: columns of a masked tile.
TILE = ir.FunctionType(VOID, [I64] * 11)


class _Tile:
    """Emits the function of one tile shape into a module."""

    def __init__(self, module, number, rows: int, vectors: int, masked: bool):
        self.module, self.rows, self.vectors, self.masked = module, rows, vectors, masked
        self.scalar = _float_type(number)
        self.align = number.bitwidth // 8
        self.lanes = vector_bytes() // self.align
        self.vector = ir.VectorType(self.scalar, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.suffix = f"v{self.lanes}f{number.bitwidth}"
        self.name, self.kind = f"tile_{rows}x{vectors}{'_masked' * masked}.{self.suffix}", TILE

    def function(self) -> ir.Function:
        """Return the tile's function, emitted into the module at the first use."""
        if self.name in self.module.globals:
            return self.module.globals[self.name]
        function = ir.Function(self.module, self.kind, self.name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        self._emit(function)
        return function

    def _emit(self, function):
        k_end, a, a_row, a_col, b, b_row, init, init_row, c, c_row, n = function.args
        entry, loop, done = (function.append_basic_block(name) for name in ("entry", "loop", "done"))
        builder = ir.IRBuilder(entry)
        a, b, init, c = (builder.inttoptr(p, self.scalar.as_pointer()) for p in (a, b, init, c))
        self.masks = self._masks(builder, n) if self.masked else None
        start = [
            [self._load(builder, row, j) for j in range(self.vectors)] for row in self._rows(builder, init, init_row)
        ]
        offsets = [builder.mul(a_row, I64(i)) for i in range(self.rows)]
        if (
            self.masked
        ):  # few rows: B comes from far away; in place, the panels behind this one are the rest of its rows
            panel = I64(self.vectors * self.lanes)
            packed = builder.icmp_signed("==", b_row, panel)
            ahead = builder.mul(panel, builder.select(packed, I64(AHEAD_PACKED), I64(AHEAD_IN_PLACE)))
        builder.cbranch(builder.icmp_signed(">", k_end, I64(0)), loop, done)

        builder = ir.IRBuilder(loop)
        k, pa, pb = builder.phi(I64), builder.phi(a.type), builder.phi(b.type)
        sums = [[builder.phi(self.vector) for _ in row] for row in start]
        b_row_vectors = [self._load(builder, pb, j) for j in range(self.vectors)]
        if self.masked:
            for j in range(0, self.vectors, max(1, 64 // vector_bytes())):
                self._prefetch(builder, self._at(builder, builder.gep(pb, [ahead]), j))
        new = []
        for i in range(self.rows):
            x = self._splat(builder, builder.load(builder.gep(pa, [offsets[i]])))
            new.append([self._fma(builder, x, y, s) for y, s in zip(b_row_vectors, sums[i], strict=True)])
        k_next = builder.add(k, I64(1))
        steps = [(k, I64(0), k_next), (pa, a, builder.gep(pa, [a_col])), (pb, b, builder.gep(pb, [b_row]))]
        for i in range(self.rows):
            steps += zip(sums[i], start[i], new[i], strict=True)
        for phi, first, following in steps:
            phi.add_incoming(first, entry)
            phi.add_incoming(following, loop)
        builder.cbranch(builder.icmp_signed("<", k_next, k_end), loop, done)

        builder = ir.IRBuilder(done)
        sums = [[builder.phi(self.vector) for _ in row] for row in start]
        for i in range(self.rows):
            for phi, first, last in zip(sums[i], start[i], new[i], strict=True):
                phi.add_incoming(first, entry)
                phi.add_incoming(last, loop)
        for i, row in enumerate(self._rows(builder, c, c_row)):
            for j in range(self.vectors):
                self._store(builder, sums[i][j], row, j)
        builder.ret_void()

    def _rows(self, builder, pointer, stride):
        return [builder.gep(pointer, [builder.mul(stride, I64(i))]) for i in range(self.rows)]

    def _masks(self, builder, n):
        """Return a mask per vector: lanes left of column n."""
        column = ir.VectorType(I64, self.lanes)
        ends = self._splat(builder, n)
        return [
            builder.icmp_signed("<", ir.Constant(column, [j * self.lanes + i for i in range(self.lanes)]), ends)
            for j in range(self.vectors)
        ]

    def _call(self, builder, name, result, *args):
        kind = ir.FunctionType(result, [arg.type for arg in args])
        return builder.call(cgutils.get_or_insert_function(self.module, kind, name), args)

    def _splat(self, builder, value):
        undefined = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        lane = builder.insert_element(undefined, value, I32(0))
        return builder.shuffle_vector(lane, undefined, ir.Constant(ir.VectorType(I32, self.lanes), [0] * self.lanes))

    def _fma(self, builder, x, y, z):
        # without the instruction it is a product and a sum, but still one operation that no optimizer takes apart
        name = "fma" if HAS_FMA else "fmuladd"
        return self._call(builder, f"llvm.{name}.{self.suffix}", self.vector, x, y, z)

    def _prefetch(self, builder, pointer, write=0, near=2):
        """Ask for a line, as a rule to read it from the second-level cache (near=3: the first)."""
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(VOID, [byte, I32, I32, I32])
        fetch = cgutils.get_or_insert_function(self.module, kind, "llvm.prefetch.p0")
        builder.call(fetch, [builder.bitcast(pointer, byte), I32(write), I32(near), I32(1)])

    def _at(self, builder, pointer, j):
        return builder.bitcast(builder.gep(pointer, [I64(j * self.lanes)]), self.vector.as_pointer())

    def _load(self, builder, pointer, j):
        """Load vector j of a row; lanes behind the last column are zero and are not touched."""
        pointer = self._at(builder, pointer, j)
        if not self.masked:
            return builder.load(pointer, align=self.align)
        name = f"llvm.masked.load.{self.suffix}.p0"
        return self._call(builder, name, self.vector, pointer, I32(self.align), self.masks[j], self.zero)

    def _store(self, builder, value, pointer, j):
        pointer = self._at(builder, pointer, j)
        if not self.masked:
            builder.store(value, pointer, align=self.align)
            return
        name = f"llvm.masked.store.{self.suffix}.p0"
        self._call(builder, name, VOID, value, pointer, I32(self.align), self.masks[j])

    def _stream(self, builder, value, pointer, j):
        """Store a vector, which lies aligned, past the caches: nobody will find it there when it is read."""
        stored = builder.store(value, self._at(builder, pointer, j), align=vector_bytes())
        stored.set_metadata("nontemporal", self.module.add_metadata([I32(1)]))


def switch(builder, name, radices, cases, values) -> None:
    """Call the tile that the first values choose (as digits of a number with the given radices) with the others.

    cases: pairs of such digits and a tile. The choice is a function of its own, one per module, however many callers.
    """
    module = builder.module
    if name in module.globals:
        builder.call(module.globals[name], values)
        return
    digits, (_, first) = len(radices), cases[0]
    function = ir.Function(module, ir.FunctionType(VOID, [I64] * digits + list(first.kind.args)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder.call(function, values)
    entry, end = function.append_basic_block(), function.append_basic_block()
    builder = ir.IRBuilder(entry)
    number = I64(0)
    for digit, radix in zip(function.args, radices, strict=False):
        number = builder.add(builder.mul(number, I64(radix)), digit)
    choice = builder.switch(number, end)
    for key, tile in cases:
        place = 0
        for digit, radix in zip(key, radices, strict=True):
            place = place * radix + digit
        case = function.append_basic_block()
        builder = ir.IRBuilder(case)
        builder.call(tile.function(), function.args[digits:]).tail = "tail"
        builder.ret_void()
        choice.add_case(I64(place), case)
    ir.IRBuilder(end).ret_void()


@intrinsic
def full_tile(typing_context, number, k, a, a_row, a_col, b, b_row, init, init_row, c, c_row):
    """Compute one tile of TILE_ROWS rows and TILE_VECTORS vectors."""

    def codegen(context, builder, signature, values):
        tile = _Tile(builder.module, number, TILE_ROWS, TILE_VECTORS, masked=False)
        builder.call(tile.function(), [*values[1:], I64(0)])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 10), codegen


@intrinsic
def edge_tile(typing_context, number, m, k, a, a_row, a_col, b, b_row, init, init_row, c, c_row, n):
    """Compute one tile of m <= TILE_ROWS rows and n <= TILE_VECTORS * lanes columns; touch nothing outside it."""
    return types.void(number, *[types.intp] * 12), _chosen("edge_tile", TILE_VECTORS)


@intrinsic
def narrow_tile(typing_context, number, m, k, a, a_row, a_col, b, b_row, init, init_row, c, c_row, n):
    """Compute one tile of m <= TILE_ROWS rows and n <= lanes columns; touch nothing outside it."""
    return types.void(number, *[types.intp] * 12), _chosen("narrow_tile", 1)


def _chosen(name, vectors):
    """Return the codegen that calls the masked tile of m rows, so many vectors wide."""

    def codegen(context, builder, signature, values):
        number = signature.args[0]
        tiles = [((m,), _Tile(builder.module, number, m, vectors, masked=True)) for m in range(1, TILE_ROWS + 1)]
        switch(builder, f"{name}.f{number.bitwidth}", (TILE_ROWS + 1,), tiles, values[1:])
        return context.get_dummy_value()

    return codegen


def _transpose(tile, builder, source, source_row, target, target_row, row_masks):
    """Emit the transpose of a block of lanes x lanes elements, log2(lanes) rounds of shuffles in registers.

    row_masks: the masks with which to load and to store each row, or None.
    """
    lanes = tile.lanes
    source, target = (builder.inttoptr(p, tile.scalar.as_pointer()) for p in (source, target))
    rows = []
    for i in range(lanes):
        tile.masks = row_masks and [row_masks[0][i]]
        rows.append(tile._load(builder, builder.gep(source, [builder.mul(source_row, I64(i))]), 0))
    mask_type = ir.VectorType(I32, lanes)
    # Eklundh: round s swaps, in each pair of rows i and i + s, the upper s of every 2 s lanes with the lower s
    s = lanes // 2
    while s:
        low = ir.Constant(mask_type, [j if not j & s else lanes + (j - s) for j in range(lanes)])
        high = ir.Constant(mask_type, [j + s if not j & s else lanes + j for j in range(lanes)])
        for i in range(lanes):
            if not i & s:
                upper, lower = rows[i], rows[i + s]
                rows[i] = builder.shuffle_vector(upper, lower, low)
                rows[i + s] = builder.shuffle_vector(upper, lower, high)
        s //= 2
    for i in range(lanes):
        tile.masks = row_masks and [row_masks[1][i]]
        tile._store(builder, rows[i], builder.gep(target, [builder.mul(target_row, I64(i))]), 0)


@intrinsic
def transpose_block(typing_context, number, source, source_row, target, target_row):
    """Write the transpose of a block of lanes x lanes elements."""

    def codegen(context, builder, signature, values):
        tile = _Tile(builder.module, number, 1, 1, masked=False)
        _transpose(tile, builder, *values[1:], None)
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 4), codegen


@intrinsic
def transpose_edge(typing_context, number, source, source_row, target, target_row, rows, columns):
    """Write the transpose of a block of rows x columns elements, at most lanes of either; touch nothing outside it."""

    def codegen(context, builder, signature, values):
        tile = _Tile(builder.module, number, 1, 1, masked=True)
        rows, columns = values[5:]
        none = ir.Constant(ir.VectorType(ir.IntType(1), tile.lanes), [0] * tile.lanes)

        def masks(count, length):
            (whole,) = tile._masks(builder, length)
            return [builder.select(builder.icmp_signed("<", I64(i), count), whole, none) for i in range(tile.lanes)]

        _transpose(tile, builder, *values[1:5], (masks(rows, columns), masks(columns, rows)))
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 6), codegen


def _copy(vectors_for):
    """Return the codegen of a copy of n numbers, filled up with zeros to a whole number of vectors."""

    def codegen(context, builder, signature, values):
        number = signature.args[0]
        vectors = vectors_for(_Tile(builder.module, number, 1, 1, False).lanes)

        def copy(masked):
            tile = _Tile(builder.module, number, 1, vectors, masked)
            source, target = (builder.inttoptr(values[i], tile.scalar.as_pointer()) for i in (1, 2))
            tile.masks = tile._masks(builder, values[3])
            loaded = [tile._load(builder, source, j) for j in range(vectors)]
            tile.masked = False
            for j, value in enumerate(loaded):
                tile._store(builder, value, target, j)

        whole = I64(vectors * _Tile(builder.module, number, 1, 1, False).lanes)
        with builder.if_else(builder.icmp_signed("==", values[3], whole)) as (full, part):
            with full:
                copy(False)
            with part:
                copy(True)
        return context.get_dummy_value()

    return codegen


@intrinsic
def copy_panel_row(typing_context, number, source, target, n):
    """Copy n numbers into a row of a panel of B, TILE_VECTORS vectors long; what is behind them becomes zero."""
    return types.void(number, *[types.intp] * 3), _copy(lambda lanes: TILE_VECTORS)


@intrinsic
def copy_tile_column(typing_context, number, source, target, n):
    """Copy n <= TILE_ROWS numbers into a column of a tile of A, stored in whole vectors; the rest becomes zero."""
    return types.void(number, *[types.intp] * 3), _copy(lambda lanes: -(-TILE_ROWS // lanes))
