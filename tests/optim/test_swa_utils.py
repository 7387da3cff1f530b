"""Averages of weights under PyTorch's names."""

import numpy as np
import pytest

import fastnn
from fastnn import nn, optim
from fastnn.optim import swa_utils
from fastnn.optim.lr_scheduler import ExponentialLR


def path(net, count):
    """Move a model to random places."""
    rng = np.random.default_rng(4)
    for _ in range(count):
        for p in net.parameters():
            p.data[...] = rng.normal(size=p.shape)
        yield [p.numpy().copy() for p in net.parameters()]


def ema(places, decay):
    mean = places[0]
    for place in places[1:]:
        mean = decay * mean + (1 - decay) * place
    return mean


AVERAGES = {
    "mean": ({}, lambda places: np.mean(places, 0)),
    "ema": ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.7)}, lambda places: ema(places, 0.7)),
    "ema of one": ({"avg_fn": swa_utils.get_ema_avg_fn(0.6)}, lambda places: ema(places, 0.6)),
    "mean of lists": ({"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()}, lambda places: np.mean(places, 0)),
    "own": ({"avg_fn": lambda average, p, count: average + p}, lambda places: np.sum(places, 0)),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages(name):
    options, expected = AVERAGES[name]
    net = nn.Linear(3, 2).double()
    averaged = swa_utils.AveragedModel(net, **options)
    places = []
    for place in path(net, 5):
        averaged.update_parameters(net)
        places.append(place)
    assert averaged.n_averaged.item() == 5
    assert list(averaged.state_dict()) == ["n_averaged", "module.weight", "module.bias"]
    for i, p in enumerate(averaged.module.parameters()):
        np.testing.assert_allclose(p.numpy(), expected([place[i] for place in places]), rtol=1e-12)
    x = fastnn.randn(2, 3, dtype=fastnn.float64)
    np.testing.assert_array_equal(averaged(x).detach().numpy(), averaged.module(x).detach().numpy())


@pytest.mark.parametrize("use_buffers", [True, False])
def test_buffers(use_buffers):
    net = nn.BatchNorm1d(2)
    averaged = swa_utils.AveragedModel(net, use_buffers=use_buffers)
    for value in (1.0, 3.0):
        net.running_mean.data[...] = value
        averaged.update_parameters(net)
    assert averaged.module.running_mean.tolist() == ([2, 2] if use_buffers else [3, 3])


def test_batch_norms_anew():
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).eval()
    batches = [np.random.default_rng(i).normal(size=(6, 3)).astype(np.float32) for i in range(3)]
    net(fastnn.tensor(batches[0]))
    swa_utils.update_bn([(fastnn.tensor(x), 0) for x in batches], net)
    outputs = [net[0](fastnn.tensor(x)).detach().numpy() for x in batches]
    np.testing.assert_allclose(net[1].running_mean.numpy(), np.mean([y.mean(0) for y in outputs], 0), atol=1e-6)
    np.testing.assert_allclose(net[1].running_var.numpy(), np.mean([y.var(0, ddof=1) for y in outputs], 0), rtol=1e-5)
    assert net[1].momentum == 0.1 and not net.training and not net[1].training
    swa_utils.update_bn([], nn.Linear(2, 2))


@pytest.mark.parametrize("strategy", ["cos", "linear"])
def test_rates(strategy):
    optimizer = optim.SGD([nn.Parameter(np.ones(2))], lr=0.8)
    falling = ExponentialLR(optimizer, 0.5)
    schedule = swa_utils.SWALR(optimizer, swa_lr=0.05, anneal_epochs=4, anneal_strategy=strategy)
    rates = []
    for epoch in range(8):
        optimizer.step()
        (falling if epoch < 2 else schedule).step()
        rates.append(optimizer.lr)
    share = np.minimum(1, np.arange(1, 7) / 4)
    share = (1 - np.cos(np.pi * share)) / 2 if strategy == "cos" else share
    np.testing.assert_allclose(rates, [0.4, 0.2, *(0.2 + (0.05 - 0.2) * share)])


def test_as_pytorch():
    torch = pytest.importorskip("torch")
    rates = []
    for module, kind, weight in (
        (swa_utils, optim.SGD, nn.Parameter(np.ones(2))),
        (torch.optim.swa_utils, torch.optim.SGD, torch.nn.Parameter(torch.ones(2))),
    ):
        optimizer = kind([weight], lr=0.8)
        schedule, seen = module.SWALR(optimizer, 0.05, 5), []
        for _ in range(8):
            optimizer.step()
            schedule.step()
            seen.append(optimizer.param_groups[0]["lr"])
        rates.append(seen)
    np.testing.assert_allclose(*rates)


def test_errors():
    net, optimizer = nn.Linear(2, 2), optim.SGD([nn.Parameter(np.ones(2))])
    for call, error, message in (
        (lambda: swa_utils.AveragedModel(3), TypeError, "model must be a Module, got int"),
        (lambda: swa_utils.AveragedModel(net, avg_fn=max, multi_avg_fn=max), ValueError, "avg_fn or multi_avg_fn"),
        (lambda: swa_utils.AveragedModel(net, device="cuda"), RuntimeError, "fastnn computes on the CPU"),
        (lambda: swa_utils.AveragedModel(net).update_parameters(nn.Linear(3, 2)), ValueError, "other parameters"),
        (lambda: swa_utils.SWALR(optimizer, 0.1, anneal_strategy="x"), ValueError, "must be 'cos' or 'linear'"),
        (lambda: swa_utils.SWALR(optimizer, 0.1, -1), ValueError, "anneal_epochs must be an integer of at least 0"),
        (lambda: swa_utils.get_ema_avg_fn(2), ValueError, "decay must be from 0 to 1, got 2"),
    ):
        with pytest.raises(error, match=message):
            call()
