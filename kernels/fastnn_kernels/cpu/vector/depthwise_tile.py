"""The micro-kernels of channels-last convolution without sums over channels: 4 x 2 pixels of a vector of channels.

A window moves over channels-last images, which are read in place: each channel with a filter of its own, or one channel
with many, whose numbers are broadcast to a vector then. A vector of the input is loaded once for all results of a tile
that see it: 24 loads for 72 multiplications of 3x3 filters. So the multipliers are busy even where every load touches
two cache lines. Tiles whose windows are inside the image come in rows, with the weights in registers. Those at its
edges come from a table and leave out what is outside.

Every sum goes through the taps in order, by one fma at a time.
"""

from functools import partial
from itertools import product
from math import prod

from numba import types
from numba.extending import intrinsic

from .depthwise_strip import _Strip
from .emit import I1, I32, I64, constant, dispatch, fma, loop, not_below

ROWS, COLUMNS = 4, 2
# height, width, strides of rows and columns, and whether an image has one channel, of which all filters see the same
# numbers; three channels, pixel by pixel, are one with three times the columns
WINDOWS = (
    *((k, k, stride, stride, 0) for k in (3, 5) for stride in (1, 2)),
    *((3, 3, 1, 1, 1), (5, 5, 1, 1, 1), (1, 9, 1, 1, 1), (3, 9, 1, 3, 1), (3, 9, 2, 6, 1)),
)
TAPS = max(height * width for height, width, *_ in WINDOWS)
# tiles, count (or: count, table), x, x_row, x_column, w, bias, y, y_row, y_column, n, streamed; then floor
ARGUMENTS = 12
ENTRY = 6  # numbers that describe a tile: offsets in x and y, bits of rows and columns inside, rows, columns


