"""The micro-kernels of depthwise convolution: sums over the taps of a window, a vector of neighbours at a time.

A lane is a column of a plane or a channel of a pixel, whichever is contiguous: only the steps and the weights differ. A
strip is `count` vectors in each of up to STRIP_ROWS rows of the output. All their windows see the
input at the same offsets (in numbers, one per tap). Small square windows that move down by one row are unrolled: a
vector of the input is loaded once for all rows that see it. Other windows loop over their taps.

Vectors are stored up to lane n, the last one of a row up to n_last. Every sum goes through the taps in order, by one
fma at a time, so cutting rows into strips does not change a bit.
"""

from numba import types
from numba.extending import intrinsic

from .emit import I32, I64, Tile, before, constant, dispatch, fma, loop, not_below, shuffle

STRIP_ROWS = 4
UNROLLED = (3, 5)  # windows of 3x3 and 5x5
SUM_TAPS = 5  # taps of any window whose sums are kept in registers at a time
SUM_ROWS = 2  # rows of dy that share the rows of the input under an unrolled window
# tiles, count, x, x_step, x_row, offsets, taps, w, w_row, bias, y, y_step, y_row, n, n_last; then floor
STRIP = 15
SUMS = 12  # tiles, count, x, x_step, x_row, offsets, dy, dy_step, dy_row, n, n_last, sums


