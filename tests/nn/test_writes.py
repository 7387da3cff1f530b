"""Writing into parts of a parameter: through `data`, `detach`, and views inside `no_grad`."""

import gc

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn, no_grad, optim

WAYS = {
    "row": lambda w: w.data[0].zero_(),
    "slice": lambda w: w.data[0:1].fill_(0.0),
    "operator": lambda w: w.data[0].__imul__(0),
    "data of a view": lambda w: w[0].data.zero_(),
    "view": lambda w: w[0].zero_(),
    "flat": lambda w: w.data.view(-1)[:3].zero_(),
    "transposed": lambda w: w.data.t()[:, 0].zero_(),
    "chunk": lambda w: w.data.chunk(4)[0].zero_(),
    "iteration": lambda w: next(iter(w.data)).zero_(),
    "detached": lambda w: w.detach()[0].mul_(0),
    "initializer": lambda w: nn.init.zeros_(w[0]),
    "item by item": lambda w: [w.data[0][i : i + 1].zero_() for i in range(3)],
    "item": lambda w: w.data[0].__setitem__(slice(None), 0),
}  # fmt: skip


@pytest.mark.parametrize("place", ["alone", "in flat memory", "float64"])
@pytest.mark.parametrize("way", WAYS)
def test_parts_can_be_written(way, place):
    layer = nn.Linear(3, 4)
    if place == "float64":
        layer.double()
    if place == "in flat memory":
        optim.SGD(layer.parameters(), lr=0.1)
    w, before = layer.weight, layer.weight.numpy().copy()
    version, other = w.version, layer.bias.version
    with no_grad():
        WAYS[way](w)
    before[0] = 0
    np.testing.assert_array_equal(w.numpy(), before)
    assert w.version > version and layer.bias.version == other


def test_packed_weights_are_made_anew():
    layer, x = nn.Linear(16, 8).eval(), fastnn.ones(4, 16)
    with no_grad():
        for _ in range(3):
            layer(x)
        layer.weight.data[2:4].zero_()
        for _ in range(3):
            np.testing.assert_allclose(layer(x).numpy()[:, 2], layer.bias.numpy()[2], rtol=1e-6)


def test_what_belongs_to_no_parameter_stays_as_it_is():
    layer = nn.Linear(3, 4)
    view = layer.weight.detach()[0]
    layer.double()  # moves the numbers
    with pytest.raises(ValueError, match="its memory is read-only, and not that of a parameter"):
        view.zero_()
    array = np.ones(3)
    array.flags.writeable = False
    with pytest.raises(ValueError, match="its memory is read-only"):
        Tensor(array).zero_()
    assert layer.weight.detach()[0:0].zero_().shape == (0, 3)


def test_parameters_are_forgotten():
    from fastnn._tensor import OWNERS

    layer = nn.Linear(3, 4)
    name = id(layer.weight)
    assert name in OWNERS
    del layer
    gc.collect()
    assert name not in OWNERS
