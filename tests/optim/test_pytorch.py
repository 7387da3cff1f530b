"""The same trajectories as PyTorch's optimizers over 50 steps, and state that moves both ways. Needs PyTorch."""

import numpy as np
import pytest

from fastnn.nn import Parameter
from tests.optim.rows import ROWS

torch = pytest.importorskip("torch")
STEPS, RTOL = 50, 1e-5
# PyTorch has no l1 and no Lion
rows = pytest.mark.parametrize(
    "row", [pytest.param(row, id=name) for name, row in ROWS.items() if hasattr(torch.optim, row.name)]
)


def without_l1(row):
    return {name: value for name, value in row.settings.items() if name != "l1"}


def gradient(x, target):
    """Of a valley whose sides curve more and less."""
    return np.tanh(x - target) * np.linspace(0.5, 2, x.size).reshape(x.shape).astype(x.dtype)


def pair(row, values, dtype):
    ours = [Parameter(value.astype(dtype)) for value in values]
    theirs = [torch.nn.Parameter(torch.from_numpy(value.astype(dtype))) for value in values]
    return ours, row.make(ours, **without_l1(row)), theirs, getattr(torch.optim, row.name)(theirs, **without_l1(row))


def run(ours, optimizer, theirs, other, targets, steps):
    for _ in range(steps):
        for mine, its, target in zip(ours, theirs, targets, strict=True):
            mine.grad = gradient(mine.numpy(), target)
            its.grad = torch.from_numpy(gradient(its.detach().numpy(), target))
        optimizer.step()
        other.step()


def assert_close(ours, theirs):
    for mine, its in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), its.detach().numpy(), rtol=RTOL, atol=1e-6)


@rows
def test_trajectory(row, rng):
    values, targets = ([rng.normal(size=shape) for shape in ((3, 5), (7,))] for _ in range(2))
    ours, optimizer, theirs, other = pair(row, values, np.float64)
    run(ours, optimizer, theirs, other, targets, STEPS)
    assert_close(ours, theirs)


@rows
def test_given_gradients(row, rng):
    """In float32: where gradients depend on where one is, the last bits would grow."""
    values = [rng.normal(size=shape) for shape in ((3, 5), (7,))]
    ours, optimizer, theirs, other = pair(row, values, np.float32)
    for _ in range(STEPS):
        for mine, its in zip(ours, theirs, strict=True):
            mine.grad = rng.normal(size=mine.shape).astype(np.float32)
            its.grad = torch.from_numpy(mine.grad.numpy().copy())
        optimizer.step()
        other.step()
    assert_close(ours, theirs)


def as_tensors(tree):
    if isinstance(tree, dict):
        return {key: as_tensors(value) for key, value in tree.items() if key not in ("l1", "decoupled_weight_decay")}
    return torch.from_numpy(tree) if isinstance(tree, np.ndarray) else tree


@rows
def test_state_moves_both_ways(row, rng):
    values, targets = ([rng.normal(size=shape) for shape in ((3, 5), (7,))] for _ in range(2))
    ours, optimizer, theirs, other = pair(row, values, np.float64)
    run(ours, optimizer, theirs, other, targets, 9)
    mine, its = optimizer.state_dict(), other.state_dict()
    new_ours, new_optimizer, new_theirs, new_other = pair(row, [p.numpy() for p in ours], np.float64)
    new_optimizer.load_state_dict(its)
    its["state"] = as_tensors(mine["state"])
    new_other.load_state_dict(its)
    run(new_ours, new_optimizer, new_theirs, new_other, targets, 9)
    run(ours, optimizer, theirs, other, targets, 9)
    assert_close(new_ours, theirs)
    assert_close(ours, new_theirs)
