"""Optimizers against their update rules, written out parameter by parameter; flat memory; state."""

import sys

import numpy as np
import pytest

from fastnn import Tensor, nn, no_grad, optim
from fastnn.nn import Parameter
from tests.optim.rows import ROWS, every_row
from tests.reference import optimizer as reference

SHAPES = [(3, 5), (7,), (), (2, 1, 2)]

both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(rng, dtype=np.float64):
    return [rng.normal(size=shape).astype(dtype) for shape in SHAPES]


def give_gradients(parameters, gradients):
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def expected(row, values, all_gradients):
    """Where the rule of one parameter leads, for each; None gradients are skipped."""
    results = []
    for i, value in enumerate(values):
        gradients = [step[i] for step in all_gradients if step[i] is not None]
        results.append(reference.follow(row.rule, value, gradients, **row.settings, **row.implied))
    return results


@every_row
@both_dtypes
def test_follows_the_rule(row, dtype, rng):
    values = draw(rng, dtype)
    parameters = [Parameter(value) for value in values]
    optimizer = row.make(parameters, **row.settings)
    steps = [draw(rng, dtype) for _ in range(8)]
    for gradients in steps:
        give_gradients(parameters, gradients)
        optimizer.step()
        optimizer.zero_grad()
    for parameter, value in zip(parameters, expected(row, values, steps), strict=True):
        assert parameter.dtype == dtype
        np.testing.assert_allclose(parameter.numpy(), value, rtol=reference.rtol(dtype), atol=reference.rtol(dtype))


@every_row
def test_parameters_without_gradient_are_left_alone(row, rng):
    values = draw(rng)
    parameters = [Parameter(value) for value in values]
    optimizer = row.make(parameters, **row.settings)
    steps = []
    for step in range(6):
        gradients = [None if (step + i) % 3 == 0 or (i == 1 and step < 4) else g for i, g in enumerate(draw(rng))]
        give_gradients(parameters, gradients)
        optimizer.step()
        optimizer.zero_grad()
        steps.append(gradients)
    for parameter, value in zip(parameters, expected(row, values, steps), strict=True):
        np.testing.assert_allclose(parameter.numpy(), value, rtol=1e-12, atol=1e-13)


@every_row
def test_state_dict_continues_bit_for_bit(row, rng):
    start, steps = draw(rng, np.float32), [draw(rng, np.float32) for _ in range(9)]

    def run(parameters, optimizer, gradients):
        for step in gradients:
            give_gradients(parameters, step)
            optimizer.step()

    whole = [Parameter(value) for value in start]
    run(whole, row.make(whole, **row.settings), steps)

    first = [Parameter(value) for value in start]
    optimizer = row.make(first, **row.settings)
    run(first, optimizer, steps[:6])
    state = optimizer.state_dict()
    run(first, optimizer, steps[6:])  # must not reach into the state that was taken

    second = [Parameter(value) for value in start]
    run(second, row.make(second, **row.settings), steps[:6])
    resumed = row.make(second, lr=123.0)
    resumed.load_state_dict(state)
    assert resumed.lr == row.settings["lr"]
    run(second, resumed, steps[6:])
    for one, other in zip(whole, second, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_an_empty_state_starts_anew():
    weight = Parameter(np.ones(2))
    optimizer = optim.SGD([weight], lr=0.5, momentum=0.5)
    empty = optimizer.state_dict()
    for _ in range(2):
        weight.grad = np.ones(2)
        optimizer.step()
    optimizer.load_state_dict(empty)
    weight.data[...] = 1.0
    optimizer.step()
    assert weight.tolist() == [0.5, 0.5]


def test_every_optimizer_has_a_row():
    classes = {x for name in optim.__all__ if isinstance(x := getattr(optim, name), type)}
    optimizers = {x for x in classes if issubclass(x, optim.Optimizer)} - {optim.Optimizer, optim.LBFGS}
    optimizers.remove(optim.Muon)  # takes matrices only: test_matrix.py
    assert optimizers == {row.make for row in ROWS.values()}


def test_state_dict_has_pytorchs_layout(rng):
    parameters = [Parameter(value) for value in draw(rng)]
    adam = optim.Adam([{"params": parameters[:1], "lr": 0.5}, {"params": parameters[1:]}])
    give_gradients(parameters, [*draw(rng)[:3], None])
    adam.step()
    state = adam.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0], [1, 2, 3]]
    assert state["param_groups"][0]["lr"] == 0.5 and state["param_groups"][0]["betas"] == (0.9, 0.999)
    assert list(state["state"]) == [0, 1, 2]
    assert state["state"][1]["step"] == 1.0
    assert state["state"][1]["exp_avg"].shape == state["state"][1]["exp_avg_sq"].shape == (7,)
    sgd = optim.SGD(parameters)
    give_gradients(parameters, draw(rng))
    sgd.step()
    assert sgd.state_dict()["state"] == {}


