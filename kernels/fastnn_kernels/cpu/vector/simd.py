"""Vectors: how wide they are on this CPU, and the few operations that Python has no word for.

Here the package speaks LLVM; the other files that may are listed in LLVM_FILES.
"""

from functools import cache

import llvmlite.binding as llvm
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model


@cache
def features() -> frozenset[str]:
    """Return the CPU features that LLVM compiles for: NUMBA_CPU_FEATURES, else the host's, as Numba has it.

    So NUMBA_CPU_NAME alone changes what code is tuned for, not which instructions it may use.
    """
    given = config.CPU_FEATURES
    if given is None:
        given = llvm.get_host_cpu_features().flatten()
    return frozenset(word[1:] for word in given.split(",") if word.startswith("+"))


@cache
def vector_bytes() -> int:
    """Return the bytes of the widest vector: 64 (AVX-512), 32 (AVX2 with FMA), else 16 (SSE, NEON)."""
    if "avx512f" in features():
        return 64
    return 32 if {"avx2", "fma"} <= features() else 16


@cache
def vector_registers() -> int:
    """Return how many vector registers there are: 32 on AVX-512 and ARM, 16 on other x86."""
    arm = llvm.get_process_triple().startswith(("aarch64", "arm64"))
    return 32 if arm or vector_bytes() == 64 else 16


class VectorType(types.Type):
    """A vector of numbers of one dtype, as wide as the CPU's. What can be done with it is in `_vector`."""

    def __init__(self, dtype):
        self.dtype, self.count = dtype, vector_bytes() * 8 // dtype.bitwidth
        super().__init__(f"vector({dtype} x {self.count})")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, ir.VectorType(_float_type(kind.dtype), kind.count))


def _float_type(number) -> ir.Type:
    if isinstance(number, VectorType):
        return ir.VectorType(_float_type(number.dtype), number.count)
    return ir.FloatType() if is_single(number) else ir.DoubleType()


def is_single(number) -> bool:
    """Say whether a type, or that of a vector's elements, is float32 and not float64. TypeError for any other."""
    number = getattr(number, "dtype", number)
    if number not in (types.float32, types.float64):
        raise TypeError(f"float32 or float64 wanted, got {number}")
    return number == types.float32


def suffix(number) -> str:
    """Return what LLVM's functions of this type have at the end of their names: f32, v16f32."""
    if isinstance(number, VectorType):
        return f"v{number.count}{suffix(number.dtype)}"
    return "f32" if is_single(number) else "f64"


def _literal(context, number, value):
    """Return a number, or a vector full of it."""
    if isinstance(number, VectorType):
        return ir.Constant(_float_type(number), [value] * number.count)
    return context.get_constant(number, value)


def _scalar(name: str, arity: int):
    """Return an intrinsic that calls LLVM's `name` on floats of one type. It keeps its meaning under fastmath."""

    def codegen(context, builder, signature, args):
        number = _float_type(signature.return_type)
        kind = ir.FunctionType(number, [number] * arity)
        name_of_type = f"llvm.{name}.{suffix(signature.return_type)}"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name_of_type), args)

    return codegen


@intrinsic
def fma(typing_context, a, b, c):
    """Return a * b + c rounded once. All three of one float type."""
    return a(a, a, a), _scalar("fma", 3)


@intrinsic
def rint(typing_context, x):
    """Return x rounded to the nearest integer, ties to even, as a float."""
    return x(x), _scalar("rint", 1)


@intrinsic
def maximum(typing_context, a, b):
    """Return the larger of two floats, NaN if either is. Loops that take the maximum of a row vectorise with it."""
    return a(a, a), _scalar("maximum", 2)


@intrinsic
def minimum(typing_context, a, b):
    """Return the smaller of two floats, NaN if either is. One instruction if one of them is a constant."""
    return a(a, a), _scalar("minimum", 2)


@intrinsic
def copysign(typing_context, x, sign):
    """Return |x| with the sign of `sign`."""
    return x(x, x), _scalar("copysign", 2)


HAS_LDEXP = "avx512f" in features()  # as a vector instruction; elsewhere LLVM would call the C library


