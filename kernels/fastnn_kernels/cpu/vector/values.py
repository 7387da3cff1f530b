"""Vectors as values: for kernels that cut their rows into vectors themselves.

LLVM vectorises plain loops, but handles what is left of a row after its last whole vectors number by number; for rows
of 10 to 1000 numbers that can be most of the time. Here a kernel handles a vector as it does a number,

    x, y, total = pointer(x), pointer(y), zeros(x)
    for i in range(0, n - n % width(total), width(total)):
        total = total + read(x, i) * read(y, i)

and the last ones through `read_part` and `write_part`, or a mask, which touch nothing beyond the end. Comparisons of
vectors are masks: `select(x < floor, floor, x)`. `simd.fma`, `rint`, and what `constant` and `polynomial` make take
vectors, too; `muladd` is as exact as the CPU does it in one instruction.
"""

import math
import operator

from llvmlite import ir
from numba import types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, models, register_model

from . import emit
from .emit import I1, I32, I64
from .machine import features
from .simd import VectorType, llvm_type

HAS_SCALEF = HAS_LOOKUP = "avx512f" in features()


class MaskType(types.Type):
    """Which lanes of a vector something is true of."""

    def __init__(self, count):
        self.count = count
        super().__init__(f"mask({count})")


@register_model(MaskType)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.VectorType(I1, kind.count))


def _operator(function, operands, lower):
    """Define an operator on vectors or masks: lower(builder, *operands) emits it."""
    result = MaskType if function in COMPARISONS or operands is MaskType else None

    @infer_global(function)
    class Typing(AbstractTemplate):
        def generic(self, args, kws):
            if isinstance(args[0], operands) and all(arg == args[0] for arg in args):
                return signature(MaskType(args[0].count) if result else args[0], *args)
            return None

    for count in (1, 2):
        lower_builtin(function, *[operands] * count)(
            lambda context, builder, signature, args: lower(builder, signature.args[0], *args)
        )


def _arithmetic(on_floats, on_integers):
    def lower(builder, kind, *args):
        return getattr(builder, on_floats if isinstance(kind.dtype, types.Float) else on_integers)(*args)

    return lower


def _comparison(symbol):
    """Compare lanes: NaN is different from all, and neither below nor above."""

    def lower(builder, kind, a, b):
        if isinstance(kind.dtype, types.Integer):
            return builder.icmp_signed(symbol, a, b)
        return (builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered)(symbol, a, b)

    return lower


COMPARISONS = {
    operator.lt: "<", operator.le: "<=", operator.gt: ">", operator.ge: ">=", operator.eq: "==", operator.ne: "!=",
}  # fmt: skip
for function, symbol in COMPARISONS.items():
    _operator(function, VectorType, _comparison(symbol))
_operator(operator.add, VectorType, _arithmetic("fadd", "add"))
_operator(operator.sub, VectorType, _arithmetic("fsub", "sub"))
_operator(operator.mul, VectorType, _arithmetic("fmul", "mul"))
_operator(operator.truediv, VectorType, _arithmetic("fdiv", None))
_operator(operator.neg, VectorType, _arithmetic("fneg", "neg"))
_operator(operator.and_, MaskType, lambda builder, kind, a, b: builder.and_(a, b))
_operator(operator.or_, MaskType, lambda builder, kind, a, b: builder.or_(a, b))
_operator(operator.invert, MaskType, lambda builder, kind, a: builder.not_(a))


@intrinsic
def select(typing_context, mask, a, b):
    """Return lanes of a where the mask is set, of b elsewhere."""
    return a(mask, a, a), lambda context, builder, signature, args: builder.select(*args)


@intrinsic
def is_nan(typing_context, x):
    """Return in which lanes x is NaN."""
    return MaskType(x.count)(x), lambda context, builder, signature, args: builder.fcmp_unordered("uno", *args, *args)


@intrinsic
def muladd(typing_context, x, y, z):
    """Return x y + z, rounded once on a CPU that has an instruction for it, else twice."""
    return z(x, y, z), lambda context, builder, signature, args: emit.fma(builder, *args)


@intrinsic
def broadcast(typing_context, value):
    """Return a vector full of one number."""
    vector = VectorType(value)
    return vector(value), lambda context, builder, signature, args: emit.splat(builder, args[0], vector.count)


@intrinsic
def pointer(typing_context, x):
    """Return where a contiguous array begins. Its elements are counted in the order of memory, whatever its shape.

    Unlike an array it has no owner to be counted: between a row and the next that would cost as much as the row.
    """

    def codegen(context, builder, signature, args):
        return context.make_array(x)(context, builder, args[0]).data

    return types.CPointer(x.dtype)(x), codegen


