"""Give Tensor its operators and methods: each is the function of the same meaning, recorded like it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._tape import Leaf, Node, grad_mode
from fastnn._tensor import UFUNCS, WITHOUT_GRADIENT
from fastnn.tape import Tensor, unwrap, wrap

from . import activation, arithmetic, reduction, shaping
from .matmul import matmul
from .promotion import alike, promoted


def _reflected(operation: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: operation(other, self)


def _in_place(operation: Callable[..., Any], ufunc: np.ufunc) -> Callable[..., Any]:
    def method(self: Tensor, other: Any) -> Tensor:
        node = self._node
        other_recorded = isinstance(other, Tensor) and other._node is not None
        if type(node) is Node or (grad_mode.enabled and node is None and other_recorded):
            result: Tensor = operation(self, other)  # a new tensor under the old name: same values, right gradients
            return result
        if grad_mode.enabled and type(node) is Leaf:
            raise RuntimeError(
                "a leaf tensor that requires a gradient cannot be changed in place while operations are recorded: "
                "use `with no_grad():` or write to .data"
            )
        target, value = self._writable(), unwrap(other)
        if not alike(target, value):
            value = promoted(ufunc.__name__, input=target, other=value)[1]
        ufunc(target, value, out=target, casting="same_kind")
        return self

    return method


def _logical(ufunc: np.ufunc) -> Callable[..., Any]:
    """Make an operation that has no gradient: comparisons, what joins masks, ufuncs that give truth values."""

    def unary(x: Any) -> Any:
        return wrap(ufunc(unwrap(x)))

    def binary(a: Any, b: Any) -> Any:
        a, b = unwrap(a), unwrap(b)
        if not alike(a, b) and b is not None:  # `x == None` is a question, too
            a, b = promoted(ufunc.__name__, input=a, other=b)
        return wrap(ufunc(a, b))

    return unary if ufunc.nin == 1 else binary


_ARITHMETIC: tuple[tuple[str, Callable[..., Any], np.ufunc], ...] = (
    ("add", arithmetic.add, np.add),
    ("sub", arithmetic.sub, np.subtract),
    ("mul", arithmetic.mul, np.multiply),
    ("truediv", arithmetic.div, np.true_divide),
    ("pow", arithmetic.pow, np.power),
    ("matmul", matmul, np.matmul),
)
_COMPARISONS: tuple[tuple[str, np.ufunc], ...] = (
    ("lt", np.less),
    ("le", np.less_equal),
    ("gt", np.greater),
    ("ge", np.greater_equal),
    ("eq", np.equal),
    ("ne", np.not_equal),
)
_BITWISE: tuple[tuple[str, np.ufunc], ...] = (
    ("and", np.bitwise_and),
    ("or", np.bitwise_or),
    ("xor", np.bitwise_xor),
)

for _name, _operation, _ufunc in _ARITHMETIC:
    setattr(Tensor, f"__{_name}__", _operation)
    setattr(Tensor, f"__r{_name}__", _reflected(_operation))
    UFUNCS[_ufunc] = _operation
    if _name != "matmul":
        setattr(Tensor, f"__i{_name}__", _in_place(_operation, _ufunc))

for _ufunc in (
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.invert, np.isfinite, np.isinf, np.isnan,
    np.signbit, *[_ufunc for _, _ufunc in _COMPARISONS + _BITWISE],
):  # fmt: skip
    UFUNCS[_ufunc] = _logical(_ufunc)
    WITHOUT_GRADIENT.add(_ufunc)

for _name, _ufunc in _COMPARISONS:
    setattr(Tensor, f"__{_name}__", UFUNCS[_ufunc])

for _name, _ufunc in _BITWISE:
    setattr(Tensor, f"__{_name}__", UFUNCS[_ufunc])
    setattr(Tensor, f"__r{_name}__", _reflected(UFUNCS[_ufunc]))
    setattr(Tensor, f"__i{_name}__", _in_place(UFUNCS[_ufunc], _ufunc))

setattr(Tensor, "__invert__", UFUNCS[np.invert])  # noqa: B010


def _truth(reduce: Callable[..., Any]) -> Callable[..., Any]:
    """Make the method that tells whether all or any elements are true."""

    def method(self: Tensor, dim: Any = None, keepdim: bool = False) -> Tensor:
        return wrap(reduce(self._data, axis=dim, keepdims=keepdim))

    method.__doc__ = f"Tell whether {reduce.__name__} elements, or those along `dim`, are true: a tensor of bool."
    return method


_METHODS: dict[str, Callable[..., Any]] = {
    "__neg__": arithmetic.neg,
    "__abs__": arithmetic.abs,
    "__getitem__": shaping.getitem,
    "abs": arithmetic.abs,
    "clamp": arithmetic.clamp,
    "clip": arithmetic.clamp,
    "exp": arithmetic.exp,
    "log": arithmetic.log,
    "pow": arithmetic.pow,
    "sqrt": arithmetic.sqrt,
    "matmul": matmul,
    "all": _truth(np.all),
    "any": _truth(np.any),
    "argmax": reduction.argmax,
    "argmin": reduction.argmin,
    "max": reduction.max,
    "mean": reduction.mean,
    "min": reduction.min,
    "prod": reduction.prod,
    "std": reduction.std,
    "sum": reduction.sum,
    "var": reduction.var,
    "broadcast_to": shaping.broadcast_to,
    "chunk": shaping.chunk,
    "expand": shaping.expand,
    "flatten": shaping.flatten,
    "permute": shaping.permute,
    "reshape": shaping.reshape,
    "split": shaping.split,
    "squeeze": shaping.squeeze,
    "transpose": shaping.transpose,
    "unsqueeze": shaping.unsqueeze,
    "view": shaping.reshape,
}
for _name, _operation in _METHODS.items():
    setattr(Tensor, _name, _operation)

setattr(Tensor, "T", property(shaping.permute, doc="The tensor with its dimensions reversed."))  # noqa: B010
setattr(Tensor, "__hash__", object.__hash__)  # noqa: B010  # a class that gets __eq__ keeps hashing by identity

UFUNCS.update(
    {
        np.absolute: arithmetic.abs,
        np.exp: arithmetic.exp,
        np.log: arithmetic.log,
        np.maximum: arithmetic.maximum,
        np.minimum: arithmetic.minimum,
        np.negative: arithmetic.neg,
        np.sqrt: arithmetic.sqrt,
        np.square: lambda x: arithmetic.mul(x, x),
        np.tanh: activation.tanh,
        np.reciprocal: lambda x: arithmetic.div(1.0, x),
    }
)
