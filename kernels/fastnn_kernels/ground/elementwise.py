"""Elementwise operations and their public functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .arguments import Kinds
from .backend import current, on_switch, quick_of
from .checks import F4, F8
from .operation import Layout, Operation


class Elementwise(NamedTuple):
    """Arrays of one shape and dtype, and the layout of `out` if there is one."""

    arrays: tuple[Layout, ...]
    out: Layout | None = None

    @property
    def result(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and dtype of the result."""
        return self.arrays[0].shape, self.arrays[0].dtype


class ElementwiseOperation(Operation):
    """An operation of arrays of one shape and of numbers: `run(*arrays, *numbers, out)`.

    A back end may have a quick way, which takes small contiguous arrays in one C call and sends all others to `find`.
    otherwise: see `Operation`.
    """

    def __init__(
        self, name: str, module: str, arrays: tuple[str, ...], numbers: dict[str, Any], otherwise=None
    ) -> None:
        kinds = Kinds(floats=arrays, numbers=tuple(numbers))
        super().__init__(
            name, self._check, kinds, arguments=(*arrays, *numbers), module=module, in_place=True, otherwise=otherwise
        )
        self.tell: Callable[..., None] = lambda way: None
        on_switch.append(self.meet)

    def _check(self, **given: Any) -> Elementwise:
        layouts = [given[name] for name in self.kinds.floats]
        for name, layout in zip(self.kinds.floats, layouts, strict=True):
            if layout.shape != layouts[0].shape:
                raise ValueError(
                    f"{self.name}: {self.kinds.floats[0]} has shape {layouts[0].shape} but {name} has {layout.shape}"
                )
        return Elementwise(tuple(layouts))

    def _first(self, *arguments: Any) -> Any:
        self.prepare()
        self.meet()
        return self.run(*arguments)

    def go(self, way: Callable[..., Any]) -> None:
        """Take a way from now on, and tell the public function, which holds it."""
        self.run = way
        self.tell(way)

    def meet(self) -> None:
        """Wait for the first array, to take the quick way of its dtype."""
        self.go(self._single if hasattr(self, "describe") else self._first)

    def leave_quick_way(self) -> None:
        """Take the general way until `meet` is called."""
        self.prepare()
        self.go(self._last)

    def _single(self, *arguments: Any) -> Any:
        way = quick_of(current(), self.name, self.module)
        if way is not None and type(arguments[0]) is ndarray and arguments[0].dtype == F4:
            self.go(way(F4, self._double))
            return self.run(*arguments)
        return self._double(*arguments)

    def _double(self, *arguments: Any) -> Any:
        way = quick_of(current(), self.name, self.module)
        if way is not None and type(arguments[0]) is ndarray and arguments[0].dtype == F8:
            return way(F8, self._last)(*arguments)
        return self._last(*arguments)

    def _last(self, *arguments: Any) -> Any:
        return self.find(arguments[-1], *arguments[:-1])


def elementwise_entry(operation: ElementwiseOperation, parameters: dict[str, Any], text: str) -> Callable[..., Any]:
    """Make the public function of an elementwise operation. parameters: names and usual values, None where none."""
    run = operation.run  # here and not in the operation: an attribute would cost a call 15 ns

    def tell(way):
        nonlocal run
        run = way

    operation.tell = tell

    def one(a, *, out=None):
        return run(a, out)

    def two(a, b, *, out=None):
        return run(a, b, out)

    def three(a, b, c, *, out=None):
        return run(a, b, c, out)

    def four(a, b, c, d, *, out=None):
        return run(a, b, c, d, out)

    entry = (one, two, three, four)[len(operation.arguments) - 1]
    code = entry.__code__  # with its own names, Python checks the arguments: a third of the time of *args, **named
    entry.__code__ = code.replace(co_name=operation.name, co_varnames=(*operation.arguments, "out"))
    entry.__name__ = entry.__qualname__ = operation.name
    entry.__module__ = __package__.rpartition(".")[0]  # where all of them are found by name, by pickle for one
    entry.__defaults__ = tuple(usual for usual in parameters.values() if usual is not None)
    entry.__doc__ = text
    return entry
