"""Argument checks and shape arithmetic shared by the entry points.

Every function here takes the name of the entry point first, and raises ValueError or TypeError in the form
``conv2d: stride must be at least 1, got 0``. The common case (a plain float array, an int) is tested first and costs
well under 0.2 us; everything else may be slow.
"""

from __future__ import annotations

from math import inf, ldexp, prod
from operator import index

import numpy as np
from numpy import ndarray

from .dtypes import F4, F8, I8
from .memory import empty

INT_LIMIT = 2**31  # sizes stay below, so that no product of two of them overflows int64
ADDRESSABLE = 2**45  # elements; no machine has the memory for more


def as_float_array(function: str, name: str, x, ndim: int | tuple[int, ...] | None = None) -> ndarray:
    """Return `x` as an aligned array whose dtype is `F4` or `F8`, without a copy if it is one already.

    Lists of floats and subclasses such as numpy.matrix become plain arrays; the dtype of an unpickled array, which is
    equal to `F4` or `F8` but another object, becomes these. TypeError for None, for any other dtype and for masked
    arrays, whose mask a kernel would not see; ValueError unless it has `ndim` dimensions (one of several).
    """
    if type(x) is not ndarray or (x.dtype is not F4 and x.dtype is not F8) or not x.flags.aligned:
        x = _convert(function, name, x)
    if ndim is not None and x.ndim != ndim:
        check_ndim(function, name, x, ndim)
    return x


def check_ndim(function: str, name: str, x, ndim: int | tuple[int, ...]) -> None:
    """Raise ValueError unless the array `x` has `ndim` dimensions, or one of several numbers of them."""
    allowed = (ndim,) if isinstance(ndim, int) else ndim
    if x.ndim not in allowed:
        wanted = " or ".join(map(str, allowed))
        plural = "" if wanted == "1" else "s"
        raise ValueError(f"{function}: {name} must have {wanted} dimension{plural}, got shape {x.shape}")


def promote(function: str, **arrays) -> tuple:
    """Return the arrays in their common dtype, float32 or float64; None stays None.

    promote("linear", input=x, weight=w, bias=None) -> (x, w, None). Entry points ask `required` for what must not be
    None. Raises as `as_float_array` does.
    """
    first = None
    for x in arrays.values():
        if x is not None:
            if type(x) is not ndarray or ((dtype := x.dtype) is not F4 and dtype is not F8) or not x.flags.aligned:
                break
            if first is None:
                first = dtype
            elif dtype is not first:
                break
    else:
        return tuple(arrays.values())
    made = [None if x is None else as_float_array(function, name, x) for name, x in arrays.items()]
    common = F8 if any(x is not None and x.dtype is F8 for x in made) else F4
    return tuple(None if x is None else x.astype(common, copy=False) for x in made)


def as_array(function: str, name: str, x) -> ndarray:
    """Return `x` as an array of any dtype. TypeError for None and masked arrays, ValueError for ragged lists."""
    if isinstance(x, np.ma.MaskedArray):
        raise TypeError(f"{function}: {name} is a masked array; fill it first: {name}.filled(0)")
    required(function, **{name: x})
    try:
        return np.asarray(x)
    except ValueError:
        raise ValueError(f"{function}: {name} is not rectangular: its rows have different lengths") from None


def required(function: str, **arrays) -> None:
    """Raise TypeError if one of the arrays is None."""
    for name, x in arrays.items():
        if x is None:
            raise TypeError(f"{function}: {name} must be an array, got None")


def operand(function: str, name: str, x, shape: tuple[int, ...], dtype: np.dtype | None = None) -> ndarray:
    """Check an array argument other than the main input; return it plain, aligned and C-contiguous.

    shape: the one it must have. dtype: `F4` or `F8`, to which it is converted; None keeps its own. TypeError and
    ValueError as in `as_float_array`; ValueError for another shape.
    """
    x = as_float_array(function, name, x)
    if x.shape != tuple(shape):
        raise ValueError(f"{function}: {name} must have shape {tuple(shape)}, got {x.shape}")
    return contiguous(x if dtype is None or x.dtype is dtype else x.astype(dtype))


