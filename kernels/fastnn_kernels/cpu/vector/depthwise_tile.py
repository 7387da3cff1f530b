"""The micro-kernels of convolution without sums over channels, by pixels: 4 x 2 pixels of a vector of channels each.

A window moves over images whose channels lie side by side, which are read in place: each with a filter of its own, or
one channel with many, whose numbers are spread over a vector then. A vector of the input is loaded once for all results
of a tile that see it: 24 loads for 72 multiplications of 3x3 filters. So the multipliers are busy even where every load
touches two cache lines. Tiles whose windows lie inside the image come in rows, with the weights in registers. Those
that stick out of it, or are cut off, come from a table and leave out what is not there.

Every sum goes through the taps in order, by one fma at a time.
"""

from functools import partial
from itertools import product
from math import prod

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .depthwise_strip import _Strip
from .gemm_tile import I32, I64

ROWS, COLUMNS = 4, 2
# height, width, strides of rows and columns, and whether an image has one channel, of which all filters see the same
# numbers; three channels, pixel by pixel, are one with three times the columns
WINDOWS = (
    *((k, k, stride, stride, 0) for k in (3, 5) for stride in (1, 2)),
    *((3, 3, 1, 1, 1), (5, 5, 1, 1, 1), (1, 9, 1, 1, 1), (3, 9, 1, 3, 1), (3, 9, 2, 6, 1)),
)
TAPS = max(height * width for height, width, *_ in WINDOWS)
# tiles, count (in a table: count, its address), x, x_row, x_column, w, bias, y, y_row, y_column, n, far; then floor
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
        """Add what row q of a tile's input, which lies at `row`, gives to the sums."""
        pointers = [self.step(builder, row, column, j) for j in self.seen[1]]
        values = [self.pixel(builder, pointer, mask) for pointer, mask in zip(pointers, masks, strict=True)]
        made = dict(sums)
        for r, s in product(*map(range, self.kernel)):
            i, rest = divmod(q - r, self.down)
            if rest == 0 and 0 <= i < ROWS:
                for c in range(COLUMNS):
                    value, weight = values[c * self.across + s], weights[r * self.kernel[1] + s]
                    made[i, c] = self._fma(builder, value, weight, made[i, c])
        return made

    def one(self, builder, pointer, mask=None):
        """Return a vector of the same number; under a mask of more lanes than none it is the first that counts."""
        if mask is None:
            return self._splat(builder, builder.load(pointer))
        first = ir.Constant(mask.type, [1] + [0] * (self.lanes - 1))
        value = self.load(builder, pointer, builder.and_(mask, first))
        return self._splat(builder, builder.extract_element(value, I32(0)))

    def when(self, builder, function, condition, sums, body):
        """Emit `body(builder, sums)`, which returns other sums, for where a condition holds."""
        before, inside, after = builder.block, function.append_basic_block(), function.append_basic_block()
        builder.cbranch(condition, inside, after)
        builder.position_at_end(inside)
        made, end = body(builder, sums), builder.block
        builder.branch(after)
        builder.position_at_end(after)
        merged = {}
        for place, value in sums.items():
            merged[place] = value
            if made[place] is not value:
                merged[place] = builder.phi(self.vector)
                merged[place].add_incoming(value, before)
                merged[place].add_incoming(made[place], end)
        return merged

    def above(self, builder, floor, total):
        # this order of arguments lets NaN pass, as one instruction (maxps) does
        return builder.select(builder.fcmp_ordered(">", floor, total), floor, total)

    def taps(self, builder, w):
        return [self.load(builder, self.at(builder, w, I64(k * self.lanes))) for k in range(prod(self.kernel))]

    def inner(self):
        """Return the function of `tiles` rows of `count` tiles each, all of whose windows lie in the image."""

        def emit(function):
            tiles, count, x, x_row, x_column, w, bias, y, y_row, y_column, n, far, floor = function.args
            builder = ir.IRBuilder(function.append_basic_block())
            weights, floor = self.taps(builder, w), self._splat(builder, floor)
            start, whole = self.load(builder, self.at(builder, bias)), [None for _ in self.seen[1]]

            lanes = self.mask(builder, n) if self.spread else None
            stores = partial(self._stream, j=0), partial(self.store, mask=lanes)

            def tile(builder, t, places):
                at, target = places
                sums = dict.fromkeys(self.results, start)
                for q in self.seen[0]:
                    sums = self.add(builder, sums, q, self.step(builder, at, x_row, q), x_column, whole, weights)
                made = {place: self.above(builder, floor, total) for place, total in sums.items()}
                rows = [self.step(builder, target, y_row, i) for i in range(ROWS)]
                with builder.if_else(builder.trunc(far, ir.IntType(1))) as blocks:
                    for block, store in zip(blocks, stores, strict=True):
                        with block:
                            for (i, c), value in made.items():
                                store(builder, value, self.step(builder, rows[i], y_column, c))
                return [
                    self.step(builder, at, x_column, COLUMNS * self.across),
                    self.step(builder, target, y_column, 2),
                ]

            def row(builder, t, places):
                self.loop(builder, function, count, places, tile)
                at, target = places
                return [self.step(builder, at, x_row, ROWS * self.down), self.step(builder, target, y_row, ROWS)]

            self.loop(builder, function, tiles, [self.at(builder, x), self.at(builder, y)], row)
            builder.ret_void()

        return self.function(f"inner_{self.window}", [I64] * ARGUMENTS + [self.scalar], emit)

    def edge(self):
        """Return the function of the tiles that a table tells of."""

        def emit(function):
            count, table, x, x_row, x_column, w, bias, y, y_row, y_column, n, far, floor = function.args
            builder = ir.IRBuilder(function.append_basic_block())
            floor, start = self._splat(builder, floor), self.load(builder, self.at(builder, bias))
            x, y = self.at(builder, x), self.at(builder, y)

            none, every = (ir.Constant(ir.VectorType(ir.IntType(1), self.lanes), [n] * self.lanes) for n in range(2))
            weights, lanes = self.taps(builder, w), self.mask(builder, n) if self.spread else None

            def bit(builder, bits, i):
                return builder.trunc(builder.lshr(bits, I64(i)), ir.IntType(1))

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
                    sums = self.when(builder, function, bit(builder, rows_inside, q), sums, add)
                for (i, c), total in sums.items():
                    there = builder.and_(
                        builder.icmp_signed(">", rows, I64(i)), builder.icmp_signed(">", columns, I64(c))
                    )
                    with builder.if_then(there):
                        place = self.step(builder, self.step(builder, target, y_row, i), y_column, c)
                        self.store(builder, self.above(builder, floor, total), place, lanes)
                return [builder.add(entry, I64(8 * ENTRY))]

            self.loop(builder, function, count, [table], tile)
            builder.ret_void()

        return self.function(f"edge_{self.window}", [I64] * ARGUMENTS + [self.scalar], emit)

    def step(self, builder, pointer, stride, n):
        return builder.gep(pointer, [builder.mul(stride, I64(n))]) if n else pointer


