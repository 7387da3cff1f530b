"""Losses with PyTorch: values, gradients of all operands, every reduction. Needs PyTorch."""

import numpy as np
import pytest

from fastnn import Tensor, functional
from tests.kernels.loss_rows import TABLE

torch = pytest.importorskip("torch")
rows = [pytest.param(row, id=name) for name, row in TABLE.items() if hasattr(torch.nn.functional, row.name)]


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides the total loss")
@pytest.mark.parametrize("row", rows)
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_values_and_gradients(row, reduction, rng):
    args = row.make(np.random.default_rng(3))
    if row.options.get("p") == np.inf:
        args = args[:3]
    ours = [Tensor(x, requires_grad=i < row.operands) for i, x in enumerate(args)]
    differentiated = 1 if row.name == "soft_margin_loss" else row.operands  # PyTorch's has no gradient of the target
    theirs = [torch.tensor(x, requires_grad=i < differentiated) for i, x in enumerate(args)]
    options = {k: torch.tensor(v) if isinstance(v, np.ndarray) else v for k, v in row.options.items()}
    loss = getattr(functional, row.name)(*ours, reduction=reduction, **row.options)
    expected = getattr(torch.nn.functional, row.name)(*theirs, reduction=reduction, **options)
    np.testing.assert_allclose(loss.numpy(), expected.detach().numpy(), rtol=1e-10, atol=1e-14)
    dloss = rng.normal(size=loss.shape)
    loss.backward(dloss)
    expected.backward(torch.tensor(dloss))
    for one, other in zip(ours[:differentiated], theirs, strict=False):
        np.testing.assert_allclose(one.grad, other.grad.numpy(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy(reduction, smoothing, rng):
    weight = rng.uniform(0.5, 2, 4)
    for target in (rng.integers(4, size=(3, 5)), rng.uniform(size=(3, 4, 5))):
        x = rng.normal(size=(3, 4, 5))
        ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        goals = [Tensor(target, requires_grad=True) if target.ndim == 3 else target, torch.tensor(target)]
        goals[1].requires_grad = target.ndim == 3
        loss = functional.cross_entropy(ours, goals[0], weight, 2, reduction, smoothing)
        expected = torch.nn.functional.cross_entropy(
            theirs, goals[1], torch.tensor(weight), ignore_index=-100 if target.ndim == 3 else 2, reduction=reduction,
            label_smoothing=smoothing,
        )  # fmt: skip
        np.testing.assert_allclose(loss.numpy(), expected.detach().numpy(), rtol=1e-12)
        dloss = rng.normal(size=loss.shape)
        loss.backward(dloss)
        expected.backward(torch.tensor(dloss))
        np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-9, atol=1e-14)
        if target.ndim == 3:
            np.testing.assert_allclose(goals[0].grad, goals[1].grad.numpy(), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_ctc_loss(reduction, rng):
    x = rng.normal(size=(20, 4, 6))
    targets, times, counts = rng.integers(1, 6, (4, 7)), np.array([20, 15, 11, 20]), np.array([7, 5, 3, 0])
    ours, theirs = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    loss = functional.ctc_loss(functional.log_softmax(ours, -1), targets, times, counts, reduction=reduction)
    expected = torch.nn.functional.ctc_loss(
        theirs.log_softmax(-1), *map(torch.tensor, (targets, times, counts)), reduction=reduction
    )
    np.testing.assert_allclose(loss.numpy(), expected.detach().numpy(), rtol=1e-10)
    dloss = rng.normal(size=loss.shape)
    loss.backward(dloss)
    expected.backward(torch.tensor(dloss))
    np.testing.assert_allclose(ours.grad, theirs.grad.numpy(), rtol=1e-8, atol=1e-12)
