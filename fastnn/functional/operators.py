"""Give Tensor its operators and methods: each is the function of the same meaning, recorded like it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn._tape import grad_mode
from fastnn._tensor import UFUNCS, WITHOUT_GRADIENT
from fastnn.tape import Tensor

from . import in_place, methods, names
from .comparison import UFUNCS as MASKS
from .promotion import alike

# kernels that may write over their first argument, for what is done in place most often
WRITING: dict[str, Callable[..., Any]] = {
    "add": kernels.add,
    "sub": kernels.sub,
    "mul": kernels.mul,
    "div": kernels.div,
}
# ufuncs whose names here are others; all others are found by their own
RENAMED = {
    "arccos": "acos",
    "arccosh": "acosh",
    "arcsin": "asin",
    "arcsinh": "asinh",
    "arctan": "atan",
    "arctan2": "atan2",
    "arctanh": "atanh",
    "absolute": "abs",
    "fabs": "abs",
    "degrees": "rad2deg",
    "radians": "deg2rad",
    "divide": "div",
    "float_power": "float_power",
    "mod": "remainder",
    "multiply": "mul",
    "negative": "neg",
    "power": "pow",
    "rint": "round",
    "subtract": "sub",
}
NUMPYS = """
absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil copysign cos cosh deg2rad degrees divide
exp exp2 expm1 fabs float_power floor floor_divide fmax fmin fmod heaviside hypot log log10 log1p log2 logaddexp
logaddexp2 matmul maximum minimum multiply negative positive power rad2deg radians reciprocal remainder rint sign sin
sinh sqrt square subtract tan tanh trunc
""".split()


def _reflected(operation: Callable[..., Any]) -> Callable[..., Any]:
    return lambda self, other: operation(other, self)


def _arithmetic(name: str, operation: Callable[..., Any], kernel: Callable[..., Any]) -> Callable[..., Tensor]:
    """Make an in-place form that has a quick way for plain memory."""

    def method(self: Tensor, other: Any, **options: Any) -> Tensor:
        if self._node is None and not options:
            value = other
            if isinstance(other, Tensor):
                value = other._data
                if other._node is not None and grad_mode.enabled:
                    return in_place.become(name, self, operation, other)
            target = self._writable()
            if alike(target, value) and (type(value) is not np.ndarray or value.shape == target.shape):
                kernel(target, value, out=target)
                return self
        return in_place.become(name, self, operation, other, **options)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Do as `{operation.__name__}`, in place: the tensor itself gets the result."
    return method


def _in_place(name: str, function: str, operation: Callable[..., Any]) -> Callable[..., Tensor]:
    if function in WRITING:
        return _arithmetic(name, operation, WRITING[function])
    return in_place.in_place(name, operation)


def everyday(functions: Mapping[str, Any]) -> dict[str, Any]:
    """Give all methods and operators that Tensor gets, by name."""
    known = {**functions, "t": methods.t}
    known.update({alias: known[name] for alias, name in names.ALIASES.items() if name in known})
    both = names.BOTH | {alias for alias, name in names.ALIASES.items() if name in names.BOTH}
    made = {name: known[name] for name in both | names.METHODS if name in known}
    made |= methods.METHODS
    made["view"] = functions["reshape"]
    made["__getitem__"] = functions["getitem"]
    made |= {"__neg__": functions["neg"], "__abs__": functions["abs"], "__pos__": lambda self: self}
    made["__invert__"] = functions["bitwise_not"]
    for operator, name in names.OPERATORS.items():
        if name in functions:
            operation = functions[name]
            made[f"__{operator}__"] = operation
            made[f"__r{operator}__"] = _reflected(operation)
            if name != "matmul":
                made[f"__i{operator}__"] = _in_place(f"__i{operator}__", name, operation)
    for name in names.COMPARISONS:
        made[f"__{name}__"] = functions[name]
    if "__mod__" in made and "__floordiv__" in made:
        made["__divmod__"] = lambda self, other: (self // other, self % other)
        made["__rdivmod__"] = lambda self, other: (other // self, other % self)
    for name in names.IN_PLACE | {a for a, name in names.ALIASES.items() if name in names.IN_PLACE}:
        if name in known:
            function = names.ALIASES.get(name, name)
            made[f"{name}_"] = _in_place(f"{name}_", function, known[name])
    for name in names.RESHAPING:
        if name in known:
            made[f"{name}_"] = in_place.reshaping(f"{name}_", known[name])
    made |= in_place.METHODS
    for name, (get, text) in methods.PROPERTIES.items():
        made[name] = property(get, doc=text)
    made["__hash__"] = object.__hash__  # a class that gets __eq__ keeps hashing by identity
    return made


def install(functions: Mapping[str, Any]) -> None:
    """Set the methods and operators of Tensor, and what computes NumPy's ufuncs of tensors."""
    for name, method in everyday(functions).items():
        setattr(Tensor, name, method)
    for name in NUMPYS:
        own = RENAMED.get(name, name)
        if own in functions:
            UFUNCS[getattr(np, name)] = functions[own]
    UFUNCS[np.square] = lambda x: functions["mul"](x, x)
    UFUNCS[np.reciprocal] = lambda x: functions["div"](1.0, x)
    for name, ufunc in MASKS.items():
        UFUNCS[ufunc] = functions[name]
        WITHOUT_GRADIENT.add(ufunc)