def indices(function: str, name: str, x, shape: tuple[int, ...] | None, limit: int, lowest: int = 0) -> ndarray:
    """Return an array of integers from `lowest` to `limit` - 1 as a C-contiguous int64 array of native byte order.

    shape: the one it must have, or None for any. The range is checked before a cast could wrap. TypeError unless they
    are integers, ValueError for another shape and for integers out of range.
    """
    array = as_array(function, name, x)
    if array.dtype.kind not in "iu" and not (array.size == 0 and array.dtype.kind == "f" and not hasattr(x, "dtype")):
        raise TypeError(f"{function}: {name} must be integers, got {_dtype_name(array.dtype)}")
    if shape is not None and array.shape != tuple(shape):
        raise ValueError(f"{function}: {name} must have shape {tuple(shape)}, got {array.shape}")
    in_range(function, name, array, limit, lowest)
    plain = type(array) is ndarray and array.dtype is I8 and array.flags.c_contiguous and array.flags.aligned
    return array if plain else np.array(array, I8, order="C", copy=True)


def in_range(function: str, name: str, x: ndarray, limit: int, lowest: int = 0) -> None:
    """Raise ValueError unless all of an array of integers are from `lowest` to `limit` - 1."""
    if x.size:
        for number in (x.min(), x.max()):
            if not lowest <= int(number) < limit:
                raise ValueError(f"{function}: {name} must be from {lowest} to {limit - 1}, got {number}")


def integer_array(function: str, name: str, x) -> ndarray:
    """Return an array of integers, aligned and in native byte order, of its own dtype. TypeError for other dtypes."""
    array = as_array(function, name, x)
    if array.dtype.kind not in "iu" and not (array.size == 0 and array.dtype.kind == "f" and not hasattr(x, "dtype")):
        raise TypeError(f"{function}: {name} must be integers, got {_dtype_name(array.dtype)}")
    plain = type(array) is ndarray and array.dtype.isnative and array.flags.aligned and array.dtype.kind in "iu"
    if plain and array.dtype is np.dtype(array.dtype.name):
        return array
    return array.astype(array.dtype.name if array.dtype.kind in "iu" else I8)


def real_array(function: str, name: str, x) -> ndarray:
    """Return an array of real numbers, aligned and native: of float32, else of float64. TypeError for other dtypes."""
    if type(x) is ndarray and (x.dtype is F4 or x.dtype is F8) and x.flags.aligned:
        return x
    array = as_array(function, name, x)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{function}: {name} must be an array of real numbers, got {array.dtype}")
    dtype = F4 if array.dtype == F4 else F8
    return np.array(array, dtype, order="C").view(dtype)  # an equal dtype of an unpickled array would stay


def finite(function: str, name: str, x: ndarray) -> None:
    """Raise ValueError if an array holds a number that is not finite."""
    if not np.isfinite(x).all():
        raise ValueError(f"{function}: {name} holds numbers that are nan or infinite")


def not_negative(function: str, name: str, value: float) -> None:
    """Raise ValueError unless a number is from 0 and finite."""
    if not 0 <= value < inf:
        raise ValueError(f"{function}: {name} must be a number from 0, got {value}")


def plain_option(value):
    """Return lists and arrays as tuples, and NumPy's scalars as Python's; all else as it is."""
    if isinstance(value, (list, tuple)) or (isinstance(value, ndarray) and value.ndim == 1):
        made = tuple([plain_option(one) for one in value])
        return value if type(value) is tuple and all(a is b for a, b in zip(made, value, strict=True)) else made
    if isinstance(value, np.generic) or (isinstance(value, ndarray) and value.ndim == 0):
        return value.item()
    return value


