"""Module, what every layer is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from fastnn._device import check_device, device
from fastnn._dtypes import FLOATS, dtype_of
from fastnn._handle import RemovableHandle
from fastnn.tape import Tensor, unwrap, wrap

from .hooks import Hooks
from .parameter import Buffer, Parameter, UninitializedParameter, at_most, fresh
from .tree import Tree

if TYPE_CHECKING:
    from .summary import Summary

__all__ = ["KNOWN", "Buffer", "Loaded", "Module", "Parameter", "as_made", "at_most", "can_fuse", "fresh", "modes_kept"]
MADE_AGAIN = {"_plan", "_prepared"}  # the plan of a Sequential, the packed weights of a layer
KNOWN: dict[type, Callable[..., Any]] = {}  # the layers of `fastnn.nn`, and their forward


def as_made(module: Module) -> bool:
    """Say whether a module is a layer of `fastnn.nn` itself: not a subclass, and with its own forward."""
    kind = type(module)
    own = KNOWN.get(kind) is kind.forward and "forward" not in module.__dict__
    return own and kind.__call__ is Module.__call__


def can_fuse(module: Module) -> bool:
    """Say whether a module is a layer of `fastnn.nn` itself, and nobody watches it by hooks."""
    return module._hooks is None and as_made(module)


@contextmanager
def modes_kept(model: Module) -> Iterator[None]:
    """Leave every module in its own mode, training or eval, however the block ends."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


class StateError(ValueError, RuntimeError):
    """What a state_dict does not fit raises: ValueError, and RuntimeError for programs that know PyTorch's."""


class Loaded(NamedTuple):
    """What `Module.load_state_dict` found on one side only."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return f"Loaded(missing_keys={self.missing_keys}, unexpected_keys={self.unexpected_keys})"


def target_dtype(function: str, target: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Give the dtype out of the arguments of `to`, None if there is none; RuntimeError for another device."""
    given = [*target, *[options[name] for name in ("device", "dtype", "tensor") if name in options]]
    unknown = options.keys() - {"device", "dtype", "tensor", "non_blocking", "copy", "memory_format"}
    if unknown:
        raise TypeError(f"{function}: unknown argument {min(unknown)!r}")
    dtype = None
    for x in given:
        if isinstance(x, Tensor):
            dtype = x.dtype
        elif isinstance(x, device) or type(x).__name__ == "device" or (isinstance(x, str) and x not in np.sctypeDict):
            check_device(function, x)
        elif x is not None and not isinstance(x, bool):
            dtype = dtype_of(function, x)
    return dtype


