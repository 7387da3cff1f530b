"""Rows that are added to, or otherwise joined with, the rows that indices name."""

import numpy as np

from ..ground.backend import plans
from ..ground.checks import indices
from ..ground.outputs import deliver

JOIN = {"sum": np.add, "mean": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}


@plans("index_reduce")
def index_reduce(problem):
    """Join row by row, and count them."""
    shape, join = problem.shape, JOIN[problem.reduce]

    def run(out, x, index, source, *_):
        y = np.zeros(shape, source.dtype) if x is None else np.array(x)
        counts = np.full(shape[0], int(problem.include_self))
        for n, row in zip(indices("index_reduce", "index", index, None, shape[0]), source, strict=True):
            y[n] = join(y[n], row) if counts[n] else row
            counts[n] += 1
        if problem.reduce == "mean":
            y /= np.maximum(counts, 1).reshape(-1, *[1] * (y.ndim - 1))
        return deliver(None, y)

    return run