def canonical(x):
    """Return `x`, or a view of it, whose dtype is `F4` or `F8` if it equals one of these."""
    dtype = getattr(x, "dtype", None)
    for known in (F4, F8):
        if dtype == known and dtype is not known and type(x) is ndarray:
            return x.view(known)
    return x


def number(function: str, name: str, value) -> float:
    """Return `value` as a float. TypeError for strings, None and arrays of several numbers; ValueError beyond 1e308."""
    if type(value) is float:
        return value
    if isinstance(value, ndarray) and value.ndim:
        raise TypeError(f"{function}: {name} must be a number, got an array of shape {value.shape}")
    try:
        return ldexp(value, 0)  # `float` would take strings
    except TypeError:
        raise TypeError(f"{function}: {name} must be a number, got {value!r}") from None
    except OverflowError:
        raise ValueError(f"{function}: {name} is too large for a float") from None


def choice(function: str, name: str, value, known):
    """Return `value`, which must be one of those known. ValueError for all others, also for what cannot be a key."""
    try:
        if value in known:
            return value
    except (TypeError, ValueError):  # a list, an array
        pass
    raise ValueError(f"{function}: {name} must be one of {', '.join(map(str, known))}, got {value!r}")


def flag(function: str, name: str, value) -> bool:
    """Return `value` as True or False. TypeError for texts, lists and arrays of several elements."""
    if type(value) is bool:
        return value
    try:
        if isinstance(value, (str, tuple, list)):
            raise TypeError
        return bool(value)
    except (TypeError, ValueError):
        raise TypeError(f"{function}: {name} must be True or False, got {type(value).__name__}") from None


def needed(function: str, needs, count: int) -> tuple[bool, ...]:
    """Return which gradients are needed, as a tuple. TypeError unless `needs` has `count` entries."""
    if type(needs) is tuple and len(needs) == count:
        return needs
    if not isinstance(needs, (tuple, list)) or len(needs) != count:
        raise TypeError(f"{function}: needs must be {count} of True and False, got {needs!r}")
    return tuple(needs)


def contiguous(x: ndarray) -> ndarray:
    """Return `x`, or an aligned C-contiguous copy of it; unlike np.ascontiguousarray it leaves 0-d arrays 0-d."""
    flags = x.flags
    if flags.c_contiguous and flags.aligned:
        return x
    made = empty(x.shape, x.dtype)
    made[...] = x
    return made


def integer(function: str, name: str, value, minimum: int) -> int:
    """Return `value` as an int from `minimum` to 2**31 - 1; TypeError unless an integer, ValueError outside."""
    if type(value) is not int:
        if isinstance(value, (bool, np.bool_)):
            raise TypeError(f"{function}: {name} must be an integer, got {value!r}")
        try:
            value = index(value)
        except TypeError:
            raise TypeError(f"{function}: {name} must be an integer, got {value!r}") from None
    if value < minimum:
        raise ValueError(f"{function}: {name} must be at least {minimum}, got {value}")
    if value >= INT_LIMIT:
        raise ValueError(f"{function}: {name} must be below 2**31, got {value}")
    return value


def word(function: str, name: str, value) -> int:
    """Return an integer of 0 .. 2^64 - 1 as an int. TypeError unless an integer, ValueError outside."""
    if type(value) is not int:
        try:
            value = index(value)
        except TypeError:
            raise TypeError(f"{function}: {name} must be an integer, got {value!r}") from None
    if not 0 <= value < 1 << 64:
        raise ValueError(f"{function}: {name} must be from 0 to 2**64 - 1, got {value}")
    return value


