"""Parameters that are computed from others whenever they are read."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastnn.tape import Tensor, no_grad

from ..container import ModuleDict, ModuleList
from ..module import Buffer, Module, Parameter


class ParametrizationList(ModuleList):
    """The modules that compute one parameter, one after the other, and what they start from: `original`.

    If the first of them takes several tensors, these are `original0`, `original1` ...
    """

    original: Any

    def __init__(self, modules: list[Module], original: Tensor) -> None:
        super().__init__(modules)
        right_inverse = getattr(modules[0], "right_inverse", None)
        with no_grad():
            parts = original if right_inverse is None else right_inverse(original)
        self.several = len(parts) if isinstance(parts, tuple) else 0
        kind: Any = Parameter if isinstance(original, Parameter) else Buffer
        for i, part in enumerate(parts if self.several else (parts,)):
            name = f"original{i}" if self.several else "original"
            setattr(self, name, part if part is original else kind(part.detach()))

    def forward(self) -> Any:
        """Compute the parameter."""
        x = [getattr(self, f"original{i}") for i in range(self.several)] if self.several else [self.original]
        for module in self:
            x = [module(*x)]
        return x[0]


class _Memory:
    """What `cached` keeps while it is active, by parametrization."""

    depth = 0
    kept: dict[int, Any] = {}  # noqa: RUF012


@contextmanager
def cached() -> Iterator[None]:
    """Compute every parametrized parameter only once inside a `with` block."""
    _Memory.depth += 1
    try:
        yield
    finally:
        _Memory.depth -= 1
        if not _Memory.depth:
            _Memory.kept.clear()


def _read(name: str) -> property:
    def value(self: Any) -> Any:
        computed = self.parametrizations[name]
        if not _Memory.depth:
            return computed()
        if id(computed) not in _Memory.kept:
            _Memory.kept[id(computed)] = computed()
        return _Memory.kept[id(computed)]

    def write(self: Any, new: Any) -> None:
        held = self.parametrizations[name]
        inverse = getattr(held[-1], "right_inverse", None)
        if len(held) != 1 or inverse is None:
            raise RuntimeError(f"{name} is computed by parametrizations, which do not say how it can be assigned")
        with no_grad():
            parts = inverse(new)
            for i, part in enumerate(parts if isinstance(parts, tuple) else (parts,)):
                target = getattr(held, f"original{i}" if held.several else "original")
                target.data[...] = part.detach()

    return property(value, write, doc=f"The parameter {name}, computed by `parametrizations.{name}`.")


class _Parametrized:
    """Mixed into the class of a module with computed parameters."""

    def __setattr__(self, name: str, value: Any) -> None:
        held = vars(type(self)).get(name)
        if isinstance(held, property):
            held.__set__(self, value)
        else:
            super().__setattr__(name, value)

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise RuntimeError("a parametrized module cannot be pickled: keep its state_dict()")

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        kind: Any = type(self)
        names = list(vars(self)["parametrizations"])
        twin: Any = object.__new__(_class_of(kind.__mro__[2], names))
        memo[id(self)] = twin
        vars(twin).update({name: copy.deepcopy(value, memo) for name, value in vars(self).items()})
        return twin


def _class_of(kind: type, names: list[str]) -> type:
    """Make the class of a module whose parameters of these names are computed."""
    computed = {name: _read(name) for name in names}
    return type(f"Parametrized{kind.__name__}", (_Parametrized, kind), computed)


def register_parametrization(module: Any, tensor_name: str, parametrization: Module, *, unsafe: bool = False) -> Any:
    """Let a parameter or buffer be computed by `parametrization` from what it is now; give the module.

    The values it starts from are ``module.parametrizations.NAME.original`` (or `original0`, `original1` ... if the
    parametrization has a `right_inverse` that gives several), which are learned. Several parametrizations of one
    parameter follow each other. The layer is no longer fused with others.

    Raises ValueError if there is no such parameter, or if its shape would change (unless `unsafe`).
    """
    if not isinstance(parametrization, Module):
        got = type(parametrization).__name__
        raise TypeError(f"register_parametrization: parametrization must be a Module, got {got}")
    if is_parametrized(module, tensor_name):
        module.parametrizations[tensor_name].append(parametrization)
        return module
    original = vars(module).get(tensor_name)
    if not isinstance(original, Parameter | Buffer):
        name = type(module).__name__
        raise ValueError(f"register_parametrization: {name} has no parameter or buffer {tensor_name!r}")
    held = ParametrizationList([parametrization], original)
    shape = held().shape
    if shape != original.shape and not unsafe:
        raise ValueError(f"register_parametrization: {tensor_name} would have shape {shape}, not {original.shape}")
    names = list(module.parametrizations) if is_parametrized(module) else []
    kind: Any = type(module).__mro__[2] if names else type(module)
    delattr(module, tensor_name)
    if not names:
        module.parametrizations = ModuleDict()
    module.parametrizations[tensor_name] = held
    module.__class__ = _class_of(kind, [*names, tensor_name])
    return module


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Say whether a parameter of a module is computed: the one of a name, or any."""
    held = vars(module).get("parametrizations")
    if not isinstance(held, ModuleDict) or not isinstance(module, _Parametrized):
        return False
    return tensor_name in held if tensor_name is not None else len(held) > 0


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Make a computed parameter one of its own again; give the module.

    leave_parametrized: with the values that were computed, else with those that they were computed from.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"remove_parametrizations: {type(module).__name__} has no parametrization of {tensor_name!r}")
    held = module.parametrizations.pop(tensor_name)
    if not leave_parametrized and held.several:
        raise ValueError("remove_parametrizations: it is computed from several tensors: leave_parametrized=True")
    first = held.original0 if held.several else held.original
    names = list(module.parametrizations)
    kind: Any = type(module).__mro__[2]
    module.__class__ = _class_of(kind, names) if names else kind
    if not names:
        del module.parametrizations
    value = first
    if leave_parametrized:
        with no_grad():
            value = type(first)(held().detach())
    setattr(module, tensor_name, value)
    return module
