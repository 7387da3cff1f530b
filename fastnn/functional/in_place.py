"""Writing into tensors: methods that end in _, operators such as ``+=``, item assignment.

One rule for all. A tensor that needs no gradient, and a leaf inside `no_grad`, is written in its memory. A tensor that
was recorded becomes the result of the operation that is not in place: other memory and another node, under the same
object, so that values which gradients need stay as they were. Where only the operand is recorded, both happen. A leaf
that requires a gradient cannot be changed while operations are recorded. So writing into a view of a recorded tensor
does not reach that tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._constructors import shape_of
from fastnn._draws import bernoulli_array, integers_array, normal_array, uniform_array
from fastnn._tape import Leaf, Node, grad_mode
from fastnn.random import numpy_generator
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, plain_index, unwrap, wrap

from .arithmetic import unbroadcast
from .promotion import cast
from .shaping import integers_first

REFUSED = (
    "a leaf tensor that requires a gradient cannot be changed in place while operations are recorded: use "
    "`with no_grad():` or write to .data"
)


def is_recorded(x: Any) -> bool:
    """Tell whether an argument requires a gradient."""
    return isinstance(x, Tensor) and x._node is not None


def _fitting(function: str, target: Any, y: Any) -> None:
    """Raise ValueError or TypeError unless `y` can be written into `target`."""
    if y.shape != target.shape:
        raise ValueError(f"{function}: the result has shape {y.shape}, this tensor {target.shape}: not in place")
    if not np.can_cast(y.dtype, target.dtype, "same_kind"):
        raise TypeError(f"{function}: the result is {y.dtype}, this tensor {target.dtype}: not in place")


def become(function: str, self: Tensor, operation: Callable[..., Any], *args: Any, **options: Any) -> Tensor:
    """Make `self` the result of ``operation(self, *args, **options)``, by the rule above, and give it."""
    node = self._node
    recorded = grad_mode.enabled and (
        node is not None or any(map(is_recorded, args)) or any(map(is_recorded, options.values()))
    )
    if recorded:
        if type(node) is Leaf:
            raise RuntimeError(f"{function}: {REFUSED}")
        # gradients of operands may need the numbers that are overwritten
        y = operation(wrap(self._data.copy()) if node is None else self, *args, **options)
        _fitting(function, self._data, y._data)
        y = cast(y, self._data.dtype)
        if node is None:
            self._writable()[...] = y._data
        else:
            self._data = y._data
        self._node = y._node
        return self
    if type(node) is Node:  # inside no_grad: new values, the same node
        y = unwrap(operation(self, *args, **options))
        _fitting(function, self._data, y)
        self._data = y.astype(self._data.dtype)
        return self
    target = self._writable()
    y = unwrap(operation(target, *map(unwrap, args), **{name: unwrap(x) for name, x in options.items()}))
    _fitting(function, target, np.asarray(y))
    target[...] = y
    return self


def in_place(name: str, operation: Callable[..., Any]) -> Callable[..., Tensor]:
    """Make the method `name` that does in place what `operation` does."""

    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        return become(name, self, operation, *args, **options)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Do as `{operation.__name__}`, in place: the tensor itself gets the result."
    return method


def reshaping(name: str, operation: Callable[..., Any]) -> Callable[..., Tensor]:
    """Make the method `name` that gives the tensor another shape of the same memory."""

    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        if type(self._node) is Leaf:
            raise RuntimeError(f"{name}: the shape of a leaf tensor that requires a gradient cannot be changed")
        y = operation(self, *args, **options)
        self._data, self._node = y._data, y._node
        return self

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Do as `{name[:-1]}`, in place: the tensor itself gets the other shape."
    return method


@differentiable
def _filled(input: Array, value: Any) -> WithBackward:
    return np.full_like(input, value), lambda dy, needs: (np.zeros_like(dy),)


@differentiable
def _diagonal_filled(input: Array, value: Any, wrap: bool) -> WithBackward:
    y = input.copy()
    np.fill_diagonal(y, value, wrap)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dx = dy.copy()
        np.fill_diagonal(dx, 0, wrap)
        return (dx,)

    return y, backward


@differentiable
def _copied(input: Array, source: Array) -> WithBackward:
    y = np.empty_like(input)
    y[...] = source

    def backward(dy: Array, needs: Needs) -> Gradients:
        return np.zeros_like(dy) if needs[0] else None, unbroadcast(dy, source) if needs[1] else None

    return y, backward


@differentiable
def _assigned(input: Array, value: Array, first: Any, index: Any) -> WithBackward:
    y = input.copy()
    y[first][index] = value

    def backward(dy: Array, needs: Needs) -> Gradients:
        dinput = dvalue = None
        if needs[1]:
            taken = dy[first][index]
            like = np.asarray(value)
            extra = like.ndim - taken.ndim  # dimensions of length 1 that the place does not have
            like = like.reshape(like.shape[extra:]) if extra > 0 else like
            dvalue = np.asarray(unbroadcast(np.asarray(taken), like)).reshape(np.shape(value))
        if needs[0]:
            dinput = dy.copy()
            dinput[first][index] = 0
        return dinput, dvalue

    return y, backward


def fill_(self: Tensor, value: Any) -> Tensor:
    """Set all elements to one number."""
    return become("fill_", self, _filled, unwrap(value))


def fill_diagonal_(self: Tensor, fill_value: Any, wrap: bool = False) -> Tensor:
    """Set the diagonal of a matrix, or of a tensor whose dimensions are of one length, to one number.

    wrap: in a matrix with more rows than columns, begin again below.
    """
    if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
        raise ValueError(f"fill_diagonal_: expected a matrix, or dimensions of one length, got shape {self.shape}")
    return become("fill_diagonal_", self, _diagonal_filled, unwrap(fill_value), wrap)


def zero_(self: Tensor) -> Tensor:
    """Set all elements to 0."""
    return become("zero_", self, _filled, 0)


def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Take the elements of another tensor, broadcast to this one's shape and in its dtype."""
    source = src if isinstance(src, Tensor) else np.asarray(src)
    try:
        np.broadcast_shapes(source.shape, self.shape)
    except ValueError:
        raise ValueError(f"copy_: src of shape {source.shape} does not fit a tensor of shape {self.shape}") from None
    return become("copy_", self, _copied, source)


