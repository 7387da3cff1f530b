"""The mechanism behind elementwise functions: from one entry in `cpu/activation.py`, all else follows.

An entry is a function of one number and its parameters, and below it its gradient:

    @elementwise(layer="LeakyReLU", ulp=(0.5, 0.5), grain=CHEAP)
    def leaky_relu(x, negative_slope=0.01):
        '''x above 0, negative_slope x below'''
        return x if x > type(x)(0) else x * negative_slope

    @leaky_relu.gradient
    def _(dy, x, negative_slope):
        return dy if x > type(x)(0) else dy * negative_slope

Out of it come the kernels (here), the entry points `kernels.leaky_relu` and `leaky_relu_backward`, the differentiable
`functional.leaky_relu`, the layer `nn.LeakyReLU`, their docstrings, stubs and tests, a row of the benchmark and one of
`docs/activations.md`. What has to be added by hand is the formula in float64 that the tests compare it with.
"""

import inspect
from collections.abc import Callable

from ..ground.elementwise import run_any_layout
from ..ground.jit import Kernel, exact, kernel
from .vector.simd import load, store

GRAIN = 32768  # elements worth waking a second thread for
CHEAP = 1 << 17  # the same, where a function costs less than reading its argument


class Elementwise:
    """All that is known of an elementwise function y = f(x, *parameters).

    name, doc: those of its formula. parameters: names and usual values (None where there is none); usual_parameters:
    only the values. layer: the name of its class in `nn`, or None. ulp: its largest error in float32 and float64, in
    units in the last place, measured by `make exhaustive`. grain: elements worth waking a second thread for.
    gradient_of: whether its gradient takes the "output" or the "input".
    """

    gradient_of: str
    forward_kernel: Kernel
    backward_kernel: Kernel

    def __init__(self, function: Callable, layer: str | None, ulp: tuple[float, float], grain: int):
        empty = inspect.Parameter.empty
        self.name, self.doc = function.__name__, inspect.cleandoc(function.__doc__ or "")  # none under python -OO
        self.layer, self.ulp, self.grain = layer, ulp, grain
        _, *rest = inspect.signature(function).parameters.values()
        self.parameters = {p.name: None if p.default is empty else p.default for p in rest}
        self.usual_parameters = tuple(self.parameters.values())
        self.forward = forward = exact(function)

        # Kernels take their slice first and count from 0: an index that starts at an unknown `lo` might count from the
        # end of an array, and for that LLVM compiles gathers, ten times slower.
        def loop(x, out, *rest):
            parameters, part = rest[:-2], slice(rest[-2], rest[-1])
            x, out = x[part], out[part]
            for i in range(x.size):
                store(out, i, forward(load(x, i), *parameters))

        self.forward_kernel = self._kernel(loop, function, f"{self.name}__vector", "T[::1], T[::1]", "x(n) -> out(n)")

    def gradient(self, function: Callable) -> Callable:
        """Take the formula of dx from dy and either x or y: its second argument says which."""
        value = list(inspect.signature(function).parameters)[1]
        self.gradient_of = {"x": "input", "y": "output"}[value]
        function.__name__ = function.__qualname__ = f"{self.name}_gradient"
        self.backward = gradient = exact(function)

        def loop(dy, v, out, *rest):
            parameters, part = rest[:-2], slice(rest[-2], rest[-1])
            dy, v, out = dy[part], v[part], out[part]
            for i in range(v.size):
                store(out, i, gradient(load(dy, i), load(v, i), *parameters))

        self.backward_kernel = self._kernel(
            loop, function, f"{self.name}_backward__vector", "T[::1], T[::1], T[::1]", f"dy(n), {value}(n) -> out(n)"
        )
        return function

    def apply(self, x, *parameters, out=None):
        """Return f(x), for an array in any layout; `out` may be x."""
        return run_any_layout(self.name, self.forward_kernel, self.grain, {"input": x}, *parameters, out)

    def apply_backward(self, dy, value, *parameters):
        """Return dy times the slope at `value`, the input or output that the gradient takes."""
        arrays = {"dy": dy, self.gradient_of: value}
        return run_any_layout(f"{self.name}_backward", self.backward_kernel, self.grain, arrays, *parameters, None)

    def _kernel(self, loop, formula, name, signature, shapes) -> Kernel:
        """Make a kernel of a loop, whose parameters come after its arrays."""
        loop.__doc__ = shapes
        loop.__module__ = formula.__module__  # the disk cache keys on it: edits of the formula must count
        return kernel(signature + ", T" * len(self.parameters), writes="out", parallel=True, name=name)(loop)


def elementwise(*, layer: str | None = None, ulp: tuple[float, float], grain: int = GRAIN) -> Callable:
    """Make an entry of a formula; see the module's text."""
    return lambda function: Elementwise(function, layer, ulp, grain)
