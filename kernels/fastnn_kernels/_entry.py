"""How Python calls a kernel: a C function that reads its arguments where they lie in Python's objects.

Numba's own wrappers take 0.17 us for two arrays and two integers: they make a tuple of the arguments, and for each
array a record that counts references, though the caller holds them all meanwhile. Here the arguments come as CPython
has them (METH_FASTCALL), and arrays are read from NumPy's C structure, which is part of its stable interface.
"""

import ctypes
from functools import cache, partial

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.numpy_support import as_dtype

from ._parallel import call_body, run_tasks

BYTE, I32, INTP = ir.IntType(8), ir.IntType(32), ir.IntType(64)
OBJECT = BYTE.as_pointer()
NULL = ir.Constant(OBJECT, None)
# PyArrayObject: after the header of every object come data, ndim, shape, strides, base, dtype, flags
HEADER = ir.ArrayType(OBJECT, object.__basicsize__ // 8)
ARRAY = ir.LiteralStructType([HEADER, OBJECT, I32, INTP.as_pointer(), INTP.as_pointer(), OBJECT, OBJECT, I32])
DATA, NDIM, SHAPE, STRIDES, DTYPE, FLAGS = 1, 2, 3, 4, 6, 7
CONTIGUOUS, ALIGNED, WRITEABLE, C_ORDER = 0x1, 0x100, 0x400, 0
NUMPY_FUNCTIONS = {"EquivTypes": 182, "NewLikeArray": 277}  # their places in the table of NumPy's C interface
DTYPES = ("float32", "float64", "int32", "int64", "uint8", "uint32", "uint64")
METH_FASTCALL = 0x80


class MethodDef(ctypes.Structure):
    """What CPython knows of a C function."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    )  # fmt: skip


_new_function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.POINTER(MethodDef), ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)
_definitions: list[MethodDef] = []  # CPython keeps their addresses only


def python_function(name: str, address: int, owner=None):
    """Return the C function f(owner, arguments, their number) at an address as a Python function."""
    definition = MethodDef(name.encode(), address, METH_FASTCALL, None)
    _definitions.append(definition)
    return _new_function(definition, owner, None)


@cache
def name_symbols() -> None:
    """Let the linker find what compiled code asks for by name: NumPy's type of arrays, its dtypes and functions."""
    from numpy._core._multiarray_umath import _ARRAY_API

    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    table = ctypes.cast(pointer(_ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    for name, place in NUMPY_FUNCTIONS.items():
        llvm.add_symbol(f"fastnn_{name}", table[place])
    llvm.add_symbol("fastnn_ndarray", id(np.ndarray))
    for name in DTYPES:
        llvm.add_symbol(f"fastnn_{name}", id(np.dtype(name)))


def entry(body, name: str, argument_types, parallel: bool):
    """Return the function (owner, arguments, their number) -> None that calls a kernel, for Numba to compile.

    body: the kernel as a Callee. argument_types: gives their Numba types for a dtype. A parallel kernel's last two are
    the length of its range and the number of tasks.
    """

    def call(typing_context, given, count):
        kinds = argument_types(as_dtype(given.dtype))
        signature = typing_context.resolve_function_type(body._numba_type_, kinds, {})
        return types.voidptr(given, count), partial(codegen, kinds, body.dispatcher.get_compile_result(signature))

    def codegen(kinds, result, context, builder, signature, args):
        context.add_linking_libs([result.library])
        api = context.get_python_api(builder)

        def fail(condition, exception=None, message=""):
            with builder.if_then(condition, likely=False):
                if exception:
                    api.err_set_string(exception, f"{name}: {message}")
                context.call_conv.return_value(builder, NULL)

        fail(builder.icmp_signed("!=", args[1], INTP(len(kinds))), "PyExc_TypeError", f"takes {len(kinds)} arguments")
        items, values = builder.bitcast(args[0], OBJECT.as_pointer()), []
        for i, kind in enumerate(kinds):
            item = builder.load(builder.gep(items, [INTP(i)]))
            if isinstance(kind, types.Array):
                dense = kind.layout == "C"
                wrong = builder.not_(is_array(builder, item, kind.dtype, kind.ndim, dense))
                wanted = f"a{' contiguous' if dense else 'n'} array of {kind.dtype} of rank {kind.ndim}"
                fail(wrong, "PyExc_TypeError", f"argument {i + 1} must be {wanted}")
                values.append(array(context, builder, item, kind))
            else:
                native = api.to_native_value(kind, item)
                fail(native.is_error)
                values.append(native.value)
        state = api.save_thread()
        if parallel:
            failed = run_tasks(context, builder, result.fndesc, kinds[:-2], *values)
        else:
            failed = call_body(context, builder, result.fndesc, kinds, values)
        api.restore_thread(state)
        fail(failed, "PyExc_IndexError", "out of bounds")  # only where bounds checks are compiled in
        return api.make_none()

    called = intrinsic(call)
    return lambda owner, given, count: called(given, count)


def flat_entry(body, name: str, argument_types, inputs: int, limit: int):
    """Return the function (owner, arguments, their number) -> array of an elementwise kernel, for Numba to compile.

    The arguments: `inputs` arrays of one shape, the numbers of the kernel, the output or None. Plain small arrays are
    all done here, with any number of dimensions and the lock of Python held: 0.2 us, most of it for the new array.
    Whatever is not plain, or has `limit` bytes, goes to `owner`, a Python function, with the same arguments.
    """

    def call(typing_context, owner, given, count):
        kinds = argument_types(as_dtype(given.dtype))
        signature = typing_context.resolve_function_type(body._numba_type_, kinds, {})
        result = body.dispatcher.get_compile_result(signature)
        return types.voidptr(owner, given, count), partial(codegen, kinds, result)

    def codegen(kinds, result, context, builder, signature, args):
        context.add_linking_libs([result.library])
        api, flat = context.get_python_api(builder), kinds[0]
        owner, given, count = args
        elsewhere, give = builder.append_basic_block("elsewhere"), context.call_conv.return_value

        def need(condition):
            """Go on only under this condition."""
            here = builder.append_basic_block()
            builder.cbranch(condition, here, elsewhere)
            builder.position_at_end(here)

        def plain(item, flags):
            need(builder.icmp_unsigned("==", type_of(builder, item), named(builder, "fastnn_ndarray")))
            need(builder.icmp_unsigned("==", field(builder, item, DTYPE), named(builder, f"fastnn_{flat.dtype}")))
            need(builder.icmp_signed("==", builder.and_(field(builder, item, FLAGS), I32(flags)), I32(flags)))

        def same_shape(a, b):
            """Compare the shapes of two arrays, and return how many elements they have."""
            need(builder.icmp_signed("==", field(builder, a, NDIM), field(builder, b, NDIM)))
            size = cgutils.alloca_once_value(builder, INTP(1))
            first, second = field(builder, a, SHAPE), field(builder, b, SHAPE)
            differ = cgutils.alloca_once_value(builder, INTP(0))
            with cgutils.for_range(builder, builder.sext(field(builder, a, NDIM), INTP)) as loop:
                length, other = (builder.load(builder.gep(shape, [loop.index])) for shape in (first, second))
                builder.store(builder.mul(builder.load(size), length), size)
                builder.store(builder.or_(builder.load(differ), builder.xor(length, other)), differ)
            need(builder.icmp_signed("==", builder.load(differ), INTP(0)))
            return builder.load(size)

        pointers = builder.bitcast(given, OBJECT.as_pointer())
        need(builder.icmp_signed("==", count, INTP(len(kinds) - 2)))
        items = [builder.load(builder.gep(pointers, [INTP(i)])) for i in range(len(kinds) - 2)]
        arrays, numbers, out = items[:inputs], items[inputs:-1], items[-1]
        for item in arrays:
            plain(item, CONTIGUOUS | ALIGNED)
        for item in arrays:
            size = same_shape(arrays[0], item)
        itemsize = context.get_abi_sizeof(context.get_data_type(flat.dtype))
        need(builder.icmp_signed("<", size, INTP(limit // itemsize)))
        target = cgutils.alloca_once_value(builder, NULL)
        with builder.if_then(builder.icmp_unsigned("!=", out, api.borrow_none())):
            plain(out, CONTIGUOUS | ALIGNED | WRITEABLE)
            same_shape(arrays[0], out)
            start = builder.ptrtoint(field(builder, out, DATA), INTP)
            for item in arrays:
                distance = builder.sub(builder.ptrtoint(field(builder, item, DATA), INTP), start)
                distance = builder.select(builder.icmp_signed("<", distance, INTP(0)), builder.neg(distance), distance)
                apart = builder.icmp_signed(">=", distance, builder.mul(size, INTP(itemsize)))
                need(builder.or_(apart, builder.icmp_unsigned("==", item, out)))
            builder.store(out, target)
        values = []
        for kind, item in zip(kinds[inputs + 1 :], numbers, strict=False):
            native = api.to_native_value(kind, item)
            with builder.if_then(native.is_error, likely=False):
                api.err_clear()
            need(builder.not_(native.is_error))
            values.append(native.value)
        api.incref(builder.load(target))
        with builder.if_then(builder.icmp_unsigned("==", builder.load(target), NULL)):
            new = numpy_function(builder, "NewLikeArray", OBJECT, OBJECT, I32, OBJECT, I32)
            builder.store(builder.call(new, [arrays[0], I32(C_ORDER), NULL, I32(0)]), target)
            with builder.if_then(builder.icmp_unsigned("==", builder.load(target), NULL), likely=False):
                give(builder, NULL)
        made = builder.load(target)
        views = [array(context, builder, item, flat, [size]) for item in (*arrays, made)]
        call_body(context, builder, result.fndesc, kinds, [*views, *values, INTP(0), size])
        give(builder, made)
        builder.position_at_end(elsewhere)
        vectorcall = ir.FunctionType(OBJECT, [OBJECT, OBJECT.as_pointer(), INTP, OBJECT])
        other = cgutils.get_or_insert_function(builder.module, vectorcall, "PyObject_Vectorcall")
        return builder.call(other, [owner, pointers, count, NULL])

    called = intrinsic(call)
    return lambda owner, given, count: called(owner, given, count)


def field(builder, item, number):
    """Load a field of an array."""
    return builder.load(builder.gep(builder.bitcast(item, ARRAY.as_pointer()), [I32(0), I32(number)]))


def named(builder, name, kind=BYTE):
    """Return the address that `name_symbols` has given a name."""
    return builder.module.globals.get(name) or ir.GlobalVariable(builder.module, kind, name)


def numpy_function(builder, name, result, *arguments):
    """Declare a function of NumPy."""
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, arguments), f"fastnn_{name}")


def type_of(builder, item):
    """Load the address of an object's type: the last word of its header."""
    return builder.load(builder.gep(builder.bitcast(item, OBJECT.as_pointer()), [INTP(object.__basicsize__ // 8 - 1)]))


def is_array(builder, item, dtype, ndim, dense):
    """Emit whether an object is an array of this dtype and rank, and contiguous if dense: mostly four comparisons."""
    one = ir.IntType(1)
    ndarray, wanted = named(builder, "fastnn_ndarray"), named(builder, f"fastnn_{dtype}")
    kind = type_of(builder, item)
    plain = builder.icmp_unsigned("==", kind, ndarray)
    start = builder.block
    with builder.if_then(builder.not_(plain), likely=False):
        types_of_two = ir.FunctionType(I32, [OBJECT, OBJECT])
        subtype = cgutils.get_or_insert_function(builder.module, types_of_two, "PyType_IsSubtype")
        inherited = builder.icmp_signed("!=", builder.call(subtype, [kind, ndarray]), I32(0))
        other = builder.block
    found = builder.phi(one)
    found.add_incoming(one(1), start)
    found.add_incoming(inherited, other)
    start = builder.block
    with builder.if_then(found):
        fits = builder.icmp_signed("==", field(builder, item, NDIM), I32(ndim))
        if dense:
            flag = builder.and_(field(builder, item, FLAGS), I32(CONTIGUOUS))
            fits = builder.and_(fits, builder.icmp_signed("!=", flag, I32(0)))
        given = field(builder, item, DTYPE)
        same = builder.icmp_unsigned("==", given, wanted)
        middle = builder.block
        with builder.if_then(builder.not_(same), likely=False):
            equivalent = numpy_function(builder, "EquivTypes", BYTE, OBJECT, OBJECT)
            alike = builder.icmp_unsigned("!=", builder.call(equivalent, [given, wanted]), BYTE(0))
            other = builder.block
        right = builder.phi(one)
        right.add_incoming(one(1), middle)
        right.add_incoming(alike, other)
        right = builder.and_(right, fits)
        end = builder.block
    result = builder.phi(one)
    result.add_incoming(one(0), start)
    result.add_incoming(right, end)
    return result


def array(context, builder, item, kind, flat=None):
    """Emit the array as kernels know it, which owns nothing; `flat`: the length in place of its shape."""
    made = context.make_array(kind)(context, builder)
    number = context.get_data_type(kind.dtype)
    size = INTP(context.get_abi_sizeof(number))
    shape, strides = flat, [size]
    if flat is None:
        shape, strides = (
            [builder.load(builder.gep(field(builder, item, which), [INTP(d)])) for d in range(kind.ndim)]
            for which in (SHAPE, STRIDES)
        )
    data = builder.bitcast(field(builder, item, DATA), number.as_pointer())
    context.populate_array(made, data=data, shape=shape, strides=strides, itemsize=size, meminfo=None)
    return made._getvalue()
