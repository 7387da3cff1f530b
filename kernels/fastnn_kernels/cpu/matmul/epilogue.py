"""What runs over a finished block of a product while it is in cache: the activation."""

from ...formulas.activation import FUSED
from ...ground.jit import exact, jitted, shared
from ..activation import FUNCTIONS
from ..elementwise import Elementwise
from ..vector.simd import itemsize, vector_at

CODES = {name: code for code, name in enumerate(FUSED)}


def _switch():
    """Make activate(code, row): one test per function, and then that function's own loop, in vector code."""

    @jitted
    def nothing(code, row):
        pass

    switch = nothing
    for code, name in enumerate(FUSED):
        if name is not None:
            switch = _with_case(code, FUNCTIONS[name], switch)
    return switch


def _with_case(case, function: Elementwise, others):
    forward = _with_usual_parameter(function)

    def activate(code, row):
        if code != case:
            others(code, row)
        else:
            for i in range(row.size):
                row[i] = forward(row[i])

    activate.__qualname__ = f"activate.{function.name}"
    return jitted(activate)


def _with_usual_parameter(function: Elementwise):
    if not function.parameters:
        return function.forward
    forward, (parameter,) = function.forward, function.usual_parameters

    def with_usual_parameter(x):
        return forward(x, type(x)(parameter))

    with_usual_parameter.__qualname__ = f"activate.{function.name}.forward"
    return exact(with_usual_parameter)


activate = _switch()


@shared
def finish(number, code, m, n, c, c_row):
    """C(m, n) = activation(C), in place."""
    size = itemsize(number)
    if c_row == n:  # contiguous rows: one of m n numbers
        m, n = 1, m * n
    for i in range(m):
        activate(code, vector_at(number, c + i * c_row * size, n))