@intrinsic
def pointer_at(typing_context, number, address):
    """Return the pointer to numbers of the dtype of `number` at an address."""
    p = types.CPointer(number)
    return p(number, types.intp), lambda context, builder, signature, args: builder.inttoptr(
        args[1], llvm_type(number).as_pointer()
    )


@intrinsic
def zeros(typing_context, p):
    """Return a vector of zeros of the dtype that a pointer leads to."""
    vector = VectorType(p.dtype)
    return vector(p), lambda context, builder, signature, args: ir.Constant(llvm_type(vector), [0.0] * vector.count)


@intrinsic
def width(typing_context, vector):
    """Return how many lanes a vector has."""
    return types.intp(vector), lambda context, builder, signature, args: I64(vector.count)


@intrinsic
def lanes_before(typing_context, vector, n):
    """Return the mask of the lanes of a vector that come before number n: none if n <= 0, all if it has fewer."""
    mask = MaskType(vector.count)
    return mask(vector, types.intp), lambda context, builder, signature, args: _before(builder, vector, args[1])


def _before(builder, vector, n):
    return emit.before(builder, n, vector.count)[0]


@intrinsic
def moved(typing_context, p, i):
    """Return the pointer to element i."""
    return p(p, types.intp), lambda context, builder, signature, args: builder.gep(args[0], [args[1]])


@intrinsic
def read(typing_context, p, i, mask=None):
    """Return the vector that begins at element i; with a mask, zeros in all other lanes, which are not read."""
    vector = VectorType(p.dtype)

    def codegen(context, builder, signature, args):
        mask = args[2] if isinstance(signature.args[2], MaskType) else None
        return emit.load(builder, llvm_type(vector), builder.gep(args[0], [args[1]]), mask)

    return vector(p, types.intp, mask or types.none), codegen


@intrinsic
def read_indices(typing_context, vector, address):
    """Return 32-bit integers at an address, as many as a vector has lanes."""
    integers = VectorType(types.int32, vector.count)

    def codegen(context, builder, signature, args):
        return emit.load(builder, llvm_type(integers), builder.inttoptr(args[1], I32.as_pointer()))

    return integers(vector, types.intp), codegen


@intrinsic
def read_part(typing_context, p, i, count, fill):
    """Return the vector that begins at element i, with lanes of `fill` from `count` on, which are not read.

    A count above the width means all lanes, one below 0 none.
    """

    def codegen(context, builder, signature, args):
        place, mask = builder.gep(args[0], [args[1]]), _before(builder, fill, args[2])
        return emit.load(builder, llvm_type(fill), place, mask, args[3])

    return fill(p, types.intp, types.intp, fill), codegen


@intrinsic
def write(typing_context, p, i, value, mask=None):
    """Write a vector from element i on, or those lanes of it that the mask names."""

    def codegen(context, builder, signature, args):
        mask = args[3] if isinstance(signature.args[3], MaskType) else None
        emit.store(builder, args[2], builder.gep(args[0], [args[1]]), mask)
        return context.get_dummy_value()

    return types.void(p, types.intp, value, mask or types.none), codegen


@intrinsic
def write_part(typing_context, p, i, count, value):
    """Write the first `count` lanes of a vector from element i on; see `read_part`."""

    def codegen(context, builder, signature, args):
        emit.store(builder, args[3], builder.gep(args[0], [args[1]]), _before(builder, value, args[2]))
        return context.get_dummy_value()

    return types.void(p, types.intp, types.intp, value), codegen


@intrinsic
def stream(typing_context, p, i, value):
    """Write a vector from element i on, which is aligned to its width, bypassing the caches. See `simd.fence`."""

    def codegen(context, builder, signature, args):
        emit.stream(builder, args[2], builder.gep(args[0], [args[1]]))
        return context.get_dummy_value()

    return types.void(p, types.intp, value), codegen


@intrinsic
def gather(typing_context, p, indices, mask):
    """Return the elements that a vector of integers names, zeros without the mask."""
    return VectorType(p.dtype)(p, indices, mask), lambda context, builder, signature, args: emit.gather(builder, *args)


@intrinsic
def read_table(typing_context, p, vectors):
    """Return a tuple of `vectors` vectors (a literal) from where a pointer leads on."""
    if not isinstance(vectors, types.IntegerLiteral):
        return None
    table = types.UniTuple(VectorType(p.dtype), vectors.literal_value)

    def codegen(context, builder, signature, args):
        starts = (builder.gep(args[0], [I64(i * table.dtype.count)]) for i in range(table.count))
        rows = [emit.load(builder, llvm_type(table.dtype), start) for start in starts]
        return context.make_tuple(builder, table, rows)

    return table(p, vectors), codegen


