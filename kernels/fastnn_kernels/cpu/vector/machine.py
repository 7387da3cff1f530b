"""The CPU at hand: its vector instructions and registers."""

from functools import cache

import llvmlite.binding as llvm
from numba import config


@cache
def features() -> frozenset[str]:
    """Return the CPU features that LLVM compiles for: NUMBA_CPU_FEATURES, else the host's, as Numba has it.

    So NUMBA_CPU_NAME alone changes what code is tuned for, not which instructions it may use.
    """
    words = config.CPU_FEATURES
    if words is None:
        words = llvm.get_host_cpu_features().flatten()
    return frozenset(word[1:] for word in words.split(",") if word.startswith("+"))


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
