"""Rows of the table for functions of elements."""

from __future__ import annotations

from fastnn import functional as F
from tests.functional.row import Row
from tests.reference.arithmetic import MATHEMATICS as REFERENCE


def _within(name: str) -> Row:
    edge = 1.3 if name == "tan" else 2.2
    low, high = max(REFERENCE[name][1], -edge) + 0.1, min(REFERENCE[name][2], edge) - 0.1
    return Row(getattr(F, name), make=lambda rng: (rng.uniform(low + (low < 1 and low > 0) * 0.3, high, (3, 4)),))


MATHEMATICS = {name: _within(name) for name in REFERENCE}
MATHEMATICS["pow cube root"] = Row(F.pow, make=lambda rng: (rng.uniform(0.5, 2, (3, 4)),), options={"exponent": 1 / 3})
MATHEMATICS["pow square root"] = Row(F.pow, make=lambda rng: (rng.uniform(0.5, 2, (3, 4)),), options={"exponent": 0.5})
MATHEMATICS["pow reciprocal"] = Row(F.pow, make=lambda rng: (rng.uniform(0.5, 2, (3, 4)),), options={"exponent": -1})
MATHEMATICS["pow of a number"] = Row(lambda x: F.pow(2.5, x), ((3, 4),))
