"""Tensor: an array that remembers how it was made."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary, ref

import numpy as np
from numpy.lib.array_utils import byte_bounds

from fastnn import _dtypes
from fastnn._checks import shown
from fastnn._dtypes import FLOATS
from fastnn._tape import (
    Leaf,
    Node,
    backpropagate,
    clock,
    grad_mode,
    pick,
)

if TYPE_CHECKING:
    from fastnn._operators import Operators
else:
    Operators = object  # fastnn.functional.operators sets them

_ndarray = np.ndarray
_new = object.__new__


class Tensor(Operators):
    """An array of numbers that can be differentiated.

    Tensor(data, requires_grad=False): `data` is an array (shared, not copied, unless its bytes are swapped), a Tensor,
    a number or nested lists. Tensor(2, 3) is float32 zeros of this shape. Arrays keep their dtype, in native byte
    order; Python floats become float32, the type that networks compute in. Which dtype comes out of two is PyTorch's
    choice: floats win over integers of any size, and a number, a NumPy scalar or a tensor without dimensions does not
    change the precision of the others: float32 stays
    float32 after ``x / np.sqrt(64)``. Operators, methods and
    the functions of `fastnn.functional` compute new tensors; if any input requires a gradient, the result does too,
    and `result.backward()` adds d result / d x to `x.grad`, a tensor, of every x made with ``requires_grad=True``.

    NumPy functions accept tensors: those with a counterpart here (``np.exp(x)``, ``array + x``, ``np.concatenate``) are
    recorded, those that have no gradient (``np.isfinite``) compute, all others refuse tensors that require a gradient
    and compute with the arrays of other tensors. `numpy()` and ``np.asarray`` always give the plain array.

    In-place operators (``x += 1``) write into the memory of a tensor without a gradient, or of any leaf inside
    `no_grad`; on results of recorded operations they make a new tensor, which gives the same values and the right
    gradients. Writing into a leaf between recording and `backward` is noticed and raises RuntimeError; writing into an
    array through NumPy, or into a tensor that requires no gradient, is not.

    Raises TypeError for data that is not numeric, for masked arrays, and for ``requires_grad=True`` on anything but
    float32 and float64.
    """

    __slots__ = ("__weakref__", "_data", "_node")

    _data: np.ndarray
    _node: Node | Leaf | None

    def __init__(self, data: Any, requires_grad: bool = False, *sizes: int) -> None:
        self._node = None
        if sizes or not isinstance(requires_grad, bool | np.bool_):
            lengths = (data, requires_grad, *sizes)  # as in PyTorch, Tensor(2, 3) has these sizes
            if not all(isinstance(n, int | np.integer) and not isinstance(n, bool) and n >= 0 for n in lengths):
                raise TypeError(
                    f"Tensor: expected (data, requires_grad) or several sizes, got {', '.join(map(shown, lengths))}"
                )
            self._data = np.zeros(lengths, np.float32)
            return
        self._data = as_array(data)
        if requires_grad:
            self.requires_grad = True

    # makes what copies and pickles start from, whatever arguments a subclass wants
    _fill: Callable[..., None] = __init__

    # --- what it is

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the dimensions."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """The NumPy dtype of the elements."""
        return self._data.dtype

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return self._data.ndim

    def dim(self) -> int:
        """Give the number of dimensions."""
        return self._data.ndim

    def numel(self) -> int:
        """Give the number of elements."""
        return self._data.size

    def __len__(self) -> int:
        return len(self._data)

    def __repr__(self) -> str:
        digits = np.array2string(self._data, separator=", ", prefix="Tensor(", **PRINTING)
        kind = "" if self._data.dtype == np.float32 else f", dtype={self._data.dtype}"
        return f"Tensor({digits}{kind}{', requires_grad=True' if self._node is not None else ''})"

    def _repr_html_(self) -> str | None:
        """Show images in notebooks; None for all else."""
        from fastnn._html import images

        return images(self._data)

    def __format__(self, spec: str) -> str:
        """Format a tensor without dimensions as its number."""
        return format(self._data.item(), spec) if self._data.ndim == 0 else super().__format__(spec)

    # --- leaving the tape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self._data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        operation = UFUNCS.get(ufunc)
        if operation is not None and method == "__call__" and not options:
            return operation(*inputs)
        if any(isinstance(x, Tensor) for x in options.get("out", ())):
            raise TypeError(f"numpy.{ufunc.__name__}: out= must be an array, not a Tensor")
        if ufunc not in WITHOUT_GRADIENT:
            _refuse_recorded(ufunc.__name__, (inputs, options))
        return getattr(ufunc, method)(*_plain(inputs), **_plain(options))

    def __array_function__(self, function: Callable[..., Any], types: Any, args: Any, options: Any) -> Any:
        operation = FUNCTIONS.get(function)
        if operation is not None:
            y = operation(*args, **options)
            if y is not NotImplemented:
                return y
        if function not in WITHOUT_GRADIENT:
            _refuse_recorded(function.__name__, (args, options))
        return function(*_plain(args), **_plain(options))

    def item(self) -> float:
        """Give the only element as a Python number. Raises ValueError if there are more or none."""
        try:
            return self._data.item()  # type: ignore[no-any-return]
        except ValueError:
            raise ValueError(f"item: expected a tensor of one element, got shape {self.shape}") from None

    def tolist(self) -> Any:
        """Give nested lists of Python numbers."""
        return self._data.tolist()

    def __float__(self) -> float:
        return float(self._data.item())

    def __int__(self) -> int:
        return int(self._data.item())

    def __index__(self) -> int:
        return self._data.__index__()

    def __bool__(self) -> bool:
        return bool(self._data)

    def __iter__(self) -> Iterator[Tensor]:
        if not self._data.ndim:
            raise TypeError("iteration over a Tensor without dimensions")
        return (self[i] for i in range(len(self._data)))

    def detach(self) -> Tensor:
        """Give a tensor of the same memory that the tape does not know."""
        return wrap(self._data)

    # --- memory

    def _writable(self) -> np.ndarray:
        """Give the array to write into, after noting the time of the write."""
        if not self._data.flags.writeable:
            return _in_owner(self._data)
        if type(self._node) is Leaf:
            self._node.version = next(clock)
        return self._data

    def _move(self, memory: np.ndarray) -> None:
        """Live in `memory` from now on; its contents are the new value. Optimizers do this to leaves."""
        self._data = memory
        if type(self._node) is Leaf:
            self._node.version = next(clock)

    @property
    def data(self) -> Tensor:
        """A tensor of the same memory that the tape does not know; writing into it is always allowed."""
        return _Data(self)

    @data.setter
    def data(self, value: Any) -> None:
        if isinstance(value, _Data) and value._owner is self:  # x.data -= y ends here, already written
            return
        target = self._writable()
        value = np.asarray(unwrap(value))
        if value.shape != target.shape:
            raise ValueError(f"data: expected shape {target.shape}, got {value.shape}")
        target[...] = value

    def __copy__(self) -> Tensor:
        return self.detach()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        node = self._node
        if type(node) is Node:
            raise RuntimeError(
                "deepcopy: only leaf tensors can be copied deeply, those that you created; this one is the result "
                "of a recorded operation: use detach()"
            )
        twin = memo[id(self)] = _rebuild(type(self), copy.deepcopy(self._data, memo), self.requires_grad)
        for name, value in self._attributes().items():
            setattr(twin, name, copy.deepcopy(value, memo))
        if type(self)._fill is Tensor._fill:  # as in PyTorch, parameters leave their gradients behind
            twin.grad = self.grad
        return twin

    def __reduce__(self) -> Any:
        data = self._data if self._data.flags.writeable else self._data.copy()  # read-only arrays would stay so
        made = _rebuild, (type(self), data, self.requires_grad)
        attributes = self._attributes()
        return (*made, (None, attributes)) if attributes else made

    def _attributes(self) -> dict[str, Any]:
        """Give what a subclass keeps beside its numbers."""
        slots = [name for kind in type(self).__mro__ for name in kind.__dict__.get("__slots__", ())]
        more = {name: getattr(self, name) for name in slots if name not in OWN_SLOTS and hasattr(self, name)}
        return {**getattr(self, "__dict__", {}), **more}

    # --- gradients

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded. Can be set on leaves, the tensors that a person made."""
        return self._node is not None

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        if type(self._node) is Node:
            raise RuntimeError("requires_grad can be changed on leaf tensors only; use detach()")
        if value and self._node is None:
            if self._data.dtype not in FLOATS:
                raise TypeError(f"only float32 and float64 tensors can require a gradient, not {self._data.dtype}")
            self._node = Leaf(self._data.shape, self._data.dtype)
        elif not value:
            self._node = None

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Set `requires_grad` and give the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether a person made this tensor, rather than a recorded operation."""
        return type(self._node) is not Node

    @property
    def grad(self) -> Tensor | None:
        """The gradient collected by `backward`, a tensor; None before the first, and on tensors that are no leaves."""
        leaf = self._node
        if type(leaf) is not Leaf:
            return getattr(leaf, "retained", None)
        array = leaf.grad
        if array is None:
            return None
        shown: Tensor | None = None if leaf.shown is None else leaf.shown()
        if shown is None or shown._data is not array:
            shown = wrap(array)
            leaf.shown = ref(shown)
        return shown

    @grad.setter
    def grad(self, value: Any) -> None:
        leaf = self._node
        if type(leaf) is not Leaf:
            if value is None:
                return
            raise RuntimeError("grad can be set on leaf tensors that require a gradient only")
        if value is None:
            leaf.forget()
            return
        value = np.asarray(unwrap(value))
        if value is leaf.grad:  # x.grad *= 0.5 ends here
            return
        if value.shape != leaf.shape:
            raise ValueError(f"grad: expected shape {leaf.shape}, got {value.shape}")
        leaf.set(value)

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.grad = None

    def backward(
        self, gradient: Any = None, retain_graph: bool | None = None, create_graph: bool = False, inputs: Any = None
    ) -> None:
        """Add the derivative of this tensor with respect to every leaf it depends on to that leaf's `grad`.

        `gradient`, of this tensor's shape, weighs its elements; it may be left out for a single element. The graph is
        freed on the way unless `retain_graph`. With `inputs`, only these leaves collect their gradients.

        Raises RuntimeError if nothing was recorded, if the graph was freed before, or if a leaf was written to since;
        NotImplementedError for `create_graph`: there are no second derivatives.
        """
        node = self._node
        if create_graph or inputs is not None or type(node) is not Node:
            _gradients.backward(self, gradient, retain_graph, create_graph, inputs=inputs)
        else:
            backpropagate({node: initial_gradient(self, gradient)}, bool(retain_graph))


class _Data(Tensor):
    """What `Tensor.data` gives: writes go through the owner, which so notices them."""

    __slots__ = ("_owner",)

    def __init__(self, owner: Tensor) -> None:
        self._data = owner._data
        self._node = None
        self._owner = owner

    def _writable(self) -> np.ndarray:
        return self._owner._writable()

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        twin = memo[id(self)] = wrap(copy.deepcopy(self._data, memo))
        return twin

    def __reduce__(self) -> Any:
        return wrap(self._data).__reduce__()


OWNERS: WeakValueDictionary[int, Any] = WeakValueDictionary()  # parameters, whose arrays are read-only, by id


def _in_owner(view: np.ndarray) -> np.ndarray:
    """Give the same numbers to write into, if they are a part of a parameter; it notes the time of the write.

    Raises ValueError if they belong to no parameter that there is.
    """
    low, high = byte_bounds(view)
    for owner in list(OWNERS.values()):
        memory = owner._memory
        start = memory.__array_interface__["data"][0]
        if start <= low and high <= start + memory.nbytes and view.size:
            place = view.__array_interface__["data"][0] - start
            return np.ndarray(view.shape, view.dtype, owner._writable(), place, view.strides)
    if not view.size:
        return np.empty_like(view)
    raise ValueError(
        "cannot write into this tensor: its memory is read-only, and not that of a parameter (or of one that has moved "
        "since)"
    )


_ONE = {dtype: np.ones((), dtype) for dtype in FLOATS}
OWN_SLOTS = {"__weakref__", "__dict__", "_data", "_node", "_owner", "_leaf", "_memory"}  # those of fastnn's own classes
PRINTING: dict[str, Any] = {}  # how numbers are shown, where that is not NumPy's way; see `set_printoptions`
# filled by fastnn.functional:
UFUNCS: dict[np.ufunc, Callable[..., Any]] = {}  # what computes a ufunc of tensors
FUNCTIONS: dict[Callable[..., Any], Callable[..., Any]] = {}  # ... another function; NotImplemented for some arguments
WITHOUT_GRADIENT: set[Any] = set()  # ufuncs and functions that compute what cannot have a gradient
ADVICE: dict[str, str] = {}  # by a NumPy function's name: what does its work here


def wrap(array: Any, node: Node | Leaf | None = None) -> Tensor:
    """Make a Tensor of `array` without any checks."""
    tensor = _new(Tensor)
    tensor._data = array if type(array) is _ndarray else np.asarray(array)
    tensor._node = node
    return tensor


def unwrap(x: Any) -> Any:
    """Give the array of a Tensor, and anything else as it is."""
    return x._data if isinstance(x, Tensor) else x


def as_array(data: Any) -> np.ndarray:
    """Give `data` as an array: arrays and tensors as they are, Python floats as float32."""
    if type(data) is _ndarray and (data.dtype is FLOATS[0] or data.dtype is FLOATS[1]):
        return data
    if isinstance(data, Tensor):
        return data._data
    if isinstance(data, np.ma.MaskedArray):
        raise TypeError("Tensor: data is a masked array; fill it first: data.filled(0)")
    typed = hasattr(data, "__array__") or hasattr(data, "__array_interface__") or hasattr(data, "__dlpack__")
    try:
        array = np.asarray(data) if hasattr(data, "__array__") or not typed else _foreign(data)
    except (ValueError, RuntimeError, BufferError) as error:
        raise TypeError(f"Tensor: cannot make an array of {type(data).__name__}: {error}") from None
    if array.dtype.kind not in "biuf" or array.dtype.itemsize > 8:
        raise TypeError(f"Tensor: data must be numbers, got an array of dtype {array.dtype}")
    if typed:
        return canonical(array)
    return array.astype(_dtypes.default, copy=False) if array.dtype == np.float64 else array


def _foreign(data: Any) -> np.ndarray:
    """Give the memory of another library's array."""
    array: np.ndarray = np.from_dlpack(data) if hasattr(data, "__dlpack__") else np.asarray(data)
    return array


