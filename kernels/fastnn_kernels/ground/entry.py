"""How Python calls a kernel: a C function that reads its arguments in place, from Python's objects.

Numbers are converted before the first shape or address of an array is read: converting one may run Python code
(`__float__`, `__index__`), which could change the arrays.

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

from .denormal import flushing
from .threads import call_body, run_tasks

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
HEAP_TYPE = 1 << 9  # among the flags of a type: it was made at run time
NUMBERS = ("PyFloat_Type", "PyLong_Type")  # converted without running code that could change an array


class MethodDef(ctypes.Structure):
    """What CPython knows of a C function."""

    _fields_ = (
        ("name", ctypes.c_char_p), ("function", ctypes.c_void_p), ("flags", ctypes.c_int), ("doc", ctypes.c_char_p),
    )  # fmt: skip


_new_function = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.POINTER(MethodDef), ctypes.py_object, ctypes.c_void_p)(
    ("PyCFunction_NewEx", ctypes.pythonapi)
)
_definitions: list[MethodDef] = []  # CPython keeps their addresses only
_new_like = ctypes.c_void_p()  # where compiled code finds the function that makes new outputs, see `set_new_like`
NEW_LIKE = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object, ctypes.c_int, ctypes.c_void_p, ctypes.c_int)


def python_function(name: str, address: int, owner=None):
    """Return the C function f(owner, arguments, their number) at an address as a Python function."""
    definition = MethodDef(name.encode(), address, METH_FASTCALL, None)
    _definitions.append(definition)
    return _new_function(definition, owner, None)


@cache
def numpy_address(name: str) -> int:
    """Return the address of a function of NumPy's C interface."""
    from numpy._core._multiarray_umath import _ARRAY_API

    pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
        ("PyCapsule_GetPointer", ctypes.pythonapi)
    )
    return ctypes.cast(pointer(_ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))[NUMPY_FUNCTIONS[name]]


def set_new_like(allocate=None) -> None:
    """Let compiled code allocate its outputs by `allocate(shape, dtype)`; None: by NumPy, the default.

    For tests, which put outputs beside guard pages. `allocate` must return a C-contiguous, aligned array of that shape
    and dtype, and must not raise. No other thread may run a kernel meanwhile.
    """
    global _callback
    if allocate is None:
        _callback, _new_like.value = None, numpy_address("NewLikeArray")
        return

    def new_like(prototype, order, dtype, subclass):
        canonical = ctypes.cast(dtype, ctypes.py_object).value
        _release(dtype)  # NewLikeArray takes over its caller's reference to the dtype
        return allocate(prototype.shape, canonical)

    _callback = NEW_LIKE(new_like)
    _new_like.value = ctypes.cast(_callback, ctypes.c_void_p).value


_release = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("Py_DecRef", ctypes.pythonapi))
_callback = None  # keeps the function alive


@cache
def name_symbols() -> None:
    """Let the linker find what compiled code asks for by name: NumPy's type of arrays, its dtypes and functions."""
    if _new_like.value is None:
        set_new_like()
    llvm.add_symbol("fastnn_new_like", ctypes.addressof(_new_like))
    llvm.add_symbol("fastnn_EquivTypes", numpy_address("EquivTypes"))
    llvm.add_symbol("fastnn_ndarray", id(np.ndarray))
    for name in DTYPES:
        llvm.add_symbol(f"fastnn_{name}", id(np.dtype(name)))


