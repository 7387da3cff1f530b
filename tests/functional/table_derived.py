"""Rows of the table for functions that follow from others."""

from __future__ import annotations

from fastnn import functional as F
from tests.functional.row import Row

DERIVED = {
    "clamp_min": Row(F.clamp_min, ((3, 4), (4,))),
    "clamp_max": Row(F.clamp_max, ((3, 4),), {"max": 0.1}),
    "rsub": Row(F.rsub, ((3, 4), (4,)), {"alpha": 2}),
    "cross": Row(F.cross, ((2, 3, 4), (2, 3, 4))),
    "cross dim": Row(F.cross, ((4, 3), (4, 3)), {"dim": -1}),
    "renorm": Row(F.renorm, ((3, 4),), {"p": 2, "dim": 0, "maxnorm": 1.0}),
    "renorm columns": Row(F.renorm, ((2, 3, 4),), {"p": 3, "dim": -1, "maxnorm": 0.5}),
    "cov": Row(F.cov, ((3, 5),)),
    "cov of one": Row(F.cov, ((5,),), {"correction": 0}),
    "corrcoef": Row(F.corrcoef, ((3, 5),)),
    "trapezoid": Row(F.trapezoid, ((3, 4),), {"dx": 0.5}),
    "trapezoid places": Row(lambda y, x: F.trapezoid(y, x, dim=0), ((4, 3), (4,))),
    "trapezoid places of each": Row(lambda y, x: F.trapezoid(y, x), ((3, 4), (3, 4))),
    "cumulative_trapezoid": Row(F.cumulative_trapezoid, ((3, 4), (4,))),
    "mode": Row(lambda x: F.mode(x, 1).values, ((3, 4),)),
}
