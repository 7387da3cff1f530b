"""Modules made of modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from inspect import signature
from typing import Any, Self

from fastnn._checks import type_given

from .module import Module, as_made, can_fuse

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
        if not isinstance(modules, Iterable):
            raise TypeError(f"{type(self).__name__}: extend needs modules, got {type(modules).__name__}")
        for i, module in enumerate(added := list(modules)):
            self._checked(str(len(self) + i), module)
        for module in added:
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put a module before the one at `index`; all are named by their positions afterwards."""
        modules = list(self)
        modules.insert(index, self._checked(str(index), module))
        return self._rename(modules)

    def pop(self, index: int | slice = -1) -> Module:
        """Take a module out and give it; the others are named by their positions afterwards."""
        module: Module = self[index]
        del self[index]
        return module

    def _rename(self, modules: list[Module]) -> Self:
        for name, _ in list(self._children()):
            delattr(self, name)
        for i, module in enumerate(modules):
            setattr(self, str(i), module)
        return self

    def _checked(self, name: str, module: Any) -> Module:
        if not isinstance(module, Module):
            kind, hint = type(self).__name__, ""
            if isinstance(module, type):
                hint = f"; make a layer of it: {module.__name__}(...)"
            elif isinstance(module, list | tuple) and name == "0" and kind == "Sequential":
                hint = "; for a list of layers write Sequential(*layers)"
            raise TypeError(f"{kind}: expected modules, got {type_given(module)} at {name!r}{hint}")
        return module

    def __len__(self) -> int:
        return sum(1 for _ in self._children())

    def __iter__(self) -> Iterator[Module]:
        return iter([module for _, module in self._children()])

    def __contains__(self, module: object) -> bool:
        return any(module is own for own in self)

    def __getitem__(self, index: int | slice) -> Any:
        return list(self)[index]

    def __setitem__(self, index: int, module: Module) -> None:
        name = list(self._children())[index][0]
        setattr(self, name, self._checked(name, module))

    def __delitem__(self, index: int | slice) -> None:
        modules = list(self)
        del modules[index]
        self._rename(modules)

    def __add__(self, other: Iterable[Module]) -> Self:
        if not isinstance(other, Iterable):
            return NotImplemented
        return type(self)().extend(self).extend(other)

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)


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
            name = activation.fused_name if can_fuse(activation) else None
            if pool is not None and _commute(activation, pool, can_fuse):
                # the largest of the activations is the activation of the largest, which is fewer numbers
                input = pool(layer(input), activation=name)
                continue
            input = layer(input, activation=name) if name and can_fuse(layer) else activation(layer(input))
            if pool is not None:
                input = pool(input)
        return input

    def _make_plan(self) -> list[Step]:
        """Find each layer that can take an activation with one behind it, and the pooling behind that."""
        plan: list[Step] = []
        for module in self:
            layer, activation, pool = plan[-1] if plan else (None, None, None)
            if pool is None and activation is not None and _commute(activation, module, as_made):
                plan[-1] = (layer, activation, module)  # type: ignore[assignment]
            elif activation is None and as_made(module) and hasattr(module, "fused_name") and _takes_activation(layer):
                plan[-1] = (layer, module, None)  # type: ignore[assignment]
            else:
                plan.append((module, None, None))
        self.__dict__["_plan"] = plan
        return plan

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(dict(list(self._children())[index]))
        return list(self)[index]

    def __mul__(self, times: int) -> Sequential:
        if not isinstance(times, int) or times < 1:
            raise TypeError(f"Sequential: it can be repeated a positive number of times, got {times!r}")
        return Sequential(*list(self) * times)

    __rmul__ = __mul__


def _commute(activation: Module, pool: Module, fits: Callable[[Module], bool]) -> bool:
    """Say whether a pooling gives the same before and after an activation."""
    return fits(activation) and fits(pool) and activation.fused_name in getattr(pool, "commutes_with", ())


def _takes_activation(layer: Module | None) -> bool:
    return layer is not None and as_made(layer) and "activation" in signature(type(layer).forward).parameters


class ModuleList(_List):
    """A list of modules whose parameters belong to the module it is assigned to; it has no forward of its own."""

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(() if modules is None else modules)

    def __getitem__(self, index: int | slice) -> Any:
        found: Any = list(self)[index]
        return ModuleList(found) if isinstance(index, slice) else found


class ModuleDict(Module):
    """A dictionary of modules whose parameters belong to the module it is assigned to; it has no forward of its own.

    modules: a mapping, or pairs. Raises TypeError for what is no Module, KeyError for names that contain a dot or are
    those of a method ("pop", "type").
    """

    def __init__(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Add modules, in the place of those of the same names."""
        if not isinstance(modules, Iterable):
            raise TypeError(f"ModuleDict: expected a mapping or pairs, got {type(modules).__name__}")
        for name, module in modules.items() if isinstance(modules, Mapping | ModuleDict) else modules:
            self[name] = module

    def __getitem__(self, name: str) -> Any:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        if not isinstance(module, Module):
            raise TypeError(f"ModuleDict: expected modules, got {type(module).__name__} at {name!r}")
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def keys(self) -> Iterable[str]:
        """Give the names."""
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        """Give the modules."""
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        """Give names and modules."""
        return self._modules.items()

    def pop(self, name: str) -> Module:
        """Take a module out and give it."""
        module: Module = self[name]
        del self[name]
        return module

    def clear(self) -> None:
        """Take all modules out."""
        self._modules.clear()