def test_state_dict_is_checked(rng):
    parameters = [Parameter(value) for value in draw(rng)]
    sgd = optim.SGD(parameters, momentum=0.9)
    give_gradients(parameters, draw(rng))
    sgd.step()
    state = sgd.state_dict()
    with pytest.raises(ValueError, match="Adam has no setting 'dampening'"):
        optim.Adam(parameters).load_state_dict(state)
    with pytest.raises(ValueError, match="4 parameters in 1 groups do not fit 3 in 1"):
        optim.SGD(parameters[:3]).load_state_dict(state)
    with pytest.raises(
        ValueError, match=r"momentum_buffer of parameter 0 has shape \(3, 5\), its parameter has \(7,\)"
    ):
        optim.SGD([parameters[1], parameters[0], *parameters[2:]]).load_state_dict(state)
    with pytest.raises(ValueError, match="expected the state of an optimizer, with 'state' and 'param_groups', got"):
        sgd.load_state_dict({"weight": np.ones(3)})
    state["state"][0]["speed"] = np.zeros((3, 5))
    with pytest.raises(ValueError, match="SGD has no state 'speed'"):
        sgd.load_state_dict(state)
    state["param_groups"][0]["lr"] = -1
    del state["state"][0]["speed"]
    with pytest.raises(ValueError, match="SGD: lr must not be negative, got -1"):
        sgd.load_state_dict(state)


def test_parameters_and_gradients_are_views_of_one_buffer(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    model(Tensor(rng.normal(size=(5, 3)).astype(np.float32))).sum().backward()
    parameters = list(model.parameters())
    assert len({id(p.numpy().base) for p in parameters}) == 1
    assert len({id(p.grad.numpy().base) for p in parameters}) == 1
    first = [p.grad.copy() for p in parameters]
    optimizer.zero_grad()
    assert all(p.grad is None for p in parameters)
    model(Tensor(rng.normal(size=(5, 3)).astype(np.float32))).sum().backward()
    assert not any(np.array_equal(a, p.grad) for a, p in zip(first[::2], parameters[::2], strict=True))


@pytest.mark.parametrize("activation", [None, "gelu"])
def test_large_weights_get_their_first_gradient_in_place(activation, rng, monkeypatch):
    monkeypatch.setattr(sys.modules["fastnn.functional.matmul"], "LARGE", 1)
    layer = nn.Linear(5, 4, dtype=np.float64)
    x = rng.normal(size=(3, 5))
    layer(x, activation=activation).sum().backward()
    expected = layer.weight.grad.copy()
    optimizer = optim.SGD(layer.parameters(), lr=0.1)
    memory = optimizer.flats()[0].gradients
    for times in (1, 2):
        layer.zero_grad()
        memory[...] = np.nan
        for _ in range(times):
            layer(x, activation=activation).sum().backward()
        assert np.shares_memory(layer.weight.grad, memory)
        np.testing.assert_allclose(layer.weight.grad, times * expected, rtol=1e-12)
    optimizer.step()


def test_gradients_add_up_until_they_are_cleared():
    weight = Parameter(np.array([1.0, 2.0]))
    optimizer = optim.SGD([weight], lr=1.0)
    for _ in range(3):
        (weight * 2).sum().backward()
    np.testing.assert_array_equal(weight.grad, [6.0, 6.0])
    optimizer.step()
    np.testing.assert_array_equal(weight.numpy(), [-5.0, -4.0])


def test_gradients_can_become_0_instead():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(2))
    optimizer = optim.SGD([a, b], lr=0.5, weight_decay=1.0)
    a.grad = np.ones(2)
    optimizer.zero_grad(set_to_none=False)
    assert a.grad.tolist() == [0, 0] and b.grad is None
    optimizer.step()
    assert a.tolist() == [0.5, 0.5] and b.tolist() == [1, 1]


def test_groups_have_their_own_settings():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(3, np.float32))
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.25)
    give_gradients([a, b], [np.ones(2), np.ones(3)])
    optimizer.step()
    assert a.numpy()[0] == 0.5 and b.numpy()[0] == 0.75
    optimizer.lr = 0.125
    optimizer.step()
    assert a.numpy()[0] == 0.375 and b.numpy()[0] == 0.625


def test_a_group_can_be_added():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(3))
    optimizer = optim.SGD([a], lr=0.5)
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [a]})
    optimizer.add_param_group({"params": b, "l1": 0.25, "weight_decay": 0.25})
    give_gradients([a, b], [np.ones(2), np.ones(3)])
    optimizer.step()
    assert a.numpy()[0] == 0.5 and b.numpy()[0] == 0.25
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1]


