"""How every CPU kernel is compiled: one decorator, one disk cache.

A kernel is compiled per dtype, for one explicit signature, at its first use, and is then called through its C entry
point: 0.07 us for three arrays, where Numba takes 0.17, and its dispatcher 0.27. See `entry`.

    @kernel("S[::1], T, S[::1]", writes="out", parallel=True)
    def scale__vector(x, factor, out, lo, hi):
        x, out = x[lo:hi], out[lo:hi]
        for i in range(x.size):
            out[i] = factor * x[i]

    scale__vector[x.dtype](x, 2.0, out, x.size, tasks(x.size, grain=32768))

Over range(lo, hi) itself the loop would be ten times slower: an index that starts at an unknown `lo` might count from
the end, and LLVM compiles gathers for that.

That call checks of arrays the type, dtype, rank, contiguity, alignment and whether they can be written, and raises
TypeError; shapes and overlap are the part of an operation's check.
"""

import inspect
import operator
import re
import sys
from functools import cached_property

import llvmlite.binding as llvm
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import intrinsic

from .cache import DiskCache
from .dtypes import letters, pair_of
from .entry import entry, flat_entry, name_symbols, python_function
from .registry import KernelSpec, register
from .threads import guarded, start_threading_layer

PACKAGE = __package__.rpartition(".")[0]

# Full fastmath would let LLVM assume away NaN and infinity. "numpy" error model: no branch for zero division. Without
# Numba's runtime (nrt) no references to arrays are counted: every slice counts one, up and down again, and threads that
# change one count wait for each other. So nothing compiled here can allocate an array, nor return one from a function:
# take parts of arrays in place, or by `cpu.vector.simd.part`.
OPTIONS = {
    "nogil": True,
    "_nrt": False,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}


def jitted(function):
    """Compile a function that kernels call (inlined by LLVM where it pays). Python itself cannot call it."""
    return Callee(function)


def exact(function):
    """Compile a function like `jitted`, but always inlined, and rounded as written: no term moves for speed's sake."""
    return Callee(function, "exact.", fastmath=False, forceinline=True)


class Callee:
    """A function that kernels call. Numba makes its dispatcher when it compiles the first of them.

    A dispatcher takes 70 us to make, and this package has hundreds of such functions: a third of its import.
    kind: a word for the options, in which the disk cache tells results apart.
    """

    def __init__(self, function, kind="", **options):
        self.function, self.kind, self.options = function, kind, options
        claim(function, kind)

    @cached_property
    def dispatcher(self):
        """Return what compiles the function."""
        return compiled(self.function, self.function, self.kind, no_cpython_wrapper=True, **self.options)

    @property
    def _numba_type_(self):
        return self.dispatcher._numba_type_


CALLED_BY_C = {"no_cpython_wrapper": True, "no_cfunc_wrapper": False}


_claimed: dict[tuple, tuple] = {}  # a name in the disk cache -> the function that has it, the import of its module


def claim(function, kind="") -> None:
    """Raise TypeError if another function of this process has this one's name in the disk cache, or for the linker.

    They would load each other's code. A factory of functions has to give each a name of its own, in `__qualname__`. A
    module that is imported again may define its functions again.
    """
    module = sys.modules.get(function.__module__)
    spec, name = getattr(module, "__spec__", None), (function.__module__, function.__qualname__, kind)
    before, imported = _claimed.get(name, (None, None))
    if before is not None and imported is spec and spec is not None and not _same(before, function):
        raise TypeError(f"{function.__module__}: two functions for kernels are named {function.__qualname__}")
    _claimed[name] = function, spec


def _same(f, g) -> bool:
    """Say whether two functions are one, or made of the same code and the same objects around it."""
    if f is g:
        return True
    cells, others = ([c.cell_contents for c in h.__closure__ or ()] for h in (f, g))
    return f.__code__ is g.__code__ and len(cells) == len(others) and all(map(operator.is_, cells, others))


def compiled(function, key, kind="", **more):
    """Return a Numba dispatcher with the package's options and disk cache; key: the function that names its file."""
    if config.DISABLE_JIT:
        raise RuntimeError("fastnn: kernels are compiled code and cannot run under NUMBA_DISABLE_JIT=1; unset it")
    dispatcher = njit(**{**OPTIONS, "no_cfunc_wrapper": True, **more})(function)
    dispatcher._cache = DiskCache(key, kind, _link_symbols)
    return dispatcher


_shared: dict[str, "SharedFunction"] = {}


def shared(function):
    """Compile a function that many kernels call once per dtype, and let them call it by its address.

    What is `jitted` becomes part of each caller and is compiled again with it; this is right for small functions, but
    the matmul engine takes over a second. Arguments: first a number of the dtype, the others intp; returns nothing.
    """
    return SharedFunction(function).intrinsic


