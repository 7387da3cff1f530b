"""The micro-kernels of depthwise convolution: sums over the taps of a window, a vector of neighbours at a time.

A lane is a column of a plane or a channel of a pixel, whichever lies side by side in memory: only the steps and the
weights differ. A strip is `count` vectors in each of up to STRIP_ROWS rows of the output. All their windows see the
input at the same offsets (in numbers, one per tap). Small square windows that move down by one row are unrolled: a
vector of the input is loaded once for all rows that see it. Other windows loop over their taps.

Vectors are stored up to lane n, the last one of a row up to n_last. Every sum goes through the taps in order, by one
fma at a time, so cutting rows into strips does not change a bit.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .gemm_tile import I32, I64, VOID, _Tile

STRIP_ROWS = 4
UNROLLED = (3, 5)  # windows of 3x3 and 5x5
SUM_TAPS = 5  # taps of any window whose sums are kept in registers at a time
SUM_ROWS = 2  # rows of dy that share the rows of the input under an unrolled window
# tiles, count, x, x_step, x_row, offsets, taps, w, w_row, bias, y, y_step, y_row, n, n_last; then floor
STRIP = 15
SUMS = 12  # tiles, count, x, x_step, x_row, offsets, dy, dy_step, dy_row, n, n_last, sums


class _Strip(_Tile):
    """Emits the functions of one dtype into a module."""

    def __init__(self, module, number):
        super().__init__(module, number, 1, 1, masked=False)

    def function(self, name, arguments, emit) -> ir.Function:
        """Return the function of a name, emitted at its first use."""
        name = f"depthwise_{name}.{self.suffix}"
        if name in self.module.globals:
            return self.module.globals[name]
        function = ir.Function(self.module, ir.FunctionType(VOID, arguments), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        emit(function)
        return function

    def at(self, builder, address, *offsets):
        """Return a pointer to a number, some numbers on from an address."""
        pointer = builder.inttoptr(address, self.scalar.as_pointer())
        for offset in offsets:
            pointer = builder.gep(pointer, [offset])
        return pointer

    def load(self, builder, pointer, mask=None):
        self.masked, self.masks = mask is not None, [mask]
        return self._load(builder, pointer, 0)

    def store(self, builder, value, pointer, mask=None):
        self.masked, self.masks = mask is not None, [mask]
        self._store(builder, value, pointer, 0)

    def lane(self, advance=1):
        """Return the numbers of the lanes, `advance` apart."""
        return ir.Constant(ir.VectorType(I32, self.lanes), [i * advance for i in range(self.lanes)])

    def before(self, builder, place, end):
        """Return which of some places, none below zero when seen without a sign, lie before an end."""
        return builder.icmp_unsigned("<", place, self._splat(builder, builder.trunc(end, I32)))

    def mask(self, builder, n):
        """Return which lanes lie before lane n."""
        return self.before(builder, self.lane(), n)

    def offset(self, builder, table, k):
        """Return number k of a table of offsets."""
        return builder.load(builder.gep(builder.inttoptr(table, I64.as_pointer()), [k]))

    def loop(self, builder, function, count, values, body):
        """Emit a loop of `count` >= 1 rounds; `body(builder, i, values)` returns the values of the next round."""
        before, head = builder.block, function.append_basic_block("loop")
        builder.branch(head)
        builder.position_at_end(head)
        i, phis = builder.phi(I64), [builder.phi(v.type) for v in values]
        following = body(builder, i, phis)
        step = builder.add(i, I64(1))
        for phi, first, later in zip([i, *phis], [I64(0), *values], [step, *following], strict=True):
            phi.add_incoming(first, before)
            phi.add_incoming(later, builder.block)
        end = function.append_basic_block("done")
        builder.cbranch(builder.icmp_signed("<", step, count), head, end)
        builder.position_at_end(end)
        return following

    def tap(self, builder, row, offset):
        return self.load(builder, builder.gep(row, [offset]))

    def strip(self, rows, kernel):
        """Return the function of strips under each other; kernel: the size of an unrolled window, 0 for any taps."""

        def emit(function):
            tiles, count, x, x_step, x_row, offsets, taps, w, w_row, bias, y, y_step, y_row, n, n_last, floor = (
                function.args
            )
            builder = ir.IRBuilder(function.append_basic_block())
            every = self.mask(builder, n)
            start = self.load(builder, self.at(builder, bias), every)
            floor = self._splat(builder, floor)
            near = [self.offset(builder, offsets, I64(s)) for s in range(kernel)]
            weights = {
                (r, s): self.load(builder, self.at(builder, w, builder.mul(w_row, I64(r * kernel + s))), every)
                for r in range(kernel)
                for s in range(kernel)
            }

            def unrolled(builder, at):
                sums = [start] * rows
                for q in range(rows + kernel - 1):
                    row = builder.gep(at, [builder.mul(x_row, I64(q))])
                    for s in range(kernel):
                        value = self.tap(builder, row, near[s])
                        for r in range(max(0, q - rows + 1), min(kernel, q + 1)):
                            sums[q - r] = self._fma(builder, value, weights[r, s], sums[q - r])
                return sums

            def looped(builder, at):
                def tap(builder, k, sums):
                    weight = self.load(builder, self.at(builder, w, builder.mul(w_row, k)), every)
                    place = builder.gep(at, [self.offset(builder, offsets, k)])
                    values = [self.tap(builder, place, builder.mul(x_row, I64(i))) for i in range(rows)]
                    return [self._fma(builder, v, weight, s) for v, s in zip(values, sums, strict=True)]

                return self.loop(builder, function, taps, [start] * rows, tap)

            def vector(builder, t, places):
                at, target = places
                sums = unrolled(builder, at) if kernel else looped(builder, at)
                n_here = builder.select(builder.icmp_signed("==", t, builder.sub(count, I64(1))), n_last, n)
                # this order of arguments lets NaN pass, as one instruction (maxps) does
                kept = [builder.select(builder.fcmp_ordered(">", floor, s), floor, s) for s in sums]
                places = [builder.gep(target, [builder.mul(y_row, I64(i))]) for i in range(rows)]
                whole = builder.icmp_signed("==", n_here, I64(self.lanes))
                with builder.if_else(whole) as (full, part):  # stores through a mask take longer
                    for block, mask in ((full, None), (part, n_here)):
                        with block:
                            mask = mask and self.mask(builder, mask)
                            for value, place in zip(kept, places, strict=True):
                                self.store(builder, value, place, mask)
                return [builder.gep(at, [x_step]), builder.gep(target, [y_step])]

            def tile(builder, t, places):
                self.loop(builder, function, count, places, vector)
                steps = builder.mul(x_row, I64(rows)), builder.mul(y_row, I64(rows))
                return [builder.gep(place, [step]) for place, step in zip(places, steps, strict=True)]

            self.loop(builder, function, tiles, [self.at(builder, x), self.at(builder, y)], tile)
            builder.ret_void()

        return self.function(f"strip_{rows}_{kernel}", [I64] * STRIP + [self.scalar], emit)

    def sums(self, rows, kernel, taps):
        """Return the function that adds dy times the input at each of some taps to as many vectors of sums.

        kernel: the size of an unrolled window, for `rows` rows of dy at a time; 0 for any taps of one row.
        """

        def emit(function):
            tiles, count, x, x_step, x_row, offsets, dy, dy_step, dy_row, n, n_last, sums = function.args
            builder = ir.IRBuilder(function.append_basic_block())
            near = [self.offset(builder, offsets, I64(k)) for k in range(kernel or taps)]
            places = [self.at(builder, sums, I64(k * self.lanes)) for k in range(taps)]

            def vector(builder, t, values):
                at, grad, *totals = values
                here = builder.select(builder.icmp_signed("==", t, builder.sub(count, I64(1))), n_last, n)
                mask = self.mask(builder, here)  # of the input, too: zero times infinity is not zero
                factors = [
                    self.load(builder, builder.gep(grad, [builder.mul(dy_row, I64(i))]), mask) for i in range(rows)
                ]
                for q in range(rows + kernel - 1 if kernel else 1):
                    row = builder.gep(at, [builder.mul(x_row, I64(q))])
                    for s, offset in enumerate(near):
                        value = self.load(builder, builder.gep(row, [offset]), mask)
                        for r in range(max(0, q - rows + 1), min(kernel or 1, q + 1)):
                            k = r * kernel + s
                            totals[k] = self._fma(builder, value, factors[q - r], totals[k])
                return [builder.gep(at, [x_step]), builder.gep(grad, [dy_step]), *totals]

            def tile(builder, i, values):
                at, grad, *totals = values
                _, _, *totals = self.loop(builder, function, count, values, vector)
                steps = builder.mul(x_row, I64(rows)), builder.mul(dy_row, I64(rows))
                return [builder.gep(at, [steps[0]]), builder.gep(grad, [steps[1]]), *totals]

            first = [self.at(builder, x), self.at(builder, dy), *[self.load(builder, place) for place in places]]
            _, _, *totals = self.loop(builder, function, tiles, first, tile)
            for place, total in zip(places, totals, strict=True):
                self.store(builder, total, place)
            builder.ret_void()

        return self.function(f"sums_{rows}_{kernel}_{taps}", [I64] * SUMS, emit)

    def choice(self, name, arguments, functions) -> ir.Function:
        """Return the function that calls functions[i](*args) for its arguments i, *args."""

        def emit(function):
            entry, end = function.append_basic_block(), function.append_basic_block()
            switch = ir.IRBuilder(entry).switch(function.args[0], end)
            for i, one in enumerate(functions):
                case = function.append_basic_block()
                builder = ir.IRBuilder(case)
                builder.call(one, function.args[1:]).tail = "tail"
                builder.ret_void()
                switch.add_case(I64(i), case)
            ir.IRBuilder(end).ret_void()

        return self.function(name, [I64, *arguments], emit)


@intrinsic
def depthwise_strip(
    typing_context, number, rows, kernel, tiles, count, x, x_step, x_row, offsets, taps, w, w_row, bias, y, y_step,
    y_row, n, n_last, floor,
):  # fmt: skip
    """Compute `tiles` strips of rows <= STRIP_ROWS rows each; kernel: 3 or 5 for an unrolled window, 0 for others."""

    def codegen(context, builder, signature, values):
        strip = _Strip(builder.module, number)
        functions = [strip.strip(m, size) for size in (0, *UNROLLED) for m in range(1, STRIP_ROWS + 1)]
        choose = strip.choice("strip", [I64] * STRIP + [strip.scalar], functions)
        rows, kernel, *rest = values[1:]
        builder.call(choose, [_kind(builder, rows, kernel, STRIP_ROWS), *rest])
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
        choose = strip.choice("sums", [I64] * SUMS, functions)
        rows, kernel, *rest = values[1:]
        builder.call(choose, [_kind(builder, rows, kernel, SUM_TAPS), *rest])
        return context.get_dummy_value()

    return types.void(number, *[types.intp] * (SUMS + 2)), codegen


def _kind(builder, rows, kernel, most):
    """Return rows - 1 for any taps, `most` more for the first of UNROLLED, twice as much more for the second."""
    kind = builder.sub(rows, I64(1))
    for i, size in enumerate(UNROLLED, 1):
        here = builder.icmp_signed("==", kernel, I64(size))
        kind = builder.add(kind, builder.select(here, I64(i * most), I64(0)))
    return kind


def _padded(name, advance, parts):
    """Return the codegen of a copy of rows with zeros around.

    advance: numbers of a row per lane; 0 if a vector is a pixel. parts: targets of vectors, 2 for even and odd numbers.
    """

    def codegen(context, builder, signature, values):
        strip = _Strip(builder.module, signature.args[0])
        numbers = strip.lanes if advance else 1

        def emit(function):
            rows, source, row, step, zeros, count, vectors, n, *targets, target_row = function.args
            builder = ir.IRBuilder(function.append_basic_block())
            start = strip.at(builder, source, builder.neg(builder.mul(zeros, step)))
            step, first = builder.mul(step, I64(numbers)), builder.neg(zeros)
            channels = strip.mask(builder, n)

            def vector(builder, t, places):
                at, position, *places = places
                loaded = []
                for _ in range(parts):
                    place = builder.add(strip._splat(builder, builder.trunc(position, I32)), strip.lane(advance))
                    inside = builder.and_(strip.before(builder, place, count), channels)
                    loaded.append(strip.load(builder, at, inside))
                    at, position = builder.gep(at, [step]), builder.add(position, I64(numbers))
                if parts == 2:
                    kind = ir.VectorType(I32, strip.lanes)
                    orders = [ir.Constant(kind, list(range(p, 2 * strip.lanes, 2))) for p in range(2)]
                    loaded = [builder.shuffle_vector(*loaded, order) for order in orders]
                for value, place in zip(loaded, places, strict=True):
                    strip.store(builder, value, place)
                return [at, position, *[builder.gep(place, [I64(strip.lanes)]) for place in places]]

            def line(builder, t, places):
                strip.loop(builder, function, vectors, [places[0], first, *places[1:]], vector)
                return [builder.gep(places[0], [row]), *[builder.gep(place, [target_row]) for place in places[1:]]]

            with builder.if_then(builder.icmp_signed(">", rows, I64(0))):
                strip.loop(builder, function, rows, [start, *[strip.at(builder, to) for to in targets]], line)
            builder.ret_void()

        builder.call(strip.function(name, [I64] * (9 + parts), emit), values[1:])
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
