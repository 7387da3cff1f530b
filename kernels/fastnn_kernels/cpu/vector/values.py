"""Vectors as values: for kernels that cut their rows into vectors themselves.

LLVM makes vectors of plain loops, but what is left of a row behind its last whole vectors goes number by number; for
rows of 10 to 1000 numbers that can be most of the time. Here a kernel handles a vector as it does a number,

    x, y, total = pointer(x), pointer(y), zeros(x)
    for i in range(0, n - n % width(total), width(total)):
        total = total + read(x, i) * read(y, i)

and the last ones through `read_part` and `write_part`, which touch nothing beyond the end. `_simd.fma`, `rint`, and
what `constant` and `polynomial` make take vectors, too.
"""

import math
import operator

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from .simd import VectorType, _float_type, features, suffix, vector_bytes

I32, I64 = ir.IntType(32), ir.IntType(64)
HAS_SCALEF = "avx512f" in features()


def _call(builder, name, result, *values):
    kind = ir.FunctionType(result, [value.type for value in values])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)


def _operator(function, instruction):
    @infer_global(function)
    class Typing(AbstractTemplate):
        def generic(self, args, kws):
            if isinstance(args[0], VectorType) and all(arg == args[0] for arg in args):
                return signature(args[0], *args)
            return None

    for count in (1, 2):
        lower_builtin(function, *[VectorType] * count)(
            lambda context, builder, signature, args: getattr(builder, instruction)(*args)
        )


_operator(operator.add, "fadd")
_operator(operator.sub, "fsub")
_operator(operator.mul, "fmul")
_operator(operator.truediv, "fdiv")
_operator(operator.neg, "fneg")


def _filled(builder, count, value):
    one = builder.insert_element(ir.Constant(ir.VectorType(value.type, count), ir.Undefined), value, I32(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(I32, count), [0] * count))


@intrinsic
def broadcast(typing_context, value):
    """Return a vector full of one number."""
    vector = VectorType(value)
    return vector(value), lambda context, builder, signature, args: _filled(builder, vector.count, args[0])


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
        args[1], _float_type(number).as_pointer()
    )


@intrinsic
def zeros(typing_context, p):
    """Return a vector of zeros of the dtype that a pointer leads to."""
    vector = VectorType(p.dtype)
    return vector(p), lambda context, builder, signature, args: ir.Constant(_float_type(vector), [0.0] * vector.count)


@intrinsic
def width(typing_context, vector):
    """Return how many lanes a vector has."""
    return types.intp(vector), lambda context, builder, signature, args: I64(vector.count)


def _mask(builder, lanes, count):
    """Return which lanes come before `count`, of any size."""
    near = builder.trunc(_smaller(builder, count, I64(lanes)), I32)
    numbers = ir.Constant(ir.VectorType(I32, lanes), list(range(lanes)))
    return builder.icmp_signed("<", numbers, _filled(builder, lanes, near))


def _smaller(builder, a, b):
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def _place(builder, p, i, vector):
    return builder.bitcast(builder.gep(p, [i]), _float_type(vector).as_pointer())


