"""Back ends: who computes. Each gives a plan for the problem of an operation.

`cpu` is the usual one for NumPy arrays. `reference` computes the same on NumPy arrays by plain loops, slowly: it says
which side of a difference is wrong, and can be stepped through. `use("reference")` chooses it. A back end of other
arrays (a GPU's) is found by their type.

A back end is a package with the families of the operations: what `fastnn_kernels/norm/` checks is planned in
`fastnn_kernels/cpu/norm/plan.py`, or `cpu/norm.py` if one file is enough, by a function that is marked so:

    @plans("softmax", "log_softmax")
    def plan(problem): ...  # -> run(out, *arguments)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pkgutil import walk_packages
from typing import Any

import numpy as np

from .settings import BACKEND, SETTINGS

PACKAGE = __package__.rpartition(".")[0]
Plan = Callable[..., Any]  # run(out, *arguments of the operation) -> its result

_plans: dict[tuple[str, str], Callable[[Any], Plan]] = {}  # (back end, operation) -> what plans it
_quick: dict[tuple[str, str], Callable[[Any, Callable[..., Any]], Callable[..., Any]]] = {}
on_switch: list[Callable[[], None]] = []  # called when another back end computes with NumPy arrays
_of_numpy = ["cpu", "reference"]  # back ends of NumPy arrays, by the number in the settings
_by_type: dict[type, Backend] = {}


class Backend:
    """A back end of arrays of its own class.

    name: in messages. array: the class of its arrays, which have `shape`, `strides` and `dtype` as NumPy's do.
    plan(operation, problem) returns run(out, *arguments), or raises NotImplementedError that names the operation.
    """

    def __init__(self, name: str, array: type) -> None:
        self.name, self.array = name, array

    def plan(self, operation: str, problem: Any) -> Plan:
        """Return what computes an operation."""
        raise NotImplementedError(f"{operation}: the back end {self.name!r} does not have it")


def register(backend: Backend) -> None:
    """Send calls with arrays of `backend.array` to this back end."""
    _by_type[backend.array] = backend


def unregister(backend: Backend) -> None:
    """Forget a back end."""
    _by_type.pop(backend.array, None)


def backend_of(function: str, arguments: dict[str, Any]) -> Backend | None:
    """Return the back end that the arrays among the arguments belong to; None: NumPy's. TypeError if they are mixed."""
    found = {name: _by_type[type(x)] for name, x in arguments.items() if type(x) in _by_type}
    if not found:
        return None
    ((first, backend), *_) = found.items()
    for name, x in arguments.items():
        if x is not None and found.get(name) is not backend:
            raise TypeError(
                f"{function}: {first} is an array of the back end {backend.name!r}, but {name} is "
                f"{type(x).__module__}.{type(x).__qualname__}; move both to one back end"
            )
    return backend


def plans(*operations: str, backend: str | None = None) -> Callable[[Callable[[Any], Plan]], Callable[[Any], Plan]]:
    """Mark the function of a problem that plans these operations; for the back end in whose package it stands."""

    def mark(function: Callable[[Any], Plan]) -> Callable[[Any], Plan]:
        module = getattr(function, "func", function).__module__  # of a partial, that of its function
        for operation in operations:
            _plans[backend or module.removeprefix(f"{PACKAGE}.").partition(".")[0], operation] = function
        return function

    return mark


def quick(operation: str, way: Callable[[Any, Callable[..., Any]], Callable[..., Any]]) -> None:
    """Give the CPU's quick way of an elementwise operation: way(dtype, otherwise) -> f(*arrays, *numbers, out)."""
    _quick["cpu", operation] = way


def quick_of(backend: str, operation: str, module: str) -> Callable[..., Any] | None:
    """Return the quick way of an elementwise operation, None if the back end has none."""
    _load(backend, operation, module)
    return _quick.get((backend, operation))


def planner_of(backend: str, operation: str, module: str) -> Callable[[Any], Plan]:
    """Return what plans an operation that is defined in a module of the families. NotImplementedError if none does."""
    _load(backend, operation, module)
    found = _plans.get((backend, operation))
    if found is None:
        raise NotImplementedError(f"{operation}: the back end {backend!r} does not have it")
    return _quiet(found) if backend == "reference" else found


def planned(backend: str, operation: str) -> bool:
    """Return whether a back end has an operation, as far as its modules have been imported."""
    return (backend, operation) in _plans


def _load(backend: str, operation: str, module: str) -> None:
    """Import the back end's part of a family unless that has been done."""
    if (backend, operation) in _plans:
        return
    path = f"{PACKAGE}.{backend}.{module.removeprefix(f'{PACKAGE}.').partition('.')[0]}"
    if find_spec(path):
        part = import_module(path)
        if hasattr(part, "__path__"):
            import_module(f"{path}.plan")


def _quiet(planner: Callable[[Any], Plan]) -> Callable[[Any], Plan]:
    """Return a planner whose plans do not warn of NaN and infinity: kernels give them without a word."""

    def plan(problem: Any) -> Plan:
        run = planner(problem)

        def silent(*arguments: Any) -> Any:
            with np.errstate(all="ignore"):
                return run(*arguments)

        return silent

    return plan


def load_all(backend: str) -> None:
    """Import every module of a back end, so that the registries know all of its plans and kernels."""
    package = import_module(f"{PACKAGE}.{backend}")
    for module in walk_packages(package.__path__, f"{package.__name__}."):
        import_module(module.name)


def current() -> str:
    """Return the name of the back end that computes with NumPy arrays."""
    return _of_numpy[SETTINGS[BACKEND]]


@contextlib.contextmanager
def use(backend: str) -> Iterator[None]:
    """Compute with NumPy arrays by another back end inside a `with` block: "cpu" or "reference"; in all threads.

    Raises ValueError for other names.
    """
    if backend not in _of_numpy:
        raise ValueError(f"use: backend must be one of {', '.join(_of_numpy)}, got {backend!r}")
    before = SETTINGS[BACKEND]
    _switch(_of_numpy.index(backend))
    try:
        yield
    finally:
        _switch(before)


def _switch(number: int) -> None:
    SETTINGS[BACKEND] = number
    for tell in on_switch:
        tell()
