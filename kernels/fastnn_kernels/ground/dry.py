"""Calls without computing: outputs have their shapes and dtypes and hold zeros, nothing is compiled or launched."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy import ndarray

from . import memory, plans
from .backend import on_switch
from .elementwise import ElementwiseOperation
from .jit import Kernel
from .operation import operations
from .prepared import Prepared

_one_at_a_time = threading.RLock()
_running: list[DryRun] = []


class DryRun:
    """What the calls would have launched.

    Attributes
    ----------
    kernels : list of (kernel, dtype)
        In the order in which they were wanted first; a dtype may be a pair of them.
    """

    def __init__(self) -> None:
        self.kernels: list[tuple[Kernel, Any]] = []

    def _kernel(self, kernel: Kernel, dtype: Any) -> Callable[..., Any]:
        if (kernel, dtype) not in self.kernels:
            self.kernels.append((kernel, dtype))
        return _nothing


def _nothing(*arguments: Any) -> None:
    """Launch nothing."""


def _zeros(shape: tuple[int, ...], dtype: Any) -> ndarray:
    return np.zeros(shape, dtype)


@contextlib.contextmanager
def dry_run() -> Iterator[DryRun]:
    """Let calls in this thread compute nothing inside a `with` block; other threads compute as ever, a little slower.

    All plans are forgotten, before and after. Whatever is found out of results (whether labels are in range) is found
    out of zeros, and what is kept of them (packed weights) is the caller's to throw away.
    """
    with _one_at_a_time:
        if _running:  # in this thread
            yield _running[0]
            return
        made, thread = DryRun(), threading.get_ident()

        def item(kernel: Kernel, dtype: Any) -> Callable[..., Any]:
            if threading.get_ident() == thread:
                return made._kernel(kernel, dtype)
            return dict.get(kernel, dtype) or kernel.__missing__(dtype)

        def unkept(self: Prepared, key: Any, make: Callable[[ndarray], Any], restore: Any = None) -> Any:
            return make(self.source()) if threading.get_ident() == thread else get(self, key, make, restore)

        get = Prepared.get
        found = list(operations().values())
        before = [
            {name: vars(each)[name] for name in ("run", "find", "describe") if name in vars(each)} for each in found
        ]
        plans.forget()
        for each in found:  # what finds plans would have to be compiled
            each.find, each.describe = each.general, _nothing  # type: ignore[method-assign]
            if isinstance(each, ElementwiseOperation):
                each.go(each._last)
            else:
                each.run = each.general
        Kernel.__getitem__, Prepared.get = item, unkept  # type: ignore[method-assign]
        _running.append(made)
        try:
            with memory.allocator(_zeros):
                yield made
        finally:
            _running.clear()
            del Kernel.__getitem__
            Prepared.get = get  # type: ignore[method-assign]
            for each, kept in zip(found, before, strict=True):
                for name in ("run", "find", "describe"):
                    vars(each).pop(name, None)
                vars(each).update(kept)
            for tell in on_switch:
                tell()
            plans.forget()
