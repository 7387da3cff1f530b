"""Optimizers against their update rules, written out parameter by parameter; flat memory; state."""

import sys

import numpy as np
import pytest

from fastnn import Tensor, nn, no_grad, optim
from fastnn.nn import Parameter
from tests.reference import optimizer as reference

SHAPES = [(3, 5), (7,), (), (2, 1, 2)]

SETTINGS = {
    "sgd": (optim.SGD, {"lr": 0.1}),
    "momentum": (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    "dampening": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    "nesterov": (optim.SGD, {"lr": 0.1, "momentum": 0.8, "nesterov": True}),
    "sgd decay": (optim.SGD, {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.05, "l1": 0.01}),
    "adam": (optim.Adam, {"lr": 0.05}),
    "adam decay": (optim.Adam, {"lr": 0.05, "betas": (0.7, 0.9), "eps": 1e-3, "weight_decay": 0.05, "l1": 0.01}),
}

every_setting = pytest.mark.parametrize(("kind", "settings"), SETTINGS.values(), ids=SETTINGS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draw(rng, dtype=np.float64):
    return [rng.normal(size=shape).astype(dtype) for shape in SHAPES]


def give_gradients(parameters, gradients):
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient


def expected(kind, settings, values, all_gradients):
    """Where the rule of one parameter leads, for each; None gradients are skipped."""
    rule = reference.sgd if kind is optim.SGD else reference.adam
    results = []
    for i, value in enumerate(values):
        gradients = [step[i] for step in all_gradients if step[i] is not None]
        results.append(rule(value, gradients, **settings))
    return results


@every_setting
@both_dtypes
def test_follows_the_rule(kind, settings, dtype, rng):
    values = draw(rng, dtype)
    parameters = [Parameter(value) for value in values]
    optimizer = kind(parameters, **settings)
    steps = [draw(rng, dtype) for _ in range(5)]
    for gradients in steps:
        give_gradients(parameters, gradients)
        optimizer.step()
        optimizer.zero_grad()
    for parameter, value in zip(parameters, expected(kind, settings, values, steps), strict=True):
        assert parameter.dtype == dtype
        np.testing.assert_allclose(parameter.numpy(), value, rtol=reference.rtol(dtype), atol=reference.rtol(dtype))


@every_setting
def test_parameters_without_gradient_are_left_alone(kind, settings, rng):
    values = draw(rng)
    parameters = [Parameter(value) for value in values]
    optimizer = kind(parameters, **settings)
    steps = []
    for step in range(6):
        gradients = [None if (step + i) % 3 == 0 or (i == 1 and step < 4) else g for i, g in enumerate(draw(rng))]
        give_gradients(parameters, gradients)
        optimizer.step()
        optimizer.zero_grad()
        steps.append(gradients)
    for parameter, value in zip(parameters, expected(kind, settings, values, steps), strict=True):
        np.testing.assert_allclose(parameter.numpy(), value, rtol=1e-12, atol=1e-13)


@every_setting
def test_state_dict_continues_bit_for_bit(kind, settings, rng):
    start, steps = draw(rng, np.float32), [draw(rng, np.float32) for _ in range(6)]

    def run(parameters, optimizer, gradients):
        for step in gradients:
            give_gradients(parameters, step)
            optimizer.step()

    whole = [Parameter(value) for value in start]
    run(whole, kind(whole, **settings), steps)

    first = [Parameter(value) for value in start]
    optimizer = kind(first, **settings)
    run(first, optimizer, steps[:3])
    state = optimizer.state_dict()
    run(first, optimizer, steps[3:])  # must not reach into the state that was taken

    second = [Parameter(value) for value in start]
    run(second, kind(second, **settings), steps[:3])
    resumed = kind(second, lr=123.0)
    resumed.load_state_dict(state)
    assert resumed.lr == settings["lr"]
    run(second, resumed, steps[3:])
    for one, other in zip(whole, second, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_state_dict_is_checked(rng):
    parameters = [Parameter(value) for value in draw(rng)]
    sgd = optim.SGD(parameters, momentum=0.9)
    give_gradients(parameters, draw(rng))
    sgd.step()
    state = sgd.state_dict()
    with pytest.raises(ValueError, match="state of SGD does not fit Adam"):
        optim.Adam(parameters).load_state_dict(state)
    with pytest.raises(ValueError, match="4 parameters in 1 groups do not fit 3"):
        optim.SGD(parameters[:3]).load_state_dict(state)
    with pytest.raises(ValueError, match=r"momentum_buffer.0 has shape \(3, 5\), its parameter has \(7,\)"):
        optim.SGD([parameters[1], parameters[0], *parameters[2:]]).load_state_dict(state)
    state["state"]["speed.0"] = np.zeros((3, 5))
    with pytest.raises(ValueError, match="SGD has no state 'speed.0'"):
        sgd.load_state_dict(state)


def test_parameters_and_gradients_are_views_of_one_buffer(rng):
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    before = model.state_dict()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())
    model(Tensor(rng.normal(size=(5, 3)).astype(np.float32))).sum().backward()
    parameters = list(model.parameters())
    assert len({id(p.numpy().base) for p in parameters}) == 1
    assert len({id(p.grad.base) for p in parameters}) == 1
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
    buffer = layer.weight._leaf.buffer
    for times in (1, 2):
        layer.zero_grad()
        buffer[...] = np.nan
        for _ in range(times):
            layer(x, activation=activation).sum().backward()
        assert layer.weight.grad is buffer
        np.testing.assert_allclose(buffer, times * expected, rtol=1e-12)
    optimizer.step()


def test_gradients_add_up_until_they_are_cleared():
    weight = Parameter(np.array([1.0, 2.0]))
    optimizer = optim.SGD([weight], lr=1.0)
    for _ in range(3):
        (weight * 2).sum().backward()
    np.testing.assert_array_equal(weight.grad, [6.0, 6.0])
    optimizer.step()
    np.testing.assert_array_equal(weight.numpy(), [-5.0, -4.0])


def test_groups_have_their_own_settings():
    a, b = Parameter(np.ones(2)), Parameter(np.ones(3, np.float32))
    optimizer = optim.SGD([{"params": [a], "lr": 0.5}, {"params": [b]}], lr=0.25)
    give_gradients([a, b], [np.ones(2), np.ones(3)])
    optimizer.step()
    assert a.numpy()[0] == 0.5 and b.numpy()[0] == 0.75
    optimizer.lr = 0.125
    optimizer.step()
    assert a.numpy()[0] == 0.375 and b.numpy()[0] == 0.625


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
        (lambda: optim.SGD([Tensor([1.0])]), ValueError, "leaf tensors that require gradients"),
        (lambda: optim.SGD([Parameter([1.0])], lr=-1.0), ValueError, "lr must not be negative, got -1.0"),
        (lambda: optim.SGD([Parameter([1.0])], lr=float("nan")), ValueError, "lr must not be negative, got nan"),
        (lambda: optim.SGD([Parameter([1.0])], momentum=-0.1), ValueError, "momentum must not be negative"),
        (lambda: optim.SGD([Parameter([1.0])], nesterov=True), ValueError, "nesterov needs momentum"),
        (lambda: optim.SGD([{"params": [Parameter([1.0])], "speed": 2}]), ValueError, "unknown settings speed"),
        (lambda: optim.Adam([Parameter([1.0])], betas=(0.9, 1.0)), ValueError, "betas must be two numbers"),
        (lambda: optim.Adam([Parameter([1.0])], eps=-1e-8), ValueError, "eps must not be negative"),
        (lambda: optim.SGD([p := Parameter([1.0]), p]), ValueError, "given twice"),
    ],
)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make()
