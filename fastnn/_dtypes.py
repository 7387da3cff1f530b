"""The names of dtypes, which are NumPy's dtypes under PyTorch's names."""

import builtins
from typing import Any

import numpy as np

Dtype = np.dtype[Any]

__all__ = [
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "bool",
    "half",
    "float",
    "double",
    "short",
    "int",
    "long",
    "get_default_dtype",
    "set_default_dtype",
]

float16: Dtype = np.dtype(np.float16)
float32: Dtype = np.dtype(np.float32)
float64: Dtype = np.dtype(np.float64)
int8: Dtype = np.dtype(np.int8)
int16: Dtype = np.dtype(np.int16)
int32: Dtype = np.dtype(np.int32)
int64: Dtype = np.dtype(np.int64)
uint8: Dtype = np.dtype(np.uint8)
uint16: Dtype = np.dtype(np.uint16)
uint32: Dtype = np.dtype(np.uint32)
uint64: Dtype = np.dtype(np.uint64)
bool: Dtype = np.dtype(np.bool_)
half, float, double = float16, float32, float64
short, int, long = int16, int32, int64

NAMES = {name: value for name, value in globals().items() if isinstance(value, np.dtype) and not name.startswith("_")}


class Absent:
    """A dtype of PyTorch that is not here: it can be named and compared, and is refused where it is used."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"fastnn.{self.name}"


ABSENT = {
    name: Absent(name)
    for name in ("bfloat16", "chalf", "complex32", "complex64", "cfloat", "complex128", "cdouble", "qint8", "quint8")
}
FLOATS = (float32, float64)  # those that kernels compute in, and that can require a gradient
default: Dtype = float32  # of numbers that Python gives as floats; see `set_default_dtype`


def get_default_dtype() -> Dtype:
    """Give the dtype that Python's floats get, and tensors that are made without one."""
    return default


def set_default_dtype(d: Any) -> None:
    """Make float32 or float64 the dtype of Python's floats. Raises TypeError for any other."""
    global default
    made = dtype_of("set_default_dtype", d)
    if made not in FLOATS:
        raise TypeError(f"set_default_dtype: d must be float32 or float64, got {made}")
    default = made


def dtype_of(function: str, dtype: Any) -> Dtype:
    """Give a dtype of numbers, in native byte order. Raises TypeError for anything else."""
    if isinstance(dtype, np.dtype):
        made = dtype
    elif isinstance(dtype, Absent):
        raise TypeError(f"{function}: there is no {dtype.name} here: fastnn computes in float32 and float64")
    else:
        try:
            if dtype is None:  # which NumPy takes for float64
                raise TypeError
            made = np.dtype(dtype)
        except (TypeError, ValueError):
            raise TypeError(f"{function}: dtype must be a dtype such as fastnn.float32, got {dtype!r}") from None
    if made.kind not in "biuf" or made.itemsize > 8:
        raise TypeError(
            f"{function}: dtype must be one of {', '.join(map(str, dict.fromkeys(NAMES.values())))}, got {made}"
        )
    return np.dtype(made.type)


def dtype_for(function: str, dtype: Any, *values: Any) -> Dtype:
    """Give `dtype`, or where it is None that of Python's numbers: bool, int64 or the default of floats."""
    if dtype is not None:
        return dtype_of(function, dtype)
    if any(isinstance(value, builtins.float | np.floating) for value in values):
        return default
    return bool if all(isinstance(value, builtins.bool | np.bool_) for value in values) else int64
