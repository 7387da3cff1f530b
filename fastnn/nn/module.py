"""Module, what every layer is, and Parameter, what it learns."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from fastnn._checks import type_of
from fastnn._tape import Leaf, clock
from fastnn.tape import Tensor, unwrap

if TYPE_CHECKING:
    from .summary import Summary


class Parameter(Tensor):
    """A Tensor that a layer learns. The data is copied, so that nobody else can write into it unnoticed.

    Layers may keep a packed copy of their weights, so every write must be seen: `version` is the time of the last one.
    Writes go through the parameter: in-place operators and item assignment inside `no_grad`, ``p.data -= ...``,
    ``p.data[...] = ...``, `load_state_dict`, optimizer steps. Arrays got from it (``p.numpy()``, views, state_dict)
    are copies or read-only. Not noticed: writes after ``array.setflags(write=True)``, or through a raw pointer.
    """

    __slots__ = ("_leaf", "_memory")

    _leaf: Leaf  # stays when requires_grad is off, for its version
    _memory: np.ndarray

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        super().__init__(data)
        kind = self._data.dtype.type
        if kind not in (np.float32, np.float64):
            raise TypeError(f"Parameter: data must be float32 or float64, got {self._data.dtype}")
        memory = np.array(self._data, kind, order="C")  # in the machine's byte order, whatever the data came in
        self._leaf = Leaf(memory.shape, memory.dtype)
        self._node = self._leaf if requires_grad else None
        self._move(memory)

    _fill = __init__

    def _move(self, memory: np.ndarray) -> None:
        self._memory = memory
        self._data = memory.view()
        self._data.flags.writeable = False
        self._leaf.version = next(clock)

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


class Buffer(Tensor):
    """A Tensor that belongs to a layer's state (and to its state_dict) but is not learned."""

    __slots__ = ()


MADE_AGAIN = {"_plan", "_prepared"}  # the plan of a Sequential, the packed weights of a layer
KNOWN: dict[type, Callable[..., Any]] = {}  # the layers of `fastnn.nn`, and their forward


def as_made(module: Module) -> bool:
    """Say whether a module is a layer of `fastnn.nn` itself: not a subclass, and with its own forward."""
    kind = type(module)
    own = KNOWN.get(kind) is kind.forward and "forward" not in module.__dict__
    return own and kind.__call__ is Module.__call__


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


