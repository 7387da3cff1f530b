"""Sums, differences, products and quotients: NumPy's, broadcasting included, with threads and reused memory.

float32 and float64 arrays are computed by kernels; whatever else NumPy takes (other dtypes, numbers with integers),
NumPy computes. `out` may be one of the inputs if that has the result's shape, and must not overlap them otherwise.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from .ground.checks import F4, F8, as_array, canonical, check_writable
from .ground.elementwise import Elementwise, ElementwiseOperation, elementwise_entry

NUMBERS = {float, int}


class Broadcast(NamedTuple):
    """Two arrays, the shape that both are broadcast to, and the layout of `out` if there is one."""

    arrays: tuple[Any, Any]
    shape: tuple[int, ...]
    out: Any = None

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.shape, self.arrays[0].dtype


class _Binary(ElementwiseOperation):
    def _check(self, input, other) -> Any:
        if input.shape == other.shape:
            return Elementwise((input, other))
        try:
            shape = np.broadcast_shapes(input.shape, other.shape)
        except ValueError:
            raise ValueError(
                f"{self.name}: input {input.shape}, other {other.shape} could not be broadcast together"
            ) from None
        return Broadcast((input, other), shape)


def _entry(name, ufunc, text):
    def numpy(out, input, other):
        """Compute what kernels do not: one array of floats and numbers that keep its dtype, or two arrays, they do."""
        dtypes = [x.dtype for x in (input, other) if type(x) is ndarray]
        if len(dtypes) == 2 and all(dtype in (F4, F8) for dtype in dtypes):
            return NotImplemented
        for key, x in (("input", input), ("other", other)):
            as_array(name, key, x)  # but numbers stay numbers, whose dtype counts less
        if out is not None:
            check_writable(name, "out", out)
        if len(dtypes) == 1 and dtypes[0] in (F4, F8) and {type(input), type(other)} & NUMBERS:
            number = other if type(input) is ndarray else input
            if type(number) is float or abs(number) < 2**53:
                single = np.full((), number, dtypes[0])
                pair = (input, single) if type(input) is ndarray else (single, other)
                return operation.find(out, *pair)
        try:
            return canonical(ufunc(input, other)) if out is None else ufunc(input, other, out=out)
        except (TypeError, ValueError, OverflowError) as error:
            shapes = f"input {np.shape(input)}, other {np.shape(other)}" + f", out {np.shape(out)}" * (out is not None)
            kind = TypeError if isinstance(error, TypeError) else ValueError  # NumPy has subclasses of its own
            raise kind(f"{name}: {shapes}: {error}") from None

    operation = _Binary(name, __name__, ("input", "other"), {}, numpy)
    return elementwise_entry(operation, {}, text)


add = _entry("add", np.add, "Return input + other, as numpy.add does.")
sub = _entry("sub", np.subtract, "Return input - other, as numpy.subtract does.")
mul = _entry("mul", np.multiply, "Return input times other, as numpy.multiply does.")
div = _entry("div", np.divide, "Return input / other, as numpy.divide does; infinity or NaN where other is 0.")
