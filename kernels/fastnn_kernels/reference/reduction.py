"""Reductions by NumPy, sums in float64."""

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver

FUNCTIONS = {"prod": np.prod, "max": np.max, "min": np.min, "argmax": np.argmax, "argmin": np.argmin}


@plans("sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin")
def reduce(problem):
    """Reduce the axes, in float64; divide; take the root."""
    (shape, dtype), axes = problem.result, problem.axes

    def run(out, x, *_):
        x = x.astype(np.float64)
        if problem.kind == "var":
            x = (x - x.mean(axes, keepdims=True)) ** 2
        if problem.kind.startswith("arg"):
            y = FUNCTIONS[problem.kind](x, None if len(axes) == x.ndim else axes[0])
        else:
            y = FUNCTIONS.get(problem.kind, np.sum)(x, axes) / problem.divisor
        y = np.sqrt(y) if problem.root else y
        y = deliver(out, np.asarray(y).reshape(shape).astype(dtype))
        return y if out is not None or shape else y[()]

    return run


@plans("prod_backward")
def prod_backward(problem):
    """Multiply the other factors of each element."""
    (shape, dtype), axes = problem.result, problem.axes
    kept = tuple(1 if d in axes else n for d, n in enumerate(shape))

    def run(out, dy, x, *_):
        dx, dy = np.empty(shape, dtype), np.broadcast_to(dy.reshape(kept), shape)
        for place in np.ndindex(shape):
            rows = tuple(slice(None) if d in axes else i for d, i in enumerate(place))
            others = np.array(x, np.float64)
            others[place] = 1
            dx[place] = dy[place] * others[rows].prod()
        return deliver(out, dx)

    return run


@plans("extremum_backward")
def extremum_backward(problem):
    """Share dy among the elements that equal y."""

    def run(out, dy, x, y):
        hits = (x == y) | (np.isnan(x) & np.isnan(y))
        return deliver(out, np.where(hits, dy / hits.sum(problem.axes, keepdims=True), 0).astype(x.dtype))

    return run
