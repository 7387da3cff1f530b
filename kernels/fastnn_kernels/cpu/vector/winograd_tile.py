"""The three transforms of Winograd's convolution F(m, r), generated from its points, one vector of channels at a time.

m results of a filter of r taps g see n = m + r - 1 numbers d: y = A^T [(G g) * (B^T d)] costs n products instead of
m r (Winograd 1980; Lavin and Gray 2015). The matrices are Toom and Cook's: numbers and taps are polynomials that are
evaluated, multiplied and put together again at n points, of which one may be infinity. Images have a transform for
their rows and one for their columns, F(4x4, 3x3) takes 36 products instead of 144; signals have one, F(1x4, 1x3).

Points that come in pairs +-p share their even and odd parts: six of them take 12 instructions for B^T d. Their values
decide the error (Barabasz, Anderson, Soodhalter and Gregg 2020): with 1/sqrt(2) and sqrt(2), whose powers stay near 1,
it is a third to a fifth of that with the textbook's 1 and 2.
"""

from math import prod, sqrt
from typing import NamedTuple

from numba import types
from numba.extending import intrinsic

from .emit import I64, Tile, before, constant, dispatch, fma, not_below

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
    product = [1.0]
    for p in points:
        product = [low - p * high for low, high in zip([0.0, *product], [*product, 0.0], strict=True)]
    return [round(c, 12) for c in product]  # 1/sqrt(2) * sqrt(2) is 1


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


class Transform(Tile):
    """Emits the transforms of one form into a module."""

    def __init__(self, module, number, form):
        super().__init__(module, number)
        self.form = form
        # of columns, then of rows
        self.output, self.filter, self.input = zip(
            matrices(form.rows, form.taps[0]), matrices(form.columns, form.taps[1]), strict=True
        )

    def sum(self, builder, *terms):
        """Emit the sum of (coefficient, vector), the first with coefficient 1 at the start."""
        terms = [t for t in terms if t[0] != 0]
        first = next((t for t in terms if t[0] == 1), None)
        if first is None:
            first = terms[0]
            total = builder.fmul(self.filled(first[0]), first[1])
        else:
            total = first[1]
        for term in terms:
            if term is first:
                continue
            if term[0] == 1:
                total = builder.fadd(total, term[1])
            elif term[0] == -1:
                total = builder.fsub(total, term[1])
            else:
                total = fma(builder, self.filled(term[0]), term[1], total)
        return total

    def filled(self, value):
        """Return a vector full of a constant."""
        return constant(self.scalar, [value] * self.lanes)

    def times(self, builder, matrix, vectors):
        """Emit a matrix times vectors. What neighbours among its columns or rows have in common is computed once."""
        columns, vectors = [list(c) for c in zip(*matrix, strict=True)], list(vectors)
        for j in range(len(columns) - 1):
            x, y = columns[j : j + 2]
            if _alike(x, y):
                vectors[j : j + 2] = [self.sum(builder, (1, vectors[j]), (s, vectors[j + 1])) for s in (1, -1)]
                columns[j] = [c if c == d else 0 for c, d in zip(x, y, strict=True)]
                columns[j + 1] = [c if c != d else 0 for c, d in zip(x, y, strict=True)]
        rows, results = [list(r) for r in zip(*columns, strict=True)], []
        while len(results) < len(rows):
            row, following = rows[len(results)], rows[len(results) + 1 : len(results) + 2]
            if following and _alike(row, following[0]):
                odd = [c if c != d else 0 for c, d in zip(row, following[0], strict=True)]
                p = next(c for c in odd if c)
                s = self.sum(builder, *((c - d, v) for c, d, v in zip(row, odd, vectors, strict=True)))
                t = self.sum(builder, *((round(c / p, 12), v) for c, v in zip(odd, vectors, strict=True)))
                results += [self.sum(builder, (1, s), (p, t)), self.sum(builder, (1, s), (-p, t))]
            else:
                results.append(self.sum(builder, *zip(row, vectors, strict=True)))
        return results

    def twice(self, builder, transforms, grid):
        """Emit a transform of the columns and then one of the rows of a rectangle of vectors."""
        columns = [self.times(builder, transforms[0], column) for column in zip(*grid, strict=True)]
        return [self.times(builder, transforms[1], row) for row in zip(*columns, strict=True)]

    def steps(self, builder, pointer, step, count):
        """Return `count` pointers, `step` elements apart."""
        pointers = [pointer]
        for _ in range(count - 1):
            pointers.append(builder.gep(pointers[-1], [step]))
        return pointers

    def grid(self, builder, source, row, column, shape):
        """Load a rectangle of vectors, whose rows and columns are `row` and `column` elements apart."""
        rows = self.steps(builder, self.pointer(builder, source), row, shape[0])
        return [[self.load(builder, at) for at in self.steps(builder, start, column, shape[1])] for start in rows]

    def write(self, builder, grid, target, step):
        """Store a rectangle of vectors, one after the other `step` elements apart."""
        values = sum(grid, [])
        for value, at in zip(
            values, self.steps(builder, self.pointer(builder, target), step, len(values)), strict=True
        ):
            self.store(builder, value, at)

    def input_function(self):
        """Return the function (source, row, column, target, step): B^T d B of what a tile sees."""

        def emit(builder, source, row, column, target, step):
            grid = self.grid(builder, source, row, column, self.form.sides)
            self.write(builder, self.twice(builder, self.input, grid), target, step)

        return self.once(f"winograd_input_{self.form}", [I64] * 5, emit)

    def filter_function(self):
        """Return the function (source, row, column, target, step): G g G^T of a filter."""

        def emit(builder, source, row, column, target, step):
            grid = self.grid(builder, source, row, column, self.form.taps)
            self.write(builder, self.twice(builder, self.filter, grid), target, step)

        return self.once(f"winograd_filter_{self.form}", [I64] * 5, emit)

    def taps_function(self):
        """Return the function (source, step, target): A^T s A of sums `step` apart, one vector after the other."""

        def emit(builder, source, step, target):
            sides = self.form.sides
            grid = self.grid(builder, source, builder.mul(step, I64(sides[1])), step, sides)
            self.write(builder, self.twice(builder, self.output, grid), target, I64(self.lanes))

        return self.once(f"winograd_taps_{self.form}", [I64] * 3, emit)

    def output_function(self, masked):
        """Return the function max(floor, bias + A^T v A), of `rows` x `columns` results and, masked, n lanes."""

        def emit(builder, floor, source, step, bias, target, row, column, rows, columns, n):
            mask = before(builder, n, self.lanes)[0] if masked else None
            start = self.load(builder, self.pointer(builder, bias), mask=mask)
            width, sides = self.form.columns, self.form.sides
            flat = [
                self.load(builder, at) for at in self.steps(builder, self.pointer(builder, source), step, prod(sides))
            ]
            values = self.twice(builder, self.output, [flat[i : i + sides[1]] for i in range(0, len(flat), sides[1])])
            floor, end = self.splat(builder, floor), builder.append_basic_block()
            for i, at in enumerate(self.steps(builder, self.pointer(builder, target), row, self.form.rows)):
                _leave(builder, builder.icmp_signed(">=", I64(i), rows), end)
                after = builder.append_basic_block()
                for j, place in enumerate(self.steps(builder, at, column, width)):
                    if j:
                        _leave(builder, builder.icmp_signed(">=", I64(j), columns), after)
                    total = builder.fadd(values[i][j], start)
                    self.store(builder, not_below(builder, floor, total), place, mask=mask)
                builder.branch(after)
                builder.position_at_end(after)
            builder.branch(end)
            builder.position_at_end(end)

        return self.once(f"winograd_output_{self.form}{'_masked' * masked}", [self.scalar] + [I64] * 9, emit)


