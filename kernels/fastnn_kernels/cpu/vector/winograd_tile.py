"""The three transforms of Winograd's convolution F(m, r), generated from its points, one vector of channels at a time.

m results of a filter of r taps g see n = m + r - 1 numbers d: y = A^T [(G g) * (B^T d)] costs n products instead of
m r (Winograd 1980; Lavin and Gray 2015). The matrices are Toom and Cook's: numbers and taps are polynomials that are
evaluated, multiplied and put together again at n points, of which one may be infinity. Images have a transform for
their rows and one for their columns, F(4x4, 3x3) takes 36 products instead of 144; signals have one, F(1x4, 1x3).

Points that come in pairs +-p share their even and odd parts: six of them take 12 instructions for B^T d. Where they lie
decides the error (Barabasz, Anderson, Soodhalter and Gregg 2020): with 1/sqrt(2) and sqrt(2), whose powers stay near 1,
it is a third to a fifth of that with the textbook's 1 and 2.
"""

from math import prod, sqrt
from typing import NamedTuple

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm_tile import I64, VOID, _Tile

POINTS = {  # by their number: p for +-p, and infinity where one is missing
    1: (0.0,),
    3: (0.0, 1.0),
    4: (0.0, 1.0),
    5: (0.45, 1.2),
    6: (0.0, sqrt(0.5), sqrt(2.0)),
}


class Form(NamedTuple):
    """F(rows x columns, taps): the tiles of results, and the kernel that they are for."""

    rows: int
    columns: int
    taps: tuple[int, int]

    @property
    def sides(self):
        """Return how many rows and columns of the image a tile sees."""
        return self.rows + self.taps[0] - 1, self.columns + self.taps[1] - 1

    def __str__(self):
        return f"F({self.rows}x{self.columns}, {self.taps[0]}x{self.taps[1]})"


FORMS = (
    Form(2, 2, (3, 3)),
    Form(4, 4, (3, 3)),
    Form(1, 4, (1, 3)),
    Form(4, 1, (3, 1)),
    Form(2, 2, (2, 2)),
    Form(4, 4, (2, 2)),
    Form(1, 4, (1, 2)),
    Form(4, 1, (2, 1)),
    Form(2, 2, (5, 5)),
)


def _product(points):
    """Return the coefficients, from the lowest, of the product of all (x - p)."""
    made = [1.0]
    for p in points:
        made = [low - p * high for low, high in zip([0.0, *made], [*made, 0.0], strict=True)]
    return [round(c, 12) for c in made]  # 1/sqrt(2) * sqrt(2) is 1


def matrices(m, r):
    """Return A^T, G and B^T of F(m, r) as lists of rows."""
    n = m + r - 1
    points = [s * p for p in POINTS[n] for s in ((1, -1) if p else (1,))]
    others = [[q for q in points if q != p] for p in points]
    a = [[round(p**i, 12) for p in points] for i in range(m)]
    g = [[p**k / prod(p - q for q in rest) for k in range(r)] for p, rest in zip(points, others, strict=True)]
    b = [_product(rest) for rest in others]
    if len(points) < n:
        a = [[*row, float(i == m - 1)] for i, row in enumerate(a)]
        g.append([float(k == r - 1) for k in range(r)])
        b = [[*row, 0.0] for row in b] + [_product(points)]
    return a, g, b


def _alike(x, y):
    """Return whether two rows differ only in signs."""
    return x != y and [abs(c) for c in x] == [abs(c) for c in y]


