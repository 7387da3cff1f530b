"""What a module is made of: its parameters, buffers and children, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np

from fastnn.tape import Tensor

from .parameter import Buffer, Parameter

if TYPE_CHECKING:
    from .module import Module

T = TypeVar("T")


class Tree:
    """The part of `Module` that knows what stands in its attributes, here and below.

    There are no tables beside the attributes: what is a `Parameter`, a `Buffer` or a `Module` belongs to the module.
    Only a buffer or parameter that is None for the time being is noted in `_declared`.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        before = own.get(name)
        if before is None:
            if "_declared" in own and value is not None and name in own["_declared"]:
                value = self._as_declared(name, value, *own["_declared"].pop(name))
        elif isinstance(before, Parameter):
            if not (value is None or isinstance(value, Parameter)):
                raise TypeError(
                    f"{type(self).__name__}.{name} is a Parameter; assign a Parameter, or write its values with "
                    f"{name}.data[...] = array"
                )
        elif isinstance(before, Buffer):
            if value is None:
                self._declare(name, Buffer, before.persistent)
            elif not isinstance(value, Buffer | Parameter):
                value = self._as_declared(name, value, Buffer, before.persistent)
        object.__setattr__(self, name, value)

    def _declare(self, name: str, kind: type, persistent: bool = True) -> None:
        self.__dict__.setdefault("_declared", {})[name] = (kind, persistent)

    def _as_declared(self, name: str, value: Any, kind: type, persistent: bool) -> Any:
        if isinstance(value, kind):
            return value
        what = "Parameter" if kind is Parameter else "Tensor or an array"
        if kind is Parameter or not isinstance(value, Tensor | np.ndarray):
            self._declare(name, kind, persistent)
            raise TypeError(f"{type(self).__name__}.{name} must be a {what} or None, got {type(value).__name__}")
        return Buffer.of(value, persistent)

    # --- adding

    def _free(self, function: str, name: Any, kind: type) -> str:
        """Give a name under which something can be added; KeyError if it is none or stands for something else."""
        if not isinstance(name, str):
            raise TypeError(f"{function}: name must be a string, got {type(name).__name__}")
        if not name or "." in name:
            raise KeyError(f"{function}: a name must not be empty nor contain a dot, got {name!r}")
        before = self.__dict__.get(name)
        if not isinstance(before, kind) and not (before is None and name in self.__dict__) and hasattr(self, name):
            raise KeyError(f"{function}: {type(self).__name__} has an attribute {name!r} already")
        return name

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Make a tensor (or an array, or None for later) part of the state; ``persistent=False``: not of `state_dict`.

        Raises KeyError for a name that is taken or contains a dot, TypeError for what is no tensor.
        """
        name = self._free("register_buffer", name, Buffer)
        if tensor is None:
            object.__setattr__(self, name, None)
            self._declare(name, Buffer, persistent)
            return
        if not isinstance(tensor, Tensor | np.ndarray):
            raise TypeError(f"register_buffer: {name} must be a Tensor, an array or None, got {type(tensor).__name__}")
        setattr(self, name, Buffer.of(tensor, persistent))

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Make a parameter (or None for later) part of the module: what assigning it does.

        Raises KeyError for a name that is taken or contains a dot, TypeError for what is no Parameter.
        """
        name = self._free("register_parameter", name, Parameter)
        if param is None:
            object.__setattr__(self, name, None)
            self._declare(name, Parameter)
            return
        if not isinstance(param, Parameter):
            raise TypeError(f"register_parameter: {name} must be a Parameter or None, got {type(param).__name__}")
        setattr(self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Make a module a child: what assigning it does.

        Raises KeyError for a name that is taken or contains a dot, TypeError for what is no Module.
        """
        name = self._free("add_module", name, Tree)
        if module is not None and not isinstance(module, Tree):
            raise TypeError(f"add_module: {name} must be a Module or None, got {type(module).__name__}")
        setattr(self, name, module)

    register_module = add_module

    # --- finding

    def get_submodule(self, target: str) -> Module:
        """Give the module of a dotted name; "" is this one. Raises AttributeError if there is none."""
        module: Any = self
        for name in target.split(".") if target else ():
            part = getattr(module, name, None)
            if not isinstance(part, Tree):
                raise AttributeError(f"get_submodule: {type(module).__name__} has no module {name!r} (of {target!r})")
            module = part
        return module  # type: ignore[no-any-return]

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put a module in the place of a dotted name; `strict`: there must be one."""
        path, _, name = target.rpartition(".")
        if not name:
            raise ValueError("set_submodule: target must name a module below this one")
        if strict:
            self.get_submodule(target)
        self.get_submodule(path).add_module(name, module)

    def _get(self, function: str, target: str, kind: type[T]) -> T:
        path, _, name = target.rpartition(".")
        value = getattr(self.get_submodule(path), name, None)
        if not isinstance(value, kind):
            raise AttributeError(f"{function}: {type(self).__name__} has no {kind.__name__} {target!r}")
        return value

    def get_parameter(self, target: str) -> Parameter:
        """Give the parameter of a dotted name. Raises AttributeError if there is none."""
        return self._get("get_parameter", target, Parameter)

    def get_buffer(self, target: str) -> Buffer:
        """Give the buffer of a dotted name. Raises AttributeError if there is none."""
        return self._get("get_buffer", target, Buffer)

    # --- walking

    def _children(self) -> Iterator[tuple[str, Module]]:
        """Give (name, module) of each direct child; one that is there under two names comes twice."""
        for name, value in list(self.__dict__.items()):
            if isinstance(value, Tree):
                yield name, value  # type: ignore[misc]

    def _tree(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Give (dotted name, module) of everything, parents first; what has several names comes several times."""
        yield prefix, self  # type: ignore[misc]
        for name, child in self._children():
            yield from child._tree(f"{prefix}.{name}" if prefix else name)

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Give (name, module) of each direct child, in the order of assignment, each once."""
        return _once(self._children())

    def children(self) -> Iterator[Module]:
        """Give each direct child, once."""
        for _, child in self.named_children():
            yield child

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Give (dotted name, module) of this module (its name is `prefix`) and everything below, parents first.

        A shared module comes once, unless ``remove_duplicate=False``; those in `memo` are left out.
        """
        tree = self._tree(prefix)
        return _once(tree, memo) if remove_duplicate else tree

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """Give this module and everything below, parents first, each once."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def _members(self, kind: Any, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Any]]:
        """Give (dotted name, value) of all attributes of a class, here and below."""
        for path, module in self._tree(prefix) if recurse else ((prefix, self),):
            for name, value in list(module.__dict__.items()):
                if isinstance(value, kind):
                    yield f"{path}.{name}" if path else name, value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Give (dotted name, parameter) of everything this module learns; a shared parameter comes once."""
        members = self._members(Parameter, prefix, recurse)
        return _once(members) if remove_duplicate else members

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """Give everything this module learns; ``recurse=False``: without its children."""
        for _, parameter in self.named_parameters(recurse=recurse):
            yield parameter

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Buffer]]:
        """Give (dotted name, buffer) of all state that is not learned."""
        members = self._members(Buffer, prefix, recurse)
        return _once(members) if remove_duplicate else members

    def buffers(self, recurse: bool = True) -> Iterator[Buffer]:
        """Give all state that is not learned."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def _named_state(self) -> Iterator[tuple[str, Tensor]]:
        """Give (dotted name, value) of what stands in `state_dict`."""
        for name, value in self._members(Parameter | Buffer):
            if not isinstance(value, Buffer) or value.persistent:
                yield name, value

    def apply(self, fn: Callable[[Module], Any]) -> Self:
        """Call a function with every module, children first, and give the module: to initialize weights."""
        for child in self.children():
            child.apply(fn)
        fn(self)  # type: ignore[arg-type]
        return self

    # --- the same as dictionaries, which some programs look into

    @property
    def _modules(self) -> Named:
        """The direct children by name; what is written there becomes one."""
        return Named(self, Tree)

    @property
    def _parameters(self) -> Named:
        """The module's own parameters by name."""
        return Named(self, Parameter)

    @property
    def _buffers(self) -> Named:
        """The module's own buffers by name."""
        return Named(self, Buffer)


def _once(pairs: Iterable[tuple[str, T]], memo: set[Any] | None = None) -> Iterator[tuple[str, T]]:
    """Give each value once, under its first name."""
    seen = {id(value) for value in memo or ()}
    for name, value in pairs:
        if id(value) not in seen:
            seen.add(id(value))
            if memo is not None:
                memo.add(value)
            yield name, value


class Named(MutableMapping[str, Any]):
    """The attributes of a module that are of one class, as a dictionary."""

    def __init__(self, module: Tree, kind: Any) -> None:
        self._module, self._kind = module, kind

    def __getitem__(self, name: str) -> Any:
        value = self._module.__dict__[name]
        if not isinstance(value, self._kind):
            raise KeyError(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self._module, name, value)

    def __delitem__(self, name: str) -> None:
        self[name]  # KeyError
        delattr(self._module, name)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, value in self._module.__dict__.items() if isinstance(value, self._kind)])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))