@intrinsic
def lookup(typing_context, table, indices):
    """Return the numbers at 32-bit indices into a table of 2, 4 or 8 vectors. Only AVX-512 has it: see HAS_LOOKUP."""
    vector = table.dtype

    def codegen(context, builder, signature, args):
        rows, index = [builder.extract_value(args[0], i) for i in range(table.count)], args[1]
        name = {32: "ps", 64: "pd"}[vector.dtype.bitwidth]
        if name == "pd":
            index = builder.zext(index, ir.VectorType(I64, vector.count))
        bits = emit.constant(index.type.element, [vector.count.bit_length()] * vector.count)
        pair, found = builder.lshr(index, bits), None
        for i, (low, high) in enumerate(zip(rows[::2], rows[1::2], strict=True)):
            # the instruction looks at the lower bits of an index only
            picked = emit.call(builder, f"llvm.x86.avx512.vpermi2var.{name}.512", low.type, low, index, high)
            mine = builder.icmp_signed("==", pair, emit.constant(index.type.element, [i] * vector.count))
            found = picked if found is None else builder.select(mine, picked, found)
        return found

    return vector(table, indices), codegen


def _pair_masks(builder, vector, kind, count):
    """Return the masks of two vectors of which the first 2 * count lanes count; those of all lanes for no count."""
    if kind == types.none:
        return None, None
    return emit.before(builder, builder.mul(count, I64(2)), vector.count, 2)


@intrinsic
def read_pairs(typing_context, p, i, count=None):
    """Return the vectors of the first and second numbers of pairs that begin at element i; of the first `count`."""
    vector = VectorType(p.dtype)

    def codegen(context, builder, signature, args):
        masks = _pair_masks(builder, vector, signature.args[2], args[2])
        starts = (builder.gep(args[0], [builder.add(args[1], I64(first))]) for first in (0, vector.count))
        both = [emit.load(builder, llvm_type(vector), at, mask) for at, mask in zip(starts, masks, strict=True)]
        halves = [emit.shuffle(builder, *both, range(first, 2 * vector.count, 2)) for first in range(2)]
        return context.make_tuple(builder, signature.return_type, halves)

    return types.UniTuple(vector, 2)(p, types.intp, types.none if count in (None, types.none) else types.intp), codegen


