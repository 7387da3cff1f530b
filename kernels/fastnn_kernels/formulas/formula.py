"""An elementwise function: its formula, the formula of its gradient, and what is known of both.

    @formula(layer="LeakyReLU", ulp=(0.5, 0.5), cheap=True)
    def leaky_relu(x, negative_slope=0.01):
        '''x above 0, negative_slope x below'''
        return x if x > type(x)(0) else x * negative_slope

    @leaky_relu.gradient
    def _(dy, x, negative_slope):
        return dy if x > type(x)(0) else dy * negative_slope

Formulas are ordinary functions of numbers. They may call `elementary.*`, `special.*`, `fma`, `math.sqrt` and `abs`, and
no other functions of this package. Those are the CPU's; a back end has its own under these names, see `rebound`.
"""

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any


class Formula:
    """All that is known of an elementwise function y = f(x, *parameters), apart from how it is compiled.

    name, doc: those of its function. parameters: names and usual values (None where there is none); usual_parameters:
    only the values. layer: the name of its class in `nn`, or None. ulp: its largest error in float32 and float64, in
    units in the last place, measured by `make exhaustive`. cheap: whether it costs less than reading its argument.
    gradient_of: whether its gradient takes the "output" or the "input".
    """

    gradient_of: str
    slope: Callable

    def __init__(self, function: Callable, layer: str | None, ulp: tuple[float, float], cheap: bool):
        empty = inspect.Parameter.empty
        self.name, self.doc = function.__name__, inspect.cleandoc(function.__doc__ or "")  # none under python -OO
        self.function, self.layer, self.ulp, self.cheap = function, layer, ulp, cheap
        _, *rest = inspect.signature(function).parameters.values()
        self.parameters = {p.name: None if p.default is empty else p.default for p in rest}
        self.usual_parameters = tuple(self.parameters.values())

    def gradient(self, function: Callable) -> Callable:
        """Take the formula of dx from dy and either x or y: its second argument says which."""
        value = list(inspect.signature(function).parameters)[1]
        if value not in ("x", "y"):
            raise TypeError(f"{self.name}.gradient: the second argument must be x or y, got {value!r}")
        self.gradient_of = "input" if value == "x" else "output"
        function.__name__ = function.__qualname__ = f"{self.name}_gradient"
        self.slope = function
        return function


def formula(*, layer: str | None = None, ulp: tuple[float, float], cheap: bool = False) -> Callable:
    """Make a `Formula` of a function."""
    return lambda function: Formula(function, layer, ulp, cheap)


def rebound(function: Callable, names: dict[str, Any]) -> Callable:
    """Return a formula that finds other functions under these names: another back end's mathematics."""
    return FunctionType(
        function.__code__,
        {**function.__globals__, **names},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