def test_step_takes_a_closure():
    a = Parameter(np.ones(2))
    optimizer = optim.SGD([a], lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = (a * a).sum()
        loss.backward()
        return loss

    with no_grad():
        assert optimizer.step(closure).item() == 2.0
    assert a.numpy()[0] == 0.5


def test_mixed_dtypes_and_plain_leaves():
    a, b = Tensor(np.ones(2), requires_grad=True), Parameter(np.ones(3, np.float32))
    optimizer = optim.Adam([a, b], lr=0.5)
    ((a**2).sum() + (b**2).sum()).backward()
    optimizer.step()
    np.testing.assert_allclose(a.numpy(), 0.5, rtol=1e-6)
    np.testing.assert_allclose(b.numpy(), 0.5, rtol=1e-6)


def test_frozen_parameters_wait_until_they_are_thawed():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(2), requires_grad=False)
    optimizer = optim.SGD([a, b], lr=0.5)
    for thawed in (False, True):
        b.requires_grad = thawed
        (a + b).sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert a.numpy()[0] == 0.0 and b.numpy()[0] == 0.5


def test_a_second_optimizer_takes_over_and_gives_back():
    weight = Parameter(np.array([1.0]))
    first, second = optim.SGD([weight], lr=0.5), optim.SGD([weight], lr=0.25)
    for optimizer, value in ((first, 0.5), (second, 0.25), (first, -0.25), (first, -0.75)):
        weight.grad = np.ones(1)
        optimizer.step()
        assert weight.numpy()[0] == value


def test_writes_between_steps_count():
    weight = Parameter(np.array([1.0]))
    optimizer = optim.SGD([weight], lr=0.5)
    weight.data[...] = 4.0
    weight.grad = np.ones(1)
    optimizer.step()
    assert weight.numpy()[0] == 3.5
    with no_grad():
        weight -= 1.0
    weight.grad *= 2.0
    optimizer.step()
    assert weight.numpy()[0] == 1.5


def test_conversion_needs_a_new_optimizer():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    model(Tensor(np.ones((1, 2)), requires_grad=True)).sum().backward()
    model.double()
    with pytest.raises(RuntimeError, match="make a new optimizer"):
        optimizer.step()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([]), ValueError, "no parameters"),
        (lambda: optim.SGD(Parameter(np.ones(2))), TypeError, "not one Parameter"),
        (lambda: optim.SGD([np.ones(2)]), TypeError, "expected parameters, got ndarray"),
        (lambda: optim.SGD(nn.Linear(2, 2)), TypeError, r"got Linear; pass its \.parameters\(\)"),
        (lambda: optim.SGD(nn.Sequential(nn.ReLU())), TypeError, r"got Sequential; pass its \.parameters\(\)"),
        (lambda: optim.SGD([{"params": nn.Linear(2, 2)}]), TypeError, r"got Linear; pass its \.parameters\(\)"),
        (lambda: optim.SGD([Tensor([1.0])]), ValueError, "leaf tensors that require gradients"),
        (lambda: optim.SGD([Parameter([1.0])], lr=-1.0), ValueError, "lr must not be negative, got -1.0"),
        (lambda: optim.SGD([Parameter([1.0])], lr=float("nan")), ValueError, "lr must be a finite number, got nan"),
        (lambda: optim.SGD([Parameter([1.0])], lr=float("inf")), ValueError, "lr must be a finite number, got inf"),
        (lambda: optim.SGD([Parameter([1.0])], momentum=-0.1), ValueError, "momentum must not be negative"),
        (lambda: optim.SGD([Parameter([1.0])], nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda: optim.SGD([{"params": [Parameter([1.0])], "speed": 2}]), ValueError, "unknown settings speed"),
        (lambda: optim.Adam([Parameter([1.0])], betas=(0.9, 1.0)), ValueError, "betas must be two numbers"),
        (lambda: optim.Adam([Parameter([1.0])], eps=-1e-8), ValueError, "eps must not be negative"),
        (lambda: optim.SGD([p := Parameter([1.0]), p]), ValueError, "given twice"),
        (lambda: optim.Adam([Parameter([1.0])], betas=0.9), ValueError, "betas must be two numbers in"),
        (lambda: optim.Adam([Parameter([1.0])], betas=(0.9,)), ValueError, "betas must be two numbers"),
        (lambda: optim.Adam([Parameter([1.0])], lr="fast"), TypeError, "Adam: lr must be a number, got 'fast'"),
        (
            lambda: optim.RMSprop([Parameter([1.0])], alpha=1.5),
            ValueError,
            "RMSprop: alpha must be from 0 to 1, got 1.5",
        ),
        (lambda: optim.Adadelta([Parameter([1.0])], rho=-1), ValueError, "Adadelta: rho must be from 0 to 1, got -1"),
        (lambda: optim.Adagrad([Parameter([1.0])], lr_decay=-1), ValueError, "lr_decay must not be negative"),
        (lambda: optim.Lion([Parameter([1.0])], l1=-1), ValueError, "Lion: l1 must not be negative"),
        (lambda: optim.SGD([Parameter([1.0])]).add_param_group([]), TypeError, 'must be a dictionary with "params"'),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
