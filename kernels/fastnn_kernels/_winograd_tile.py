"""The three transforms of Winograd's convolution F(m x m, 3 x 3), one vector of channels or filters at a time.

A tile of m x m outputs sees (m + 2)^2 inputs d. With g the filter, Y = A^T [(G g G^T) * (B^T d B)] A costs (m + 2)^2
products instead of 9 m^2 (Winograd 1980; Lavin and Gray 2015): 2.25 times fewer for m = 2, 4 times for m = 4. The
matrices are Toom and Cook's for the points 0, +-p ... and infinity. Points that come in pairs share their even and odd
parts, so that B^T d takes 12 instructions for m = 4, A^T 10.

Where the points lie decides the error (Barabasz, Anderson, Soodhalter and Gregg 2020): with 1/sqrt(2) and sqrt(2),
whose powers stay near 1, it is a third to a fifth of that with the textbook's 1 and 2.
"""

from math import prod, sqrt

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ._microkernel import I64, VOID, _Tile

POINTS = {2: (1.0,), 4: (sqrt(0.5), sqrt(2.0))}  # the positive ones, by m
SIZES = tuple(POINTS)


def _even(points, skip=None):
    """Return the coefficients, from the lowest, of the product of (x^2 - p^2), as a polynomial in x^2."""
    made = [1.0]
    for p in points:
        if p != skip:
            made = [
                (made[i - 1] if i else 0.0) - p * p * (made[i] if i < len(made) else 0.0) for i in range(len(made) + 1)
            ]
    return [round(c, 12) for c in made]  # 1/sqrt(2) * sqrt(2) is 1


