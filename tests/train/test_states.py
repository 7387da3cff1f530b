"""States of optimizers, schedules and averages from elsewhere: taken whole or not at all, by a named error."""

import copy

import numpy as np
import pytest

import fastnn
from fastnn import Tensor, nn, optim
from fastnn.optim import lr_scheduler as schedules
from tests.train.test_hostile import BAD, changed, places, same

X = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
OPTIMIZERS = {
    "Adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True),
    "SGD": lambda p: optim.SGD(p, lr=0.01, momentum=0.9, nesterov=True),
    "NAdam": lambda p: optim.NAdam(p),
    "RMSprop": lambda p: optim.RMSprop(p, centered=True, momentum=0.5),
    "Adagrad": lambda p: optim.Adagrad(p, lr=0.1),
    "LBFGS": lambda p: optim.LBFGS(p, lr=0.5, max_iter=3),
}
SCHEDULES = {
    "StepLR": lambda o: schedules.StepLR(o, 2),
    "OneCycleLR": lambda o: schedules.OneCycleLR(o, 0.1, total_steps=9, cycle_momentum=False),
    "ReduceLROnPlateau": lambda o: schedules.ReduceLROnPlateau(o),
    "SequentialLR": lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 2), schedules.ExponentialLR(o, 0.9)], [3]),
    "ExponentialLR": lambda o: schedules.ExponentialLR(o, 1.5),
}


def stepped(kind):
    fastnn.manual_seed(1)
    model = nn.Linear(3, 2)
    optimizer = OPTIMIZERS[kind](model.parameters())

    def closure():
        optimizer.zero_grad()
        loss = (model(Tensor(X)) ** 2).sum()
        loss.backward()
        return loss

    for _ in range(2):
        optimizer.step(closure)
    return optimizer, closure


def tries(state, least):
    """Give states with one part broken, each with whether it may be taken."""
    number = 0
    for path in places(state):
        for bad in (*BAD, changed):
            if path or bad is not changed:
                number += 1
                yield path, changed(state, path, bad)
    assert number > least


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_optimizers(kind):
    optimizer, closure = stepped(kind)
    good = copy.deepcopy(optimizer.state_dict())
    refused = 0
    for path, bad in tries(good, 100):
        try:
            optimizer.load_state_dict(bad)
        except (ValueError, TypeError) as error:
            refused += 1
            assert str(error).startswith(("load_state_dict: ", f"{kind}: ")), (path, error)
            assert same(optimizer.state_dict(), good), path
        else:
            assert optimizer.state_dict()
            optimizer.step(closure)  # what was taken is of use
            optimizer, closure = stepped(kind)
    assert refused > 50
    optimizer.load_state_dict(good)
    assert same(optimizer.state_dict(), good)


@pytest.mark.parametrize("kind", SCHEDULES)
def test_schedules(kind):
    def made():
        optimizer, _ = stepped("SGD")
        schedule = SCHEDULES[kind](optimizer)
        optimizer.step()
        for _ in range(4):
            schedule.step(*([1.0] if kind == "ReduceLROnPlateau" else []))
        return optimizer, schedule

    optimizer, schedule = made()
    good, groups = schedule.state_dict(), copy.deepcopy(optimizer.state_dict()["param_groups"])
    refused = 0
    for path, bad in tries(good, 30):
        try:
            schedule.load_state_dict(bad)
        except ValueError as error:
            refused += 1
            assert str(error).startswith("load_state_dict: "), (path, error)
            assert same(schedule.state_dict(), good) and same(optimizer.state_dict()["param_groups"], groups), path
        else:
            optimizer, schedule = made()
    assert refused > 25


def test_averages():
    optimizer, _ = stepped("Adam")
    ema = optim.EMA(optimizer)
    ema.update()
    good = copy.deepcopy(ema.state_dict())
    for path, bad in tries(good, 30):
        try:
            ema.load_state_dict(bad)
        except ValueError as error:
            assert str(error).startswith("EMA: load_state_dict: ")
            assert same(ema.state_dict(), good), path
        ema.load_state_dict(good)


def test_random_streams():
    good = fastnn.random.get_state()
    for path, bad in tries(good, 30):
        try:
            fastnn.random.set_state(bad)
        except ValueError as error:
            assert str(error).startswith("set_state: ")
            assert fastnn.random.get_state() == good, path
        fastnn.random.set_state(good)


def test_weights():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    good = model.state_dict()
    for path, bad in tries(good, 50):
        try:
            model.load_state_dict(bad)
        except (ValueError, TypeError) as error:
            assert str(error).startswith("load_state_dict: ")
            assert same(model.state_dict(), good), path
        model.load_state_dict(good)


def test_a_search_that_ends_at_once_can_go_on():
    """Where the slope is too small for a step, the next call still has all it needs."""
    parameter = nn.Parameter(np.array([1e-5]))
    optimizer = optim.LBFGS([parameter], lr=1.0)

    def closure():
        optimizer.zero_grad()
        loss = (parameter * parameter).sum() * 0.5
        loss.backward()
        return loss

    for _ in range(3):
        optimizer.step(closure)
    assert abs(parameter.item()) <= 1e-5
