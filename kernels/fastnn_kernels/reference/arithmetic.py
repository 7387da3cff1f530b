"""Arithmetic of two arrays: the formulas, on whole arrays."""

from functools import partial

from ..formulas.arithmetic import FORMULAS
from ..ground.backend import plans
from ..ground.outputs import deliver


def _plan(formula, problem):
    return lambda out, a, b: deliver(out, formula(a, b))


for _name, _formula in FORMULAS.items():
    plans(_name)(partial(_plan, _formula))
