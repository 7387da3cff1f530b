"""Every convolution and gradient on arrays of any layout between forbidden pages gives what plain arrays give.

Inputs, weights, outputs, gradients and all workspace end at a page that cannot be touched, or begin behind one; fresh
memory is full of NaN. The layers reach every algorithm, and every width of tails.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.memory import allocator
from fastnn_kernels.ground.threads import threads
from tests.kernels import guarded
from tests.kernels.guarded import LAYOUTS, lay
from tests.reference import conv_nd as reference

F4, F8 = np.float32, np.float64
ACTIVATIONS = {
    None: (lambda v: v, lambda dy, y: dy),
    "relu": (lambda v: np.maximum(v, 0), lambda dy, y: dy * (y > 0)),
    "tanh": (np.tanh, lambda dy, y: dy * (1 - y * y)),
}


class Case(NamedTuple):
    """A layer: of a batch of images of some size, by filters of a group for channels of a group."""

    batch: int
    groups: int
    channels: int
    filters: int
    size: Sequence[int]
    kernel: Sequence[int]
    stride: Sequence[int] | int = 1
    padding: Sequence[int] | int = 0
    dilation: Sequence[int] | int = 1


CASES = {
    "depthwise, strided": Case(1, 17, 1, 1, (61, 70), (3, 3), 2),
    "depthwise": Case(2, 33, 1, 1, (14, 19), (3, 3), 1, 1),
    "depthwise 5x5": Case(1, 19, 1, 1, (9, 31), (5, 5), 1, 2),
    "depthwise, dilated": Case(2, 5, 1, 1, (13, 17), (3, 2), (1, 3), (2, 1), (2, 3)),
    "depthwise, several filters": Case(2, 5, 1, 3, (11, 23), (3, 3), 1, 1),
    "depthwise, small": Case(3, 70, 1, 1, (5, 3), (3, 3), 2, 1),
    "depthwise signal": Case(2, 9, 1, 2, (37,), (4,), 3, 2),
    "groups": Case(2, 2, 2, 3, (7, 6), (3, 3)),
    "groups, strided": Case(1, 3, 5, 4, (13, 12), (3, 4), 2, 1),
    "groups, dilated": Case(2, 2, 17, 9, (9, 11), (3, 3), 1, 2, 2),
    "pointwise": Case(2, 1, 9, 35, (11, 13), (1, 1)),
    "pointwise, few pixels": Case(3, 1, 33, 17, (2, 3), (1, 1)),
    "pointwise, strided": Case(2, 1, 7, 5, (9, 8), (1, 1), 2),
    "one channel": Case(3, 1, 1, 6, (28, 28), (5, 5), 1, 2),
    "three channels": Case(2, 1, 3, 17, (15, 14), (3, 3), 2, 1),
    "3x3": Case(2, 1, 33, 37, (9, 13), (3, 3), 1, 1),
    "3x3, few channels": Case(1, 1, 5, 7, (31, 23), (3, 3), 1, 1),
    "5x5": Case(1, 1, 8, 33, (12, 11), (5, 5), 1, 2),
    "2x2": Case(2, 1, 16, 16, (9, 9), (2, 2), 1, 0, (2, 1)),
    "4x4, strided": Case(2, 1, 16, 33, (12, 10), (4, 4), 2, 1),
    "7x7": Case(1, 1, 3, 9, (23, 21), (7, 7), 2, 3),
    "many filters, few pixels": Case(1, 1, 640, 384, (4, 4), (3, 3)),
    "signal": Case(2, 1, 5, 6, (41,), (3,), 1, 1),
    "signal, nine taps": Case(2, 1, 17, 18, (50,), (9,), 1, 4),
    "signal, dilated": Case(2, 1, 6, 5, (42,), (3,), 1, 2, 2),
    "signal, pointwise": Case(2, 1, 13, 7, (45,), (1,)),
    "volume": Case(2, 1, 3, 5, (4, 6, 5), (3, 3, 3), 1, 1),
    "volume, strided": Case(1, 2, 3, 4, (5, 7, 6), (2, 3, 2), 2, 1, (2, 1, 1)),
    "volume, pointwise": Case(3, 1, 4, 5, (3, 4, 5), (1, 1, 1)),
}


def check(given, expected, what):
    assert given.dtype == expected.dtype and given.shape == expected.shape, what
    room = 200 * np.finfo(expected.dtype).eps * max(1.0, np.abs(expected).max(initial=0))
    np.testing.assert_allclose(given, expected, rtol=0, atol=room, err_msg=what)


class Layer:
    """A case in numbers: what to call, on what, and what must come of it."""

    def __init__(self, case, dtype, transposed, activation):
        n, rng = len(case.size), np.random.default_rng(5)
        self.dtype, self.n, self.activation = dtype, n, activation
        weight = case.groups * case.filters, case.channels, *case.kernel
        channels, filters = case.channels * case.groups, weight[0]
        window = case.stride, case.padding, case.dilation, case.groups
        forward, backward, name = reference.convolve, reference.convolve_backward, f"conv{n}d"
        if transposed:
            channels, filters = filters, channels
            window = case.stride, case.padding, 0, case.groups, case.dilation
            forward, backward = reference.convolve_transpose, reference.convolve_transpose_backward
            name = f"conv_transpose{n}d"
        self.name, self.window = name, window
        make = lambda *shape: rng.standard_normal(shape).astype(dtype)  # noqa: E731
        self.x, self.weight, self.bias = make(case.batch, channels, *case.size), make(*weight), make(filters)
        self.y = ACTIVATIONS[activation][0](forward(self.x, self.weight, self.bias, *window)).astype(dtype)
        self.dy = make(*self.y.shape)
        dy = ACTIVATIONS[activation][1](self.dy.astype(F8), self.y.astype(F8))
        self.gradients = tuple(g.astype(dtype) for g in backward(dy, self.x, self.weight, *window))

    def run(self, choose, rng, at_start):
        """Call everything with arrays in the layouts that `choose` gives, one after the other."""
        function, backward = getattr(kernels, self.name), getattr(kernels, f"{self.name}_backward")
        x, weight, bias = (lay(a, choose(), rng, at_start) for a in (self.x, self.weight, self.bias))
        options = {"activation": self.activation}
        check(function(x, weight, bias, *self.window, **options), self.y, "forward")
        prepared = getattr(kernels, f"prepare_{self.name}")(weight)
        check(function(x, prepared, bias, *self.window, **options), self.y, "prepared")
        out = lay(np.full_like(self.y, np.nan), choose(), rng, at_start)
        assert function(x, weight, bias, *self.window, **options, out=out) is out
        check(out, self.y, "out")
        dy, y = (lay(a, choose(), rng, at_start) for a in (self.dy, self.y))
        for output in (y, self.y):
            given = backward(dy, x, weight, output if self.activation else None, self.activation, *self.window)
            for made, expected, name in zip(given, self.gradients, ("dinput", "dweight", "dbias"), strict=True):
                check(made, expected, name)


@pytest.mark.parametrize("at_start", [False, True], ids=["end", "start"])
@pytest.mark.parametrize("dtype", [F4, F8])
@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("name", CASES)
def test_any_layout_between_forbidden_pages(name, transposed, dtype, at_start):
    number = [*CASES].index(name)
    layer = Layer(CASES[name], dtype, transposed, ("relu", "tanh", None)[number % 3])
    rng = np.random.default_rng(number)
    for choose in (lambda: "plain", lambda: "last", lambda: rng.choice(LAYOUTS)):
        with guarded.memory(at_start), threads(1 + number % 2):
            layer.run(choose, rng, at_start)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("name", ["groups", "groups, strided", "pointwise", "depthwise", "signal", "volume", "3x3"])
def test_weights_of_any_layout(name, transposed, layout):
    layer, rng = Layer(CASES[name], F4, transposed, None), np.random.default_rng(1)
    function, backward = getattr(kernels, layer.name), getattr(kernels, f"{layer.name}_backward")
    with guarded.memory():
        weight = lay(layer.weight, layout, rng)
        bias = lay(layer.bias, layout, rng)
        check(function(layer.x, weight, bias, *layer.window), layer.y, "forward")
        given = backward(layer.dy, layer.x, weight, None, None, *layer.window, needs=(True, False, False))
        check(given[0], layer.gradients[0], "dinput")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["groups", "pointwise", "depthwise", "signal", "volume", "3x3", "one channel"])
def test_the_output_of_a_relu_of_any_layout(name, layout):
    layer, rng = Layer(CASES[name], F4, False, "relu"), np.random.default_rng(1)
    backward = getattr(kernels, f"{layer.name}_backward")
    with guarded.memory():
        y = lay(layer.y, layout, rng)
        both = lay(np.stack([layer.dy, layer.y]), "plain", rng)
        alike = both[0], both[1]  # the same strides
        if layout != "plain":
            dense = np.moveaxis(np.zeros((2, *np.moveaxis(layer.y, 1, -1).shape, 2), F4)[..., 0], -1, 2)
            dense[0], dense[1] = layer.dy, layer.y  # channels last, with gaps
            alike = dense[0], dense[1]
        for dy, output in ((layer.dy, y), (lay(layer.dy, layout, rng), y), alike):
            given = backward(dy, layer.x, layer.weight, output, "relu", *layer.window)
            for made, expected in zip(given, layer.gradients, strict=True):
                check(made, expected, layout)


def test_a_broadcast_gradient_and_output():
    layer = Layer(CASES["3x3"], F4, False, None)
    ones = np.broadcast_to(F4(1), layer.y.shape)
    for output, activation, factor in ((ones, "relu", 1), (None, None, 1), (-ones, "relu", 0)):
        expected = reference.convolve_backward(ones * factor, layer.x, layer.weight, *layer.window)
        with guarded.memory():
            given = kernels.conv2d_backward(ones, layer.x, layer.weight, output, activation, *layer.window)
        for made, right in zip(given, expected, strict=True):
            check(made, right.astype(F4), activation)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", ["groups, strided", "pointwise", "depthwise, strided", "3x3", "one channel"])
def test_gradients_are_written_to_outs_of_any_layout(name, layout):
    layer, rng = Layer(CASES[name], F4, False, None), np.random.default_rng(2)
    with guarded.memory():
        targets = [lay(np.full_like(g, np.nan), layout, rng) for g in layer.gradients]
        dy = lay(layer.dy, layout, rng)
        kernels.conv2d_backward_input(dy, layer.weight, layer.x.shape, *layer.window, out=targets[0])
        kernels.conv2d_backward_weight(dy, layer.x, layer.weight.shape, *layer.window, out=targets[1])
        kernels.conv2d_backward_bias(dy, out=targets[2])
    for target, expected in zip(targets, layer.gradients, strict=True):
        check(target, expected, layout)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_of_any_layout(layout):
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 5, 9, 7)).astype(F4)
    columns = reference.unfold(x, (3, 2), (1, 2), (1, 0), (2, 1)).astype(F4)
    back = np.zeros((2, 5, 11, 7))
    padded = reference.window_of(back, np.empty((0, 0, 3, 2)), (2, 1), 0, (1, 2))[1]
    parts = columns.reshape(2, 5, 6, *padded[-1])
    for (_, view), part in zip(reference.taps(back, *padded), parts.swapaxes(0, 2).swapaxes(1, 2), strict=True):
        view += part
    with guarded.memory():
        given = kernels.unfold(lay(x, layout, rng), (3, 2), (1, 2), (1, 0), (2, 1))
        out = lay(np.full_like(columns, np.nan), layout, rng)
        kernels.unfold(x, (3, 2), (1, 2), (1, 0), (2, 1), out=out)
        folded = lay(np.full_like(x, np.nan), layout, rng)
        kernels.fold(lay(columns, layout, rng), (9, 7), (3, 2), (1, 2), (1, 0), (2, 1), out=folded)
    np.testing.assert_array_equal(given, columns)
    np.testing.assert_array_equal(out, columns)
    check(folded, back[:, :, 1:-1].astype(F4), "fold")


class Refusing(np.ndarray):
    """An array on which no ufunc runs."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        raise AssertionError(f"numpy.{ufunc.__name__} computes on an array of shape {self.shape}")


@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("name", CASES)
def test_whatever_is_computed_kernels_compute(name, transposed):
    layer, rng = Layer(CASES[name], F4, transposed, "relu"), np.random.default_rng(1)
    function, backward = getattr(kernels, layer.name), getattr(kernels, f"{layer.name}_backward")
    plans.forget()  # which hold biases of zeros
    with allocator(lambda shape, dtype: np.empty(shape, dtype).view(Refusing)):
        for layout in ("plain", "last"):
            x, dy = lay(layer.x, layout, rng), lay(layer.dy, layout, rng)
            y = function(x, layer.weight, layer.bias, *layer.window, activation="tanh")
            function(x, layer.weight, None, *layer.window, activation="relu")
            backward(dy, x, layer.weight, y.view(np.ndarray), "relu", *layer.window)
            backward(dy, x, layer.weight, None, None, *layer.window, needs=(False, False, True))
    plans.forget()
