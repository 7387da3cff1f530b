"""Steps of optimizers and clipping: the formulas, number by number."""

from math import inf

import numpy as np

from ..formulas.formula import rebound
from ..formulas.optimizer import UPDATES, regularized
from ..ground.backend import plans
from .math import NAMES

FUNCTIONS = {**NAMES, "sqrt": np.sqrt, "maximum": np.maximum, "minimum": np.minimum}


@plans(*[f"{name}_step" for name in UPDATES])
def step(problem):
    """Param and states, in place."""
    count, dtype = len(problem.buffers), problem.buffers[0].dtype
    penalized, update = (rebound(f, FUNCTIONS) for f in (regularized, UPDATES[problem.rule].function))

    def run(out, *arguments):
        (param, grad, *states), numbers = arguments[:count], [dtype.type(x) for x in arguments[count:]]
        scale, weight_decay, l1, keep, *own = numbers
        for i in range(len(param)):
            g = penalized(param[i], scale * grad[i], weight_decay, l1)
            param[i], *new = update(keep * param[i], g, *[state[i] for state in states], *own)
            for state, value in zip(states, new, strict=True):
                state[i] = value

    return run


@plans("clip_grad_norm")
def clip_grad_norm(problem):
    """The sum of |x|^p, or the largest |x|."""

    def run(out, grad, norm_type):
        x = np.abs(grad, dtype=np.float64)
        return float(x.max(initial=0) if norm_type == inf else (x**norm_type).sum())

    return run


@plans("clip_grad_norm_scale")
def scale(problem):
    """X factor."""

    def run(out, grad, factor):
        grad *= grad.dtype.type(factor)

    return run


@plans("clip_grad_value")
def clamp(problem):
    """X within its limits."""
    return lambda out, grad, limit: np.clip(grad, -limit, limit, out=grad)
