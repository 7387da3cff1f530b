"""Functions of mathematics and their gradients: the formulas, number by number."""

from functools import partial

from ..formulas.formula import rebound
from ..formulas.mathematics import FORMULAS
from ..ground.backend import plans
from .activation import plan
from .math import NAMES

for _name, _spec in FORMULAS.items():
    plans(_name)(partial(plan, rebound(_spec.function, NAMES)))
    plans(f"{_name}_backward")(partial(plan, rebound(_spec.slope, NAMES)))
