"""How a call finds its plan: a C function that describes the arguments in bytes, the key of a dictionary.

The key holds all that a plan may depend on: the dtype, shape and strides of arrays, the type and value of options, and
the settings (threads, precision, back end). It takes about 0.1 us; tuples of shapes and strides take 0.6 in Python.
Arguments that cannot be described (an unaligned array, another class or byte order, a list, an integer beyond 64 bits)
go to a Python function, the general way.

The functions here are compiled as kernels are, but work on addresses of Python's objects, with the lock of Python held.
"""

import ctypes
import inspect
from functools import cache

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .entry import (
    ALIGNED,
    ARRAY,
    DTYPES,
    FLAGS,
    INTP,
    NDIM,
    SHAPE,
    STRIDES,
    WRITEABLE,
    name_symbols,
    named,
    python_function,
)
from .entry import DTYPE as DTYPE_FIELD
from .jit import CALLED_BY_C, compiled, jitted
from .prepared import OFFSET
from .settings import SETTINGS

SETTINGS_COUNT = len(SETTINGS)
WORDS = 160  # of a key at most
ROOM = 64  # words that one argument needs at most
INPUT, NUMBER, OPTION, OUT = b"anop"  # what an argument is: an array or None, a number that plans do not depend on, ...
PLAIN, PACKED = 1 << 20, 1 << 21  # marks of arrays and of prepared ones
TYPE = object.__basicsize__ - 8  # offsets in Python's objects
VALUE = object.__basicsize__
ITEMS = tuple.__basicsize__
SYMBOL = "fastnn_settings"

llvm.add_symbol(SYMBOL, ctypes.addressof(SETTINGS))


# --- words for machine code, all in integers


def _word(name, count, emit):
    """Make a function of `count` integers whose code `emit(builder, *values)` emits."""

    def call(typing_context, *args):
        return types.intp(*[types.intp] * count), lambda context, builder, signature, values: emit(builder, *values)

    parameters = [
        inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in ("typing_context", *"abcd"[:count])
    ]
    call.__signature__ = inspect.Signature(parameters)
    call.__name__ = call.__qualname__ = name
    return intrinsic(call)


def _external(name, count):
    """Make a function that calls one of Python's C interface, with integers for pointers."""

    def emit(builder, *values):
        kind = ir.FunctionType(INTP, [INTP] * count)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), values)

    return _word(name, count, emit)


def _address(name):
    """Make a function that returns the address of a symbol."""
    return _word(f"address_of_{name}", 0, lambda builder: builder.ptrtoint(named(builder, name), INTP))


def _field(name, number, kind):
    """Make a function that loads a field of a NumPy array."""

    def emit(builder, item):
        array = builder.inttoptr(item, ARRAY.as_pointer())
        value = builder.load(builder.gep(array, [ir.IntType(32)(0), ir.IntType(32)(number)]))
        return builder.ptrtoint(value, INTP) if kind == "pointer" else builder.sext(value, INTP)

    return _word(name, 1, emit)


def _allocate(builder):
    memory = cgutils.alloca_once(builder, ir.ArrayType(INTP, WORDS + ROOM))
    return builder.ptrtoint(memory, INTP)


peek = _word("peek", 1, lambda builder, at: builder.load(builder.inttoptr(at, INTP.as_pointer())))
poke = _word("poke", 2, lambda builder, at, v: [builder.store(v, builder.inttoptr(at, INTP.as_pointer())), v][1])
byte = _word("byte", 1, lambda b, at: b.zext(b.load(b.inttoptr(at, ir.IntType(8).as_pointer())), INTP))
key_memory = _word("key_memory", 0, _allocate)
ndim_of, shape_of, strides_of = (
    _field("ndim", NDIM, "int"),
    _field("shape", SHAPE, "pointer"),
    _field("strides", STRIDES, "pointer"),
)
dtype_of, flags_of = _field("dtype", DTYPE_FIELD, "pointer"), _field("flags", FLAGS, "int")
ndarray_type, settings, none = _address("fastnn_ndarray"), _address(SYMBOL), _address("_Py_NoneStruct")
prepared_type = _address("fastnn_prepared")
float_type, int_type, bool_type = (_address(f"Py{name}_Type") for name in ("Float", "Long", "Bool"))
str_type, tuple_type = _address("PyUnicode_Type"), _address("PyTuple_Type")
is_bytes = _external("PyBytes_AsString", 1)
new_bytes, find_item = _external("PyBytes_FromStringAndSize", 2), _external("PyDict_GetItemWithError", 2)
retain, release = _external("Py_IncRef", 1), _external("Py_DecRef", 1)
python_call, as_integer = _external("PyObject_Vectorcall", 4), _external("PyLong_AsLongLongAndOverflow", 2)
dtypes = tuple(_address(f"fastnn_{name}") for name in DTYPES)
float32, float64, int32, int64, uint8, uint32, uint64 = dtypes