def fresh(shape: tuple[int, ...], value: Any, dtype: Any) -> np.ndarray:
    """Give memory for a parameter or buffer of a new layer, filled with a value."""
    if _room.left is not None:
        _room.left -= math.prod(map(int, shape))
        if _room.left < 0:
            few = f"an array of shape {shape} does not belong to so few weights"
            raise ValueError(f"{few}: the model has more weights than the file")
    dtype = type_of("Parameter", dtype)
    return np.full(shape, value, dtype) if value else np.zeros(shape, dtype)


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Leave every module in its own mode, training or eval, however the block ends."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class Module:
    """A layer, or a network of layers.

    Subclasses define ``forward(self, ...)``. What is assigned to an attribute is part of the module: a `Parameter` is
    learned, a `Buffer` is state, a `Module` is a child. Names and layouts in `state_dict` are those of PyTorch.
    Modules can be copied and pickled at any time; what is shared within a model is shared within its copy.
    """

    training: bool = True
    fused_name: str | None  # set by activations: the name by which kernels know them, None if they have no such
    made_from: tuple[tuple[Any, ...], dict[str, Any]]  # the arguments it was made with, for `fastnn.save`

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Make a layer that remembers its arguments."""
        module = super().__new__(cls)
        if cls in KNOWN:
            object.__setattr__(module, "made_from", (args, options))
        return module

    def __getstate__(self) -> dict[str, Any]:
        """Give the state for copies and pickles, without what is rebuilt on demand."""
        return {name: value for name, value in self.__dict__.items() if name not in MADE_AGAIN}

    def __init__(self) -> None:
        self.training = True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output."""
        return self.forward(*inputs, **options)

    def __setattr__(self, name: str, value: Any) -> None:
        if not (value is None or isinstance(value, Parameter)) and isinstance(self.__dict__.get(name), Parameter):
            raise TypeError(
                f"{type(self).__name__}.{name} is a Parameter; assign a Parameter, or write its values with "
                f"{name}.data[...] = array"
            )
        object.__setattr__(self, name, value)

    # --- what it is made of

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Give (name, module) of each direct child, in the order of assignment."""
        for name, value in self.__dict__.items():
            if isinstance(value, Module):
                yield name, value

    def children(self) -> Iterator[Module]:
        """Give each direct child."""
        for _, child in self.named_children():
            yield child

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """Give (dotted name, module) of this module (its name is `prefix`) and everything below, parents first."""
        yield prefix, self
        for name, child in self.named_children():
            yield from child.named_modules(f"{prefix}.{name}" if prefix else name)

    def modules(self) -> Iterator[Module]:
        """Give this module and everything below, parents first, each once."""
        seen = set()
        for _, module in self.named_modules():
            if module not in seen:
                seen.add(module)
                yield module

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Give (dotted name, parameter) of everything this module learns; a shared parameter comes once."""
        seen = set()
        for name, value in self._named_state():
            if isinstance(value, Parameter) and value not in seen:
                seen.add(value)
                yield name, value

    def parameters(self) -> Iterator[Parameter]:
        """Give everything this module learns."""
        for _, parameter in self.named_parameters():
            yield parameter

    def _named_state(self) -> Iterator[tuple[str, Tensor]]:
        for prefix, module in self.named_modules():
            for name, value in module.__dict__.items():
                if isinstance(value, Parameter | Buffer):
                    yield f"{prefix}.{name}" if prefix else name, value

    # --- modes

    def train(self, mode: bool = True) -> Self:
        """Behave as in training (dropout drops), here and below. Gives the module."""
        if not isinstance(mode, bool | np.bool_):
            raise ValueError(f"train: mode must be True or False, got {mode!r}")
        self.training = bool(mode)
        for child in self.children():  # one by one: a module may define a train() of its own, to stay frozen
            child.train(mode)
        return self

    def eval(self) -> Self:
        """Behave as in use: dropout passes, layers work with packed weights. Gives the module."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Freeze (False) or thaw all parameters. Gives the module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters():
            parameter._leaf.forget()

    # --- state

    def state_dict(self) -> dict[str, np.ndarray]:
        """Give all parameters and buffers by dotted name: copies, which later training does not change."""
        return {name: np.array(value._data) for name, value in self._named_state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True) -> None:
        """Take all values from `state_dict`: arrays, Tensors, or PyTorch's tensors by the same names.

        Values are converted to the dtype that the module has. With ``strict=False``, names that only one side has are
        passed over.

        Raises ValueError that lists every missing, unexpected or misshapen entry; then nothing was changed.
        """
        for target, array in self.fitting(state_dict, strict):
            target[...] = array

    def fitting(self, state_dict: Mapping[str, Any], strict: bool = True) -> list[tuple[np.ndarray, np.ndarray]]:
        """Give what `load_state_dict` would write, as (memory, array); raises what it raises."""
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dictionary of arrays, got {type(state_dict).__name__}")
        own = dict(self._named_state())
        problems = []
        if strict:
            problems += [f"missing: {name} {value.shape}" for name, value in own.items() if name not in state_dict]
        arrays = {}
        for name, value in state_dict.items():
            if name not in own and not strict:
                continue
            try:
                array = np.asarray(unwrap(value))
            except (ValueError, OverflowError, TypeError):
                problems.append(f"not an array: {name}, {type(value).__name__}")
                continue
            if name not in own:
                problems.append(f"unexpected: {name} {array.shape}")
            elif array.shape != own[name].shape:
                problems.append(f"shape of {name}: {array.shape}, expected {own[name].shape}")
            elif not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
                problems.append(f"dtype of {name}: {array.dtype}, expected {own[name].dtype}")
            else:
                arrays[name] = array
        if problems:
            raise ValueError(f"load_state_dict: does not fit {type(self).__name__}:\n  " + "\n  ".join(problems))
        return [(own[name]._writable(), array) for name, array in arrays.items()]

    def to(self, dtype: Any) -> Self:
        """Convert all parameters and floating-point buffers to float32 or float64. Gives the module.

        Make optimizers afterwards: those made before refuse to step.
        """
        dtype = np.dtype(dtype)
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"to: parameters can be float32 or float64, not {dtype}")
        for _, value in self._named_state():
            if isinstance(value, Parameter):
                value._leaf.owner = None
                value._leaf = Leaf(value.shape, dtype)
                value._node = value._leaf if value._node is not None else None
                value._move(value._data.astype(dtype))
            elif value.dtype.kind == "f":
                value._data = value._data.astype(dtype)
        return self

    def float(self) -> Self:
        """Compute in float32 from now on; see `to`."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Compute in float64 from now on; see `to`."""
        return self.to(np.float64)

    # --- showing it

    def flops(self, input_shape: tuple[int, ...], output_shape: tuple[int, ...]) -> int:
        """Give the floating-point operations of one forward pass, a fused multiply-add counting as two."""
        return 0

    def summary(self, input_shape: tuple[int, ...], dtype: Any = None) -> Summary:
        """Give a table of all layers with output shapes, parameters and FLOPs, for an input of `input_shape`.

        The shape includes the batch dimension: FLOPs are those of that batch. The model is run once, on zeros of
        `dtype` (by default that of its parameters); nothing about it changes.
        """
        from .summary import summarize

        return summarize(self, input_shape, dtype)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return ""

    def __repr__(self) -> str:
        lines = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self.named_children()]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}({self.extra_repr()}\n  " + "\n  ".join(lines) + "\n)"
