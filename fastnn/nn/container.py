"""Modules made of modules."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any, Self

from .module import Module


class Sequential(Module):
    """Modules that run one after the other: ``Sequential(Linear(2, 8), ReLU(), Linear(8, 1))``, or a dict by name.

    Where a layer whose ``forward`` takes `activation` is followed by an activation module that names its kernel in
    `fused_name`, both run as one kernel. Names in state_dict do not change by that.
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            named = dict(modules[0])
        else:
            named = {str(i): module for i, module in enumerate(modules)}  # type: ignore[misc]
        for name, module in named.items():
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: expected modules, got {type(module).__name__} at {name!r}")
            setattr(self, name, module)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name != "_plan":
            self._plan: list[tuple[Module, Module | None]] | None = None

    def forward(self, input: Any) -> Any:
        """Run all modules in order."""
        for layer, activation in self._plan or self._make_plan():
            if activation is None:
                input = layer(input)
            elif (name := activation.fused_name) is not None:
                input = layer(input, activation=name)
            else:
                input = activation(layer(input))
        return input

    def _make_plan(self) -> list[tuple[Module, Module | None]]:
        """Pair each layer that can take an activation with the activation behind it."""
        plan: list[tuple[Module, Module | None]] = []
        for module in self.children():
            if plan and getattr(plan[-1][1], "fused_name", None) in getattr(module, "commutes_with", ()):
                # the largest of the activations is the activation of the largest, which is fewer numbers
                layer, activation = plan[-1]
                plan[-1:] = [(layer, None), (module, activation)]
                continue
            if plan and hasattr(type(module), "fused_name"):
                layer, taken = plan[-1]
                if taken is None and "activation" in inspect.signature(type(layer).forward).parameters:
                    plan[-1] = (layer, module)
                    continue
            plan.append((module, None))
        self._plan = plan
        return plan

    def append(self, module: Module) -> Self:
        """Add a module at the end, named by its position."""
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return Sequential(dict(list(self.named_children())[index]))
        return list(self.children())[index]

    def __setitem__(self, index: int, module: Module) -> None:
        setattr(self, list(self.named_children())[index][0], module)


class ModuleList(Module):
    """A list of modules whose parameters belong to the module it is assigned to; it has no forward of its own."""

    def __init__(self, modules: Any = ()) -> None:
        super().__init__()
        for module in modules:
            self.append(module)

    def append(self, module: Module) -> Self:
        """Add a module at the end."""
        setattr(self, str(len(self)), module)
        return self

    def __len__(self) -> int:
        return len(list(self.children()))

    def __iter__(self) -> Iterator[Module]:
        return self.children()

    def __getitem__(self, index: int) -> Module:
        return list(self.children())[index]
