"""Functions that make tensors, under PyTorch's names: of data, of one number, of sequences of numbers.

All take `dtype` (that of the data, or int64, bool and the default dtype of floats for Python's numbers), `device` (the
CPU), `requires_grad`, and `out`, a tensor or array of the result's shape that is written and returned. `layout`,
`pin_memory` and `memory_format` are accepted and have no effect.
"""

from __future__ import annotations

import math
from operator import index
from typing import Any

import numpy as np

from fastnn import _dtypes
from fastnn._device import check_device
from fastnn._dtypes import dtype_for, dtype_of, get_default_dtype
from fastnn._tensor import Tensor, as_array, canonical, unwrap, wrap

__all__ = [
    "BoolTensor",
    "ByteTensor",
    "DoubleTensor",
    "FloatTensor",
    "IntTensor",
    "LongTensor",
    "arange",
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "from_numpy",
    "frombuffer",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "scalar_tensor",
    "tensor",
    "zeros",
    "zeros_like",
]

IGNORED = {"layout", "pin_memory", "memory_format"}


def finish(
    function: str,
    array: np.ndarray,
    out: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    **ignored: Any,
) -> Tensor:
    """Give a new array as a tensor, or written into `out`."""
    if not ignored.keys() <= IGNORED:
        raise TypeError(f"{function}: unknown argument {min(ignored.keys() - IGNORED)!r}")
    if device is not None:
        check_device(function, device)
    if out is not None:
        written: Tensor = write_out(function, out, array)
        return written
    made = wrap(array)
    if requires_grad:
        made.requires_grad = True
    return made


def write_out(function: str, out: Any, result: Any) -> Any:
    """Write a result into `out`, a tensor or an array, and give that.

    Raises TypeError for anything else and for dtypes that do not fit, ValueError for another shape, RuntimeError where
    a gradient would be lost.
    """
    if isinstance(out, Tensor):
        if out._node is not None or (isinstance(result, Tensor) and result._node is not None):
            raise RuntimeError(f"{function}: out= records no gradient; leave it out, or compute inside no_grad()")
        target = out._writable()
    elif isinstance(out, np.ndarray):
        target = out
    else:
        raise TypeError(f"{function}: out must be a tensor or an array, got {type(out).__name__}")
    array = unwrap(result)
    if target.shape != np.shape(array):
        raise ValueError(f"{function}: out must have shape {np.shape(array)}, got {target.shape}")
    if not np.can_cast(array.dtype, target.dtype, "same_kind"):
        raise TypeError(f"{function}: out must hold {array.dtype}, got {target.dtype}")
    target[...] = array
    return out


def shape_of(function: str, size: tuple[Any, ...]) -> tuple[int, ...]:
    """Give a shape from f(2, 3), f((2, 3)) or f([2, 3]). Raises TypeError, ValueError."""
    sizes = size[0] if len(size) == 1 and isinstance(size[0], tuple | list) else size
    try:
        shape = tuple([index(n) for n in sizes])
    except TypeError:
        raise TypeError(f"{function}: sizes must be integers, got {sizes!r}") from None
    if any(n < 0 for n in shape):
        raise ValueError(f"{function}: sizes must not be negative, got {shape}")
    return shape


# --- of data


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """Make a tensor of a copy of `data`: numbers, nested lists, an array or a tensor, or what NumPy makes an array of.

    Python's floats get the default dtype (float32), its integers int64; arrays keep their dtype.
    """
    array = as_array(data)
    made = np.array(array, array.dtype if dtype is None else dtype_of("tensor", dtype))
    return finish("tensor", made, None, device, requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """Make a tensor that shares the memory of `data` where that is an array (PyTorch's and JAX's, too).

    A tensor is given back as it is, with its gradient, if it has the dtype asked for.
    """
    check_device("as_tensor", device)
    if isinstance(data, Tensor):
        return data if dtype is None or data.dtype == dtype_of("as_tensor", dtype) else data.to(dtype)
    array = as_array(data)
    return wrap(array if dtype is None else array.astype(dtype_of("as_tensor", dtype), copy=False))


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool = False
) -> Tensor:
    """Make a tensor of `obj`, sharing its memory unless `copy` or another dtype asks for a copy."""
    if copy:
        return tensor(obj, dtype=dtype, device=device, requires_grad=requires_grad)
    made = as_tensor(obj, dtype, device).detach()
    if copy is False and not np.shares_memory(made._data, unwrap(obj)):
        raise ValueError("asarray: copy=False, but this object cannot be a tensor without a copy")
    return made.requires_grad_() if requires_grad else made


def from_numpy(ndarray: np.ndarray) -> Tensor:
    """Make a tensor that shares the memory of an array. Raises TypeError for anything else."""
    if not isinstance(ndarray, np.ndarray):
        raise TypeError(f"from_numpy: expected an array of NumPy, got {type(ndarray).__name__}")
    return wrap(as_array(ndarray))


