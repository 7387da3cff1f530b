"""Lists and dictionaries of parameters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

import numpy as np

from fastnn.tape import Tensor

from .module import Module, Parameter


def _parameter(owner: Module, name: Any, value: Any) -> Parameter:
    if isinstance(value, Parameter):
        return value
    if isinstance(value, Tensor | np.ndarray):
        return Parameter(value)
    raise TypeError(f"{type(owner).__name__}: expected parameters, got {type(value).__name__} at {name!r}")


def _shown(named: Iterable[tuple[str, Parameter]]) -> str:
    return "\n".join(f"  ({name}): Parameter of {p.dtype}, shape {tuple(p.shape)}" for name, p in named)


class ParameterList(Module):
    """A list of parameters that belong to the module it is assigned to, named by their positions.

    Tensors and arrays become parameters (with copies of their numbers). Raises TypeError for anything else.
    """

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.extend(() if values is None else values)

    def append(self, value: Any) -> Self:
        """Add a parameter at the end."""
        setattr(self, str(len(self)), _parameter(self, len(self), value))
        return self

    def extend(self, values: Iterable[Any]) -> Self:
        """Add parameters at the end."""
        if not isinstance(values, Iterable):
            raise TypeError(f"{type(self).__name__}: extend needs parameters, got {type(values).__name__}")
        for value in list(values):
            self.append(value)
        return self

    def __getitem__(self, index: int | slice) -> Any:
        found = list(self)[index]
        return ParameterList(found) if isinstance(found, list) else found

    def __setitem__(self, index: int, value: Any) -> None:
        name = list(self._parameters)[index]
        setattr(self, name, _parameter(self, name, value))

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(list(self._parameters.values()))

    def __iadd__(self, values: Iterable[Any]) -> Self:
        return self.extend(values)

    def __repr__(self) -> str:
        return f"ParameterList(\n{_shown(self._parameters.items())}\n)" if len(self) else "ParameterList()"


class ParameterDict(Module):
    """A dictionary of parameters that belong to the module it is assigned to.

    Tensors and arrays become parameters (with copies of their numbers). Raises TypeError for anything else, KeyError
    for names that contain a dot or are those of a method.
    """

    def __init__(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]] | None = None) -> None:
        super().__init__()
        if parameters is not None:
            self.update(parameters)

    def update(self, parameters: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> None:
        """Add parameters, in the place of those of the same names."""
        if not isinstance(parameters, Iterable):
            raise TypeError(f"ParameterDict: expected a mapping or pairs, got {type(parameters).__name__}")
        for name, value in parameters.items() if isinstance(parameters, Mapping | ParameterDict) else parameters:
            self[name] = value

    def __getitem__(self, name: str) -> Any:
        return self._parameters[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self.register_parameter(name, _parameter(self, name, value))

    def __delitem__(self, name: str) -> None:
        del self._parameters[name]

    def __len__(self) -> int:
        return len(self._parameters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._parameters)

    def __contains__(self, name: object) -> bool:
        return name in self._parameters

    def keys(self) -> Iterable[str]:
        """Give the names."""
        return self._parameters.keys()

    def values(self) -> Iterable[Parameter]:
        """Give the parameters."""
        return self._parameters.values()

    def items(self) -> Iterable[tuple[str, Parameter]]:
        """Give names and parameters."""
        return self._parameters.items()

    def get(self, name: str, default: Any = None) -> Any:
        """Give the parameter of a name, or `default`."""
        return self._parameters.get(name, default)

    def setdefault(self, name: str, default: Any = None) -> Any:
        """Give the parameter of a name, after adding `default` if there is none."""
        if name not in self:
            self[name] = default
        return self[name]

    def pop(self, name: str) -> Parameter:
        """Take a parameter out and give it."""
        parameter: Parameter = self[name]
        del self[name]
        return parameter

    def popitem(self) -> tuple[str, Parameter]:
        """Take the last parameter out and give it with its name."""
        name = list(self)[-1]
        return name, self.pop(name)

    def clear(self) -> None:
        """Take all parameters out."""
        self._parameters.clear()

    def copy(self) -> ParameterDict:
        """Give another dictionary of the same parameters."""
        return ParameterDict(dict(self.items()))

    def __or__(self, other: Mapping[str, Any]) -> ParameterDict:
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other: Mapping[str, Any]) -> Self:
        self.update(other)
        return self

    def __repr__(self) -> str:
        return f"ParameterDict(\n{_shown(self._parameters.items())}\n)" if len(self) else "ParameterDict()"