@intrinsic
def ldexp(typing_context, x, n):
    """Return x 2^n for an integer n of any size, subnormal results included."""

    def codegen(context, builder, signature, args):
        number, i32 = _float_type(signature.return_type), ir.IntType(32)
        n = builder.trunc(args[1], i32) if args[1].type.width > 32 else args[1]
        suffix = "f32" if is_single(signature.return_type) else "f64"
        kind = ir.FunctionType(number, [number, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ldexp.{suffix}.i32")
        return builder.call(function, [args[0], n])

    return x(x, n), codegen


@intrinsic
def bits_of_float(typing_context, x):
    """Return the bits of a float32 as int32, of a float64 as int64."""
    to = types.int32 if is_single(x) else types.int64
    return to(x), lambda context, builder, signature, args: builder.bitcast(args[0], ir.IntType(to.bitwidth))


@intrinsic
def float_from_bits(typing_context, i):
    """Return the float32 with the bits of an int32, the float64 with those of an int64."""
    to = {32: types.float32, 64: types.float64}[i.bitwidth]
    return to(i), lambda context, builder, signature, args: builder.bitcast(args[0], _float_type(to))


def constant(single, double):
    """Make an intrinsic c(x): a number for float32 x and one for float64 x, of x's type (int32, int64 for integers)."""

    @intrinsic
    def c(typing_context, x):
        value = single if is_single(x) else double
        kind = (types.int32 if is_single(x) else types.int64) if isinstance(value, int) else x
        return kind(x), lambda context, builder, signature, args: _literal(context, kind, value)

    c.values = single, double
    return c


def polynomial(single, double):
    """Make an intrinsic p(x) = c[0] + c[1] x + c[2] x^2 + ..., by Horner's rule with the coefficients of x's dtype."""

    @intrinsic
    def p(typing_context, x):
        step, coefficients = _scalar("fma", 3), single if is_single(x) else double

        def codegen(context, builder, signature, args):
            *rest, last = [_literal(context, x, c) for c in coefficients]
            for c in reversed(rest):
                last = step(context, builder, signature, [last, args[0], c])
            return last

        return x(x), codegen

    return p


@intrinsic
def address(typing_context, array):
    """Return the address of an array's first element."""

    def codegen(context, builder, signature, args):
        data = context.make_array(array)(context, builder, args[0]).data
        return builder.ptrtoint(data, ir.IntType(64))

    return types.intp(array), codegen


@intrinsic
def vector_at(typing_context, number, address, length):
    """Return `length` numbers of the dtype of `number` at an address as a contiguous array (that owns nothing)."""
    array = types.Array(number, 1, "C")

    def codegen(context, builder, signature, args):
        size = ir.IntType(64)(number.bitwidth // 8)
        made = context.make_array(array)(context, builder)
        pointer = builder.inttoptr(args[1], _float_type(number).as_pointer())
        context.populate_array(made, data=pointer, shape=[args[2]], strides=[size], itemsize=size, meminfo=None)
        return made._getvalue()

    return array(number, types.intp, types.intp), codegen


@intrinsic
def part(typing_context, x, start, length):
    """Return `length` numbers of a contiguous array from number `start` on, whatever its rank: nothing is checked."""
    row = types.Array(x.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        whole, made = context.make_array(x)(context, builder, args[0]), context.make_array(row)(context, builder)
        data, size = builder.gep(whole.data, [args[1]]), whole.itemsize
        context.populate_array(made, data=data, shape=[args[2]], strides=[size], itemsize=size, meminfo=None)
        return made._getvalue()

    return row(x, types.intp, types.intp), codegen


def _scope(module):
    """Return the metadata by which loads and stores are told apart: a list of one scope in one domain."""
    domain = module.add_metadata(["fastnn"])
    return module.add_metadata([module.add_metadata(["load", domain])])


def _element(context, builder, array, value, i):
    return builder.gep(context.make_array(array)(context, builder, value).data, [i])


@intrinsic
def load(typing_context, x, i):
    """Return x[i] of a contiguous array, i >= 0, as if no `store` ever wrote there.

    So loops over them are vector code without a look at how arrays overlap, in place too: elements are read and
    written in order.
    """

    def codegen(context, builder, signature, args):
        value = builder.load(_element(context, builder, x, *args))
        value.set_metadata("alias.scope", _scope(builder.module))
        return value

    return x.dtype(x, types.intp), codegen


@intrinsic
def store(typing_context, x, i, value):
    """Set x[i] of a contiguous array, i >= 0; see `load`."""

    def codegen(context, builder, signature, args):
        done = builder.store(args[2], _element(context, builder, x, *args[:2]))
        done.set_metadata("noalias", _scope(builder.module))
        return context.get_dummy_value()

    return types.void(x, types.intp, x.dtype), codegen


@intrinsic
def itemsize(typing_context, number):
    """Return the bytes of a number."""
    return types.intp(number), lambda context, builder, signature, args: ir.IntType(64)(number.bitwidth // 8)


@intrinsic
def lanes(typing_context, number):
    """Return how many numbers of this dtype a vector holds."""
    count = vector_bytes() * 8 // number.bitwidth
    return types.intp(number), lambda context, builder, signature, args: ir.IntType(64)(count)


@intrinsic
def prefetch(typing_context, address):
    """Ask for the cache line at an address, whatever it is, in the second-level cache."""

    def codegen(context, builder, signature, args):
        byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [builder.inttoptr(args[0], byte), i32(0), i32(2), i32(1)])
        return context.get_dummy_value()

    return types.void(address), codegen


@intrinsic
def fence(typing_context):
    """Wait until everything stored so far can be seen by others: vectors stored past the caches come out of order."""

    def codegen(context, builder, signature, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def stack_bytes(typing_context, count):
    """Return the address of `count` (a literal) bytes on the stack of the calling function, aligned to 64."""
    if not isinstance(count, types.IntegerLiteral):
        return None

    def codegen(context, builder, signature, args):
        with builder.goto_entry_block():  # cgutils.alloca_once would fill it with zeros
            place = builder.alloca(ir.ArrayType(ir.IntType(8), count.literal_value))
        place.align = 64
        return builder.ptrtoint(place, ir.IntType(64))

    return types.intp(count), codegen
