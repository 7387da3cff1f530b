"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from inspect import signature
from typing import Any, Self

from .module import Module, as_made

Step = tuple[Module, Module | None, Module | None]  # a layer, the activation behind it, the pooling behind that


class _List(Module):
    """Modules in order, named by their positions unless other names are given."""

    def append(self, module: Module) -> Self:
        """Add a module at the end, named by its position."""
        number = len(self)
        while str(number) in self.__dict__:
            number += 1
        setattr(self, str(number), self._checked(str(number), module))
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Add modules at the end. Raises TypeError, with nothing changed, if one of them is not a Module."""
        for i, module in enumerate(added := list(modules)):
            self._checked(str(len(self) + i), module)
        for module in added:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`; all are named by their positions afterwards."""
        modules = list(self.children())
        modules.insert(index, self._checked(str(index), module))
        return self._rename(modules)

    def pop(self, index: int = -1) -> Module:
        """Take a module out and give it; the others are named by their positions afterwards."""
        modules = list(self.children())
        module = modules.pop(index)
        self._rename(modules)
        return module

    def _rename(self, modules: list[Module]) -> Self:
        for name, _ in list(self.named_children()):
            delattr(self, name)
        for i, module in enumerate(modules):
            setattr(self, str(i), module)
        return self

    def _checked(self, name: str, module: Any) -> Module:
        if not isinstance(module, Module):
            raise TypeError(f"{type(self).__name__}: expected modules, got {type(module).__name__} at {name!r}")
        return module

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __setitem__(self, index: int, module: Module) -> None:
        name = list(self.named_children())[index][0]
        setattr(self, name, self._checked(name, module))

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self.children())
        del modules[index]
        self._rename(modules)


class Sequential(_List):
    """Modules that run one after the other: ``Sequential(Linear(2, 8), ReLU(), Linear(8, 1))``, or a dict by name.

    A layer of `fastnn.nn` that can compute an activation itself, followed by such an activation of `fastnn.nn`, runs
    as one kernel. Subclasses, and layers whose ``forward`` was replaced, run as they are. Names in state_dict do not
    change by that.
    """

    _plan: list[Step] | None = None

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        else:
            named = {str(i): module for i, module in enumerate(modules)}  # type: ignore[misc]
        for name, module in named.items():
            setattr(self, name, self._checked(name, module))

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "training":
            self.__dict__["_plan"] = None

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        self.__dict__["_plan"] = None

    def forward(self, input: Any) -> Any:
        """Run all modules in order."""
        for layer, activation, pool in self._plan or self._make_plan():
            if activation is None:
                input = layer(input)
                continue
            # looked up anew in every call: modules may have been changed since the plan was made
            name = activation.fused_name if as_made(activation) else None
            if pool is not None and _commute(activation, pool):
                # the largest of the activations is the activation of the largest, which is fewer numbers
                input = pool(layer(input), activation=name)
                continue
            input = layer(input, activation=name) if name and as_made(layer) else activation(layer(input))
            if pool is not None:
                input = pool(input)
        return input

    def _make_plan(self) -> list[Step]:
        """Find each layer that can take an activation with one behind it, and the pooling behind that."""
        plan: list[Step] = []
        for module in self.children():
            layer, activation, pool = plan[-1] if plan else (None, None, None)
            if pool is None and activation is not None and _commute(activation, module):
                plan[-1] = (layer, activation, module)  # type: ignore[assignment]
            elif activation is None and as_made(module) and hasattr(module, "fused_name") and _takes_activation(layer):
                plan[-1] = (layer, module, None)  # type: ignore[assignment]
            else:
                plan.append((module, None, None))
        self.__dict__["_plan"] = plan
        return plan

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(dict(list(self.named_children())[index]))
        return list(self.children())[index]


def _commute(activation: Module, pool: Module) -> bool:
    """Say whether a pooling gives the same before and after an activation."""
    known = as_made(activation) and as_made(pool)
    return known and activation.fused_name in getattr(pool, "commutes_with", ())


def _takes_activation(layer: Module | None) -> bool:
    return layer is not None and as_made(layer) and "activation" in signature(type(layer).forward).parameters


class ModuleList(_List):
    """A list of modules whose parameters belong to the module it is assigned to; it has no forward of its own."""

    def __init__(self, modules: Any = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def __getitem__(self, index: int | slice) -> Any:
        modules = list(self.children())[index]
        return ModuleList(modules) if isinstance(index, slice) else modules
