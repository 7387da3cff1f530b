"""Functions of several arrays: the formulas, number by number."""

from functools import partial

import numpy as np

from ..formulas.arithmetic import FORMULAS
from ..formulas.formula import rebound
from ..ground.backend import plans
from ..ground.outputs import deliver
from .math import NAMES


def _plan(formula, problem):
    shape, dtype = problem.result

    def run(out, *arrays):
        y = np.empty(shape, dtype)
        arrays = [np.broadcast_to(x, shape) for x in arrays]
        for place in np.ndindex(shape):
            y[place] = formula(*[x[place] for x in arrays])
        return deliver(out, y)

    return run


for _name, _function in FORMULAS.items():
    plans(_name)(partial(_plan, rebound(_function, NAMES)))