def from_dlpack(ext_tensor: Any) -> Tensor:
    """Make a tensor that shares the memory of an array of another library, on the CPU, by DLPack."""
    return wrap(canonical(np.from_dlpack(unwrap(ext_tensor))))


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """Make a one-dimensional tensor that shares the memory of a buffer, `offset` in bytes."""
    array = np.frombuffer(buffer, dtype_of("frombuffer", dtype), count, offset)
    return finish("frombuffer", array, requires_grad=requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor without dimensions of one number, of the default dtype if none is given."""
    return finish(
        "scalar_tensor", np.array(unwrap(s), dtype_of("scalar_tensor", dtype or get_default_dtype())), **options
    )


# --- of one number


def _sized(size: tuple[Any, ...], named: Any) -> tuple[Any, ...]:
    return size if named is None else (named,)


def zeros(*size: Any, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``."""
    shape = shape_of("zeros", _sized(size, options.pop("size", None)))
    return finish("zeros", np.zeros(shape, dtype_of("zeros", dtype or get_default_dtype())), **options)


def ones(*size: Any, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of ones: ``ones(2, 3)`` or ``ones((2, 3))``."""
    shape = shape_of("ones", _sized(size, options.pop("size", None)))
    return finish("ones", np.ones(shape, dtype_of("ones", dtype or get_default_dtype())), **options)


def empty(*size: Any, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of whatever its memory holds: ``empty(2, 3)`` or ``empty((2, 3))``."""
    shape = shape_of("empty", _sized(size, options.pop("size", None)))
    return finish("empty", np.empty(shape, dtype_of("empty", dtype or get_default_dtype())), **options)


def full(size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of one number; without `dtype`, that of the number."""
    value = fill_value.item() if isinstance(fill_value, Tensor | np.ndarray) else fill_value
    shape = shape_of("full", (size,))
    return finish("full", np.full(shape, value, dtype_for("full", dtype, value)), **options)


def _like(function: str, input: Any, dtype: Any) -> tuple[np.ndarray, Any]:
    """Give the array that another is to be like, and the dtype of that."""
    array = unwrap(input)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{function}: input must be a tensor or an array, got {type(input).__name__}")
    return array, array.dtype if dtype is None else dtype_of(function, dtype)


def zeros_like(input: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of zeros with the shape, and where none is given the dtype, of another."""
    return finish("zeros_like", np.zeros_like(*_like("zeros_like", input, dtype)), **options)


def ones_like(input: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of ones with the shape, and where none is given the dtype, of another."""
    return finish("ones_like", np.ones_like(*_like("ones_like", input, dtype)), **options)


def empty_like(input: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of whatever its memory holds with the shape, and where none is given the dtype, of another."""
    return finish("empty_like", np.empty_like(*_like("empty_like", input, dtype)), **options)


def full_like(input: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make a tensor of one number with the shape, and where none is given the dtype, of another."""
    array, kind = _like("full_like", input, dtype)
    return finish("full_like", np.full_like(array, unwrap(fill_value), kind), **options)


def eye(n: int, m: int | None = None, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make the identity matrix (n, n), or (n, m) with ones where row and column are the same."""
    shape = shape_of("eye", (n, n if m is None else m))
    return finish("eye", np.eye(*shape, dtype=dtype_of("eye", dtype or get_default_dtype())), **options)


# --- of sequences


def _number(function: str, name: str, value: Any) -> Any:
    """Give a number of Python. Raises TypeError for anything else, ValueError for one that is not finite."""
    value = value.item() if isinstance(value, Tensor | np.ndarray | np.generic) else value
    if not isinstance(value, int | float):
        raise TypeError(f"{function}: {name} must be a number, got {type(value).__name__}")
    if not math.isfinite(value):
        raise ValueError(f"{function}: {name} must be finite, got {value}")
    return value


def arange(start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make start, start + step, ... up to before `end`; one number is the end. Integers give int64, floats float32."""
    start, end = (0, start) if end is None else (start, end)
    start, end, step = (_number("arange", *x) for x in (("start", start), ("end", end), ("step", step)))
    if not step:
        raise ValueError("arange: step must not be 0")
    if (end - start) * step < 0:
        raise ValueError(f"arange: from {start} there is no way to {end} with steps of {step}")
    kind = dtype_for("arange", dtype, start, end, step, 1)
    return finish("arange", np.arange(start, end, step).astype(kind, copy=False), **options)


def _steps(function: str, steps: Any) -> int:
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer):
        raise TypeError(f"{function}: steps must be an integer, got {steps!r}")
    if steps < 0:
        raise ValueError(f"{function}: steps must not be negative, got {steps}")
    return int(steps)


def linspace(start: Any, end: Any, steps: int, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make `steps` numbers of equal distance from `start` to `end`, both included."""
    ends = _number("linspace", "start", start), _number("linspace", "end", end)
    kind = dtype_of("linspace", dtype or get_default_dtype())
    return finish("linspace", np.linspace(*ends, _steps("linspace", steps)).astype(kind), **options)


def logspace(start: Any, end: Any, steps: int, base: float = 10.0, *, dtype: Any = None, **options: Any) -> Tensor:
    """Make `steps` numbers of equal ratio from base ** start to base ** end, both included."""
    ends = _number("logspace", "start", start), _number("logspace", "end", end)
    kind = dtype_of("logspace", dtype or get_default_dtype())
    return finish("logspace", np.logspace(*ends, _steps("logspace", steps), base=base).astype(kind), **options)


class _Typed(type):
    """PyTorch's older constructors of one dtype, of sizes or of data; they are also names for tensors of that dtype."""

    dtype: Any

    def __call__(cls, *given: Any) -> Any:
        if not given or all(isinstance(n, int) for n in given):
            return empty(*(given or (0,)), dtype=cls.dtype)
        return tensor(given[0], dtype=cls.dtype)

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, Tensor) and x.dtype == cls.dtype


def _typed(name: str, dtype: Any) -> Any:
    text = f"Make a tensor of {dtype}: ``{name}(2, 3)`` of sizes, ``{name}([1, 2])`` of data."
    return _Typed(name, (), {"dtype": dtype, "__doc__": text})


FloatTensor = _typed("FloatTensor", _dtypes.float32)
DoubleTensor = _typed("DoubleTensor", _dtypes.float64)
LongTensor = _typed("LongTensor", _dtypes.int64)
IntTensor = _typed("IntTensor", _dtypes.int32)
ByteTensor = _typed("ByteTensor", _dtypes.uint8)
BoolTensor = _typed("BoolTensor", _dtypes.bool)
