"""Rows of the table for functions of elements."""

from __future__ import annotations

import numpy as np

from fastnn import functional as F
from tests.functional.row import Row, positive
from tests.reference.arithmetic import MATHEMATICS as REFERENCE


def _within(name: str) -> Row:
    edge = {"tan": 1.3, "lgamma": 5, "digamma": 5}.get(name, 2.2)
    low, high = max(REFERENCE[name][1], -edge) + 0.1, min(REFERENCE[name][2], edge) - 0.1
    return Row(getattr(F, name), make=lambda rng: (rng.uniform(low + (low < 1 and low > 0) * 0.3, high, (3, 4)),))


MATHEMATICS = {name: _within(name) for name in REFERENCE}
MATHEMATICS["pow cube root"] = Row(F.pow, make=lambda rng: (rng.uniform(0.5, 2, (3, 4)),), options={"exponent": 1 / 3})
MATHEMATICS["pow square root"] = Row(F.pow, make=lambda rng: (rng.uniform(0.5, 2, (3, 4)),), options={"exponent": 0.5})
MATHEMATICS["pow reciprocal"] = Row(F.pow, make=lambda rng: (rng.uniform(0.5, 2, (3, 4)),), options={"exponent": -1})
MATHEMATICS["pow of a number"] = Row(lambda x: F.pow(2.5, x), ((3, 4),))

A, B = (3, 1), (4,)
MATHEMATICS |= {
    "add alpha": Row(F.add, (A, B), {"alpha": 2.5}),
    "sub alpha": Row(F.sub, (A, B), {"alpha": -2}),
    "div trunc": Row(F.div, (A, B), {"rounding_mode": "trunc"}),
    "div floor": Row(F.div, (A, B), {"rounding_mode": "floor"}),
    "fmax": Row(F.fmax, (A, B)),
    "fmin": Row(F.fmin, (A, B)),
    "copysign": Row(F.copysign, (A, B)),
    "fmod": Row(F.fmod, ((5,),), {"other": 0.7}),
    "fmod divisor": Row(F.fmod, make=lambda rng: (np.array([5.3, -4.7]), np.array([[1.1], [-2.3]]))),
    "remainder": Row(F.remainder, make=lambda rng: (np.array([5.3, -4.7]), np.array([[1.1], [-2.3]]))),
    "floor_divide": Row(F.floor_divide, make=lambda rng: (np.array([5.3, -4.7]), np.array([[1.1], [-2.3]]))),
    "atan2": Row(F.atan2, (A, B)),
    "hypot": Row(F.hypot, (A, B)),
    "logaddexp": Row(F.logaddexp, (A, B)),
    "logaddexp2": Row(F.logaddexp2, (A, B)),
    "xlogy": Row(F.xlogy, make=positive(A, B)),
    "lerp": Row(F.lerp, (A, B, (2, 1, 1))),
    "lerp number": Row(F.lerp, (A, B), {"weight": 0.7}),
    "addcmul": Row(lambda *xs: F.addcmul(*xs, value=0.5), (A, B, (2, 1, 1))),
    "addcdiv": Row(lambda *xs: F.addcdiv(*xs, value=2), make=positive(A, B, (2, 1, 1))),
    "sgn": Row(F.sgn, (A,)),
    "deg2rad": Row(F.deg2rad, (A,)),
    "rad2deg": Row(F.rad2deg, (A,)),
    "ldexp": Row(F.ldexp, (A, B)),
    "logit": Row(F.logit, make=lambda rng: (rng.uniform(0.1, 0.9, 5),)),
    "logit eps": Row(F.logit, make=lambda rng: (np.array([-1, 0.05, 0.3, 0.5, 2]),), options={"eps": 0.1}),
    "sinc": Row(F.sinc, (A,)),
    "nan_to_num": Row(F.nan_to_num, (A,)),
    "round decimals": Row(F.round, (A,), {"decimals": 1}),
    # --- reductions
    "amax": Row(F.amax, ((3, 4),)),
    "amax dims": Row(F.amax, ((2, 3, 4),), {"dim": (0, -1)}),
    "amax ties": Row(F.amax, ((2, 3),), {"dim": 1, "keepdim": True}),
    "amin": Row(F.amin, ((2, 3, 4),), {"dim": [1]}),
    "aminmax": Row(F.aminmax, ((3, 4),), {"dim": 1}),
    "logsumexp": Row(F.logsumexp, ((3, 4),), {"dim": 1}),
    "logsumexp dims": Row(F.logsumexp, ((2, 3, 4),), {"dim": (0, 2), "keepdim": True}),
    "nansum": Row(F.nansum, ((3, 4),), {"dim": 0}),
    "nanmean": Row(F.nanmean, ((3, 4),), {"dim": 1}),
    "var unbiased": Row(F.var, ((3, 4),), {"dim": 1, "unbiased": False}),
    "var_mean": Row(F.var_mean, ((3, 4),), {"dim": 0}),
    "std_mean": Row(F.std_mean, ((3, 4),), {"correction": 0}),
    "norm": Row(F.norm, ((3, 4),)),
    "norm one": Row(F.norm, ((3, 4),), {"p": 1, "dim": 1}),
    "norm three": Row(F.norm, ((3, 4),), {"p": 3, "dim": 0, "keepdim": True}),
    "norm half": Row(F.norm, make=positive((3, 4)), options={"p": 0.5, "dim": 0}),
    "norm largest": Row(F.norm, ((3, 4),), {"p": np.inf, "dim": 1}),
    "norm smallest": Row(F.vector_norm, ((3, 4),), {"ord": -np.inf, "dim": 1}),
    "dist": Row(F.dist, ((3, 4), (4,))),
    "median": Row(F.median, ((3, 4),)),
    "median dim": Row(lambda x: F.median(x, 1).values, ((3, 4),)),
    "nanmedian": Row(lambda x: F.nanmedian(x, 0, True).values, ((3, 4),)),
    "quantile": Row(F.quantile, ((3, 5),), {"q": 0.3, "dim": 1}),
    "quantile several": Row(F.quantile, ((3, 5),), {"q": [0.1, 0.5, 0.9]}),
    "nanquantile": Row(F.nanquantile, ((3, 5),), {"q": 0.8, "dim": 0, "keepdim": True}),
    "max of two": Row(lambda x, y: F.max(x, y), ((3, 4), (4,))),
    "min of two": Row(lambda x, y: F.min(x, y), ((3, 4), (4,))),
}