class _Pixels(_Strip):
    """Emits the functions of one window and dtype into a module."""

    def __init__(self, module, number, *window):
        super().__init__(module, number)
        self.window, (*self.kernel, down, across, self.spread) = "_".join(map(str, window)), window
        self.down, self.across = down, across
        self.seen = range((ROWS - 1) * down + self.kernel[0]), range((COLUMNS - 1) * across + self.kernel[1])
        self.pixel = self.one if self.spread else self.load
        self.results = list(product(range(ROWS), range(COLUMNS)))

    def add(self, builder, sums, q, row, column, masks, weights):
        """Add to the sums what they get from row q of a tile's input, which begins at `row`."""
        pointers = [self.step(builder, row, column, j) for j in self.seen[1]]
        values = [self.pixel(builder, pointer, mask=mask) for pointer, mask in zip(pointers, masks, strict=True)]
        totals = dict(sums)
        for r, s in product(*map(range, self.kernel)):
            i, rest = divmod(q - r, self.down)
            if rest == 0 and 0 <= i < ROWS:
                for c in range(COLUMNS):
                    value, weight = values[c * self.across + s], weights[r * self.kernel[1] + s]
                    totals[i, c] = fma(builder, value, weight, totals[i, c])
        return totals

    def one(self, builder, pointer, mask=None):
        """Return a vector of the same number; with a mask, which is of all lanes or none, 0 for none."""
        if mask is None:
            return self.splat(builder, builder.load(pointer))
        first = constant(I1, [1] + [0] * (self.lanes - 1))
        value = self.load(builder, pointer, mask=builder.and_(mask, first))
        return self.splat(builder, builder.extract_element(value, I32(0)))

    def when(self, builder, condition, sums, body):
        """Emit `body(builder, sums)`, which returns other sums, for where a condition holds."""
        origin, inside, after = builder.block, builder.append_basic_block(), builder.append_basic_block()
        builder.cbranch(condition, inside, after)
        builder.position_at_end(inside)
        totals, end = body(builder, sums), builder.block
        builder.branch(after)
        builder.position_at_end(after)
        merged = {}
        for place, value in sums.items():
            merged[place] = value
            if totals[place] is not value:
                merged[place] = builder.phi(self.vector)
                merged[place].add_incoming(value, origin)
                merged[place].add_incoming(totals[place], end)
        return merged

    def taps(self, builder, w):
        w = self.pointer(builder, w)
        return [self.load(builder, w, k) for k in range(prod(self.kernel))]

    def inner(self):
        """Return the function of `tiles` rows of `count` tiles each, all of whose windows are inside the image."""

        def emit(builder, tiles, count, x, x_row, x_column, w, bias, y, y_row, y_column, n, streamed, floor):
            weights, floor = self.taps(builder, w), self.splat(builder, floor)
            start, whole = self.load(builder, self.pointer(builder, bias)), [None for _ in self.seen[1]]
            stores = self.stream, partial(self.store, mask=self.mask(builder, n) if self.spread else None)

            def tile(builder, t, places):
                at, target = places
                sums = dict.fromkeys(self.results, start)
                for q in self.seen[0]:
                    sums = self.add(builder, sums, q, self.step(builder, at, x_row, q), x_column, whole, weights)
                results = {place: not_below(builder, floor, total) for place, total in sums.items()}
                rows = self.rows(builder, target, y_row, ROWS)
                with builder.if_else(builder.trunc(streamed, I1)) as blocks:
                    for block, store in zip(blocks, stores, strict=True):
                        with block:
                            for (i, c), value in results.items():
                                store(builder, value, self.step(builder, rows[i], y_column, c))
                return [
                    self.step(builder, at, x_column, COLUMNS * self.across),
                    self.step(builder, target, y_column, 2),
                ]

            def row(builder, t, places):
                loop(builder, count, places, tile, nonempty=True)
                at, target = places
                return [self.step(builder, at, x_row, ROWS * self.down), self.step(builder, target, y_row, ROWS)]

            loop(builder, tiles, [self.pointer(builder, x), self.pointer(builder, y)], row, nonempty=True)

        return self.once(f"depthwise_inner_{self.window}", [I64] * ARGUMENTS + [self.scalar], emit)

    def edge(self):
        """Return the function of the tiles that a table describes."""

        def emit(builder, count, table, x, x_row, x_column, w, bias, y, y_row, y_column, n, streamed, floor):
            floor, start = self.splat(builder, floor), self.load(builder, self.pointer(builder, bias))
            x, y = self.pointer(builder, x), self.pointer(builder, y)
            none, every = (constant(I1, [bit] * self.lanes) for bit in range(2))
            weights, lanes = self.taps(builder, w), self.mask(builder, n) if self.spread else None

            def bit(builder, bits, i):
                return builder.trunc(builder.lshr(bits, I64(i)), I1)

            def tile(builder, t, values):
                (entry,) = values
                numbers = [self.offset(builder, entry, I64(i)) for i in range(ENTRY)]
                at, target, rows_inside, columns_inside, rows, columns = numbers
                at, target = builder.gep(x, [at]), builder.gep(y, [target])
                sums = dict.fromkeys(self.results, start)

                masks = [builder.select(bit(builder, columns_inside, j), every, none) for j in self.seen[1]]
                for q in self.seen[0]:
                    row = self.step(builder, at, x_row, q)
                    add = partial(self.add, q=q, row=row, column=x_column, masks=masks, weights=weights)
                    sums = self.when(builder, bit(builder, rows_inside, q), sums, add)
                for (i, c), total in sums.items():
                    present = builder.and_(
                        builder.icmp_signed(">", rows, I64(i)), builder.icmp_signed(">", columns, I64(c))
                    )
                    with builder.if_then(present):
                        place = self.step(builder, self.step(builder, target, y_row, i), y_column, c)
                        self.store(builder, not_below(builder, floor, total), place, mask=lanes)
                return [builder.add(entry, I64(8 * ENTRY))]

            loop(builder, count, [table], tile, nonempty=True)

        return self.once(f"depthwise_edge_{self.window}", [I64] * ARGUMENTS + [self.scalar], emit)

    def step(self, builder, pointer, stride, n):
        return builder.gep(pointer, [builder.mul(stride, I64(n))]) if n else pointer


def _by_window(name):
    def codegen(context, builder, signature, values):
        number, (_, key, *values) = signature.args[0], values
        cases = {i: getattr(_Pixels(builder.module, number, *window), name)() for i, window in enumerate(WINDOWS)}
        dispatch(builder, f"depthwise_{name}.{number}", key, cases, values)
        return context.get_dummy_value()

    return codegen


@intrinsic
def inner_tiles(
    typing_context, number, window, tiles, count, x, x_row, x_column, w, bias, y, y_row, y_column, n, streamed, floor
):  # fmt: skip
    """Compute rows of tiles whose windows are inside the image. window: index in WINDOWS; w: a vector per tap.

    n: number of filters, where one channel meets many. streamed: 1 to store results, which are aligned then, bypassing
    the caches.
    """
    return types.void(number, *[types.intp] * (ARGUMENTS + 1), number), _by_window("inner")


@intrinsic
def edge_tiles(
    typing_context, number, window, count, table, x, x_row, x_column, w, bias, y, y_row, y_column, n, streamed, floor
):
    """Compute `count` >= 1 tiles; the table has the place of each and which of its rows and columns exist."""
    return types.void(number, *[types.intp] * (ARGUMENTS + 1), number), _by_window("edge")
