"""L-BFGS: exact on what it should solve, PyTorch's path, state, misuse."""

import json

import numpy as np
import pytest

from fastnn import optim
from fastnn.nn import Parameter
from tests.optim.record import FILE

START = np.array([-1.5, 2.0])


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


def both(x, a):
    """Add two valleys, and a bowl."""
    return rosenbrock(x[0]) + rosenbrock(x[1]) + (a - x[0][0]) ** 4


def closure_of(optimizer, function, *parameters):
    def closure():
        optimizer.zero_grad()
        loss = function(*parameters)
        loss.backward()
        return loss

    return closure


def test_finds_the_minimum_of_a_bowl_in_as_many_steps_as_dimensions(rng):
    root = rng.normal(size=(6, 6))
    matrix, target = root @ root.T + np.eye(6), rng.normal(size=6)
    x = Parameter(np.zeros(6))
    optimizer = optim.LBFGS([x], max_iter=12, line_search_fn="strong_wolfe")
    loss = optimizer.step(closure_of(optimizer, lambda x: (x @ matrix @ x) * 0.5 - (x @ target), x))
    assert loss.item() == 0
    np.testing.assert_allclose(x.numpy(), np.linalg.solve(matrix, target), rtol=1e-4, atol=1e-5)


def test_rosenbrock():
    x = Parameter(START)
    optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe", max_iter=60)
    closure = closure_of(optimizer, rosenbrock, x)
    optimizer.step(closure)
    assert closure().item() < 1e-9


BRIEF = {"one": {"max_iter": 1}, "five": {"max_iter": 5, "history_size": 3}, "seven": {"max_iter": 7, "max_eval": 4}}
OPTIONS = {
    **{name: {**options, "lr": 0.002} for name, options in BRIEF.items()},
    **{f"{name}, search": {**options, "line_search_fn": "strong_wolfe"} for name, options in BRIEF.items()},
    "lax, search": {"max_iter": 30, "tolerance_change": 1e-3, "line_search_fn": "strong_wolfe"},
    "short, search": {"max_iter": 3, "lr": 0.03, "line_search_fn": "strong_wolfe"},
}
VALUES = np.array([START, [0.5, -1.0]]), np.array(3.0)
every_path = pytest.mark.parametrize("name", OPTIONS)


def path_of(kind, name, tensor=np.array, parameter=Parameter):
    """Give the losses before each step, where it ends, and how often the function was evaluated."""
    parameters = [parameter(tensor(value)) for value in VALUES]
    optimizer = kind(parameters, **OPTIONS[name])
    closure = closure_of(optimizer, both, *parameters)
    losses = [optimizer.step(closure).item() for _ in range(max(50 // OPTIONS[name]["max_iter"], 2))]
    state = optimizer.state_dict()["state"][0]
    return [losses, np.concatenate([np.ravel(p.tolist()) for p in parameters]).tolist(),
            [state["n_iter"], state["func_evals"]]]  # fmt: skip


def assert_same_path(path, expected):
    losses, ends, counts = path
    np.testing.assert_allclose(losses, expected[0], rtol=1e-5, atol=1e-12)
    np.testing.assert_allclose(ends, expected[1], rtol=1e-5, atol=1e-9)
    assert counts == expected[2]


@every_path
def test_the_path_is_that_recorded_of_pytorch(name):
    assert_same_path(path_of(optim.LBFGS, name), json.loads(FILE.read_text())["lbfgs"][name])


@every_path
def test_the_path_is_pytorchs_and_state_moves(name):
    torch = pytest.importorskip("torch")
    assert_same_path(path_of(optim.LBFGS, name), path_of(torch.optim.LBFGS, name, torch.tensor, torch.nn.Parameter))
    theirs = [torch.nn.Parameter(torch.from_numpy(value.copy())) for value in VALUES]
    other = torch.optim.LBFGS(theirs, **OPTIONS[name])
    other.step(closure_of(other, both, *theirs))
    again = [Parameter(p.detach().numpy()) for p in theirs]
    resumed = optim.LBFGS(again, **OPTIONS[name])
    resumed.load_state_dict(other.state_dict())
    resumed.step(closure_of(resumed, both, *again))
    other.step(closure_of(other, both, *theirs))
    for mine, its in zip(again, theirs, strict=True):
        np.testing.assert_allclose(mine.numpy(), its.detach().numpy(), rtol=1e-5, atol=1e-9)
    assert set(resumed.state_dict()["state"][0]) <= set(other.state_dict()["state"][0])


def test_state_dict_continues_bit_for_bit():
    def make(values):
        parameters = [Parameter(value) for value in values]
        return parameters, optim.LBFGS(parameters, max_iter=4, line_search_fn="strong_wolfe")

    def run(parameters, optimizer, steps):
        for _ in range(steps):
            optimizer.step(closure_of(optimizer, both, *parameters))

    start = np.array([START, [0.5, -1.0]]), np.array(3.0)
    whole, optimizer = make(start)
    run(whole, optimizer, 4)
    first, optimizer = make(start)
    run(first, optimizer, 2)
    state, here = optimizer.state_dict(), [np.array(p.numpy()) for p in first]
    run(first, optimizer, 2)  # must not reach into the state that was taken
    second, optimizer = make(here)
    optimizer.lr = 0.5
    optimizer.load_state_dict(state)
    assert optimizer.lr == 1.0
    run(second, optimizer, 2)
    for one, other in zip(whole, second, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_parameters_without_gradient_stay():
    x, idle = Parameter(START), Parameter(np.ones(3))
    optimizer = optim.LBFGS([x, idle], line_search_fn="strong_wolfe")
    optimizer.step(closure_of(optimizer, rosenbrock, x))
    assert idle.numpy().tolist() == [1, 1, 1] and not np.array_equal(x.numpy(), START)


def test_nothing_is_lost_when_the_closure_fails():
    x = Parameter(START)
    optimizer = optim.LBFGS([x], line_search_fn="strong_wolfe")
    calls = []

    def closure():
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return closure_of(optimizer, rosenbrock, x)()

    with pytest.raises(KeyboardInterrupt):
        optimizer.step(closure)
    np.testing.assert_array_equal(x.numpy(), START)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.LBFGS([Parameter([1.0])]).step(), TypeError, "LBFGS: step needs a closure"),
        (lambda: optim.LBFGS([Parameter([1.0])], max_iter=0), ValueError, "max_iter must be an integer of at least 1"),
        (lambda: optim.LBFGS([Parameter([1.0])], tolerance_grad=-1), ValueError, "tolerance_grad must not be negative"),
        (lambda: optim.LBFGS([Parameter([1.0])], line_search_fn="wolf"), ValueError, "must be 'strong_wolfe' or None"),
        (
            lambda: optim.LBFGS([{"params": [Parameter([1.0])]}, {"params": [Parameter([1.0])]}]),
            ValueError,
            "one group",
        ),
        (
            lambda: optim.LBFGS([Parameter(np.ones(2)), Parameter(np.ones(2, np.float32))]),
            ValueError,
            "LBFGS: all parameters must have one dtype",
        ),
        (
            lambda: optim.LBFGS([Parameter([1.0])]).load_state_dict({"state": {0: {"d": np.ones(2)}}}),
            ValueError,
            r"LBFGS has 1 parameters, the state a vector of shape \(2,\)",
        ),
        (
            lambda: optim.LBFGS([Parameter([1.0])]).load_state_dict({"state": {0: {"exp_avg": np.ones(1)}}}),
            ValueError,
            "LBFGS has no state 'exp_avg'",
        ),
    ],
)
def test_misuse(make, error, message):
    with pytest.raises(error, match=message):
        make()