def sizes(function: str, name: str, value, count: int, minimum: int) -> tuple[int, ...]:
    """Return `count` sizes from an integer or as many of them, each from `minimum` to 2**31 - 1."""
    if type(value) is int and minimum <= value < INT_LIMIT:
        return (value,) * count
    wanted = {1: "an integer", 2: "an integer or a pair of them"}.get(count, f"an integer or {count} of them")
    if isinstance(value, (tuple, list, ndarray)) and np.ndim(value) == 1:
        if len(value) != count:
            raise ValueError(f"{function}: {name} must be {wanted}, got {value!r}")
        return tuple(integer(function, name, one, minimum) for one in value)
    if isinstance(value, (tuple, list, str)) or value is None:
        raise TypeError(f"{function}: {name} must be {wanted}, got {value!r}")
    return (integer(function, name, value, minimum),) * count


def integers(function: str, name: str, value, minimum: int) -> tuple[int, ...]:
    """Return a tuple of any number of integers, each from `minimum` to 2**31 - 1. TypeError for anything else."""
    if not isinstance(value, (tuple, list, ndarray)):
        raise TypeError(f"{function}: {name} must be a tuple of integers, got {value!r}")
    return tuple(integer(function, name, n, minimum) for n in value)


def pair(function: str, name: str, value, minimum: int) -> tuple[int, int]:
    """Return (height, width) from an integer or a pair of them, each from `minimum` to 2**31 - 1."""
    height, width = sizes(function, name, value, 2, minimum)
    return height, width


