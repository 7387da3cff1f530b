"""An operand that is packed once for many calls: what `prepare_matmul`, `prepare_conv2d` and their like return."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Hashable
from threading import RLock
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from numpy import ndarray

from .checks import canonical
from .plans import ghost

_packing = RLock()


class Prepared:
    """A copy of an operand and, by key, what operations have made of it: packed panels, transformed filters.

    Whatever is made of it is for this CPU: a pickle holds the operand alone.
    """

    __slots__ = ("_ghost", "_made", "_restore", "_source", "dtype", "ndim", "shape", "strides")

    def __init__(self, source: ndarray) -> None:
        self._source: ndarray | None = canonical(np.array(source, order="C"))
        self.shape, self.dtype, self.ndim = self._source.shape, self._source.dtype, self._source.ndim
        self._ghost = ghost(self.shape, self.dtype)  # by which a call's plan is found, see `lookup`
        self.strides = self._ghost.strides
        self._made: dict[Hashable, Any] = {}
        self._restore: Callable[[], ndarray] | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return Prepared, (self.source(),)

    def __repr__(self) -> str:
        return f"Prepared(shape={self.shape}, dtype={self.dtype})"

    def source(self) -> ndarray:
        """Return the operand as it was given."""
        with _packing:
            if self._source is not None:
                return self._source
            assert self._restore is not None
            return self._restore()

    def get(
        self,
        key: Hashable,
        make: Callable[[ndarray], Any],
        restore: Callable[[Any, tuple[int, ...]], ndarray] | None = None,
    ) -> Any:
        """Return make(operand), made at the first use of its key.

        restore(made, shape): gives the operand back, which then need not be kept beside what was made of it.
        """
        made = self._made.get(key)
        if made is None:
            with _packing:  # of two threads that want the same one the second finds it
                made = self._made.get(key)
                if made is None:
                    made = self._made[key] = make(self.source())
                    if restore is not None:
                        shape, self._source = self.shape, None
                        self._restore = lambda: restore(made, shape)
        return made


def _offset_of_ghost() -> int:
    """Return how many bytes into a `Prepared` the address of its ghost stands."""
    probe = Prepared(np.zeros(1, np.float32))
    words = (ctypes.c_size_t * (Prepared.__basicsize__ // 8)).from_address(id(probe))
    return list(words).index(id(probe._ghost)) * 8


OFFSET = _offset_of_ghost()
llvm.add_symbol("fastnn_prepared", id(Prepared))