class _Strip(Tile):
    """Emits the functions of one dtype into a module."""

    def number_at(self, builder, address, offset=None):
        """Return the pointer to a number at an address, or `offset` numbers behind it."""
        pointer = self.pointer(builder, address)
        return pointer if offset is None else builder.gep(pointer, [offset])

    def mask(self, builder, n):
        """Return which lanes come before lane n."""
        return before(builder, n, self.lanes)[0]

    def offset(self, builder, table, k):
        """Return number k of a table of offsets."""
        return builder.load(builder.gep(builder.inttoptr(table, I64.as_pointer()), [k]))

    def strip(self, rows, kernel):
        """Return the function of strips under each other; kernel: the size of an unrolled window, 0 for any taps."""

        def emit(
            builder, tiles, count, x, x_step, x_row, offsets, taps, w, w_row, bias, y, y_step, y_row, n, n_last, floor
        ):
            lanes = self.mask(builder, n)
            start = self.load(builder, self.pointer(builder, bias), mask=lanes)
            floor = self.splat(builder, floor)
            columns = [self.offset(builder, offsets, I64(s)) for s in range(kernel)]

            def weight(builder, k):
                return self.load(builder, self.number_at(builder, w, builder.mul(w_row, k)), mask=lanes)

            weights = {(r, s): weight(builder, I64(r * kernel + s)) for r in range(kernel) for s in range(kernel)}

            def unrolled(builder, at):
                sums = [start] * rows
                for q in range(rows + kernel - 1):
                    row = builder.gep(at, [builder.mul(x_row, I64(q))])
                    for s in range(kernel):
                        value = self.load(builder, builder.gep(row, [columns[s]]))
                        for r in range(max(0, q - rows + 1), min(kernel, q + 1)):
                            sums[q - r] = fma(builder, value, weights[r, s], sums[q - r])
                return sums

            def looped(builder, at):
                def tap(builder, k, sums):
                    factor = weight(builder, k)
                    seen = self.rows(builder, builder.gep(at, [self.offset(builder, offsets, k)]), x_row, rows)
                    values = [self.load(builder, row) for row in seen]
                    return [fma(builder, v, factor, s) for v, s in zip(values, sums, strict=True)]

                return loop(builder, taps, [start] * rows, tap, nonempty=True)

            def vector(builder, t, places):
                at, target = places
                sums = unrolled(builder, at) if kernel else looped(builder, at)
                n_here = builder.select(builder.icmp_signed("==", t, builder.sub(count, I64(1))), n_last, n)
                kept = [not_below(builder, floor, s) for s in sums]
                whole = builder.icmp_signed("==", n_here, I64(self.lanes))
                with builder.if_else(whole) as (full, part):  # stores through a mask take longer
                    for block, masked in ((full, False), (part, True)):
                        with block:
                            mask = self.mask(builder, n_here) if masked else None
                            for value, row in zip(kept, self.rows(builder, target, y_row, rows), strict=True):
                                self.store(builder, value, row, mask=mask)
                return [builder.gep(at, [x_step]), builder.gep(target, [y_step])]

            def tile(builder, t, places):
                loop(builder, count, places, vector, nonempty=True)
                steps = builder.mul(x_row, I64(rows)), builder.mul(y_row, I64(rows))
                return [builder.gep(place, [step]) for place, step in zip(places, steps, strict=True)]

            loop(builder, tiles, [self.pointer(builder, x), self.pointer(builder, y)], tile, nonempty=True)

        return self.once(f"depthwise_strip_{rows}_{kernel}", [I64] * STRIP + [self.scalar], emit)

    def sums(self, rows, kernel, taps):
        """Return the function that adds dy times the input at each of `taps` taps to as many vectors of sums.

        kernel: the size of an unrolled window, for `rows` rows of dy at a time; 0 for any taps of one row.
        """

        def emit(builder, tiles, count, x, x_step, x_row, offsets, dy, dy_step, dy_row, n, n_last, sums):
            columns = [self.offset(builder, offsets, I64(k)) for k in range(kernel or taps)]
            sums = self.pointer(builder, sums)

            def vector(builder, t, values):
                at, grad, *totals = values
                here = builder.select(builder.icmp_signed("==", t, builder.sub(count, I64(1))), n_last, n)
                mask = self.mask(builder, here)  # of the input, too: zero times infinity is not zero
                factors = [self.load(builder, row, mask=mask) for row in self.rows(builder, grad, dy_row, rows)]
                for q in range(rows + kernel - 1 if kernel else 1):
                    row = builder.gep(at, [builder.mul(x_row, I64(q))])
                    for s, offset in enumerate(columns):
                        value = self.load(builder, builder.gep(row, [offset]), mask=mask)
                        for r in range(max(0, q - rows + 1), min(kernel or 1, q + 1)):
                            k = r * kernel + s
                            totals[k] = fma(builder, value, factors[q - r], totals[k])
                return [builder.gep(at, [x_step]), builder.gep(grad, [dy_step]), *totals]

            def tile(builder, i, values):
                at, grad, *totals = values
                _, _, *totals = loop(builder, count, values, vector, nonempty=True)
                steps = builder.mul(x_row, I64(rows)), builder.mul(dy_row, I64(rows))
                return [builder.gep(at, [steps[0]]), builder.gep(grad, [steps[1]]), *totals]

            first = [self.load(builder, sums, k) for k in range(taps)]
            places = [self.pointer(builder, x), self.pointer(builder, dy)]
            _, _, *totals = loop(builder, tiles, [*places, *first], tile, nonempty=True)
            for k, total in enumerate(totals):
                self.store(builder, total, sums, k)

        return self.once(f"depthwise_sums_{rows}_{kernel}_{taps}", [I64] * SUMS, emit)


@intrinsic
def depthwise_strip(
    typing_context, number, rows, kernel, tiles, count, x, x_step, x_row, offsets, taps, w, w_row, bias, y, y_step,
    y_row, n, n_last, floor,
):  # fmt: skip
    """Compute `tiles` strips of rows <= STRIP_ROWS rows each; kernel: 3 or 5 for an unrolled window, 0 for others."""

    def codegen(context, builder, signature, values):
        strip = _Strip(builder.module, number)
        functions = [strip.strip(m, size) for size in (0, *UNROLLED) for m in range(1, STRIP_ROWS + 1)]
        _, rows, kernel, *values = values
        key = _number(builder, rows, kernel, STRIP_ROWS)
        dispatch(builder, f"depthwise_strip.{number}", key, dict(enumerate(functions)), values)
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * (STRIP + 2), number), codegen