def padding_sides(function: str, padding, kernel, stride=None, dilation=None) -> tuple[int, ...]:
    """Return the zeros (before, after) of each dimension in a row, for images (top, bottom, left, right).

    padding: an integer, one per dimension, or "valid" or "same" as in PyTorch. "same" needs stride 1; where the number
    of zeros is odd, the extra one goes to the end.
    """
    if not isinstance(padding, str):
        return tuple(p for p in sizes(function, "padding", padding, len(kernel), 0) for _ in range(2))
    if padding == "valid":
        return (0, 0) * len(kernel)
    if padding != "same":
        raise ValueError(f"{function}: padding must be 'same', 'valid' or integers, got {padding!r}")
    if stride is not None and max(stride) > 1:
        raise ValueError(f"{function}: padding='same' needs stride 1, got {tuple(stride)}")
    spans = [d * (k - 1) for k, d in zip(kernel, dilation or (1,) * len(kernel), strict=True)]
    return tuple(side for span in spans for side in (span // 2, span - span // 2))


def conv_output_size(function: str, size, kernel, stride=None, padding=None, dilation=None) -> tuple[int, ...]:
    """Return the number of places of a window that slides over `size`, per dimension: (OH, OW) for images (H, W).

    padding: per dimension, for both sides each, or (before, after) of each dimension in a row. Raises ValueError if
    the window is larger than the padded input.
    """
    count = len(kernel)
    ones = (1,) * count
    stride, padding, dilation = stride or ones, padding or (0,) * count, dilation or ones
    if len(padding) == count:
        padded = tuple(n + 2 * p for n, p in zip(size, padding, strict=True))
    else:
        padded = tuple(n + before + after for n, before, after in zip(size, padding[::2], padding[1::2], strict=True))
    room = [n - d * (k - 1) - 1 for n, k, d in zip(padded, kernel, dilation, strict=True)]
    if min(room) < 0:
        dilated = f" with dilation {tuple(dilation)}" if max(dilation) > 1 else ""
        raise ValueError(f"{function}: kernel {tuple(kernel)}{dilated} is larger than the padded input {padded}")
    return tuple(r // s + 1 for r, s in zip(room, stride, strict=True))


def normalize_dim(function: str, dim, ndim: int, name: str = "dim") -> int:
    """Return `dim` counted from 0. ValueError unless -ndim <= dim < ndim (a 0-d array counts as having one)."""
    if type(dim) is not int:
        if isinstance(dim, (bool, np.bool_)):
            raise TypeError(f"{function}: {name} must be an integer, got {dim!r}")
        try:
            dim = index(dim)
        except TypeError:
            raise TypeError(f"{function}: {name} must be an integer, got {dim!r}") from None
    count = ndim or 1
    if not -count <= dim < count:
        raise ValueError(f"{function}: {name} must be from {-count} to {count - 1} for {ndim} dimensions, got {dim}")
    return dim % count


def output(function: str, out: ndarray | None, shape: tuple[int, ...], dtype: np.dtype, *inputs) -> ndarray:
    """Return a new array for the result, or the caller's `out` after `check_out`."""
    if out is not None:
        return check_out(function, out, shape, dtype, *inputs)
    try:
        return empty(shape, dtype)
    except (ValueError, OverflowError, MemoryError):
        if prod(shape) < ADDRESSABLE:  # possible, only not on this machine now
            raise
        raise ValueError(f"{function}: an output of shape {tuple(shape)} does not fit into memory") from None


def check_out(function: str, out, shape: tuple[int, ...], dtype: np.dtype, *inputs, name: str = "out") -> ndarray:
    """Return `out` if a result can be written to it: an array of this shape and dtype that overlaps no input.

    Any strides will do. inputs: arrays or None. name: of the argument. Raises TypeError or ValueError.
    """
    check_writable(function, name, out)
    if out.dtype != dtype or not out.dtype.isnative:
        raise TypeError(f"{function}: {name} must be {dtype}, got {_dtype_name(out.dtype)}")
    if out.shape != tuple(shape):
        raise ValueError(f"{function}: {name} must have shape {tuple(shape)}, got {out.shape}")
    for x in inputs:
        if isinstance(x, ndarray) and overlap(out, x):
            raise ValueError(f"{function}: {name} overlaps an input")
    return out


def check_writable(function: str, name: str, out) -> None:
    """Raise TypeError unless `out` is an array, ValueError if it is read-only or several of its elements are one."""
    if not isinstance(out, ndarray) or isinstance(out, (np.ma.MaskedArray, np.matrix)):
        raise TypeError(f"{function}: {name} must be a plain array, got {type(out).__name__}")
    if not out.flags.writeable:
        raise ValueError(f"{function}: {name} is read-only")
    for stride, length in zip(out.strides, out.shape, strict=True):
        if stride == 0 and length > 1 and out.size:
            raise ValueError(f"{function}: {name} is broadcast: several of its elements share memory")


def state(function: str, name: str, x) -> ndarray:
    """Return an array that is to be changed in place, or a plain float32 or float64 copy if no kernel can do that.

    TypeError unless it is an array of floats, ValueError unless it can be written.
    """
    if not isinstance(x, ndarray) or x.dtype.kind != "f":
        raise TypeError(f"{function}: {name} must be an array of floats, which {function} changes in place")
    if not x.flags.writeable:
        raise ValueError(f"{function}: {name} is read-only, but {function} changes it")
    check_writable(function, name, x)
    plain = type(x) is ndarray and (x.dtype is F4 or x.dtype is F8) and x.flags.aligned
    if plain:
        return x
    copy = empty(x.shape, F4 if x.dtype.itemsize <= 4 else F8)
    copy[...] = x
    return copy


def overlap(a: ndarray, b: ndarray) -> bool:
    """Say whether two arrays share memory; arrays too intertwined to tell count as sharing it."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return bool(np.shares_memory(a, b, max_work=10_000))
    except np.exceptions.TooHardError:
        return True


def _convert(function, name, x):
    array = as_array(function, name, x)
    if array.dtype.kind != "f" or array.dtype.itemsize not in (4, 8):
        raise TypeError(f"{function}: {name} must be float32 or float64, got {_dtype_name(array.dtype)}")
    dtype = F4 if array.dtype.itemsize == 4 else F8
    if not array.dtype.isnative or not array.flags.aligned:
        return array.astype(dtype)
    return array.view(dtype)


def _dtype_name(dtype):
    return str(dtype) if dtype.isnative else f"byte-swapped {dtype.newbyteorder('=')}"