class _Transform(_Tile):
    """Emits transforms of one form into a module."""

    def __init__(self, module, number, form, masked=False):
        super().__init__(module, number, 1, 1, masked)
        self.form = form
        # of columns, then of rows
        self.output, self.filter, self.input = zip(
            matrices(form.rows, form.taps[0]), matrices(form.columns, form.taps[1]), strict=True
        )

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

    def times(self, matrix, vectors):
        """Emit a matrix times vectors. What neighbours among its columns or rows have in common is computed once."""
        columns, vectors = [list(c) for c in zip(*matrix, strict=True)], list(vectors)
        for j in range(len(columns) - 1):
            x, y = columns[j : j + 2]
            if _alike(x, y):
                vectors[j : j + 2] = [self.sum((1, vectors[j]), (s, vectors[j + 1])) for s in (1, -1)]
                columns[j] = [c if c == d else 0 for c, d in zip(x, y, strict=True)]
                columns[j + 1] = [c if c != d else 0 for c, d in zip(x, y, strict=True)]
        rows, made = [list(r) for r in zip(*columns, strict=True)], []
        while len(made) < len(rows):
            row, following = rows[len(made)], rows[len(made) + 1 : len(made) + 2]
            if following and _alike(row, following[0]):
                odd = [c if c != d else 0 for c, d in zip(row, following[0], strict=True)]
                p = next(c for c in odd if c)
                s = self.sum(*((c - d, v) for c, d, v in zip(row, odd, vectors, strict=True)))
                t = self.sum(*((round(c / p, 12), v) for c, v in zip(odd, vectors, strict=True)))
                made += [self.sum((1, s), (p, t)), self.sum((1, s), (-p, t))]
            else:
                made.append(self.sum(*zip(row, vectors, strict=True)))
        return made

    def twice(self, transforms, grid):
        """Emit a transform of the columns and then one of the rows of a rectangle of vectors."""
        columns = [self.times(transforms[0], column) for column in zip(*grid, strict=True)]
        return [self.times(transforms[1], row) for row in zip(*columns, strict=True)]

    def begin(self, name, arguments):
        """Open the function `name`, to be emitted; or None if it is there, and the function."""
        name = f"winograd_{name}_{self.form}{'_masked' * self.masked}.{self.suffix}"
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
        height, width = self.form.sides
        rows = self.steps(self.pointer(source), row, height)
        grid = [[self._load(self.builder, at, 0) for at in self.steps(r, column, width)] for r in rows]
        values = sum(self.twice(self.input, grid), [])
        for value, at in zip(values, self.steps(self.pointer(target), step, height * width), strict=True):
            self._store(self.builder, value, at, 0)
        self.builder.ret_void()
        return function

    def filter_function(self):
        function, new = self.begin("filter", [I64] * 5)
        if not new:
            return function
        source, row, column, target, step = function.args
        rows = self.steps(self.pointer(source), row, self.form.taps[0])
        grid = [[self._load(self.builder, at, 0) for at in self.steps(r, column, self.form.taps[1])] for r in rows]
        values = sum(self.twice(self.filter, grid), [])
        for value, at in zip(values, self.steps(self.pointer(target), step, prod(self.form.sides)), strict=True):
            self._store(self.builder, value, at, 0)
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
        number, side = prod(self.form.sides), self.form.sides[1]
        flat = [self._load(self.builder, at, 0) for at in self.steps(self.pointer(source), step, number)]
        self.masked = masked
        values = self.twice(self.output, [flat[i : i + side] for i in range(0, number, side)])
        floor = self._splat(self.builder, floor)
        end = function.append_basic_block()
        for i, at in enumerate(self.steps(self.pointer(target), row, self.form.rows)):
            self._unless(self.builder.icmp_signed(">=", I64(i), rows), end, function)
            after = function.append_basic_block()
            for j, place in enumerate(self.steps(at, column, self.form.columns)):
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


def _by_form(builder, number, emit, arguments):
    """Emit a call of the function that `emit(form)` gives, by the place of the form in FORMS."""
    end = builder.append_basic_block()
    switch = builder.switch(number, end)
    for i, form in enumerate(FORMS):
        block = builder.append_basic_block()
        switch.add_case(I64(i), block)
        with builder.goto_block(block):
            builder.call(emit(form), arguments)
            builder.branch(end)
    builder.position_at_end(end)


@intrinsic
def transform_input(typing_context, number, form, source, row, column, target, step):
    """Write B^T d B of one tile and vector of channels: as many vectors as it sees pixels, `step` apart.

    form: a place in FORMS. Strides are in elements.
    """

    def codegen(context, builder, signature, values):
        emit = lambda form: _Transform(builder.module, number, form).input_function()  # noqa: E731
        _by_form(builder, values[1], emit, values[2:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 6), codegen


@intrinsic
def transform_filter(typing_context, number, form, source, row, column, target, step):
    """Write G g G^T of a vector of filters: as many vectors as a tile sees pixels, `step` apart."""

    def codegen(context, builder, signature, values):
        emit = lambda form: _Transform(builder.module, number, form).filter_function()  # noqa: E731
        _by_form(builder, values[1], emit, values[2:])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * 6), codegen


@intrinsic
def transform_output(typing_context, floor, form, source, step, bias, target, row, column, rows, columns, n):
    """Write max(floor, bias + A^T v A) of one tile: `rows` x `columns` of its pixels, n filters, at most a vector."""

    def codegen(context, builder, signature, values):
        lanes = _Tile(builder.module, floor, 1, 1, False).lanes
        whole = builder.icmp_signed(">=", values[-1], I64(lanes))
        with builder.if_else(whole) as (full, part):
            for block, masked in ((full, False), (part, True)):
                with block:
                    emit = lambda form: _Transform(builder.module, floor, form, masked).output_function()  # noqa: B023, E731
                    _by_form(builder, values[1], emit, [values[0], *values[2:]])
        return context.get_dummy_value()

    return types.void(floor, *[types.intp] * 10), codegen
