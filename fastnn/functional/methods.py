"""Methods of Tensor that are no functions of `fastnn.functional`: conversions, questions, new tensors like this one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import _constructors, _dtypes, _gradients
from fastnn._device import CPU, check_device, device
from fastnn._dtypes import dtype_of
from fastnn.tape import Array, Tensor, WithBackward, differentiable, unwrap, wrap
from fastnn_kernels import contiguous as packed

from . import shaping
from .promotion import cast
from .rearrange import unfold_dimension

CHANNELS_LAST = {"channels_last": 4, "channels_last_3d": 5}


# --- conversions


@differentiable
def clone(input: Array, *, memory_format: Any = None) -> WithBackward:
    """Give a copy, through which gradients pass."""
    if type(input) is np.ndarray and input.dtype in _dtypes.FLOATS and input.ndim:
        y = packed(input)
        return (input.copy() if y is input else y), lambda dy, needs: (dy,)
    return np.array(input), lambda dy, needs: (dy,)


@differentiable
def _contiguous(input: Array) -> WithBackward:
    y = packed(input) if input.dtype in _dtypes.FLOATS else np.ascontiguousarray(input).reshape(input.shape)
    return y, lambda dy, needs: (dy,)


def contiguous(self: Tensor, memory_format: Any = None) -> Tensor:
    """Give the tensor in memory without gaps, last dimension fastest (or channels): itself where it is so already."""
    if memory_format in CHANNELS_LAST and self.ndim == CHANNELS_LAST[memory_format]:
        last = shaping.permute(self, 0, *range(2, self.ndim), 1)
        if is_contiguous(last):
            return self
        y: Tensor = shaping.permute(_contiguous(last), 0, self.ndim - 1, *range(1, self.ndim - 1))
        return y
    return self if self._data.flags.c_contiguous else _contiguous(self)


def is_contiguous(self: Tensor, memory_format: Any = None) -> bool:
    """Tell whether memory has no gaps and the last dimension is fastest (or the channels, if that is asked)."""
    data = self._data
    if memory_format in CHANNELS_LAST:
        fits = data.ndim == CHANNELS_LAST[memory_format]
        return fits and data.transpose(0, *range(2, data.ndim), 1).flags.c_contiguous
    return data.flags.c_contiguous


def to(self: Tensor, *target: Any, **options: Any) -> Tensor:
    """Give the tensor in another dtype: ``to(dtype)``, ``to("cpu", dtype)``, ``to(other)``; itself if it has that.

    `copy` asks for a copy in any case, `memory_format` for channels that are last in memory. Devices other than the
    CPU raise RuntimeError.
    """
    dtype, where = options.pop("dtype", None), options.pop("device", None)
    flags = [x for x in target if isinstance(x, bool)]  # non_blocking, copy
    for x in target:
        if isinstance(x, Tensor):
            dtype = x.dtype
        elif isinstance(x, device) or (isinstance(x, str) and x not in np.sctypeDict) or type(x).__name__ == "device":
            where = x
        elif x is not None and not isinstance(x, bool):
            dtype = x
    options.pop("non_blocking", None)
    copy, layout = options.pop("copy", len(flags) > 1 and flags[1]), options.pop("memory_format", None)
    if options:
        raise TypeError(f"to: unknown argument {min(options)!r}")
    if where is not None:
        check_device("to", where)
    y = self if dtype is None else cast(self, dtype_of("to", dtype))
    if y is self and copy:
        y = clone(self)
    return y if layout is None else contiguous(y, layout) if layout in CHANNELS_LAST else y


def cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """Give the tensor itself: it is on the CPU."""
    return self


def cuda(self: Tensor, device: Any = None, *options: Any, **named: Any) -> Tensor:
    """Raise RuntimeError: there is no GPU here."""
    check_device("cuda", "cuda")
    raise AssertionError  # not reached


def half(self: Tensor) -> Tensor:
    """Raise RuntimeError: nothing here computes in float16."""
    raise RuntimeError("half: fastnn computes in float32 and float64; x.to(fastnn.float16) gives numbers to keep")


def astype(self: Tensor, dtype: Any) -> Tensor:
    """Give the tensor in another dtype, as NumPy calls `to`; itself if it has that."""
    made: Tensor = cast(self, dtype_of("astype", dtype))
    return made


def _converter(name: str, dtype: Any) -> Callable[..., Tensor]:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        made: Tensor = cast(self, dtype)
        return made

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Give the tensor as {dtype}; itself if it is that."
    return method


TYPES = {
    "FloatTensor": _dtypes.float32,
    "DoubleTensor": _dtypes.float64,
    "HalfTensor": _dtypes.float16,
    "LongTensor": _dtypes.int64,
    "IntTensor": _dtypes.int32,
    "ShortTensor": _dtypes.int16,
    "CharTensor": _dtypes.int8,
    "ByteTensor": _dtypes.uint8,
    "BoolTensor": _dtypes.bool,
}


def type_(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """Give the tensor as `dtype`, which may be a name such as "torch.LongTensor"; without one, give that name."""
    if dtype is None:
        return next((f"fastnn.{name}" for name, kind in TYPES.items() if kind == self.dtype), f"fastnn.{self.dtype}")
    name = dtype.rpartition(".")[2] if isinstance(dtype, str) else getattr(dtype, "__name__", "")
    return cast(self, TYPES[name] if name in TYPES else dtype_of("type", dtype))


def type_as(self: Tensor, other: Any) -> Tensor:
    """Give the tensor in the dtype of another."""
    made: Tensor = cast(self, other.dtype)
    return made


def numpy(self: Tensor, *, force: bool = False) -> np.ndarray:
    """Give the array itself, not a copy. That of a parameter is read-only: write through the parameter."""
    return self._data


def detach_(self: Tensor) -> Tensor:
    """Make the tensor forget how it was made: it requires no gradient from now on. Gives the tensor."""
    if self.is_leaf:
        self.requires_grad = False
    else:
        self._node = None
    return self


# --- questions


class Size(tuple[int, ...]):
    """The lengths of the dimensions, as `size()` gives them: a tuple with `numel`."""

    __slots__ = ()

    def numel(self) -> int:
        """Give the number of elements."""
        count = 1
        for length in self:
            count *= length
        return count

    def __repr__(self) -> str:
        return f"Size({list(self)})"


def size(self: Tensor, dim: int | None = None) -> Any:
    """Give the shape, or one entry of it."""
    return Size(self._data.shape) if dim is None else self._data.shape[dim]


def stride(self: Tensor, dim: int | None = None) -> Any:
    """Give the steps in memory, in elements, or one of them."""
    steps = tuple(step // self._data.itemsize for step in self._data.strides)
    return steps if dim is None else steps[dim]


def data_ptr(self: Tensor) -> int:
    """Give the address of the first element."""
    return int(self._data.__array_interface__["data"][0])


def is_floating_point(self: Any) -> bool:
    """Tell whether the elements are floats."""
    return bool(self.dtype.kind == "f")


def equal(input: Any, other: Any) -> bool:
    """Tell whether two tensors have one shape and the same elements."""
    return np.array_equal(unwrap(input), unwrap(other))


def allclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> bool:
    """Tell whether ``|input - other| <= atol + rtol * |other|`` for all elements."""
    return np.allclose(unwrap(input), unwrap(other), rtol, atol, equal_nan)


def isclose(input: Any, other: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Tell for each element whether ``|input - other| <= atol + rtol * |other|``: a tensor of bool."""
    y = np.isclose(unwrap(input), unwrap(other), rtol, atol, equal_nan)
    return wrap(y) if isinstance(input, Tensor) or isinstance(other, Tensor) else y


