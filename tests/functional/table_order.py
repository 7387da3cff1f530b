"""Rows of the table for running sums and their kin, and for what is sorted."""

from __future__ import annotations

import numpy as np

from fastnn import functional as F
from tests.functional.row import Row

ZEROS = np.array([[1.0, 0.0, 2.0, 0.0], [0.0, 1.0, 3.0, 2.0], [1.5, 2.0, 1.0, 0.0]])

ORDER = {
    # --- scan
    "cumsum": Row(F.cumsum, ((2, 3, 4),), {"dim": 1}),
    "cumsum scalar": Row(F.cumsum, ((),), {"dim": 0}),
    "cumprod": Row(F.cumprod, ((3, 4),), {"dim": -1}),
    "cumprod zeros": Row(F.cumprod, options={"dim": 1}, make=lambda rng: (ZEROS,)),
    "logcumsumexp": Row(F.logcumsumexp, ((2, 3, 4),), {"dim": 0}),
    "logcumsumexp last": Row(F.logcumsumexp, ((3, 4),), {"dim": -1}),
    "cummax": Row(lambda x: F.cummax(x, 1).values, ((3, 6),)),
    "cummin": Row(lambda x: F.cummin(x, 0).values, ((6, 3),)),
    "diff": Row(F.diff, ((2, 5),), {"n": 2}),
    "diff joined": Row(lambda x, a: F.diff(x, dim=0, prepend=a, append=x), ((3, 4), (1, 4))),
    # --- sorting
    "sort": Row(lambda x: F.sort(x, 1).values, ((3, 5),)),
    "sort falling": Row(lambda x: F.sort(x, 0, descending=True).values, ((4, 2),)),
    "msort": Row(F.msort, ((4, 2),)),
    "topk": Row(lambda x: F.topk(x, 2).values, ((3, 5),)),
    "topk smallest": Row(lambda x: F.topk(x, 3, 0, largest=False).values, ((5, 2),)),
    "kthvalue": Row(lambda x: F.kthvalue(x, 2, 0).values, ((4, 3),)),
    # --- indexing
    "index_put": Row(lambda x, v: F.index_put(x, (np.array([1, 0]),), v), ((3, 4), (2, 1))),
    "index_put added": Row(lambda x, v: F.index_put(x, (np.array([1, 1]), np.array([0, 0])), v, True), ((3, 4), (2,))),
}
