"""Watching calls: kernels that are launched, memory that is asked for, and what planners say of their choice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from . import memory, plans
from .backend import on_switch
from .elementwise import ElementwiseOperation
from .jit import Kernel
from .notes import listening
from .operation import operations


class Recording:
    """What has been noted: launches as (kernel, arguments), allocated arrays, and notes of planners."""

    def __init__(self) -> None:
        self.launches: list[tuple[Kernel, tuple[Any, ...]]] = []
        self.allocated: list[ndarray] = []
        self.notes: list[str] = []

    def _allocate(self, shape: tuple[int, ...], dtype: Any) -> ndarray:
        self.allocated.append(np.empty(shape, dtype))
        return self.allocated[-1]

    def _kernel(self, kernel: Kernel, dtype: Any) -> Callable[..., Any]:
        compiled = dict.get(kernel, dtype) or kernel.__missing__(dtype)

        def launch(*arguments: Any) -> Any:
            self.launches.append((kernel, arguments))
            return compiled(*arguments)

        return launch


@contextlib.contextmanager
def recording() -> Iterator[Recording]:
    """Note what calls do inside a `with` block, in one thread of the process. All plans are forgotten."""
    made = Recording()
    plans.forget()
    for operation in operations().values():
        if isinstance(operation, ElementwiseOperation):
            operation.leave_quick_way()
    Kernel.__getitem__ = lambda kernel, dtype: made._kernel(kernel, dtype)
    try:
        with memory.allocator(made._allocate), listening(made.notes.append):
            yield made
    finally:
        del Kernel.__getitem__
        for tell in on_switch:
            tell()
        plans.forget()