def canonical(array: np.ndarray) -> np.ndarray:
    """Give `array` in native byte order, and with NumPy's own dtype object: unpickled arrays have an equal one."""
    dtype = np.dtype(array.dtype.type)
    if array.dtype is dtype:
        return array
    return array.view(dtype) if array.dtype == dtype else array.astype(dtype)


def _rebuild(kind: type[Tensor], data: np.ndarray, requires_grad: bool) -> Tensor:
    """Make a tensor of a class without calling the class, whose own arguments nobody knows here."""
    tensor: Tensor = _new(kind)
    kind._fill(tensor, data, requires_grad)
    return tensor


def initial_gradient(tensor: Tensor, gradient: Any) -> np.ndarray:
    """Give the gradient that a walk back starts from: what was given, or 1 for a single element."""
    data = tensor._data
    if gradient is None:
        if data.size != 1:
            raise RuntimeError(
                f"backward: a tensor of shape {data.shape} needs an explicit gradient; only single elements "
                "have a default of 1"
            )
        return _ONE[data.dtype] if data.ndim == 0 else np.ones_like(data)
    made = np.asarray(unwrap(gradient), data.dtype)
    if made.shape != data.shape:
        raise ValueError(f"backward: expected a gradient of shape {data.shape}, got {made.shape}")
    return made


