"""Activations on a CPU: a kernel for each formula and its gradient, and how they run."""

from functools import partial

from ..formulas.activation import FORMULAS
from ..ground.backend import plans, quick
from .elementwise import SMALL, Elementwise, dense

FUNCTIONS = {name: Elementwise(formula, __name__) for name, formula in FORMULAS.items()}
relu = FUNCTIONS["relu"]


def register(operation, kernel, grain, inputs):
    """Let an elementwise operation run by a kernel: small contiguous arrays in one C call, others by a plan."""
    quick(operation, lambda dtype, otherwise: kernel.flat(dtype, inputs, SMALL, otherwise))
    plans(operation)(partial(_plan, kernel, grain))


def _plan(kernel, grain, problem):
    out = None if problem.out is None else problem.out.ghost()
    return dense(kernel, grain, [array.ghost() for array in problem.arrays], out)


for _spec in FUNCTIONS.values():
    register(_spec.name, _spec.forward_kernel, _spec.grain, 1)
    register(f"{_spec.name}_backward", _spec.backward_kernel, _spec.grain, 2)