def _leave(builder, condition, block):
    """Go to a block if a condition holds."""
    following = builder.append_basic_block()
    builder.cbranch(condition, block, following)
    builder.position_at_end(following)


def by_form(name, forms, function):
    """Return the codegen that calls function(transform) for the form which the second argument is the index of."""

    def codegen(context, builder, signature, values):
        number, (_, key, *values) = signature.args[0], values
        cases = {i: function(Transform(builder.module, number, form)) for i, form in enumerate(forms)}
        dispatch(builder, f"winograd_{name}.{number}", key, cases, values)
        return context.get_dummy_value()

    return codegen


@intrinsic
def transform_input(typing_context, number, form, source, row, column, target, step):
    """Write B^T d B of one tile and vector of channels: as many vectors as it sees pixels, `step` apart.

    form: an index in FORMS. Strides are in elements.
    """
    return types.void(number, *[types.intp] * 6), by_form("input", FORMS, Transform.input_function)


@intrinsic
def transform_filter(typing_context, number, form, source, row, column, target, step):
    """Write G g G^T of a vector of filters: as many vectors as a tile sees pixels, `step` apart."""
    return types.void(number, *[types.intp] * 6), by_form("filter", FORMS, Transform.filter_function)


@intrinsic
def transform_output(typing_context, floor, form, source, step, bias, target, row, column, rows, columns, n):
    """Write max(floor, bias + A^T v A) of one tile: `rows` x `columns` of its pixels, n filters, at most a vector."""

    def codegen(context, builder, signature, values):
        floor, form, *rest = values
        whole = builder.icmp_signed(">=", values[-1], I64(Tile(builder.module, signature.args[0]).lanes))
        with builder.if_else(whole) as (full, part):
            for block, masked in ((full, False), (part, True)):
                with block:
                    call = by_form(f"output{masked}", FORMS, lambda t: t.output_function(masked))  # noqa: B023
                    call(context, builder, signature, [None, form, floor, *rest])
        return context.get_dummy_value()

    return types.void(floor, *[types.intp] * 10), codegen
