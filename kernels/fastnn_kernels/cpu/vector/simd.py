"""What kernels say to LLVM for which Python has no word: rounding once, bits of floats, memory by address.

Vectors are in `values`, what the generators of tiles share in `emit`.
"""

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model

from . import emit
from .emit import I32, I64, scalar_type
from .machine import features, vector_bytes


class VectorType(types.Type):
    """A vector of numbers of one dtype, by default as wide as the CPU's. What can be done with it is in `values`."""

    def __init__(self, dtype, count=None):
        self.dtype, self.count = dtype, count or vector_bytes() * 8 // dtype.bitwidth
        super().__init__(f"vector({dtype} x {self.count})")


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, kind):
        super().__init__(manager, kind, llvm_type(kind))


def llvm_type(number) -> ir.Type:
    """Return the LLVM type of a number or vector; TypeError for a dtype that has none."""
    if isinstance(number, VectorType):
        return ir.VectorType(scalar_type(number.dtype), number.count)
    return scalar_type(number)


def is_single(number) -> bool:
    """Say whether a type, or that of a vector's elements, is float32 and not float64. TypeError for any other."""
    number = getattr(number, "dtype", number)
    if number not in (types.float32, types.float64):
        raise TypeError(f"float32 or float64 wanted, got {number}")
    return number == types.float32


def _literal(context, number, value):
    """Return a number, or a vector full of it."""
    if isinstance(number, VectorType):
        return ir.Constant(llvm_type(number), [value] * number.count)
    return context.get_constant(number, value)


def _scalar(name: str):
    """Return an intrinsic that calls LLVM's `name` on floats of one type. It keeps its meaning under fastmath."""

    def codegen(context, builder, signature, args):
        kind = args[0].type
        return emit.call(builder, f"llvm.{name}.{emit.suffix(kind)}", kind, *args)

    return codegen


@intrinsic
def fma(typing_context, a, b, c):
    """Return a * b + c rounded once. All three of one float type."""
    return a(a, a, a), _scalar("fma")


@intrinsic
def rint(typing_context, x):
    """Return x rounded to the nearest integer, ties to even, as a float."""
    return x(x), _scalar("rint")


@intrinsic
def maximum(typing_context, a, b):
    """Return the larger of two floats, NaN if either is. Loops that take the maximum of a row vectorise with it."""
    return a(a, a), _scalar("maximum")


@intrinsic
def minimum(typing_context, a, b):
    """Return the smaller of two floats, NaN if either is. One instruction if one of them is a constant."""
    return a(a, a), _scalar("minimum")


@intrinsic
def copysign(typing_context, x, sign):
    """Return |x| with the sign of `sign`."""
    return x(x, x), _scalar("copysign")


HAS_LDEXP = "avx512f" in features()  # as a vector instruction; elsewhere LLVM would call the C library


@intrinsic
def ldexp(typing_context, x, n):
    """Return x 2^n for an integer n of any size, subnormal results included."""

    def codegen(context, builder, signature, args):
        n = builder.trunc(args[1], I32) if args[1].type.width > 32 else args[1]
        kind = args[0].type
        return emit.call(builder, f"llvm.ldexp.{emit.suffix(kind)}.i32", kind, args[0], n)

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
    return to(i), lambda context, builder, signature, args: builder.bitcast(args[0], llvm_type(to))


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
        step, coefficients = _scalar("fma"), single if is_single(x) else double

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
        return builder.ptrtoint(data, I64)

    return types.intp(array), codegen


@intrinsic
def vector_at(typing_context, number, address, length):
    """Return `length` numbers of the dtype of `number` at an address as a contiguous array (that owns nothing)."""
    array = types.Array(number, 1, "C")

    def codegen(context, builder, signature, args):
        size = I64(number.bitwidth // 8)
        view = context.make_array(array)(context, builder)
        pointer = builder.inttoptr(args[1], llvm_type(number).as_pointer())
        context.populate_array(view, data=pointer, shape=[args[2]], strides=[size], itemsize=size, meminfo=None)
        return view._getvalue()

    return array(number, types.intp, types.intp), codegen


@intrinsic
def part(typing_context, x, start, length):
    """Return `length` numbers of a contiguous array from number `start` on, whatever its rank: nothing is checked."""
    row = types.Array(x.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        whole, view = context.make_array(x)(context, builder, args[0]), context.make_array(row)(context, builder)
        data, size = builder.gep(whole.data, [args[1]]), whole.itemsize
        context.populate_array(view, data=data, shape=[args[2]], strides=[size], itemsize=size, meminfo=None)
        return view._getvalue()

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


def linked(name: str, value: int):
    """Make an intrinsic that returns a number, not 0, which the linker fills in: it is no part of cached code.

    For what differs between machines that may share a disk cache, such as sizes of caches.
    """
    symbol = f"fastnn_{name}"
    llvm.add_symbol(symbol, value)

    @intrinsic
    def number(typing_context):
        def codegen(context, builder, signature, args):
            place = builder.module.globals.get(symbol) or ir.GlobalVariable(builder.module, ir.IntType(8), symbol)
            return builder.ptrtoint(place, I64)

        return types.intp(), codegen

    return number


@intrinsic
def itemsize(typing_context, number):
    """Return the bytes of a number."""
    return types.intp(number), lambda context, builder, signature, args: I64(number.bitwidth // 8)


@intrinsic
def lanes(typing_context, number):
    """Return how many numbers of this dtype a vector holds."""
    count = vector_bytes() * 8 // number.bitwidth
    return types.intp(number), lambda context, builder, signature, args: I64(count)


@intrinsic
def prefetch(typing_context, address):
    """Ask for the cache line at an address, whatever it is, in the second-level cache."""

    def codegen(context, builder, signature, args):
        emit.prefetch(builder, builder.inttoptr(args[0], ir.IntType(8).as_pointer()))
        return context.get_dummy_value()

    return types.void(address), codegen


@intrinsic
def fence(typing_context):
    """Wait until all stores can be seen by other threads: streaming stores become visible out of order."""

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
        return builder.ptrtoint(place, I64)

    return types.intp(count), codegen
