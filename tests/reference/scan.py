"""Running sums, products and logarithms of sums, and joined rows: in float64, element by element."""

import numpy as np

EPS = {np.dtype(t): float(np.finfo(t).eps) for t in (np.float32, np.float64)}


def along(function, x, dim):
    """Apply a function of a line along `dim` in float64."""
    x = np.asarray(x, np.float64)
    if not x.size:
        return x
    return np.apply_along_axis(function, dim, x) if x.ndim else function(x.reshape(1)).reshape(())


def logcumsumexp(line):
    with np.errstate(all="ignore"):
        return np.logaddexp.accumulate(line)


def index_reduce(x, index, source, reduce, include_self):
    y = np.array(x, np.float64)
    for n in set(index.tolist()):
        rows = [np.asarray(row, np.float64) for m, row in zip(index, source, strict=True) if m == n]
        rows = [y[n].copy(), *rows] if include_self else rows
        joined = {"sum": np.sum, "prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
        y[n] = joined(np.array(rows), 0)
    return y