def resize_(self: Tensor, *sizes: Any) -> Tensor:
    """Give the tensor another size: its elements in their order, cut off or followed by zeros. Not for gradients."""
    if self._node is not None:
        raise RuntimeError("resize_: a tensor that requires a gradient keeps its size")
    shape = shape_of("resize_", sizes)
    made = np.zeros(shape, self._data.dtype)
    count = min(made.size, self._data.size)
    made.reshape(-1)[:count] = self._data.reshape(-1)[:count]
    self._data = made
    return self


def setitem(self: Tensor, index: Any, value: Any) -> None:
    """Assign to a part of the tensor: ``x[index] = value``, for any index NumPy knows."""
    index = plain_index(index)
    first, index = (type(index) is tuple and integers_first(index)) or (..., index)
    if self._node is None and not is_recorded(value):
        self._writable()[first][index] = unwrap(value)
    else:
        become("item assignment", self, _assigned, value, first, index)


# --- random numbers


def _drawn(name: str, draw: Callable[..., np.ndarray], doc: str) -> Callable[..., Tensor]:
    """Make a method that fills the tensor with what `draw(tensor's array, generator, ...)` gives."""

    def method(self: Tensor, *args: Any, generator: Any = None, **options: Any) -> Tensor:
        made = draw(self._data, generator, *args, **options)
        return become(name, self, _copied, made.astype(self._data.dtype, copy=False))

    method.__name__ = method.__qualname__ = name
    method.__doc__ = doc
    return method


def _uniform(x: Any, generator: Any, a: float = 0.0, b: float = 1.0, **named: float) -> np.ndarray:
    a, b = named.get("from", a), named.get("to", b)
    return a + (b - a) * uniform_array(generator, x.shape, x.dtype)


def _normal(x: Any, generator: Any, mean: float = 0.0, std: float = 1.0) -> np.ndarray:
    if not std >= 0:
        raise ValueError(f"normal_: std must not be negative, got {std}")
    return mean + std * normal_array(generator, x.shape, x.dtype)


def _log_normal(x: Any, generator: Any, mean: float = 1.0, std: float = 2.0) -> np.ndarray:
    return np.asarray(np.exp(_normal(x, generator, mean, std)))


def _bernoulli(x: Any, generator: Any, p: Any = 0.5) -> np.ndarray:
    return bernoulli_array("bernoulli_", generator, p, x.shape, x.dtype)


def _exponential(x: Any, generator: Any, lambd: float = 1.0) -> np.ndarray:
    return np.asarray(numpy_generator(generator).standard_exponential(x.shape)) / lambd


def _random(x: Any, generator: Any, low: int | None = None, high: int | None = None, **named: int) -> np.ndarray:
    low, high = named.get("from", low), named.get("to", high)
    low, high = (0, low) if high is None else (low or 0, high)
    most = 2 ** np.finfo(x.dtype).nmant if x.dtype.kind == "f" else 1 if x.dtype == bool else np.iinfo(x.dtype).max
    high = int(most) + 1 if high is None else high
    return integers_array("random_", generator, low, min(high, 2**63 - 1), x.shape, x.dtype)


METHODS: dict[str, Callable[..., Any]] = {
    "__setitem__": setitem,
    "bernoulli_": _drawn("bernoulli_", _bernoulli, "Draw 1 with probability `p`, a number or a tensor, else 0."),
    "copy_": copy_,
    "exponential_": _drawn("exponential_", _exponential, "Draw from the exponential distribution of rate `lambd`."),
    "fill_": fill_,
    "fill_diagonal_": fill_diagonal_,
    "log_normal_": _drawn("log_normal_", _log_normal, "Draw numbers whose logarithms are normal."),
    "normal_": _drawn("normal_", _normal, "Draw normal numbers of this `mean` and `std`."),
    "random_": _drawn("random_", _random, "Draw integers of low <= x < high; all that the dtype holds if none given."),
    "resize_": resize_,
    "uniform_": _drawn("uniform_", _uniform, "Draw numbers of a <= x < b, all as probable."),
    "zero_": zero_,
}
