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


def elementwise(formula, arrays, parameters):
    """Return formula(*elements, *parameters) for each element of arrays of one shape."""
    y = np.empty(arrays[0].shape, arrays[0].dtype)
    numbers = [y.dtype.type(number) for number in parameters]
    for place in np.ndindex(y.shape):
        y[place] = formula(*[x[place] for x in arrays], *numbers)
    return y


def plan(formula, problem):
    """Plan a formula of arrays of one shape, and of numbers."""
    count = len(problem.arrays)
    return lambda out, *given: deliver(out, elementwise(formula, given[:count], given[count:]))


def activated(name, x):
    """Return the activation of this name of an array, with its usual parameters; x itself for None."""
    return x if name is None else elementwise(FORWARD[name], [x], formulas.FORMULAS[name].usual_parameters)


def activated_backward(name, dy, value):
    """Return dy times the slope of an activation at `value`, the input or output that it takes; dy for None."""
    return dy if name is None else elementwise(BACKWARD[name], [dy, value], formulas.FORMULAS[name].usual_parameters)


FORWARD, BACKWARD = {}, {}
for _name, _spec in formulas.FORMULAS.items():
    FORWARD[_name] = rebound(_spec.function, {**NAMES, **CONSTANTS})
    BACKWARD[_name] = rebound(_spec.slope, {**NAMES, **CONSTANTS})
    plans(_name)(partial(plan, FORWARD[_name]))
    plans(f"{_name}_backward")(partial(plan, BACKWARD[_name]))
