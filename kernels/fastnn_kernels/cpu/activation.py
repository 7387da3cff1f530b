"""Elementwise functions: one table, from which their kernels follow.

To add a function, add its entry to FUNCTIONS. Its forward and gradient are `@exact` functions of one number, so plain
loops over them compile to vector code.
"""

from collections.abc import Callable
from typing import NamedTuple

from .. import _elementary as elementary
from .._jit import exact, jitted, kernel


@exact
def relu(x):
    """Return max(x, 0), and NaN for NaN."""
    return type(x)(0) if x < type(x)(0) else x


@exact
def relu_gradient(dy, y):
    """Return dy where y is above 0."""
    return type(y)(0) if y <= type(y)(0) else dy


@exact
def leaky_relu(x, negative_slope):
    """Return x above 0, negative_slope x below."""
    return x if x > type(x)(0) else x * negative_slope


@exact
def leaky_relu_gradient(dy, y, negative_slope):
    """Return dy above 0, negative_slope dy below: for slopes of at least 0, y has the sign of x."""
    return dy if y > type(y)(0) else dy * negative_slope


@exact
def sigmoid_gradient(dy, y):
    """Return dy y (1 - y)."""
    return dy * (y * (type(y)(1) - y))


@exact
def tanh_gradient(dy, y):
    """Return dy (1 - y^2), as a product because 1 - y^2 would lose digits near 1."""
    one = type(y)(1)
    return dy * ((one - y) * (one + y))


@exact
def gelu_gradient(dy, x):
    """Return dy times the slope at x."""
    return dy * elementary.gelu_slope(x)


@exact
def gelu_tanh_gradient(dy, x):
    """Return dy times the slope at x."""
    return dy * elementary.gelu_tanh_slope(x)


@exact
def exp_gradient(dy, y):
    """Return dy e^x."""
    return dy * y


@exact
def log_gradient(dy, x):
    """Return dy / x."""
    return dy / x


class Elementwise(NamedTuple):
    """All that is known of an elementwise function.

    y = forward(x, *parameters) and dx = gradient(dy, v, *parameters), where v is y or x: `gradient_of` says which.
    """

    name: str
    forward: Callable
    gradient: Callable
    gradient_of: str
    parameters: tuple[float, ...] = ()  # their usual values
    grain: int = 32768  # elements worth waking a second thread for


FUNCTIONS = {
    function.name: function
    for function in (
        Elementwise("relu", relu, relu_gradient, "output", grain=1 << 17),
        Elementwise("leaky_relu", leaky_relu, leaky_relu_gradient, "output", (0.01,), grain=1 << 17),
        Elementwise("sigmoid", elementary.sigmoid, sigmoid_gradient, "output"),
        Elementwise("tanh", elementary.tanh, tanh_gradient, "output"),
        Elementwise("gelu", elementary.gelu, gelu_gradient, "input"),
        Elementwise("gelu_tanh", elementary.gelu_tanh, gelu_tanh_gradient, "input"),
        Elementwise("exp", elementary.exp, exp_gradient, "output"),
        Elementwise("log", elementary.log, log_gradient, "input"),
    )
}


def _forward_kernel(spec: Elementwise):
    forward = spec.forward

    # Kernels take their slice first and count from 0: an index that starts at an unknown `lo` might count from the end
    # of an array, and for that LLVM compiles gathers, ten times slower.
    def loop(x, out, *rest):
        parameters, part = rest[:-2], slice(rest[-2], rest[-1])
        x, out = x[part], out[part]
        for i in range(x.size):
            out[i] = forward(x[i], *parameters)

    return _kernel(loop, spec, f"{spec.name}__vector", "T[::1], T[::1]", "x(n) -> out(n)")


def _backward_kernel(spec: Elementwise):
    gradient = spec.gradient

    def loop(dy, v, out, *rest):
        parameters, part = rest[:-2], slice(rest[-2], rest[-1])
        dy, v, out = dy[part], v[part], out[part]
        for i in range(v.size):
            out[i] = gradient(dy[i], v[i], *parameters)

    signature = "T[::1], T[::1], T[::1]"
    return _kernel(loop, spec, f"{spec.name}_backward__vector", signature, f"dy(n), {spec.gradient_of}(n) -> out(n)")


def _kernel(loop, spec, name, signature, shapes):
    """Make a kernel of a loop, whose parameters come after its arrays."""
    loop.__name__ = loop.__qualname__ = name
    loop.__doc__ = shapes
    return kernel(signature + ", T" * len(spec.parameters), writes="out", parallel=True)(loop)


forward_kernels = {name: _forward_kernel(spec) for name, spec in FUNCTIONS.items()}
backward_kernels = {name: _backward_kernel(spec) for name, spec in FUNCTIONS.items()}

# What a matmul can apply to its result while it is in the cache, by number; 0 is nothing.
FUSED = (None, "relu", "leaky_relu", "sigmoid", "tanh", "gelu")


def _fused_switch():
    """Make activate(code, row): one test per function, and then that function's own loop, in vector code."""

    @jitted
    def nothing(code, row):
        pass

    switch = nothing
    for code, name in enumerate(FUSED):
        if name is not None:
            switch = _with_case(code, FUNCTIONS[name], switch)
    return switch


def _with_case(case, spec, others):
    forward = _with_usual_parameter(spec)

    def activate(code, row):
        if code != case:
            others(code, row)
        else:
            for i in range(row.size):
                row[i] = forward(row[i])

    activate.__qualname__ = f"activate.{spec.name}"
    return jitted(activate)


def _with_usual_parameter(spec):
    if not spec.parameters:
        return spec.forward
    forward, (parameter,) = spec.forward, spec.parameters

    def with_usual_parameter(x):
        return forward(x, type(x)(parameter))

    with_usual_parameter.__qualname__ = f"activate.{spec.name}.forward"
    return exact(with_usual_parameter)


activate = _fused_switch()