def numel(input: Any) -> int:
    """Give the number of elements."""
    return int(unwrap(input).size)


def is_nonzero(input: Any) -> bool:
    """Tell whether the only element is not 0. Raises ValueError for several elements."""
    return bool(unwrap(input).item())


def is_tensor(obj: Any) -> bool:
    """Tell whether an object is a Tensor."""
    return isinstance(obj, Tensor)


def detach(input: Any) -> Any:
    """Give a tensor of the same memory that the tape does not know."""
    return input.detach()


def grad_fn(self: Tensor) -> Any:
    """Give what made the tensor, if that was recorded; None for tensors that a person made."""
    return None if self.is_leaf else self._node


# --- tensors like this one


def _dtyped(self: Tensor, dtype: Any) -> Any:
    return self.dtype if dtype is None else dtype


def new_tensor(self: Tensor, data: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of a copy of `data`, of this dtype if none is given."""
    return _constructors.tensor(data, dtype=_dtyped(self, dtype), **options)


def new_zeros(self: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of zeros, of this dtype if none is given."""
    return _constructors.zeros(*size, dtype=_dtyped(self, dtype), **options)


def new_ones(self: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of ones, of this dtype if none is given."""
    return _constructors.ones(*size, dtype=_dtyped(self, dtype), **options)


def new_empty(self: Tensor, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of whatever its memory holds, of this dtype if none is given."""
    return _constructors.empty(*size, dtype=_dtyped(self, dtype), **options)


def new_full(self: Tensor, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of one number, of this dtype if none is given."""
    return _constructors.full(size, fill_value, dtype=_dtyped(self, dtype), **options)


# --- shapes


def view_as(self: Any, other: Any) -> Any:
    """Give the elements in the shape of another tensor."""
    return shaping.reshape(self, other.shape)


def expand_as(self: Any, other: Any) -> Any:
    """Repeat dimensions of length 1 to the shape of another tensor."""
    return shaping.expand(self, *other.shape)


def t(input: Any) -> Any:
    """Give a matrix with its two dimensions exchanged; a vector or a number as it is."""
    if input.ndim > 2:
        raise ValueError(f"t: expected at most 2 dimensions, got shape {tuple(input.shape)}")
    return shaping.transpose(input, 0, 1) if input.ndim == 2 else input


def _swapped(self: Tensor) -> Any:
    """Exchange the last two dimensions."""
    if self.ndim < 2:
        raise RuntimeError(f"mT: expected at least 2 dimensions, got shape {self.shape}")
    return shaping.transpose(self, -2, -1)


METHODS: dict[str, Any] = {
    "allclose": allclose,
    "astype": astype,
    "clone": clone,
    "contiguous": contiguous,
    "copy": clone,
    "cpu": cpu,
    "cuda": cuda,
    "data_ptr": data_ptr,
    "detach_": detach_,
    "element_size": lambda self: self._data.itemsize,
    "equal": equal,
    "expand_as": expand_as,
    "get_device": lambda self: -1,
    "half": half,
    "is_contiguous": is_contiguous,
    "is_floating_point": is_floating_point,
    "is_complex": lambda self: False,
    "is_nonzero": is_nonzero,
    "is_pinned": lambda self, device=None: False,
    "is_signed": lambda self: self.dtype.kind in "if",
    "isclose": isclose,
    "ndimension": Tensor.dim,
    "nelement": Tensor.numel,
    "new_empty": new_empty,
    "new_full": new_full,
    "new_ones": new_ones,
    "new_tensor": new_tensor,
    "new_zeros": new_zeros,
    "numpy": numpy,
    "pin_memory": cpu,
    "register_hook": _gradients.register_hook,
    "reshape_as": view_as,
    "retain_grad": _gradients.retain_grad,
    "share_memory_": cpu,
    "size": size,
    "stride": stride,
    "t": t,
    "to": to,
    "type": type_,
    "type_as": type_as,
    "unfold": unfold_dimension,
    "view_as": view_as,
    **{
        name: _converter(name, getattr(_dtypes, dtype))
        for name, dtype in {
            **{name: name for name in ("float", "double", "long", "int", "short", "bool")},
            "byte": "uint8",
            "char": "int8",
        }.items()
    },
}
PROPERTIES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "device": (lambda self: CPU, "Where the tensor is: on the CPU."),
    "grad_fn": (grad_fn, "What made the tensor, if that was recorded; None for tensors that a person made."),
    "itemsize": (lambda self: self._data.itemsize, "The bytes of one element."),
    "nbytes": (lambda self: self._data.nbytes, "The bytes of all elements."),
    "is_cpu": (lambda self: True, "True."),
    **dict.fromkeys(("is_cuda", "is_mps", "is_quantized", "is_sparse", "is_meta"), (lambda self: False, "False.")),
    "retains_grad": (_gradients.retains_grad, "Whether `retain_grad` was called on this result."),
    "T": (shaping.permute, "The tensor with its dimensions reversed."),
    "mT": (_swapped, "The tensor with its last two dimensions exchanged."),
    "H": (t, "A matrix with its two dimensions exchanged."),
    "mH": (_swapped, "The tensor with its last two dimensions exchanged."),
}
TOP_LEVEL: dict[str, Any] = {
    f.__name__: f
    for f in (allclose, clone, detach, equal, is_floating_point, is_nonzero, is_tensor, isclose, numel, t, Size)
}
