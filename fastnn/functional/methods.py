"""Methods of Tensor that are no functions of `fastnn.functional`: questions, new tensors like this one, shapes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn import _constructors, _draws, _gradients
from fastnn._device import CPU
from fastnn.tape import Tensor, unwrap, wrap

from . import arithmetic, conversion, indexing, reduction, shaping
from .conversion import clone
from .rearrange import unfold_dimension

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


def is_same_size(self: Any, other: Any) -> bool:
    """Tell whether another tensor has the same shape."""
    return tuple(self.shape) == tuple(other.shape)


def storage_offset(self: Tensor) -> int:
    """Give where the first element is in its memory, in elements."""
    base = self._data.base
    if not isinstance(base, np.ndarray):
        return 0
    return (data_ptr(self) - int(base.__array_interface__["data"][0])) // self._data.itemsize


def contains(self: Tensor, element: Any) -> bool:
    """Tell whether any element equals a number."""
    return bool(np.any(self._data == unwrap(element)))


# --- other libraries


def dlpack(self: Tensor, **options: Any) -> Any:
    """Give the memory to another library, by DLPack. Raises BufferError where a gradient would be lost."""
    if self._node is not None:
        raise BufferError("__dlpack__: this tensor requires a gradient, which others would not see: use detach()")
    return self._data.__dlpack__(**{name: value for name, value in options.items() if value is not None})


def dlpack_device(self: Tensor) -> tuple[int, int]:
    """Give DLPack's name of the CPU."""
    return 1, 0


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


# --- numbers by chance and by function


def bernoulli(self: Tensor, p: Any = None, *, generator: Any = None) -> Tensor:
    """Draw 1 with the probability that each element gives (or with `p`), else 0."""
    return _draws.bernoulli(self, p, generator=generator)


def multinomial(self: Tensor, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Tensor:
    """Draw indices with the elements of each row as weights; see `fastnn.multinomial`."""
    return _draws.multinomial(self, num_samples, replacement, generator=generator)


def apply_(self: Tensor, callable: Callable[..., Any]) -> Tensor:
    """Put ``callable(element)`` in the place of each element, one by one: slow. For tensors without a gradient."""
    if self._node is not None:
        raise RuntimeError("apply_: this tensor requires a gradient, which a Python function does not have")
    data = self._writable()
    data[...] = np.array([callable(x) for x in data.reshape(-1).tolist()], data.dtype).reshape(data.shape)
    return self


def where(self: Tensor, condition: Any, other: Any) -> Any:
    """Give the elements where `condition` holds and those of `other` elsewhere."""
    return arithmetic.where(condition, self, other)


def sum_to_size(self: Any, *size: Any) -> Any:
    """Sum over the dimensions that broadcasting from `size` to this shape would repeat."""
    shape = _constructors.shape_of("sum_to_size", size)
    added = self.ndim - len(shape)
    if added < 0 or any(n not in (1, m) for n, m in zip(shape, self.shape[added:], strict=True)):
        raise ValueError(f"sum_to_size: size {shape} does not fit shape {tuple(self.shape)}")
    repeated = [added + i for i, n in enumerate(shape) if n != self.shape[added + i]]
    dims = (*range(added), *repeated)
    return shaping.reshape(reduction.sum(self, dims, True), shape) if dims else self


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
    "__contains__": contains,
    "__dlpack__": dlpack,
    "__dlpack_device__": dlpack_device,
    "__reversed__": lambda self: shaping.getitem(self, slice(None, None, -1)),
    "allclose": allclose,
    "apply_": apply_,
    "bernoulli": bernoulli,
    "conj": conversion.cpu,
    "resolve_conj": conversion.cpu,
    "resolve_neg": conversion.cpu,
    "is_conj": lambda self: False,
    "is_neg": lambda self: False,
    "is_inference": lambda self: False,
    "is_shared": lambda self: False,
    "is_same_size": is_same_size,
    "multinomial": multinomial,
    "storage_offset": storage_offset,
    "sum_to_size": sum_to_size,
    "where": where,
    "new": new_empty,
    "data_ptr": data_ptr,
    "element_size": lambda self: self._data.itemsize,
    "equal": equal,
    "expand_as": expand_as,
    "get_device": lambda self: -1,
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
    "pin_memory": conversion.cpu,
    "register_hook": _gradients.register_hook,
    "reshape_as": view_as,
    "retain_grad": _gradients.retain_grad,
    "share_memory_": conversion.cpu,
    "size": size,
    "stride": stride,
    "t": t,
    "unfold": unfold_dimension,
    "view_as": view_as,
    **conversion.METHODS,
}
PROPERTIES: dict[str, tuple[Callable[[Tensor], Any], str]] = {
    "device": (lambda self: CPU, "Where the tensor is: on the CPU."),
    "grad_fn": (grad_fn, "What made the tensor, if that was recorded; None for tensors that a person made."),
    "itemsize": (lambda self: self._data.itemsize, "The bytes of one element."),
    "nbytes": (lambda self: self._data.nbytes, "The bytes of all elements."),
    "is_cpu": (lambda self: True, "True."),
    **dict.fromkeys(
        ("is_cuda", "is_mps", "is_xpu", "is_meta", "is_quantized", "is_sparse", "is_mkldnn", "is_nested"),
        (lambda self: False, "False."),
    ),
    "layout": (lambda self: "strided", "How elements lie in memory: with strides."),
    "output_nr": (lambda self: 0, "0."),
    "real": (lambda self: self, "The tensor itself: there are no complex numbers."),
    "retains_grad": (_gradients.retains_grad, "Whether `retain_grad` was called on this result."),
    "T": (shaping.permute, "The tensor with its dimensions reversed."),
    "mT": (_swapped, "The tensor with its last two dimensions exchanged."),
    "H": (t, "A matrix with its two dimensions exchanged."),
    "mH": (_swapped, "The tensor with its last two dimensions exchanged."),
}


def where_top(condition: Any, input: Any = None, other: Any = None) -> Any:
    """Give `input` where `condition` holds and `other` elsewhere; the places where it holds if that is all.

    These are a tuple of indices, one tensor per dimension, as `nonzero` gives them.
    """
    if input is None and other is None:
        return indexing.nonzero(condition, as_tuple=True)
    return arithmetic.where(condition, input, other)


def is_complex(input: Any) -> bool:
    """Tell that the elements are not complex."""
    return False


TOP_LEVEL: dict[str, Any] = {"where": where_top} | {
    f.__name__: f
    for f in (
        is_complex,
        is_same_size,
        allclose,
        clone,
        detach,
        equal,
        is_floating_point,
        is_nonzero,
        is_tensor,
        isclose,
        numel,
        t,
        Size,
    )
}
