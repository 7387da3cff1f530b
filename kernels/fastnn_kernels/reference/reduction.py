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