class SharedFunction:
    """A function with a symbol that the linker finds: `fastnn.name.float32`."""

    def __init__(self, function):
        self.name, self.function = function.__name__, function
        before = _shared.get(self.name)
        if before is not None and before.function.__module__ != function.__module__:
            raise TypeError(f"{function.__module__}: {before.function.__module__} has a shared {self.name}, too")
        claim(function, "shared.")
        _shared[self.name] = self

        def call(typing_context, *args):
            return types.void(*args), self._codegen

        context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        call.__signature__ = inspect.Signature([context, *inspect.signature(function).parameters.values()])
        call.__name__ = call.__qualname__ = self.name
        call.__doc__ = function.__doc__
        self.intrinsic = intrinsic(call)

    @cached_property
    def dispatcher(self):
        """Return what compiles the function."""
        return compiled(self.function, self.function, "shared.")

    def link(self, number, count: int) -> str:
        """Compile the function for a dtype and `count` integers, make it known to the linker, return its symbol."""
        result = self.dispatcher.get_compile_result(types.void(number, *[types.intp] * count))
        symbol = f"fastnn.{self.name}.{number}.{count}"
        llvm.add_symbol(symbol, result.library.get_pointer_to_function(result.fndesc.llvm_func_name))
        return symbol

    def _codegen(self, context, builder, signature, values):
        number, count = signature.args[0], len(values) - 1
        arguments = (number, *[types.intp] * count)
        values = [context.cast(builder, v, t, to) for v, t, to in zip(values, signature.args, arguments, strict=True)]
        kind = context.call_conv.get_function_type(types.none, arguments)
        function = cgutils.get_or_insert_function(builder.module, kind, self.link(number, count))
        context.call_conv.call_function(builder, function, types.none, arguments, values)
        return context.get_dummy_value()


def _link_symbols(symbols) -> None:
    for symbol in symbols:
        _, name, number, count = symbol.split(".")
        _shared[name].link(getattr(types, number), int(count))


def kernel(
    signature: str, *, writes: str = "out", parallel: bool = False, name: str | None = None, flush: bool = False
):
    """Make a kernel of a function named `op__variant`, which is its own name or the one given.

    signature: one item per argument: `S` (the dtype of stored numbers), `T` (that of computed ones), `int` or another
    word of `dtypes.SCALARS`, with `[::1]`,
    `[:,::1]` ... for contiguous and `[:]`, `[:,:]` ... for any strides.
    writes: the arguments it writes, separated by spaces. parallel: the function takes a range `lo, hi` at the end,
    in whose place callers give the whole length and the number of tasks. flush: it always flushes denormal numbers to
    0; others only while `set_flush_denormal` is on.
    """

    def decorate(function):
        if name is not None:
            function.__name__ = function.__qualname__ = name
        op, _, variant = function.__name__.partition("__")
        if not variant:
            raise TypeError(f"kernel: {function.__name__} is not named op__variant")
        made = Kernel(function, signature, writes.split(), parallel, flush)
        backend = (function.__module__ or "").removeprefix(f"{PACKAGE}.").partition(".")[0]
        register(KernelSpec(op, variant, backend, signature, tuple(writes.split()), parallel, made))
        return made

    return decorate


class Kernel(dict):
    """The compiled entry points of one kernel by dtype: `kernel[dtype](...)`, compiled at first use."""

    def __init__(self, function, signature: str, writes: list[str], parallel: bool, flush: bool):
        super().__init__()
        self.function, self.signature, self.parallel, self.flush = function, signature, parallel, flush
        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        for name in writes:
            if name not in names:
                raise TypeError(f"{function.__name__}: no argument is named {name}")
        self.written = frozenset(map(names.index, writes))
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__
        self.body, self.flats = jitted(function), {}

    @cached_property
    def dispatcher(self):
        """Return what compiles the kernel, made at first use: 0.2 ms for each of hundreds would slow the import."""
        called = entry(self.body, self.__name__, self.argument_types, self.parallel, self.written, self.flush)
        return compiled(called, self.function, **CALLED_BY_C)

    def __hash__(self):
        return id(self)

    def __eq__(self, other):
        return self is other

    def __missing__(self, dtype):
        called = self._function(self.dispatcher, pair_of(self.__name__, dtype))
        self[dtype] = called = guarded(called) if self.parallel else called
        return called

    def flat(self, dtype, inputs: int, limit: int, owner):
        """Return, compiled at first use, the entry of an elementwise kernel that makes its output: see `flat_entry`."""
        if dtype not in self.flats:
            called = flat_entry(self.body, self.__name__, self.argument_types, inputs, limit)
            flat = compiled(called, self.function, "flat.", **CALLED_BY_C)
            self.flats[dtype] = self._function(flat, pair_of(self.__name__, dtype), owner)
        return self.flats[dtype]

    def _function(self, dispatcher, pair, owner=None):
        """Compile an entry for (stored, computed) and make it a function of Python."""
        start_threading_layer()
        name_symbols()
        words = letters(pair)
        pointer = types.CPointer(words["T"])  # the arguments; all a signature can say of the kernel's dtypes
        result = dispatcher.get_compile_result(types.voidptr(types.voidptr, pointer, types.intp))
        address = result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)
        return python_function(self.__name__, address, owner)

    def argument_types(self, dtype) -> list:
        """Return the Numba types of the arguments for one dtype."""
        scalars = letters((dtype, dtype))
        made = []
        for name, shape in re.findall(r"(\w+)(\[[:,1]*\])?", self.signature):
            ndim, layout = shape.count(",") + 1, "C" if shape.endswith("1]") else "A"
            made.append(types.Array(scalars[name], ndim, layout) if shape else scalars[name])
        return made + [types.intp, types.intp] * self.parallel
