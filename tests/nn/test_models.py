"""Whole networks in PyTorch's manner: they train, and compute what PyTorch computes with the same weights."""

import numpy as np
import pytest

import fastnn
from tests.nn.models import MODELS

every_model = pytest.mark.parametrize("name", MODELS)


def batch():
    rng = np.random.default_rng(8)
    return rng.normal(size=(6, 3, 16, 16)), rng.integers(0, 5, 6)


def step(torch, model, x, labels):
    """Take a step of training; give the loss."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-4)
    criterion = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    model.train()
    optimizer.zero_grad()
    output = model(x)
    loss = criterion(output, labels)
    loss.backward()
    gradients = {name: p.grad.tolist() for name, p in model.named_parameters()}
    torch.nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    return output.tolist(), loss.item(), gradients


@every_model
def test_trains(name):
    fastnn.manual_seed(1)
    model = MODELS[name](fastnn)
    x, labels = batch()
    x, labels = fastnn.tensor(x, dtype=fastnn.float32), fastnn.tensor(labels)
    losses = [step(fastnn, model, x, labels)[1] for _ in range(6)]
    assert losses[-1] < losses[0]
    model.eval()
    with fastnn.no_grad():
        first, second = model(x), model(x)
    assert first.shape == (6, 5) and np.isfinite(first.numpy()).all()
    np.testing.assert_allclose(first.numpy(), second.numpy(), rtol=1e-4, atol=1e-5)
    other = MODELS[name](fastnn)
    assert not any(other.load_state_dict(model.state_dict()))
    np.testing.assert_allclose(other.eval()(x).detach().numpy(), first.numpy(), rtol=1e-4, atol=1e-5)


@every_model
def test_as_pytorch(name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    ours, theirs = MODELS[name](fastnn).double(), MODELS[name](torch).double()
    ours.load_state_dict(theirs.state_dict())
    assert list(ours.state_dict()) == list(theirs.state_dict())
    x, labels = batch()
    for _ in range(2):
        mine = step(fastnn, ours, fastnn.tensor(x), fastnn.tensor(labels))
        its = step(torch, theirs, torch.tensor(x), torch.tensor(labels))
        for one, other in zip(mine[:2], its[:2], strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)
        assert mine[2].keys() == its[2].keys()
        for key, gradient in mine[2].items():
            np.testing.assert_allclose(gradient, its[2][key], rtol=1e-5, atol=1e-8, err_msg=key)
    for key, value in ours.state_dict().items():
        np.testing.assert_allclose(value.numpy(), theirs.state_dict()[key].numpy(), rtol=1e-5, atol=1e-8, err_msg=key)
    np.testing.assert_allclose(
        ours.eval()(fastnn.tensor(x)).tolist(), theirs.eval()(torch.tensor(x)).tolist(), rtol=1e-5, atol=1e-7
    )