@intrinsic
def depthwise_sums(
    typing_context, number, rows, kernel, tiles, count, x, x_step, x_row, offsets, dy, dy_step, dy_row, n, n_last, sums
):
    """Add dy times the input, over `tiles` times a few rows of vectors, to vectors of sums, one per tap.

    kernel: 3 or 5 for an unrolled window of that size and rows <= SUM_ROWS of dy per tile; 0: `rows` <= SUM_TAPS says
    how many taps there are.
    """

    def codegen(context, builder, signature, values):
        strip = _Strip(builder.module, number)
        functions = [strip.sums(1, 0, taps) for taps in range(1, SUM_TAPS + 1)]
        for size in UNROLLED:
            few = range(1, SUM_ROWS + 1)
            functions += [strip.sums(min(m, SUM_ROWS), size, size * size) for m in (*few, *[1] * (SUM_TAPS - SUM_ROWS))]
        _, rows, kernel, *values = values
        key = _number(builder, rows, kernel, SUM_TAPS)
        dispatch(builder, f"depthwise_sums.{number}", key, dict(enumerate(functions)), values)
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * (SUMS + 2)), codegen


def _number(builder, rows, kernel, most):
    """Return rows - 1 for any taps, `most` more for the first of UNROLLED, twice as much more for the second."""
    number = builder.sub(rows, I64(1))
    for i, size in enumerate(UNROLLED, 1):
        here = builder.icmp_signed("==", kernel, I64(size))
        number = builder.add(number, builder.select(here, I64(i * most), I64(0)))
    return number


def _padded(name, advance, parts):
    """Return the codegen of a copy of rows with zeros around.

    advance: numbers of a row per lane; 0 if a vector is a pixel. parts: targets of vectors, 2 for even and odd numbers.
    """

    def codegen(context, builder, signature, values):
        strip = _Strip(builder.module, signature.args[0])
        numbers = strip.lanes if advance else 1
        positions = constant(I32, [lane * advance for lane in range(strip.lanes)])

        def emit(builder, rows, source, row, step, zeros, count, vectors, n, *targets):
            *targets, target_row = targets
            start = strip.number_at(builder, source, builder.neg(builder.mul(zeros, step)))
            step, first = builder.mul(step, I64(numbers)), builder.neg(zeros)
            channels, end = strip.mask(builder, n), strip.splat(builder, builder.trunc(count, I32))

            def vector(builder, t, values):
                at, position, *places = values
                loaded = []
                for _ in range(parts):
                    here = builder.add(strip.splat(builder, builder.trunc(position, I32)), positions)
                    inside = builder.icmp_unsigned("<", here, end)  # without a sign: places before the first are not
                    loaded.append(strip.load(builder, at, mask=builder.and_(inside, channels)))
                    at, position = builder.gep(at, [step]), builder.add(position, I64(numbers))
                if parts == 2:
                    loaded = [shuffle(builder, *loaded, range(p, 2 * strip.lanes, 2)) for p in range(2)]
                for value, place in zip(loaded, places, strict=True):
                    strip.store(builder, value, place)
                return [at, position, *[strip.at(builder, place, 1) for place in places]]

            def line(builder, t, places):
                loop(builder, vectors, [places[0], first, *places[1:]], vector, nonempty=True)
                return [builder.gep(places[0], [row]), *[builder.gep(place, [target_row]) for place in places[1:]]]

            loop(builder, rows, [start, *[strip.pointer(builder, to) for to in targets]], line)

        builder.call(strip.once(f"depthwise_{name}", [I64] * (9 + parts), emit), values[1:])
        return context.get_dummy_value()

    return codegen


@intrinsic
def rows_padded(typing_context, number, rows, source, row, step, zeros, count, vectors, n, target, target_row):
    """Write rows of vectors: `zeros` zeros, `count` numbers from an address on, zeros again. step 1, n: all lanes."""
    return types.void(number, *[types.intp] * 10), _padded("rows_padded", 1, 1)


@intrinsic
def rows_split(typing_context, number, rows, source, row, step, zeros, count, vectors, n, even, odd, target_row):
    """Do what `rows_padded` does, but write numbers of even and of odd place to `vectors` vectors each."""
    return types.void(number, *[types.intp] * 11), _padded("rows_split", 1, 2)


@intrinsic
def pixels_padded(typing_context, number, rows, source, row, step, zeros, count, vectors, n, target, target_row):
    """Write a vector per pixel: `zeros` pixels of zeros, n channels of `count` pixels `step` apart, zeros again."""
    return types.void(number, *[types.intp] * 10), _padded("pixels_padded", 0, 1)