def entry(body, name: str, argument_types, parallel: bool, written, flush: bool):
    """Return the function (owner, arguments, their number) -> None that calls a kernel, for Numba to compile.

    body: the kernel as a Callee. argument_types: gives their Numba types for a dtype. A parallel kernel's last two are
    the length of its range and the number of tasks. written: the numbers of the arguments that it writes. flush: take
    denormal numbers for 0 always, not only in that mode. Arrays have to be aligned, and writable where it writes.
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
        pointers = builder.bitcast(args[0], OBJECT.as_pointer())
        items = [builder.load(builder.gep(pointers, [INTP(i)])) for i in range(len(kinds))]
        values = [None] * len(kinds)
        arrays = [i for i, kind in enumerate(kinds) if isinstance(kind, types.Array)]
        for i in [i for i in range(len(kinds)) if i not in arrays]:
            message = f"argument {i + 1} must be a number"
            fail(runs_python(builder, items[i]), "PyExc_TypeError", message)
            native = api.to_native_value(kinds[i], items[i])
            fail(native.is_error)
            values[i] = native.value
        for i in arrays:
            kind, dense = kinds[i], kinds[i].layout == "C"
            flags = ALIGNED | CONTIGUOUS * dense | WRITEABLE * (i in written)
            wanted = f"array of {kind.dtype} of rank {kind.ndim}, aligned{' and writable' * (i in written)}"
            wrong = builder.not_(is_array(builder, items[i], kind.dtype, kind.ndim, flags))
            message = f"argument {i + 1} must be a{' contiguous' if dense else 'n'} {wanted}"
            fail(wrong, "PyExc_TypeError", message)
            values[i] = array(context, builder, items[i], kind)
        state = api.save_thread()
        if parallel:
            failed = run_tasks(context, builder, result.fndesc, kinds[:-2], flush, *values)
        else:
            with flushing(builder, flush):
                failed = call_body(context, builder, result.fndesc, kinds, values)
        api.restore_thread(state)
        fail(failed, "PyExc_IndexError", "out of bounds")  # only where bounds checks are compiled in
        return api.make_none()

    called = intrinsic(call)
    return lambda owner, given, count: called(given, count)


def flat_entry(body, name: str, argument_types, inputs: int, limit: int):
    """Return the function (owner, arguments, their number) -> array of an elementwise kernel, for Numba to compile.

    The arguments: `inputs` arrays of one shape, the numbers of the kernel (float or int), the output or None. Plain
    small arrays are all done here, with any number of dimensions and the lock of Python held: 0.2 us, most of it for
    the new array. Whatever is not plain, or has `limit` bytes, goes to `owner`, a Python function, with the same
    arguments. So do other numbers than float and int, whose conversion could run Python code.
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
            need(has_dtype(builder, item, flat.dtype))
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
        values = []
        for kind, item in zip(kinds[inputs + 1 :], numbers, strict=False):
            need(is_exact_number(builder, item))
            native = api.to_native_value(kind, item)
            with builder.if_then(native.is_error, likely=False):  # an int too large for a float
                api.err_clear()
            need(builder.not_(native.is_error))
            values.append(native.value)
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
        api.incref(builder.load(target))
        with builder.if_then(builder.icmp_unsigned("==", builder.load(target), NULL)):
            dtype = named(builder, f"fastnn_{flat.dtype}")  # not the input's own, which may carry metadata
            api.incref(dtype)
            new_like = ir.FunctionType(OBJECT, [OBJECT, I32, OBJECT, I32]).as_pointer()
            new = builder.load(named(builder, "fastnn_new_like", new_like))
            builder.store(builder.call(new, [arrays[0], I32(C_ORDER), dtype, I32(0)]), target)
            with builder.if_then(builder.icmp_unsigned("==", builder.load(target), NULL), likely=False):
                give(builder, NULL)
        made = builder.load(target)
        views = [array(context, builder, item, flat, [size]) for item in (*arrays, made)]
        with flushing(builder):
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


def type_of(builder, item):
    """Load the address of an object's type: the last word of its header."""
    return builder.load(builder.gep(builder.bitcast(item, OBJECT.as_pointer()), [INTP(object.__basicsize__ // 8 - 1)]))


def is_exact_number(builder, item):
    """Emit whether an object is exactly a float or an int, not of a subclass."""
    return builder.or_(*[builder.icmp_unsigned("==", type_of(builder, item), named(builder, name)) for name in NUMBERS])


def runs_python(builder, item):
    """Emit whether a number's type is a Python class: its conversion runs Python code, which could change arrays."""
    exact = is_exact_number(builder, item)
    start = builder.block
    with builder.if_then(builder.not_(exact), likely=False):
        kind = ir.FunctionType(INTP, [OBJECT])
        flags = builder.call(
            cgutils.get_or_insert_function(builder.module, kind, "PyType_GetFlags"), [type_of(builder, item)]
        )
        heap = builder.icmp_signed("!=", builder.and_(flags, INTP(HEAP_TYPE)), INTP(0))
        other = builder.block
    result = builder.phi(ir.IntType(1))
    result.add_incoming(ir.Constant(ir.IntType(1), 0), start)
    result.add_incoming(heap, other)
    return result


def is_array(builder, item, dtype, ndim, flags):
    """Emit whether an object is an array of this dtype, rank and these flags: mostly four comparisons."""
    one = ir.IntType(1)
    ndarray, kind = named(builder, "fastnn_ndarray"), type_of(builder, item)
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
        given = builder.and_(field(builder, item, FLAGS), I32(flags))
        fits = builder.and_(fits, builder.icmp_signed("==", given, I32(flags)))
        right = builder.and_(fits, has_dtype(builder, item, dtype))
        end = builder.block
    result = builder.phi(one)
    result.add_incoming(one(0), start)
    result.add_incoming(right, end)
    return result


def has_dtype(builder, item, dtype):
    """Emit whether an array's dtype is this one: mostly the same object, but an unpickled array has an equal one."""
    given, wanted = field(builder, item, DTYPE), named(builder, f"fastnn_{dtype}")
    same = builder.icmp_unsigned("==", given, wanted)
    start = builder.block
    with builder.if_then(builder.not_(same), likely=False):
        kind = ir.FunctionType(BYTE, [OBJECT, OBJECT])
        equivalent = cgutils.get_or_insert_function(builder.module, kind, "fastnn_EquivTypes")
        alike = builder.icmp_unsigned("!=", builder.call(equivalent, [given, wanted]), BYTE(0))
        other = builder.block
    result = builder.phi(ir.IntType(1))
    result.add_incoming(same, start)
    result.add_incoming(alike, other)
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
