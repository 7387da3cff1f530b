"""Activations and their gradients: the formulas, number by number."""

from functools import partial

import numpy as np

from ..formulas import activation as formulas
from ..formulas.formula import rebound
from ..ground.backend import plans
from ..ground.outputs import deliver
from .math import NAMES


def _constant(values):
    """Return the function of a number that gives a constant of its dtype."""
    return lambda x: type(x)(values[isinstance(x, np.float64)])


CONSTANTS = {name: _constant(c.values) for name, c in vars(formulas).items() if hasattr(c, "values") and name.isupper()}


def _plan(formula, problem):
    def run(out, *arguments):
        arrays, dtype = arguments[: len(problem.arrays)], problem.arrays[0].dtype
        parameters = [dtype.type(number) for number in arguments[len(arrays) :]]
        y = np.empty(problem.result[0], dtype)
        for place in np.ndindex(y.shape):
            y[place] = formula(*[x[place] for x in arrays], *parameters)
        return deliver(out, y)

    return run


for _spec in formulas.FORMULAS.values():
    plans(_spec.name)(partial(_plan, rebound(_spec.function, {**NAMES, **CONSTANTS})))
    plans(f"{_spec.name}_backward")(partial(_plan, rebound(_spec.slope, {**NAMES, **CONSTANTS})))
