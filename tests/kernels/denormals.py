"""Find out whether a call computes with uninitialised memory.

Unused lanes of a vector take part in arithmetic. A kernel that does not clear them computes with what was in memory
before, and where that is denormal each operation costs many Intel CPUs 150 cycles. So fresh memory and the stack are
filled with denormal numbers here; x86 CPUs set a sticky bit in MXCSR when an operand is denormal.
"""

import ctypes
import platform
import sys

import numba
import numpy as np

from fastnn_kernels.cpu.vector.simd import stack_bytes, vector_at
from fastnn_kernels.ground import memory
from fastnn_kernels.ground.threads import threads

AVAILABLE = sys.platform.startswith("linux") and platform.machine() == "x86_64"
SMALL = {np.dtype(d): np.array([value], d) for d, value in ((np.float32, 1e-40), (np.float64, 1e-310))}
ORDINARY = {dtype: np.ones(1, dtype) for dtype in SMALL}
SEEN = 2  # the bit of MXCSR
STACK = 1 << 18  # bytes; more than any kernel uses
_libm = ctypes.CDLL("libm.so.6") if AVAILABLE else None
_environment = (ctypes.c_uint32 * 8)()  # glibc's fenv_t, of which MXCSR is the last word


@numba.njit
def _fill_stack(sample):
    values = vector_at(sample[0], stack_bytes(STACK), STACK // sample.itemsize)
    for i in range(values.size):
        values[i] = sample[0]


def _allocator(samples):
    """Return an allocator that fills its arrays, and the stack, with a number. It only copies it, as integers."""

    def fresh(shape, dtype):
        array = np.empty(shape, dtype)
        if array.dtype in samples:
            sample = samples[array.dtype]
            array.view(f"u{array.itemsize}").fill(sample.view(f"u{array.itemsize}")[0])
            _fill_stack(sample)
        return array

    return fresh


def _seen():
    _libm.fegetenv(_environment)
    return bool(_environment[7] & SEEN)


def _forget():
    _libm.fegetenv(_environment)
    _environment[7] &= ~SEEN
    _libm.fesetenv(_environment)


def computes_with_denormals(call, samples=SMALL) -> bool:
    """Return whether a call of kernels, in one thread, computed with a denormal number.

    samples: what memory is filled with. If ORDINARY numbers give True, too, the call computed the denormal itself.
    """
    fresh = _allocator(samples)
    with memory.allocator(fresh), threads(1):
        for dtype in samples:
            fresh((1,), dtype)
        _forget()
        call()
        return _seen()
