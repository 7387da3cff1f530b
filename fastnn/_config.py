"""What this installation computes with."""

from __future__ import annotations

import os
import platform
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import TextIO

import fastnn_kernels as kernels
from fastnn._version import __version__


def _cpu() -> str:
    """Return the CPU's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor() or platform.machine()


def _size(count: int) -> str:
    for unit, scale in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count} bytes"


def _cache(folder: Path | None) -> str:
    if folder is None:
        return "none: no folder can be written, kernels are compiled in every process"
    sizes = []
    for file in folder.glob("*.nbc"):
        with suppress(FileNotFoundError):  # another process has replaced it by a newer one
            sizes.append(file.stat().st_size)
    return f"{folder} ({len(sizes)} files, {_size(sum(sizes))})"


def configuration() -> dict[str, str]:
    """Return what `show_config` prints, as a dictionary."""
    about = kernels.info()
    width, pool = about["vector_bytes"], about["pool"]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {name: metadata.version(name) for name in ("numpy", "numba", "llvmlite")}
    return {
        "fastnn": f"{__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}",
        "CPU": f"{_cpu()}, compiling for {about['target']}",
        "vectors": f"{8 * width} bits: {width // 4} float32 or {width // 8} float64",
        "threads": f"{about['threads']} of {cores} cores",
        "threading layer": about["threading_layer"],
        "kernel cache": _cache(about["cache"]),
        "output pool": f"{_size(pool.bytes)} held, {_size(pool.idle_bytes)} of them idle; at most {_size(pool.limit)}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }


def show_config(file: TextIO | None = None) -> None:
    """Print the CPU, vector width, threads, threading layer, cache folder and versions that fastnn computes with."""
    for name, value in configuration().items():
        print(f"{name + ':':<17}{value}", file=file or sys.stdout)