class _Transform(_Tile):
    """Emits transforms of one size into a module."""

    def __init__(self, module, number, m, masked=False):
        super().__init__(module, number, 1, 1, masked)
        self.m, self.n, self.points = m, m + 2, POINTS[m]

    def sum(self, *terms):
        """Emit the sum of (coefficient, vector), the first with coefficient 1 at the start."""
        terms = [t for t in terms if t[0] != 0]
        first = next((t for t in terms if t[0] == 1), None)
        if first is None:
            first = terms[0]
            total = self.builder.fmul(self._constant(first[0], first[1].type), first[1])
        else:
            total = first[1]
        for term in terms:
            if term is first:
                continue
            if term[0] == 1:
                total = self.builder.fadd(total, term[1])
            elif term[0] == -1:
                total = self.builder.fsub(total, term[1])
            else:
                total = self._fma(self.builder, self._constant(term[0], total.type), term[1], total)
        return total

    @staticmethod
    def _constant(value, kind):
        return ir.Constant(kind, [value] * kind.count)

    def input(self, d):
        """Emit B^T d."""
        even, odd = d[0::2], d[1::2]
        whole = _even(self.points)
        made = [self.sum(*zip(whole, even, strict=True))]
        for p in self.points:
            rest = _even(self.points, p)
            s = self.sum(*zip(reversed(rest), reversed(even[1:]), strict=True))
            t = self.sum(*zip(reversed(rest), reversed(odd[:-1]), strict=True))
            made += [self.sum((1, s), (p, t)), self.sum((1, s), (-p, t))]
        return [*made, self.sum(*zip(whole, odd, strict=True))]

    def output(self, v):
        """Emit A^T v."""
        sums = [self.sum((1, v[i]), (1, v[i + 1])) for i in range(1, self.n - 1, 2)]
        differences = [self.sum((1, v[i]), (-1, v[i + 1])) for i in range(1, self.n - 1, 2)]
        made = []
        for power in range(self.m):
            terms = [
                (round(p**power, 12), v) for p, v in zip(self.points, differences if power % 2 else sums, strict=True)
            ]
            ends = [(1, v[0])] * (power == 0) + [(1, v[-1])] * (power == self.m - 1)
            made.append(self.sum(*ends, *terms))
        return made

    def filter(self, g):
        """Emit G g."""
        made = []
        for p in (0.0, *self.points):
            scale = 1 / prod(p - q for r in (0.0, *self.points) for q in {r, -r} if q != p)
            s = self.sum((scale, g[0]), (p * p * scale, g[2]))
            if p == 0:
                made.append(s)
            else:
                made += [self.sum((1, s), (p * scale, g[1])), self.sum((1, s), (-p * scale, g[1]))]
        return [*made, g[2]]

    def twice(self, transform, grid):
        """Emit a transform of the columns and then of the rows of a square of vectors."""
        columns = [transform([row[j] for row in grid]) for j in range(len(grid[0]))]
        return [transform([column[i] for column in columns]) for i in range(len(columns[0]))]

    def begin(self, name, arguments):
        """Open the function `name`, to be emitted; or None if it is there, and the function."""
        name = f"winograd_{name}_{self.m}{'_masked' * self.masked}.{self.suffix}"
        if name in self.module.globals:
            return self.module.globals[name], False
        function = ir.Function(self.module, ir.FunctionType(VOID, arguments), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        self.builder = ir.IRBuilder(function.append_basic_block())
        return function, True

    def pointer(self, address):
        return self.builder.inttoptr(address, self.scalar.as_pointer())

    def steps(self, pointer, step, count):
        """Return `count` pointers, `step` elements apart."""
        made = [pointer]
        for _ in range(count - 1):
            made.append(self.builder.gep(made[-1], [step]))
        return made

    def input_function(self):
        function, new = self.begin("input", [I64] * 5)
        if not new:
            return function
        source, row, column, target, step = function.args
        rows = self.steps(self.pointer(source), row, self.n)
        grid = [[self._load(self.builder, at, 0) for at in self.steps(r, column, self.n)] for r in rows]
        values = sum(self.twice(self.input, grid), [])
        for value, at in zip(values, self.steps(self.pointer(target), step, self.n**2), strict=True):
            self._store(self.builder, value, at, 0)
        self.builder.ret_void()
        return function

    def filter_function(self):
        function, new = self.begin("filter", [I64] * 4)
        if not new:
            return function
        source, row, target, step = function.args
        double = ir.VectorType(ir.DoubleType(), self.lanes)
        taps = [self._load(self.builder, at, 0) for at in self.steps(self.pointer(source), row, 9)]
        taps = [tap if tap.type == double else self.builder.fpext(tap, double) for tap in taps]
        self.suffix = f"v{self.lanes}f64"
        self.vector, single = double, self.vector
        values = sum(self.twice(self.filter, [taps[0:3], taps[3:6], taps[6:9]]), [])
        self.vector = single
        for value, at in zip(values, self.steps(self.pointer(target), step, self.n**2), strict=True):
            self._store(self.builder, value if single == double else self.builder.fptrunc(value, single), at, 0)
        self.builder.ret_void()
        return function

    def output_function(self):
        function, new = self.begin("output", [self.scalar] + [I64] * 9)
        if not new:
            return function
        floor, source, step, bias, target, row, column, rows, columns, n = function.args
        self.masks = self._masks(self.builder, n) if self.masked else None
        start = self._load(self.builder, self.pointer(bias), 0)
        masked, self.masked = self.masked, False
        flat = [self._load(self.builder, at, 0) for at in self.steps(self.pointer(source), step, self.n**2)]
        self.masked = masked
        values = self.twice(self.output, [flat[i * self.n : (i + 1) * self.n] for i in range(self.n)])
        floor = self._splat(self.builder, floor)
        end = function.append_basic_block()
        for i, at in enumerate(self.steps(self.pointer(target), row, self.m)):
            self._unless(self.builder.icmp_signed(">=", I64(i), rows), end, function)
            after = function.append_basic_block()
            for j, place in enumerate(self.steps(at, column, self.m)):
                if j:
                    self._unless(self.builder.icmp_signed(">=", I64(j), columns), after, function)
                total = self.builder.fadd(values[i][j], start)
                kept = self.builder.select(self.builder.fcmp_ordered(">", floor, total), floor, total)  # NaN passes
                self._store(self.builder, kept, place, 0)
            self.builder.branch(after)
            self.builder = ir.IRBuilder(after)
        self.builder.branch(end)
        ir.IRBuilder(end).ret_void()
        return function

    def _unless(self, condition, block, function):
        following = function.append_basic_block()
        self.builder.cbranch(condition, block, following)
        self.builder = ir.IRBuilder(following)


def _by_size(builder, module, number, size, emit, arguments):
    """Emit a call of the function that `emit(transform class of a size)` gives, by the value of `size`."""
    end = builder.append_basic_block()
    switch = builder.switch(size, end)
    for m in SIZES:
        block = builder.append_basic_block()
        switch.add_case(I64(m), block)
        with builder.goto_block(block):
            builder.call(emit(m), arguments)
            builder.branch(end)
    builder.position_at_end(end)


@intrinsic
def transform_input(typing_context, number, m, source, row, column, target, step):
    """Write B^T d B of one tile and vector of channels: (m + 2)^2 vectors, `step` apart. Strides are in elements."""

    def codegen(context, builder, signature, values):
        emit = lambda m: _Transform(builder.module, number, m).input_function()  # noqa: E731
        _by_size(builder, builder.module, number, values[1], emit, values[2:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 6), codegen


@intrinsic
def transform_filter(typing_context, number, m, source, row, target, step):
    """Write G g G^T of a vector of filters: 9 vectors `row` apart give (m + 2)^2, `step` apart. Rounded once."""

    def codegen(context, builder, signature, values):
        emit = lambda m: _Transform(builder.module, number, m).filter_function()  # noqa: E731
        _by_size(builder, builder.module, number, values[1], emit, values[2:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 5), codegen


@intrinsic
def transform_output(typing_context, floor, m, source, step, bias, target, row, column, rows, columns, n):
    """Write max(floor, bias + A^T v A) of one tile: `rows` x `columns` of its pixels, n filters, at most a vector."""

    def codegen(context, builder, signature, values):
        lanes = _Tile(builder.module, floor, 1, 1, False).lanes
        whole = builder.icmp_signed(">=", values[-1], I64(lanes))
        with builder.if_else(whole) as (full, part):
            for block, masked in ((full, False), (part, True)):
                with block:
                    emit = lambda m: _Transform(builder.module, floor, m, masked).output_function()  # noqa: B023, E731
                    _by_size(builder, builder.module, floor, values[1], emit, [values[0], *values[2:]])
        return context.get_dummy_value()

    return types.void(floor, *[types.intp] * 10), codegen
