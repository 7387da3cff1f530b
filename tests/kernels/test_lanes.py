"""No kernel computes with uninitialised memory: every vector lane that takes part in arithmetic was written."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground.threads import threads
from tests.kernels.denormals import AVAILABLE, ORDINARY, SMALL, computes_with_denormals
from tests.kernels.guarded import Guard
from tests.kernels.test_contract import ALL, PRIME, Make
from tests.kernels.test_conv_layouts import CASES, Layer

pytestmark = pytest.mark.skipif(not AVAILABLE, reason="reads what x86 CPUs note in MXCSR, by functions of glibc")
DTYPES = [np.float32, np.float64]


def test_a_denormal_operand_is_seen():
    small, one = (samples[np.dtype(np.float32)] for samples in (SMALL, ORDINARY))
    assert computes_with_denormals(lambda: small * one)
    assert not computes_with_denormals(lambda: one * one)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", ALL)
def test_every_kernel(case, dtype):
    def call():
        case(Make(dtype, "plain", guard), PRIME)

    guard = Guard()
    with threads(1):
        call()  # plans are made, and kernels compiled
    assert not computes_with_denormals(call) or computes_with_denormals(call, ORDINARY)


@pytest.mark.parametrize("last", [False, True], ids=["channels first", "channels last"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("transposed", [False, True], ids=["", "transposed"])
@pytest.mark.parametrize("name", CASES)
def test_every_algorithm_of_convolution(name, transposed, dtype, last):
    def lay(x):
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else x

    layer = Layer(CASES[name], dtype, transposed, None)
    function, backward = getattr(kernels, layer.name), getattr(kernels, f"{layer.name}_backward")
    prepare = getattr(kernels, f"prepare_{layer.name}")
    x, y, dy = lay(layer.x), lay(layer.y), lay(layer.dy)

    calls = {
        "forward": lambda: function(x, layer.weight, layer.bias, *layer.window, activation="relu"),
        "prepared": lambda: function(x, prepare(layer.weight), layer.bias, *layer.window),
        "backward": lambda: backward(dy, x, layer.weight, None, None, *layer.window),
        "backward through a ReLU": lambda: backward(dy, x, layer.weight, y, "relu", *layer.window),
    }
    for what, call in calls.items():
        with threads(1):
            call()
        assert not computes_with_denormals(call), what
