"""Moving averages of weights."""

import numpy as np
import pytest

from fastnn import nn, optim
from fastnn.nn import Parameter


def make(rng, dtype=np.float64):
    parameters = [Parameter(rng.normal(size=shape).astype(dtype)) for shape in ((3, 5), (7,), ())]
    return parameters, optim.SGD(parameters, lr=0.1)


@pytest.mark.parametrize("warmup", [False, True])
def test_follows_the_formula(warmup, rng):
    parameters, optimizer = make(rng)
    ema = optim.EMA(optimizer, decay=0.3, warmup=warmup)
    averages = [np.array(p.numpy()) for p in parameters]
    for n in range(5):
        for p in parameters:
            p.grad = rng.normal(size=p.shape)
        optimizer.step()
        ema.update()
        decay = min(0.3, (1 + n) / (10 + n)) if warmup else 0.3
        averages = [decay * a + (1 - decay) * p.numpy() for a, p in zip(averages, parameters, strict=True)]
    for average, got in zip(averages, ema.state_dict()["averages"].values(), strict=True):
        np.testing.assert_allclose(got, average, rtol=1e-13)


def test_applied_exchanges_and_puts_back(rng):
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    ema = optim.EMA(optimizer, decay=0.5)
    x = np.ones((1, 3), np.float32)
    start = np.array(model(x).numpy())
    for p in model.parameters():
        p.grad = np.ones(p.shape)
    optimizer.step()
    ema.update()
    moved = np.array(model(x).numpy())
    versions = [p.version for p in model.parameters()]
    with ema.applied():
        assert all(p.version > v for p, v in zip(model.parameters(), versions, strict=True))  # packed copies are old
        np.testing.assert_allclose(model(x).numpy(), (start + moved) / 2, rtol=1e-5)
        with pytest.raises(RuntimeError, match=r"EMA: update inside applied\(\)"):
            ema.update()
        with pytest.raises(RuntimeError, match=r"EMA: applied\(\) inside applied\(\)"), ema.applied():
            pass
    np.testing.assert_array_equal(model(x).numpy(), moved)


def test_state_goes_to_another(rng):
    parameters, optimizer = make(rng)
    ema = optim.EMA(optimizer, warmup=True)
    ema.update()
    other = optim.EMA(make(rng)[1], warmup=True)
    other.load_state_dict(ema.state_dict())
    assert other.updates == 1
    for a, b in zip(ema.state_dict()["averages"].values(), other.state_dict()["averages"].values(), strict=True):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="these averages belong to other parameters"):
        optim.EMA(optim.SGD(parameters[:2])).load_state_dict(ema.state_dict())


def test_bad_arguments(rng):
    with pytest.raises(TypeError, match="EMA: expected an Optimizer, got list"):
        optim.EMA(make(rng)[0])
    with pytest.raises(ValueError, match="EMA: decay must be in 0 <= decay < 1, got 1"):
        optim.EMA(make(rng)[1], 1)
