"""A row of the table of differentiable operations, and how far off finite differences are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# Central differences of step h err by h**2 times the third derivative, and by eps / h from rounding; both are about
# eps**(2/3) = 4e-11 at the best step. The operations of the table have third derivatives of up to some 1000.
STEP = np.finfo(np.float64).eps ** (1 / 3)
TOLERANCE = 1000 * np.finfo(np.float64).eps ** (2 / 3)


class Row(NamedTuple):
    """One call of an operation: its inputs by shape, or by what `make` gives, and its other arguments."""

    operation: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...] = ()
    options: dict[str, Any] = {}  # noqa: RUF012
    make: Callable[[np.random.Generator], tuple[Any, ...]] | None = None

    def inputs(self) -> tuple[Any, ...]:
        """Draw the inputs, the same at every call."""
        rng = np.random.default_rng(7)
        return self.make(rng) if self.make else tuple(rng.normal(size=shape) for shape in self.shapes)


def positive(*shapes: tuple[int, ...]) -> Callable[[np.random.Generator], tuple[Any, ...]]:
    """Draw inputs from 0.5 .. 2."""
    return lambda rng: tuple(rng.uniform(0.5, 2, shape) for shape in shapes)