def _chosen(name):
    def codegen(context, builder, signature, values):
        number = signature.args[0]
        tiles = [_Pixels(builder.module, number, *window) for window in WINDOWS]
        functions = [getattr(tile, name)() for tile in tiles]
        choose = tiles[0].choice(name, [I64] * ARGUMENTS + [tiles[0].scalar], functions)
        builder.call(choose, values[1:])
        return context.get_dummy_value()

    return codegen


@intrinsic
def inner_tiles(
    typing_context, number, window, tiles, count, x, x_row, x_column, w, bias, y, y_row, y_column, n, far, floor
):  # fmt: skip
    """Compute rows of tiles whose windows lie in the image. window: number of one of WINDOWS; w: a vector per tap.

    n: of how many filters there are results, where one channel meets many. far: 1 if results, which lie aligned then,
    are stored past the caches.
    """
    return types.void(number, *[types.intp] * (ARGUMENTS + 1), number), _chosen("inner")


@intrinsic
def edge_tiles(
    typing_context, number, window, count, table, x, x_row, x_column, w, bias, y, y_row, y_column, n, far, floor
):
    """Compute `count` >= 1 tiles, of which the table tells where they lie and what of them is there."""
    return types.void(number, *[types.intp] * (ARGUMENTS + 1), number), _chosen("edge")
