"""How every CPU kernel is compiled: one decorator, one registry, one disk cache.

A kernel is compiled per dtype, for one explicit signature, at its first use, and is then called through its C entry
point: 0.07 us for three arrays, where Numba takes 0.17, and its dispatcher 0.27. See `_entry`.

    @kernel("T[::1], T, T[::1]", writes="out", parallel=True)
    def scale__vector(x, factor, out, lo, hi):
        x, out = x[lo:hi], out[lo:hi]
        for i in range(x.size):
            out[i] = factor * x[i]

    scale__vector[x.dtype](x, 2.0, out, x.size, tasks(x.size, grain=32768))

Over range(lo, hi) itself the loop would be ten times slower: an index that starts at an unknown `lo` might count from
the end, and LLVM compiles gathers for that.

Nothing is checked on that call but the item size of arrays, so entry points check first.

Why not Numba's own cache: it misses edits in callees that live in other files, and raises on a corrupt file or a
folder it cannot write. Here the key holds the content of the kernel's module and of every module of this package that
it imports, directly or not; any error in reading means compiling again.
"""

import hashlib
import inspect
import os
import pickle
import re
import sys
import tempfile
import warnings
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import llvmlite
import llvmlite.binding as llvm
import numba
import numpy as np
from numba import njit, types
from numba.core import cgutils, compiler, config, serialize
from numba.extending import intrinsic

from ._entry import entry, flat_entry, name_symbols, python_function
from ._parallel import guarded, start_threading_layer

# Full fastmath would let LLVM assume away NaN and infinity. "numpy" error model: no branch for zero division. Without
# Numba's runtime (nrt) no references to arrays are counted: every slice counts one, up and down again, and threads that
# change one count wait for each other. So nothing compiled here can allocate an array, nor return one from a function:
# take parts of arrays in place, or by `_simd.part`.
OPTIONS = {
    "nogil": True,
    "_nrt": False,
    "error_model": "numpy",
    "fastmath": {"contract", "reassoc", "nsz", "arcp", "afn"},
}
FLOATS = {np.dtype(np.float32): types.float32, np.dtype(np.float64): types.float64}
SCALARS = {
    "int": types.intp,
    **{"i4": types.int32, "i8": types.int64, "u1": types.uint8, "u4": types.uint32, "u8": types.uint64},
    **{"f4": types.float32, "f8": types.float64},
}
PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class KernelSpec:
    """What the registry knows of a kernel: `op`__`variant`, its back end, signature and the arguments it writes."""

    op: str
    variant: str
    backend: str
    signature: str
    writes: tuple[str, ...]
    parallel: bool
    kernel: "Kernel"

    @property
    def name(self) -> str:
        """Return the kernel's full name."""
        return f"{self.op}__{self.variant}"


_registry: dict[str, KernelSpec] = {}


def specs() -> list[KernelSpec]:
    """Return every kernel that has been defined, in order of definition."""
    return list(_registry.values())


def jitted(function):
    """Compile a function that kernels call (inlined by LLVM where it pays). Python itself cannot call it."""
    return Callee(function)


def exact(function):
    """Compile a function like `jitted`, but always inlined, and rounded as written: no term moves for speed's sake."""
    return Callee(function, fastmath=False, forceinline=True)


class Callee:
    """A function that kernels call. Numba makes its dispatcher when it compiles the first of them.

    A dispatcher takes 70 us to make, and this package has hundreds of such functions: a third of its import.
    """

    def __init__(self, function, **options):
        self.function, self.options = function, options

    @cached_property
    def dispatcher(self):
        """Return what compiles the function."""
        return _compiled(self.function, self.function, no_cpython_wrapper=True, **self.options)

    @property
    def _numba_type_(self):
        return self.dispatcher._numba_type_


CALLED_BY_C = {"no_cpython_wrapper": True, "no_cfunc_wrapper": False}


