"""What this installation computes with."""

from importlib import import_module
from typing import Any

from .ground import registry
from .ground.backend import load_all
from .ground.cache import cache_folder
from .ground.memory import pool_stats
from .ground.registry import KernelSpec
from .ground.threads import get_num_threads, threading_layer


def specs() -> list[KernelSpec]:
    """Return every kernel that there is; see `KernelSpec`."""
    load_all("cpu")
    return registry.specs()


def info() -> dict[str, Any]:
    """Return what kernels are compiled for, and how they run.

    target: the CPU's name for the compiler; vector_bytes: the width of its vectors; threads, threading_layer: how many
    threads kernels use, and whose; cache: the folder of compiled kernels, None without one; pool: see `pool_stats`.
    """
    about = import_module(f"{__package__}.cpu.about").about()
    run = {"threads": get_num_threads(), "threading_layer": threading_layer()}
    return {**about, **run, "cache": cache_folder(), "pool": pool_stats()}
