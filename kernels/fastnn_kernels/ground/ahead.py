"""Compiling kernels ahead of time, in several processes at once.

All processes write to the one disk cache, from which this one reads what the others have compiled. Kernels of one file
go to one process: they share functions, which two processes would both compile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numba import types

from .cache import _folders, cache_folder
from .dtypes import letters, pair_of
from .environment import positive_integer
from .jit import Kernel
from .registry import specs
from .threads import default_num_threads

Wanted = tuple[Kernel, Any]
COMMAND = [sys.executable, "-m", "fastnn_kernels", "compile"]


def compile_kernels(
    wanted: Iterable[Wanted], processes: int | None = None, tell: Callable[[str], None] = lambda name: None
) -> list[str]:
    """Compile those of some kernels that the disk cache does not hold, and return their names.

    wanted: (kernel, dtype or pair of dtypes), as `dry_run` notes them. processes: how many compile, this one among
    them; by default what the variable FASTNN_COMPILE_PROCESSES says, else as many as there are cores, four at most, and
    only one for less than four kernels. tell: called with the name of each kernel when its compilation begins, perhaps
    in another thread.
    """
    missing = [(kernel, dtype) for kernel, dtype in wanted if not is_compiled(kernel, dtype)]
    if processes is None:
        processes = positive_integer(os.environ.get("FASTNN_COMPILE_PROCESSES", "")) or min(default_num_threads(), 4)
        processes = min(processes, max(len(missing) // 2, 1))
    left = deque(_by_file(missing))
    helpers: list[threading.Thread] = []
    if cache_folder() is not None and _can_be_started():  # what others compile is found in the cache
        helpers = [threading.Thread(target=_helped, args=(left, tell), daemon=True) for _ in range(processes - 1)]
    for helper in helpers:
        helper.start()
    with suppress(IndexError):
        while True:
            for kernel, dtype in left.popleft():
                tell(kernel.__name__)
                kernel[dtype]
    for helper in helpers:
        helper.join()
    for kernel, dtype in missing:
        kernel[dtype]  # from the disk, or here where a helper failed
    return [kernel.__name__ for kernel, _ in missing]


def _can_be_started() -> bool:
    """Return whether this process is a Python of which another can be started, not a program that holds one."""
    name = Path(sys.executable or "").name.lower()
    return name.startswith(("python", "pypy")) and not getattr(sys, "frozen", False)


def is_compiled(kernel: Kernel, dtype: Any) -> bool:
    """Return whether a kernel is there for a dtype, in this process or on the disk."""
    if dtype in kernel.keys():
        return True
    cache, number = kernel.dispatcher._cache, letters(pair_of(kernel.__name__, dtype))["T"]
    signature = types.voidptr(types.voidptr, types.CPointer(number), types.intp)
    name = cache._name(signature, kernel.dispatcher.targetctx.codegen())
    return name is not None and any((Path(folder) / name).is_file() for folder in _folders()[0])


def _by_file(wanted: list[Wanted]) -> list[list[Wanted]]:
    """Group kernels that share much: by file, all of matrix products together."""
    groups: dict[str, list[Wanted]] = {}
    for kernel, dtype in wanted:
        family, _, file = kernel.function.__module__.rpartition(".")
        groups.setdefault(family if family.endswith(".matmul") else f"{family}.{file}", []).append((kernel, dtype))
    return list(groups.values())


def _helped(left: deque[list[Wanted]], tell: Callable[[str], None]) -> None:
    """Let another process compile kernels from the end of the list, until none is left or the process fails."""
    paths = os.pathsep.join(path or os.getcwd() for path in sys.path)
    environment = {**os.environ, "PYTHONPATH": paths, "NUMBA_NUM_THREADS": "1"}
    with suppress(OSError, IndexError, ValueError):
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            COMMAND, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        try:
            assert process.stdin is not None and process.stdout is not None
            group: list[Wanted] = []
            while process.stdout.readline().strip() == "ready":
                group = group or left.pop()
                kernel, dtype = group.pop(0)
                tell(kernel.__name__)
                stored = ",".join(map(str, dtype)) if isinstance(dtype, tuple) else str(dtype)
                process.stdin.write(f"{kernel.function.__module__} {kernel.__name__} {stored}\n")
                process.stdin.flush()
        finally:
            with suppress(OSError):
                process.stdin.close()  # type: ignore[union-attr]
            process.kill()
            process.wait()
            process.stdout.close()  # type: ignore[union-attr]


def serve(lines: Iterable[str] = sys.stdin, answer: Callable[[str], Any] = print) -> None:
    """Compile the kernels that are named line by line, "module name dtype"; what `_helped` starts."""
    answer("ready")
    for line in lines:
        module, name, dtype = line.split()
        import_module(module)
        kernels = {spec.name: spec.kernel for spec in specs()}
        dtypes = tuple(map(np.dtype, dtype.split(",")))
        kernels[name][dtypes if len(dtypes) > 1 else dtypes[0]]
        answer("ready")
