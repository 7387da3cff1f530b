"""What modules hold: Parameter, what is learned; Buffer, what belongs to a module's state beside that."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from fastnn._checks import type_of
from fastnn._device import check_device
from fastnn._dtypes import get_default_dtype
from fastnn._tape import Leaf, clock
from fastnn._tensor import OWNERS
from fastnn.tape import Tensor


class Parameter(Tensor):
    """A Tensor that a layer learns. The data is copied, so that nobody else can write into it unnoticed.

    Layers may keep a packed copy of their weights, so every write must be seen: `version` is the time of the last one.
    Writes go through the parameter or tensors that are a part of it: in-place operators, methods and item assignment
    inside `no_grad`, ``p.data -= ...``, ``p.data[0].zero_()``, `load_state_dict`, optimizer steps. Arrays got from it
    (``p.numpy()``, views) are read-only. Not noticed: writes after ``array.setflags(write=True)``, or through a raw
    pointer.
    """

    __slots__ = ("_leaf", "_memory")

    _leaf: Leaf  # stays when requires_grad is off, for its version
    _memory: np.ndarray

    def __init__(self, data: Any = None, requires_grad: bool = True) -> None:
        super().__init__(np.empty(0, get_default_dtype()) if data is None else data)
        kind = self._data.dtype.type
        if kind not in (np.float32, np.float64):
            raise TypeError(f"Parameter: data must be float32 or float64, got {self._data.dtype}")
        memory = np.array(self._data, kind, order="C")  # in the machine's byte order, whatever the data came in
        self._leaf = Leaf(memory.shape, memory.dtype)
        self._node = self._leaf if requires_grad else None
        self._move(memory)
        OWNERS[id(self)] = self

    _fill = __init__

    def _move(self, memory: np.ndarray) -> None:
        self._memory = memory
        self._data = memory.view()
        self._data.flags.writeable = False
        self._leaf.version = next(clock)

    def _convert(self, memory: np.ndarray) -> None:
        """Live in memory of another dtype or shape: for the tape, this is another leaf."""
        self._leaf.owner = None
        self._leaf = Leaf(memory.shape, memory.dtype)
        self._node = self._leaf if self._node is not None else None
        self._move(memory)

    def _writable(self) -> np.ndarray:
        self._leaf.version = next(clock)
        return self._memory

    @property
    def version(self) -> int:
        """When the parameter was last written; grows with every write, and differs between all parameters."""
        return self._leaf.version

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this parameter are recorded; off, it is frozen: optimizers leave it alone."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._node = self._leaf if value else None
        if not value:
            self._leaf.forget()

    def __repr__(self) -> str:
        return f"Parameter containing:\n{super().__repr__()}"


class UninitializedParameter(Parameter):
    """A parameter whose shape is found out by the first input of its layer; see `LazyLinear`."""

    __slots__ = ()

    def __init__(self, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> None:
        check_device("UninitializedParameter", device)
        super().__init__(np.empty(0, get_default_dtype() if dtype is None else dtype), requires_grad)

    def materialize(self, shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> None:
        """Become a `Parameter` of this shape, full of zeros."""
        check_device("materialize", device)
        self._convert(np.zeros(shape, self.dtype if dtype is None else dtype))
        self.__class__ = Parameter  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"UninitializedParameter(dtype={self.dtype})"


class Buffer(Tensor):
    """A Tensor that belongs to a layer's state but is not learned; in its state_dict, unless ``persistent=False``."""

    __slots__ = ("persistent",)

    persistent: bool

    def __init__(self, data: Any = None, *, persistent: bool = True) -> None:
        super().__init__(np.empty(0, get_default_dtype()) if data is None else data)
        self.persistent = persistent

    @classmethod
    def of(cls, value: Any, persistent: bool) -> Buffer:
        """Give a tensor or an array as a buffer of the same memory."""
        buffer = cls(value, persistent=persistent)
        if isinstance(value, Tensor):
            buffer._node = value._node
        return buffer


class _Room(threading.local):
    left: int | None = None  # how many numbers new layers may still have; None: as many as they like


_room = _Room()


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Bound the number of weights of layers created inside; ValueError before memory for more is allocated."""
    before, _room.left = _room.left, numbers
    try:
        yield
    finally:
        _room.left = before


def fresh(shape: tuple[int, ...], value: Any, dtype: Any = None, device: Any = None) -> np.ndarray:
    """Give memory for a parameter or buffer of a new layer, filled with a value; `get_default_dtype()` if not given."""
    if _room.left is not None:
        _room.left -= math.prod(map(int, shape))
        if _room.left < 0:
            few = f"an array of shape {shape} does not belong to so few weights"
            raise ValueError(f"{few}: the model has more weights than the file")
    if device is not None:
        check_device("Parameter", device)
    dtype = get_default_dtype() if dtype is None else type_of("Parameter", dtype)
    return np.full(shape, value, dtype) if value else np.zeros(shape, dtype)