@jitted
def dtype_code(array):
    """Return a small number for the dtype of an array; -1 unless it is one of DTYPES itself."""
    dtype = dtype_of(array)
    if dtype == float32():
        return 1
    if dtype == float64():
        return 2
    if dtype == int64():
        return 3
    if dtype == int32():
        return 4
    if dtype == uint8():
        return 5
    if dtype == uint32():
        return 6
    if dtype == uint64():
        return 7
    return -1


@jitted
def describe_array(array, flags, mark, at):
    """Write an array's dtype, rank, shape and, unless it is contiguous, strides at an address; return the next one."""
    code, rank = dtype_code(array), ndim_of(array)
    if code < 0 or rank > 16 or flags_of(array) & flags != flags:
        return -1
    contiguous, shape, strides = flags_of(array) & 1, shape_of(array), strides_of(array)
    poke(at, code | rank << 8 | contiguous << 16 | mark)
    at += 8
    for i in range(rank):
        poke(at, peek(shape + 8 * i))
        at += 8
    if not contiguous:
        for i in range(rank):
            poke(at, peek(strides + 8 * i))
            at += 8
    return at


@jitted
def describe_value(item, at):
    """Write the type and value of an option at an address, and return the next one; -1 if it has no words."""
    kind = peek(item + TYPE)
    poke(at, kind)
    if kind == int_type():
        overflow = at + 16
        poke(overflow, 0)
        poke(at + 8, as_integer(item, overflow))
        if peek(overflow) & 0xFFFFFFFF:
            return -1
        return at + 16
    if kind == float_type():
        poke(at + 8, peek(item + VALUE))
        return at + 16
    if item == none() or kind == bool_type() or kind == str_type():
        poke(at + 8, item)  # of a text the address: whoever keeps a plan keeps its arguments
        return at + 16
    return -1


@jitted
def describe_option(item, at):
    """Do as `describe_value`, for a tuple of values, too."""
    items, count = 0, 1
    if peek(item + TYPE) == tuple_type():
        items, count = item + ITEMS, peek(item + VALUE)
        if count > 12:
            return -1
        poke(at, -count - 2)
        at += 8
    for i in range(count):
        at = describe_value(peek(items + 8 * i) if items else item, at)
        if at < 0:
            return -1
    return at


@jitted
def describe(given, count, kinds, key):
    """Write the settings and what `count` arguments are; return the length in bytes, or -1. kinds: a byte for each."""
    at, state = key, settings()
    for i in range(SETTINGS_COUNT):
        poke(at, peek(state + 8 * i))
        at += 8
    for i in range(count):
        item, kind = peek(given + 8 * i), byte(kinds + i)
        if at > key + 8 * WORDS:
            return -1
        if kind == OPTION:
            at = describe_option(item, at)
        elif kind == NUMBER:
            if peek(item + TYPE) == int_type():
                poke(at + 8, 0)
                as_integer(item, at + 8)
                if peek(at + 8) & 0xFFFFFFFF:
                    return -1
            elif peek(item + TYPE) != float_type() and item != none():
                return -1
            poke(at, item != none())
            at += 8
        elif item == none():
            poke(at, 0)
            at += 8
        else:
            flags, mark = ALIGNED | WRITEABLE if kind == OUT else ALIGNED, PLAIN
            if peek(item + TYPE) == prepared_type():
                item, flags, mark = peek(item + OFFSET), 0, PACKED
            elif peek(item + TYPE) != ndarray_type():
                return -1
            at = describe_array(item, flags, mark, at)
        if at < 0:
            return -1
    return at - key


def find_and_run(owner, given, count):
    """(plans, general way, kinds), arguments and their number -> what the plan for such arguments returns.

    With None for the plans, the key itself is returned.
    """
    kinds = peek(owner + ITEMS + 16)
    if count == peek(kinds + VALUE):  # the length of a bytes object
        key = key_memory()
        length = describe(given, count, is_bytes(kinds), key)
        if length > 0:
            name, plans = new_bytes(key, length), peek(owner + ITEMS)
            if name == 0 or plans == none():
                return name
            plan = find_item(plans, name)
            release(name)
            if plan != 0:
                retain(plan)
                result = python_call(plan, given, count, 0)
                release(plan)
                return result
    return python_call(peek(owner + ITEMS + 8), given, count, 0)


@cache
def _compiled() -> int:
    """Compile the function above and return its address."""
    name_symbols()
    made = compiled(find_and_run, find_and_run, "lookup.", **CALLED_BY_C)
    result = made.get_compile_result(types.intp(*[types.intp] * 3))
    return result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)


def _no_key(*arguments):
    """Return what stands for the key of arguments that cannot be described."""


def finder(name: str, plans: dict, general, kinds: bytes):
    """Return the C function f(*arguments) that calls plans[key](*arguments), or else general(*arguments)."""
    return python_function(name, _compiled(), (plans, general, kinds))


def describer(name: str, kinds: bytes):
    """Return the C function f(*arguments) -> key or None."""
    return python_function(name, _compiled(), (None, _no_key, kinds))