def _refuse_recorded(name: str, arguments: Any) -> None:
    """Raise TypeError if a tensor among the arguments of a NumPy function requires a gradient."""
    if grad_mode.enabled and _any_recorded(arguments):
        advice = ADVICE.get(name, "an operator, a function of fastnn.functional")
        raise TypeError(f"numpy.{name} cannot record a gradient here: use {advice}, or x.detach()")


def _any_recorded(x: Any) -> bool:
    if isinstance(x, Tensor):
        return x._node is not None
    if isinstance(x, dict):
        x = x.values()
    elif not isinstance(x, tuple | list):
        return False
    return any(map(_any_recorded, x))


def _plain(x: Any) -> Any:
    """Give `x` with arrays in place of all tensors in its tuples, lists and dictionaries."""
    if isinstance(x, dict):
        return {key: _plain(value) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return type(x)(map(_plain, x)) if type(x) in (tuple, list) else tuple(map(_plain, x))
    return unwrap(x)


def plain_index(index: Any) -> Any:
    """Give `index` with arrays in place of tensors."""
    if isinstance(index, tuple):
        return tuple([unwrap(i) for i in index])
    return unwrap(index)


def unrecorded(y: Any) -> Any:
    """Wrap what an operation gave outside the tape."""
    return wrap(y) if type(y) is not tuple else tuple(map(wrap, y))


def recorded(y: Any, backward: Callable[..., Any], parents: list[Node | Leaf | None], writes_gradients: bool) -> Any:
    """Wrap what a recorded operation gave, with its node."""
    node = _new(Node)
    node.backward = backward
    node.parents = parents
    node.takes_out = writes_gradients
    node.order = next(clock)
    if type(y) is tuple:
        return _several(y, node)
    tensor = _new(Tensor)
    tensor._data = y if type(y) is _ndarray else np.asarray(y)
    tensor._node = node
    return tensor


def _several(results: tuple[Any, ...], node: Node) -> tuple[Tensor, ...]:
    """Wrap the results of one node; each gets a node of its own that puts its gradient in its place."""
    undo = node.backward
    assert undo is not None
    node.backward = lambda dys, needs: undo(tuple(dys), needs)
    tensors = []
    for i, result in enumerate(results):
        part = _new(Node)
        part.backward = pick(i, len(results))
        part.parents = [node]
        part.takes_out = False
        part.order = next(clock)
        tensors.append(wrap(result, part if result.dtype in FLOATS else None))
    return tuple(tensors)


from fastnn import _gradients  # noqa: E402  (which needs the class)
