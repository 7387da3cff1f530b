"""The CPU at hand: its vector instructions, registers and caches."""

import os
import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import llvmlite.binding as llvm
from numba import config

CPUS = Path("/sys/devices/system/cpu")
UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@cache
def features() -> frozenset[str]:
    """Return the CPU features that LLVM compiles for: NUMBA_CPU_FEATURES, else the host's, as Numba has it.

    So NUMBA_CPU_NAME alone changes what code is tuned for, not which instructions it may use.
    """
    words = config.CPU_FEATURES
    if words is None:
        words = llvm.get_host_cpu_features().flatten()
    return frozenset(word[1:] for word in words.split(",") if word.startswith("+"))


def cpu_name() -> str:
    """Return the CPU that LLVM compiles for, as it names it: NUMBA_CPU_NAME, else the host."""
    return config.CPU_NAME or llvm.get_host_cpu_name()


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


class Caches(NamedTuple):
    """Bytes of the data caches that one core has for itself: of a shared one, its share."""

    first: int
    second: int
    third: int


CONSERVATIVE = Caches(32 << 10, 512 << 10, 4 << 20)  # where the system does not say


@cache
def caches() -> Caches:
    """Return the caches of a core in use: FASTNN_CACHE_SIZES ("32K,1M,16M"), else what Linux says of this CPU."""
    if words := os.environ.get("FASTNN_CACHE_SIZES"):
        sizes = [bytes_of(word) for word in words.split(",")]
        if len(sizes) != 3 or None in sizes:
            raise ValueError(f'FASTNN_CACHE_SIZES must be three sizes such as "32K,1M,16M", got {words!r}')
        return Caches(*sizes)
    return read_caches(CPUS) or CONSERVATIVE


def bytes_of(word: str) -> int | None:
    """Parse a size such as 32K; None if it is none."""
    match = re.fullmatch(r"\s*([1-9][0-9]*)([KMG]?)\s*", word)
    return int(match[1]) * UNITS[match[2]] if match else None


def read_caches(root: Path) -> Caches | None:
    """Return the caches that Linux describes in a folder such as /sys/devices/system/cpu, or None.

    A cache is shared out to the cores that this process may use of those behind it; hardware threads of a core, which
    share the first level, count as one. Without a third level, its size is taken for that of the second.
    """
    try:
        allowed = os.sched_getaffinity(0)
        cpu, sizes, cores = min(allowed), {}, {}
        for folder in sorted((root / f"cpu{cpu}" / "cache").glob("index*")):
            kind, level, size, shared = (
                (folder / name).read_text().strip() for name in ("type", "level", "size", "shared_cpu_list")
            )
            if kind != "Instruction" and (found := bytes_of(size)):
                sizes[int(level)], cores[int(level)] = found, numbers(shared) & allowed
        if not {1, 2} <= sizes.keys():
            return None
        threads = max(1, len(cores[1]))
        first, second, third = (
            sizes[level] // max(1, len(cores[level]) // threads) if level in sizes else 0 for level in (1, 2, 3)
        )
        return Caches(first, second, max(third, second))
    except (OSError, ValueError, AttributeError):  # another system, or a container that hides it
        return None


def numbers(ranges: str) -> set[int]:
    """Parse a list such as 0-3,8."""
    pairs = (part.partition("-") for part in ranges.split(",") if part)
    return {n for first, _, last in pairs for n in range(int(first), int(last or first) + 1)}