class Module(Tree):
    """A layer, or a network of layers.

    Subclasses define ``forward(self, ...)``. What is assigned to an attribute is part of the module: a `Parameter` is
    learned, a `Buffer` is state, a `Module` is a child. Names and layouts in `state_dict` are those of PyTorch.
    Modules can be copied and pickled at any time; what is shared within a model is shared within its copy.
    """

    training: bool = True
    _hooks: Hooks | None = None
    fused_name: str | None  # set by activations: the name by which kernels know them, None if they have no such
    made_from: tuple[tuple[Any, ...], dict[str, Any]]  # the arguments it was made with, for `fastnn.save`

    def __new__(cls, *args: Any, **options: Any) -> Self:
        """Make a layer that remembers its arguments."""
        module = super().__new__(cls)
        if cls in KNOWN:
            object.__setattr__(module, "made_from", (args, options))
        return module

    def __getstate__(self) -> dict[str, Any]:
        """Give the state for copies and pickles, without what is rebuilt on demand and without graphs."""
        state = {name: value for name, value in self.__dict__.items() if name not in MADE_AGAIN}
        for name, value in state.items():
            if isinstance(value, Tensor) and not value.is_leaf:
                plain = value.detach()
                state[name] = Buffer.of(plain, value.persistent) if isinstance(value, Buffer) else plain
        return state

    def __init__(self) -> None:
        self.training = True

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward()")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        """Compute the output."""
        hooks = self._hooks
        return self.forward(*inputs, **options) if hooks is None else hooks.call(self, inputs, options)

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

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; with ``set_to_none=False`` those that are there become 0."""
        for parameter in self.parameters():
            leaf = parameter._leaf
            if set_to_none:
                leaf.forget()
            elif leaf.grad is not None:
                leaf.grad[...] = 0

    # --- hooks

    def _hook(self, kind: str, hook: Callable[..., Any], *options: Any) -> RemovableHandle:
        hooks = self._hooks
        if hooks is None:
            hooks = self.__dict__["_hooks"] = Hooks()
        try:
            return hooks.add(kind, hook, self._drop_hooks, *options)
        finally:
            self._drop_hooks()

    def _drop_hooks(self) -> None:
        if not self._hooks:  # a module without hooks runs as if there never had been any
            self.__dict__.pop("_hooks", None)

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call ``hook(module, args)`` before `forward`; what it gives, unless None, are other arguments.

        with_kwargs: ``hook(module, args, kwargs)``, which gives None or both. `prepend`: before the other hooks.
        Gives a handle whose `remove()` takes the hook off. Layers with hooks are not fused with others.
        """
        return self._hook("before", hook, prepend, with_kwargs)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call ``hook(module, args, output)`` after `forward`; what it gives, unless None, is the output instead.

        with_kwargs: ``hook(module, args, kwargs, output)``. always_call: also when `forward` raises, with None as
        output. Otherwise as `register_forward_pre_hook`.
        """
        return self._hook("after", hook, prepend, with_kwargs, always_call)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` when the gradients of the outputs are there; it may give others."""
        return self._hook("gradients_before", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` when the gradients of the inputs are there.

        Both are tuples, with None for what has no gradient. What the hook gives, unless None, are the gradients of the
        inputs from then on. Only positional inputs are watched.
        """
        return self._hook("gradients", hook, prepend)

    register_backward_hook = register_full_backward_hook

    # --- state

    def state_dict(
        self, *, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Tensor]:
        """Give all parameters and buffers by dotted name: copies, which later training does not change.

        prefix: stands before all names. destination: the dictionary to write into. keep_vars: the parameters and
        buffers themselves.
        """
        made = {} if destination is None else destination
        for name, value in self._named_state():
            made[prefix + name] = value if keep_vars else wrap(np.array(value._data))
        return made

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Loaded:
        """Take all values from `state_dict`: arrays, Tensors, or PyTorch's tensors by the same names.

        Values are converted to the dtype that the module has. With ``strict=False``, names that only one side has are
        passed over; the result says which: `missing_keys`, `unexpected_keys`. `assign` is ignored.

        Raises ValueError that lists every missing, unexpected or misshapen entry; then nothing was changed.
        """
        fitting = self.fitting(state_dict, strict)
        for target, array in fitting:
            target[...] = array
        own = dict(self._named_state())
        return Loaded([x for x in own if x not in state_dict], [x for x in state_dict if x not in own])

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
            elif isinstance(own[name], UninitializedParameter):
                problems.append(f"{name} has no shape yet: run the model once, then load")
            elif array.shape != own[name].shape:
                problems.append(f"shape of {name}: {array.shape}, expected {own[name].shape}")
            elif not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
                problems.append(f"dtype of {name}: {array.dtype}, expected {own[name].dtype}")
            else:
                arrays[name] = array
        if problems:
            raise StateError(f"load_state_dict: does not fit {type(self).__name__}:\n  " + "\n  ".join(problems))
        return [(own[name]._writable(), array) for name, array in arrays.items()]

    # --- conversions

    def to(self, *target: Any, **options: Any) -> Self:
        """Convert all parameters and floating-point buffers: ``to(dtype)``, ``to("cpu", dtype)``, ``to(tensor)``.

        Gives the module. A device alone changes nothing; one that is not the CPU raises RuntimeError. Parameters can be
        float32 or float64. Make optimizers afterwards: those made before refuse to step.
        """
        dtype = target_dtype("to", target, options)
        if dtype is None:
            return self
        if dtype not in FLOATS:
            raise TypeError(f"to: parameters can be float32 or float64, not {dtype}")
        for _, value in self._members(Parameter | Buffer):
            if value.dtype == dtype:
                continue
            if isinstance(value, Parameter):
                value._convert(value._data.astype(dtype))
            elif value.dtype.kind == "f":
                value._data = value._data.astype(dtype)
        return self

    def type(self, dst_type: Any) -> Self:
        """Compute in another dtype from now on; see `to`."""
        return self.to(dtype=dst_type)

    def float(self) -> Self:
        """Compute in float32 from now on; see `to`."""
        return self.to(np.float32)

    def double(self) -> Self:
        """Compute in float64 from now on; see `to`."""
        return self.to(np.float64)

    def half(self) -> Self:
        """Raise RuntimeError: nothing here computes in float16."""
        raise RuntimeError("half: fastnn computes in float32 and float64")

    def bfloat16(self) -> Self:
        """Raise RuntimeError: nothing here computes in bfloat16."""
        raise RuntimeError("bfloat16: fastnn computes in float32 and float64")

    def cpu(self) -> Self:
        """Give the module: it is on the CPU."""
        return self

    def cuda(self, device: Any = None) -> Self:
        """Raise RuntimeError: there is no GPU here."""
        check_device("cuda", "cuda")
        return self

    def share_memory(self) -> Self:
        """Give the module: threads share its memory already."""
        return self

    def to_empty(self, *, device: Any, recurse: bool = True) -> Self:
        """Give the module, whose parameters are on the CPU already."""
        check_device("to_empty", device)
        return self

    def compile(self, *arguments: Any, **options: Any) -> None:
        """Do nothing: kernels are compiled when they are first called."""

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
        lines = [f"({name}): " + repr(child).replace("\n", "\n  ") for name, child in self._children()]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return f"{type(self).__name__}({self.extra_repr()}\n  " + "\n  ".join(lines) + "\n)"
