"""Layers that find out their channels: every one, beside the layer that it becomes."""

import inspect

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, manual_seed, nn, optim

FILTERS = {"kernel_size": 3, "padding": 1}
SHAPES = {"1d": (2, 4, 5), "2d": (2, 4, 5, 6), "3d": (2, 4, 3, 5, 6)}
CASES = {"LazyLinear": ({"out_features": 3}, (2, 5, 4), "in_features")}
for axes, shape in SHAPES.items():
    CASES[f"LazyConv{axes}"] = ({"out_channels": 2, **FILTERS}, shape, "in_channels")
    CASES[f"LazyConvTranspose{axes}"] = ({"out_channels": 2, **FILTERS, "stride": 2}, shape, "in_channels")
    CASES[f"LazyBatchNorm{axes}"] = ({"momentum": 0.3}, shape, "num_features")
    CASES[f"LazyInstanceNorm{axes}"] = ({}, shape, "num_features")


@pytest.mark.parametrize("name", CASES)
def test_becomes_the_layer(name):
    options, shape, size = CASES[name]
    kind = getattr(nn, name.removeprefix("Lazy"))
    x = Tensor(np.random.default_rng(1).normal(size=shape).astype(np.float32))
    manual_seed(3)
    lazy = getattr(nn, name)(**options)
    parameters = list(lazy.parameters())
    assert all(isinstance(p, nn.UninitializedParameter) for p in parameters) and len(parameters) == 2
    assert repr(lazy).startswith(f"{name}(")
    y = lazy(x)
    manual_seed(3)
    if name.startswith("LazyInstanceNorm"):
        options = {"affine": True, "track_running_stats": True}
    plain = kind(4, **options)
    assert type(lazy) is kind and list(lazy.parameters()) == parameters and getattr(lazy, size) == 4
    np.testing.assert_array_equal(y.numpy(), plain(x).numpy())
    for one, other in zip(lazy.state_dict().items(), plain.state_dict().items(), strict=True):
        assert one[0] == other[0]
        np.testing.assert_array_equal(one[1].numpy(), other[1].numpy())
    assert repr(lazy) == repr(plain)


@pytest.mark.parametrize("name", CASES)
def test_takes_the_arguments_of_the_layer(name):
    lazy, plain = (inspect.signature(getattr(nn, n)).parameters for n in (name, name.removeprefix("Lazy")))
    assert list(lazy) == list(plain)[1:]


def test_a_network(tmp_path):
    net = nn.Sequential(
        nn.LazyConv2d(4, 3, bias=False), nn.LazyBatchNorm2d(), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2)
    ).double()
    with pytest.raises(ValueError, match="0.weight has no shape yet: run the model once"):
        net.load_state_dict({**net.state_dict()})
    with pytest.raises(ValueError, match="SGD: a parameter has no shape yet: run the model once"):
        optim.SGD(net.parameters(), lr=0.1)
    x = fastnn.randn(3, 2, 5, 5, dtype=fastnn.float64)
    net.eval()
    assert net(x).dtype == np.float64 and not net[0].training and net[0].bias is None
    other = nn.Sequential(nn.Conv2d(2, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2))
    other.double().eval().load_state_dict(net.state_dict())
    np.testing.assert_array_equal(other(x).numpy(), net(x).numpy())
    fastnn.save(net, tmp_path / "net")
    assert repr(fastnn.load(tmp_path / "net")) == repr(net) == repr(other)
    optimizer = optim.SGD(net.parameters(), lr=0.1)
    net.train()(x).sum().backward()
    optimizer.step()


def test_wrong_inputs():
    for layer, shape in (
        (nn.LazyConv2d(2, 3), (3, 4)),
        (nn.LazyBatchNorm1d(), (2,)),
        (nn.LazyInstanceNorm3d(), (2, 2)),
    ):
        with pytest.raises(ValueError, match=f"{type(layer).__name__}: input must have .* dimensions"):
            layer(fastnn.zeros(*shape))
    layer = nn.LazyBatchNorm1d(affine=False)
    assert layer(fastnn.randn(4, 3)).shape == (4, 3) and layer.weight is None and layer.running_mean.shape == (3,)
