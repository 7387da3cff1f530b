"""Methods of Tensor that give it in another dtype, memory or layout."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import _dtypes
from fastnn._device import check_device, device
from fastnn._dtypes import dtype_of
from fastnn.tape import Array, Tensor, WithBackward, differentiable
from fastnn_kernels import contiguous as packed

from . import shaping
from .promotion import cast

CHANNELS_LAST = {"channels_last": 4, "channels_last_3d": 5}


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


def bfloat16(self: Tensor, memory_format: Any = None) -> Tensor:
    """Raise RuntimeError: there are no such numbers here."""
    raise RuntimeError("bfloat16: fastnn computes in float32 and float64")


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


METHODS: dict[str, Any] = {
    "astype": astype,
    "bfloat16": bfloat16,
    "clone": clone,
    "contiguous": contiguous,
    "copy": clone,
    "cpu": cpu,
    "cuda": cuda,
    "detach_": detach_,
    "half": half,
    "is_contiguous": is_contiguous,
    "numpy": numpy,
    "to": to,
    "type": type_,
    "type_as": type_as,
    **{
        name: _converter(name, getattr(_dtypes, dtype))
        for name, dtype in {
            **{name: name for name in ("float", "double", "long", "int", "short", "bool")},
            "byte": "uint8",
            "char": "int8",
        }.items()
    },
}
