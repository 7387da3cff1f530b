"""Running sums, products and logarithms of sums along a dimension."""

import numpy as np

from ..ground.backend import plans
from ..ground.outputs import deliver


def _lines(problem, *arrays):
    """Yield the lines of a result and of the arrays along the dimension, as float64."""
    made = [np.moveaxis(np.asarray(x, np.float64), problem.dim, -1) if x.ndim else x.reshape(1) for x in arrays]
    for place in np.ndindex(made[0].shape[:-1]):
        yield place, *[x[place] for x in made]


def _plan(line):
    """Return a planner of line(*lines) -> line of the result."""

    def plan(problem):
        def run(out, *arguments):
            arrays = arguments[: len(problem.arrays)]
            y = np.empty(arrays[0].shape, arrays[0].dtype)
            result = np.moveaxis(y, problem.dim, -1) if y.ndim else y.reshape(1)
            for place, *lines in _lines(problem, *arrays):
                result[place] = line(problem, *lines)
            return deliver(None, y)

        return run

    return plan


def _cumsum(problem, x):
    return np.cumsum(x[::-1])[::-1] if problem.reverse else np.cumsum(x)


def _cumprod_backward(problem, dy, x, y):
    dx = np.empty_like(x)
    for n in range(len(x)):
        before, products = y[n - 1] if n else 1.0, np.cumprod(np.concatenate([[1.0], x[n + 1 :]]))
        dx[n] = before * (dy[n:] * products).sum()
    return dx


def _logcumsumexp(problem, x):
    return [x[: n + 1].max() + np.log(np.exp(x[: n + 1] - x[: n + 1].max()).sum()) for n in range(len(x))]


def _logcumsumexp_backward(problem, dy, x, y):
    return [(dy[n:] * np.exp(x[n] - y[n:])).sum() for n in range(len(x))]


plans("cumsum")(_plan(_cumsum))
plans("cumprod")(_plan(lambda problem, x: np.cumprod(x)))
plans("cumprod_backward")(_plan(_cumprod_backward))
plans("logcumsumexp")(_plan(_logcumsumexp))
plans("logcumsumexp_backward")(_plan(_logcumsumexp_backward))