@intrinsic
def write_pairs(typing_context, p, i, first, second, count=None):
    """Write the inverse of `read_pairs`."""

    def codegen(context, builder, signature, args):
        lanes, masks = first.count, _pair_masks(builder, first, signature.args[4], args[4])
        order = [lane // 2 + lane % 2 * lanes for lane in range(2 * lanes)]
        for start, mask in zip((0, lanes), masks, strict=True):
            value = emit.shuffle(builder, args[2], args[3], order[start : start + lanes])
            emit.store(builder, value, builder.gep(args[0], [builder.add(args[1], I64(start))]), mask)
        return context.get_dummy_value()

    return types.void(p, types.intp, first, first, types.none if count in (None, types.none) else types.intp), codegen


@intrinsic
def no_unroll(typing_context):
    """Keep LLVM from unrolling the loop around. It does so by eight, for windows that are two or three wide."""

    def codegen(context, builder, signature, args):
        emit.no_unroll(builder)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def prefetch(typing_context, p, i, write):
    """Fetch the cache line of element i, wherever that is, into the second-level cache; write: 1 to write, else 0."""
    if not isinstance(write, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        emit.prefetch(builder, builder.gep(args[0], [args[1]]), write.literal_value)
        return context.get_dummy_value()

    return types.void(p, types.intp, write), codegen


def _larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@intrinsic
def larger(typing_context, a, b):
    """Return the larger of each two lanes; b where one is NaN."""
    return a(a, a), lambda context, builder, signature, args: _larger(builder, *args)


@intrinsic
def smaller(typing_context, a, b):
    """Return the smaller of each two lanes; b where one is NaN."""
    return a(a, a), lambda context, builder, signature, args: builder.select(builder.fcmp_ordered("<", *args), *args)


@intrinsic
def marked(typing_context, mark, a, b):
    """Return `mark`, with NaN in the lanes where a or b is NaN."""

    def codegen(context, builder, signature, args):
        nan = ir.Constant(llvm_type(mark), [math.nan] * mark.count)
        return builder.select(builder.fcmp_unordered("uno", args[1], args[2]), nan, args[0])

    return mark(mark, mark, mark), codegen


@intrinsic
def where_above(typing_context, x, top, yes, no):
    """Return the lanes of `yes` where x > top, or where x is NaN and `top` is not; of `no` elsewhere."""

    def codegen(context, builder, signature, args):
        x, top, yes, no = args
        above = builder.and_(builder.fcmp_unordered("ugt", x, top), builder.fcmp_ordered("ord", top, top))
        return builder.select(above, yes, no)

    return yes(x, x, yes, yes), codegen


@intrinsic
def found_in(typing_context, x, value):
    """Return whether a lane of x equals that of `value`, where NaN equals NaN."""

    def codegen(context, builder, signature, args):
        x, value = args
        equal = builder.fcmp_ordered("==", x, value)
        both = builder.and_(builder.fcmp_unordered("uno", x, x), builder.fcmp_unordered("uno", value, value))
        bits = ir.IntType(signature.args[0].count)
        found = builder.bitcast(builder.or_(equal, both), bits)
        return builder.icmp_unsigned("!=", found, bits(0))

    return types.boolean(x, x), codegen


@intrinsic
def first_lanes(typing_context, x, count, fill):
    """Return x with lanes of `fill` from `count` on; see `read_part`."""
    return x(x, types.intp, x), lambda context, builder, signature, args: builder.select(
        _before(builder, x, args[1]), args[0], args[2]
    )


@intrinsic
def every(typing_context, x, distance, fill):
    """Return x with lanes of `fill` but for those whose number is a multiple of `distance`, a power of 2."""

    def codegen(context, builder, signature, args):
        near = builder.trunc(builder.sub(args[1], I64(1)), I32)
        rest = builder.and_(emit.constant(I32, range(x.count)), emit.splat(builder, near, x.count))
        kept = builder.icmp_unsigned("==", rest, ir.Constant(rest.type, [0] * x.count))
        return builder.select(kept, args[0], args[2])

    return x(x, types.intp, x), codegen


@intrinsic
def swapped(typing_context, x, distance):
    """Return x with lane i and lane i ^ distance exchanged, a literal power of 2; x itself if it has no more lanes."""
    if not isinstance(distance, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        if distance.literal_value >= x.count:
            return args[0]
        order = [lane ^ distance.literal_value for lane in range(x.count)]
        return emit.shuffle(builder, args[0], args[0], order)

    return x(x, distance), codegen


@intrinsic
def first_lane(typing_context, x):
    """Return the first lane of a vector."""
    return x.dtype(x), lambda context, builder, signature, args: builder.extract_element(args[0], I32(0))


@intrinsic
def largest_lane(typing_context, x):
    """Return the largest lane of a vector without NaN."""

    def codegen(context, builder, signature, args):
        value, step = args[0], x.count // 2
        while step:
            other = emit.shuffle(builder, value, value, [lane ^ step for lane in range(x.count)])
            value = _larger(builder, value, other)
            step //= 2
        return builder.extract_element(value, I32(0))

    return x.dtype(x), codegen


@intrinsic
def sum_of_lanes(typing_context, x):
    """Return the sum of all lanes, added in halves."""
    return x.dtype(x), lambda context, builder, signature, args: emit.sum_of_lanes(builder, *args)


@intrinsic
def times_power_of_2(typing_context, x, n):
    """Return x 2^n for whole numbers n (of floats), rounded once where the result is subnormal; 0 below those."""

    def codegen(context, builder, signature, args):
        kind, bits = llvm_type(x), x.dtype.bitwidth
        if HAS_SCALEF:
            every = ir.IntType(max(8, x.count))(-1)
            name = f"llvm.x86.avx512.mask.scalef.{'ps' if bits == 32 else 'pd'}.512"
            return emit.call(builder, name, kind, *args, args[0], every, I32(4))  # 4: rounded as usual
        # in two steps, so that each power is a normal float
        integer = ir.VectorType(ir.IntType(bits), x.count)
        bias, shift = (127, 23) if bits == 32 else (1023, 52)
        n = builder.fptosi(args[1], integer)
        half = builder.ashr(n, ir.Constant(integer, [1] * x.count))
        y = args[0]
        for power in (half, builder.sub(n, half)):
            biased = builder.add(power, ir.Constant(integer, [bias] * x.count))
            y = builder.fmul(y, builder.bitcast(builder.shl(biased, ir.Constant(integer, [shift] * x.count)), kind))
        return y

    return x(x, x), codegen


@intrinsic
def power_of_2_in(typing_context, x):
    """Return for positive normal numbers the whole n for which x 2^-n is in sqrt(1/2) .. sqrt(2)."""

    def codegen(context, builder, signature, args):
        bits = x.dtype.bitwidth
        integer = ir.VectorType(ir.IntType(bits), x.count)
        shift, root = (23, 0x3F3504F3) if bits == 32 else (52, 0x3FE6A09E667F3BCD)  # the bits of sqrt(1/2)
        distance = builder.sub(builder.bitcast(args[0], integer), ir.Constant(integer, [root] * x.count))
        n = builder.ashr(distance, ir.Constant(integer, [shift] * x.count))
        return builder.sitofp(n, llvm_type(x))

    return x(x), codegen