@intrinsic
def read(typing_context, p, i):
    """Return the vector that begins at element i."""
    vector = VectorType(p.dtype)

    def codegen(context, builder, signature, args):
        return builder.load(_place(builder, *args, vector), align=p.dtype.bitwidth // 8)

    return vector(p, types.intp), codegen


@intrinsic
def read_part(typing_context, p, i, count, fill):
    """Return the vector that begins at element i, with lanes of `fill` from `count` on, which are not looked at.

    A count above the width means all lanes, one below 0 none.
    """

    def codegen(context, builder, signature, args):
        mask, align = _mask(builder, fill.count, args[2]), I32(p.dtype.bitwidth // 8)
        name = f"llvm.masked.load.{suffix(fill)}.p0"
        return _call(builder, name, _float_type(fill), _place(builder, *args[:2], fill), align, mask, args[3])

    return fill(p, types.intp, types.intp, fill), codegen


@intrinsic
def write(typing_context, p, i, value):
    """Write a vector from element i on."""

    def codegen(context, builder, signature, args):
        builder.store(args[2], _place(builder, *args[:2], value), align=p.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(p, types.intp, value), codegen


@intrinsic
def write_part(typing_context, p, i, count, value):
    """Write the first `count` lanes of a vector from element i on; see `read_part`."""

    def codegen(context, builder, signature, args):
        mask, align = _mask(builder, value.count, args[2]), I32(p.dtype.bitwidth // 8)
        name = f"llvm.masked.store.{suffix(value)}.p0"
        _call(builder, name, ir.VoidType(), args[3], _place(builder, *args[:2], value), align, mask)
        return context.get_dummy_value()

    return types.void(p, types.intp, types.intp, value), codegen


@intrinsic
def stream(typing_context, p, i, value):
    """Write a vector past the caches from element i on, which lies aligned to its width. See `_simd.fence`."""

    def codegen(context, builder, signature, args):
        stored = builder.store(args[2], _place(builder, *args[:2], value), align=vector_bytes())
        stored.set_metadata("nontemporal", builder.module.add_metadata([I32(1)]))
        return context.get_dummy_value()

    return types.void(p, types.intp, value), codegen


@intrinsic
def prefetch(typing_context, p, i, write):
    """Ask for the cache line of element i, wherever that is, in the second-level cache; write: 1 to write, else 0."""
    if not isinstance(write, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        place = builder.bitcast(builder.gep(args[0], [args[1]]), ir.IntType(8).as_pointer())
        _call(builder, "llvm.prefetch.p0", ir.VoidType(), place, I32(write.literal_value), I32(2), I32(1))
        return context.get_dummy_value()

    return types.void(p, types.intp, write), codegen


def _larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


@intrinsic
def larger(typing_context, a, b):
    """Return the larger of each two lanes; b where one is NaN."""
    return a(a, a), lambda context, builder, signature, args: _larger(builder, *args)


def _smaller_number(builder, a, b):
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


@intrinsic
def smaller(typing_context, a, b):
    """Return the smaller of each two lanes; b where one is NaN."""
    return a(a, a), lambda context, builder, signature, args: _smaller_number(builder, *args)


@intrinsic
def marked(typing_context, mark, a, b):
    """Return `mark`, with NaN in the lanes where a or b is NaN."""

    def codegen(context, builder, signature, args):
        nan = ir.Constant(_float_type(mark), [math.nan] * mark.count)
        return builder.select(builder.fcmp_unordered("uno", args[1], args[2]), nan, args[0])

    return mark(mark, mark, mark), codegen


def _above(builder, x, top):
    """Return where x is larger than `top`, or the first NaN."""
    more = builder.fcmp_unordered("ugt", x, top)
    return builder.and_(more, builder.fcmp_ordered("ord", top, top))


@intrinsic
def where_above(typing_context, x, top, yes, no):
    """Return the lanes of `yes` where x > top, or where x is NaN and `top` is not; of `no` elsewhere."""

    def codegen(context, builder, signature, args):
        return builder.select(_above(builder, *args[:2]), *args[2:])

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

    def codegen(context, builder, signature, args):
        return builder.select(_mask(builder, x.count, args[1]), args[0], args[2])

    return x(x, types.intp, x), codegen


@intrinsic
def every(typing_context, x, distance, fill):
    """Return x with lanes of `fill` but for those whose number is a multiple of `distance`, a power of 2."""

    def codegen(context, builder, signature, args):
        near = builder.trunc(builder.sub(args[1], I64(1)), I32)
        numbers = ir.Constant(ir.VectorType(I32, x.count), list(range(x.count)))
        rest = builder.and_(numbers, _filled(builder, x.count, near))
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
        order = ir.Constant(ir.VectorType(I32, x.count), [lane ^ distance.literal_value for lane in range(x.count)])
        return builder.shuffle_vector(args[0], args[0], order)

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
            order = ir.Constant(ir.VectorType(I32, x.count), [lane ^ step for lane in range(x.count)])
            value = _larger(builder, value, builder.shuffle_vector(value, value, order))
            step //= 2
        return builder.extract_element(value, I32(0))

    return x.dtype(x), codegen


@intrinsic
def sum_of_lanes(typing_context, x):
    """Return the sum of all lanes, added in halves."""

    def codegen(context, builder, signature, args):
        value, step = args[0], x.count // 2
        while step:
            order = ir.Constant(ir.VectorType(I32, x.count), [lane ^ step for lane in range(x.count)])
            value = builder.fadd(value, builder.shuffle_vector(value, value, order))
            step //= 2
        return builder.extract_element(value, I32(0))

    return x.dtype(x), codegen


@intrinsic
def times_power_of_2(typing_context, x, n):
    """Return x 2^n for whole numbers n (of floats), rounded once where the result is subnormal; 0 far below."""

    def codegen(context, builder, signature, args):
        kind, bits = _float_type(x), x.dtype.bitwidth
        if HAS_SCALEF:
            every = ir.IntType(max(8, x.count))(-1)
            name = f"llvm.x86.avx512.mask.scalef.{'ps' if bits == 32 else 'pd'}.512"
            return _call(builder, name, kind, *args, args[0], every, I32(4))  # 4: rounded as usual
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
        return builder.sitofp(n, _float_type(x))

    return x(x), codegen