def _compiled(function, key, kind="", **more):
    dispatcher = njit(**{**OPTIONS, "no_cfunc_wrapper": True, **more})(function)
    dispatcher._cache = DiskCache(key, kind)
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
        self.name, self.dispatcher = function.__name__, _compiled(function, function)
        _shared[self.name] = self

        def call(typing_context, *args):
            return types.void(*args), self._codegen

        context = inspect.Parameter("typing_context", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        call.__signature__ = inspect.Signature([context, *inspect.signature(function).parameters.values()])
        call.__name__ = call.__qualname__ = self.name
        call.__doc__ = function.__doc__
        self.intrinsic = intrinsic(call)

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

    signature: one item per argument: `T` (the kernel's dtype), `int`, or another scalar of SCALARS, with `[::1]`,
    `[:,::1]` ... for contiguous and `[:]`, `[:,:]` ... for any strides.
    writes: the arguments it writes, separated by spaces. parallel: the function takes a range `lo, hi` at the end,
    in whose place callers give the whole length and the number of tasks. flush: it always takes denormal numbers for 0,
    others only while `set_flush_denormal` says so.
    """

    def decorate(function):
        if name is not None:
            function.__name__ = function.__qualname__ = name
        op, _, variant = function.__name__.partition("__")
        if not variant:
            raise TypeError(f"kernel: {function.__name__} is not named op__variant")
        made = Kernel(function, signature, writes.split(), parallel, flush)
        _registry[function.__name__] = KernelSpec(op, variant, "cpu", signature, tuple(writes.split()), parallel, made)
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
        return _compiled(called, self.function, **CALLED_BY_C)

    def __hash__(self):
        return id(self)

    def __eq__(self, other):
        return self is other

    def __missing__(self, dtype):
        if dtype not in FLOATS:
            raise TypeError(f"{self.__name__}: no kernel for dtype {dtype}")
        if not dtype.isnative:
            return self[dtype.newbyteorder("=")]
        called = self._function(self.dispatcher, dtype)
        self[dtype] = called = guarded(called) if self.parallel else called
        return called

    def flat(self, dtype, inputs: int, limit: int, owner):
        """Return, compiled at first use, the entry of an elementwise kernel that makes its output: see `flat_entry`."""
        if dtype not in self.flats:
            called = flat_entry(self.body, self.__name__, self.argument_types, inputs, limit)
            self.flats[dtype] = self._function(_compiled(called, self.function, "flat.", **CALLED_BY_C), dtype, owner)
        return self.flats[dtype]

    def _function(self, dispatcher, dtype, owner=None):
        """Compile an entry for a dtype and make it a function of Python."""
        start_threading_layer()
        name_symbols()
        pointer = types.CPointer(FLOATS[dtype])  # the arguments; all a signature can say of the kernel's dtype
        result = dispatcher.get_compile_result(types.voidptr(types.voidptr, pointer, types.intp))
        address = result.library.get_pointer_to_function(result.fndesc.llvm_cfunc_wrapper_name)
        return python_function(self.__name__, address, owner)

    def argument_types(self, dtype) -> list:
        """Return the Numba types of the arguments for one dtype."""
        scalars = {**SCALARS, "T": FLOATS[dtype]}
        made = []
        for name, shape in re.findall(r"(\w+)(\[[:,1]*\])?", self.signature):
            ndim, layout = shape.count(",") + 1, "C" if shape.endswith("1]") else "A"
            made.append(types.Array(scalars[name], ndim, layout) if shape else scalars[name])
        return made + [types.intp, types.intp] * self.parallel


@cache
def _source(path: Path) -> tuple[bytes, tuple[Path, ...]]:
    """Return a module's text and the modules of this package that it imports."""
    text = path.read_bytes()
    found = []
    for dots, name, items in re.findall(
        rb"^\s*from (\.+|fastnn_kernels\.?)([\w.]*) import \(?([^)\n]*)", text, re.MULTILINE
    ):
        base = path.parents[len(dots) - 1] if dots.startswith(b".") else PACKAGE
        base = base.joinpath(*name.decode().split(".")) if name else base
        candidates = [base.with_suffix(".py")] + [base / f"{item.decode()}.py" for item in re.findall(rb"\w+", items)]
        found += [candidate for candidate in candidates if candidate.is_file()]
    return text, tuple(found)


@cache
def content_key(path: Path) -> str:
    """Return a hash of a module, all that it imports from this package, and the compiler's versions and settings."""
    seen: list[Path] = []
    waiting = [path.resolve()]
    while waiting:
        module = waiting.pop()
        if module not in seen:
            seen.append(module)
            waiting += _source(module)[1]
    settings = (config.OPT, config.BOUNDSCHECK, config.LOOP_VECTORIZE, config.SLP_VECTORIZE, config.DEBUGINFO_DEFAULT)
    versions = (numba.__version__, llvmlite.__version__, sys.version_info[:2])
    digest = hashlib.blake2b(repr((versions, settings)).encode(), digest_size=12)
    for module in sorted(seen):
        digest.update(_source(module)[0])
    return digest.hexdigest()


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


@cache
def cache_folder() -> Path | None:
    """Return where compiled kernels are kept: the first of these that can be written, or None after one warning.

    $NUMBA_CACHE_DIR/fastnn, the package's __pycache__, the user's cache folder, a folder for temporary files.
    """
    home = os.environ.get("LOCALAPPDATA") or os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    places = [PACKAGE / "__pycache__" / "kernels", Path(home) / "fastnn", Path(tempfile.gettempdir()) / "fastnn"]
    if os.environ.get("NUMBA_CACHE_DIR"):
        places.insert(0, Path(os.environ["NUMBA_CACHE_DIR"]) / "fastnn")
    for place in places:
        if _writable(place):
            return place
    warnings.warn("fastnn: no folder can be written, so kernels are compiled anew in every process", stacklevel=2)
    return None


class DiskCache:
    """What a Numba dispatcher asks of its cache. One file per kernel and signature; whatever fails is compiled anew."""

    def __init__(self, function, kind=""):
        self.function, self.kind = function, kind  # one function may be compiled in several ways

    @property
    def cache_path(self) -> str | None:
        """Return the folder, as Numba's statistics want it."""
        return str(cache_folder())

    def _file(self, signature, codegen) -> Path | None:
        path = Path(self.function.__code__.co_filename)
        folder = cache_folder()
        if folder is None or not path.is_file():
            return None
        name = f"{self.kind}{path.parent.name}.{path.stem}.{self.function.__qualname__}".replace("<locals>.", "")
        key = hashlib.blake2b(repr((signature, codegen.magic_tuple(), content_key(path))).encode(), digest_size=12)
        return folder / f"{name}-{key.hexdigest()}.nbc"

    def load_overload(self, signature, target_context):
        """Return the compiled result that the disk holds, or None."""
        target_context.refresh()
        file = self._file(signature, target_context.codegen())
        try:
            if file is None:
                return None
            digest, payload = file.read_bytes().split(b"\n", 1)
            if hashlib.blake2b(payload, digest_size=16).hexdigest().encode() != digest:
                return None
            symbols, result = pickle.loads(payload)
            _link_symbols(symbols)
            return compiler.CompileResult._rebuild(target_context, *result)
        except Exception:  # missing, torn, written by something else: compiling is always right
            return None

    def save_overload(self, signature, result) -> None:
        """Write a compiled result beside the others, at once and whole."""
        file = self._file(signature, result.codegen)
        if file is None or result.library.has_dynamic_globals:
            return
        try:
            symbols = [f.name for f in result.library._final_module.functions if f.name.startswith("fastnn.")]
            payload = serialize.dumps((symbols, result._reduce()))
            handle, name = tempfile.mkstemp(dir=file.parent, suffix=".tmp")
            with os.fdopen(handle, "wb") as stream:
                stream.write(hashlib.blake2b(payload, digest_size=16).hexdigest().encode() + b"\n" + payload)
            os.replace(name, file)
            self._drop_older(file)
        except OSError:
            return

    @staticmethod
    def _drop_older(file: Path) -> None:
        """Keep the newest dozen files of one kernel (dtypes, CPUs, settings); older ones are of older code."""
        stem = file.name[: -len(".nbc") - 24]
        files = sorted(file.parent.glob(f"{stem}*.nbc"), key=lambda f: f.stat().st_mtime)
        for old in files[:-12]:
            old.unlink(missing_ok=True)

    def enable(self) -> None:
        """Do nothing: the cache is always on."""

    disable = flush = enable
