"""Denormal numbers: whether kernels compute with them exactly or flush them to 0.

Numbers below the smallest normal one (1.2e-38 in float32) cost many CPUs 100 cycles and more in each operation. A bit
of the floating-point control register makes the CPU read and write them as 0: FTZ and DAZ in MXCSR on x86-64, FZ in
FPCR on ARM64. Compiled code sets it before a kernel's body and restores it afterwards, in every thread that works on
the kernel, so nobody else's arithmetic changes. While the mode is off, a call costs one load and one branch more.
"""

import contextlib
import ctypes
import threading
from collections.abc import Iterator

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils

I32, I64, BYTES = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
SYMBOL = "fastnn_flush_denormal"
FTZ_DAZ = 0x8040  # bits 15 and 6 of MXCSR
FZ = 1 << 24  # of FPCR

_flag = ctypes.c_int32(0)  # what compiled code looks at
_modes: list[list[bool]] = [[False]]  # the process's own mode, then those of `with` blocks; the last one holds
_lock = threading.Lock()


def _architecture() -> str | None:
    """Return the architecture, "x86" or "arm"; None for others, whose control register is not known here."""
    name = llvm.get_process_triple().partition("-")[0]
    return {"x86_64": "x86", "amd64": "x86", "aarch64": "arm", "arm64": "arm"}.get(name)


ARCHITECTURE = _architecture()
llvm.add_symbol(SYMBOL, ctypes.addressof(_flag))


def set_flush_denormal(mode: bool) -> bool:
    """Flush denormal numbers to 0 in all kernels (True), or compute with them exactly (False, the default).

    It holds for all kernels and threads of this process from their next call on, not for NumPy nor for the caller's own
    arithmetic. Returns whether this CPU can do it: x86-64 and ARM64 can; others go on computing exactly. Optimizers
    always flush. Raises TypeError unless `mode` is a bool.
    """
    _check("set_flush_denormal", mode)
    with _lock:
        _modes[-1][0] = mode
        _publish()
    return ARCHITECTURE is not None


def get_flush_denormal() -> bool:
    """Return whether kernels flush denormal numbers to 0."""
    return _flag.value != 0


@contextlib.contextmanager
def flush_denormal(mode: bool = True) -> Iterator[None]:
    """Flush denormal numbers (True) or do not (False) inside a `with` block; see `set_flush_denormal`.

    The mode is the process's, not the thread's: of blocks that overlap in several threads, the last one entered holds.
    """
    _check("flush_denormal", mode)
    mine = [mode]
    with _lock:
        _modes.append(mine)
        _publish()
    try:
        yield
    finally:
        with _lock:
            _modes[:] = [one for one in _modes if one is not mine]
            _publish()


def _check(function: str, mode: bool) -> None:
    if not isinstance(mode, bool):
        raise TypeError(f"{function}: mode must be True or False, got {mode!r}")


def _publish() -> None:
    """Tell compiled code the mode that holds."""
    _flag.value = _modes[-1][0] and ARCHITECTURE is not None


@contextlib.contextmanager
def flushing(builder, always=False) -> Iterator[None]:
    """Wrap the code emitted in a `with` block: set the bit before it if the mode is on, or always; then restore it."""
    if ARCHITECTURE is None:
        yield
        return
    if always:
        wanted = ir.IntType(1)(1)
    else:
        flag = builder.module.globals.get(SYMBOL) or ir.GlobalVariable(builder.module, I32, SYMBOL)
        wanted = builder.icmp_unsigned("!=", builder.load(flag), I32(0))
    before = cgutils.alloca_once(builder, I32 if ARCHITECTURE == "x86" else I64)
    with builder.if_then(wanted, likely=False):
        _flush(builder, before)
    yield
    with builder.if_then(wanted, likely=False):
        _write(builder, before)


def _flush(builder, before):
    """Emit code that saves the control register in `before` and sets the bit."""
    after = cgutils.alloca_once(builder, before.type.pointee)
    if ARCHITECTURE == "x86":
        _mxcsr(builder, "stmxcsr", before)
        value = builder.or_(builder.load(before), I32(FTZ_DAZ))
    else:
        read = cgutils.get_or_insert_function(builder.module, ir.FunctionType(I64, []), "llvm.aarch64.get.fpcr")
        builder.store(builder.call(read, []), before)
        value = builder.or_(builder.load(before), I64(FZ))
    builder.store(value, after)
    _write(builder, after)


def _write(builder, place):
    """Emit code that loads the control register from memory."""
    if ARCHITECTURE == "x86":
        _mxcsr(builder, "ldmxcsr", place)
    else:
        kind = ir.FunctionType(ir.VoidType(), [I64])
        write = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.set.fpcr")
        builder.call(write, [builder.load(place)])


def _mxcsr(builder, name, place):
    kind = ir.FunctionType(ir.VoidType(), [BYTES])
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.x86.sse.{name}")
    builder.call(function, [builder.bitcast(place, BYTES)])
