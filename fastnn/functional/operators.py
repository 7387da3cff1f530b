"""Give Tensor its operators and methods: each is the function of the same meaning, recorded like it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastnn._tape import Leaf, Node, grad_mode
from fastnn.tensor import UFUNCS, Tensor, unwrap, wrap

from . import arithmetic, reduction, shaping
from .matmul import matmul


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
        target = self._writable()
        ufunc(target, unwrap(other), out=target, casting="same_kind")
        return self

    return method


def _compare(ufunc: np.ufunc) -> Callable[..., Any]:
    """Comparisons have no gradient."""
    return lambda self, other: wrap(ufunc(self._data, unwrap(other)))


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

for _name, _operation, _ufunc in _ARITHMETIC:
    setattr(Tensor, f"__{_name}__", _operation)
    setattr(Tensor, f"__r{_name}__", _reflected(_operation))
    UFUNCS[_ufunc] = _operation
    if _name != "matmul":
        setattr(Tensor, f"__i{_name}__", _in_place(_operation, _ufunc))

for _name, _ufunc in _COMPARISONS:
    setattr(Tensor, f"__{_name}__", _compare(_ufunc))

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
    }
)
