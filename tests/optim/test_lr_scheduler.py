"""Schedules: values by hand, the same as PyTorch's (recorded, or as installed) over 100 steps, misuse, state."""

import json
import math
import warnings

import numpy as np
import pytest

from fastnn import optim
from fastnn.nn import Parameter
from fastnn.optim import lr_scheduler as schedules
from tests.optim.record import EVERY, FILE


def optimizer(kind=optim.SGD, **settings):
    groups = [{"params": [Parameter(np.ones(2))]}, {"params": [Parameter(np.ones(2))], "lr": 0.03}]
    return kind(groups, lr=0.5, **settings)


def follow(schedule, steps, figures=None):
    """Take steps of both; give the rates of the second group and the momentum before each."""
    made = schedule.optimizer
    rates = []
    for i in range(steps):
        group = made.param_groups[1]
        rates.append((group["lr"], group.get("betas", (group.get("momentum"),))[0]))
        made.step()
        schedule.step() if figures is None else schedule.step(figures[i])
    return rates


def sequence(module, o):
    return module.SequentialLR(
        o,
        [
            module.LinearLR(o, start_factor=0.1, total_iters=10),
            module.CosineAnnealingLR(o, T_max=30, eta_min=0.001),
            module.LambdaLR(o, lambda t: 1 / (1 + t)),
            module.CosineAnnealingWarmRestarts(o, 7),
        ],
        milestones=[10, 40, 70],
    )


NOISE = np.random.default_rng(5).normal(size=100)
FIGURES = 1 / np.sqrt(1 + np.arange(100)) * (1 + 0.2 * NOISE)
TABLE = {
    "StepLR": lambda m, o: m.StepLR(o, 7, 0.8),
    "MultiStepLR": lambda m, o: m.MultiStepLR(o, [30, 5, 5, 80], gamma=0.3),
    "ConstantLR": lambda m, o: m.ConstantLR(o, 0.5, 9),
    "LinearLR": lambda m, o: m.LinearLR(o, 0.2, 0.9, total_iters=30),
    "LinearLR usual": lambda m, o: m.LinearLR(o),
    "ExponentialLR": lambda m, o: m.ExponentialLR(o, 0.97),
    "PolynomialLR": lambda m, o: m.PolynomialLR(o, 80, power=2.5),
    "CosineAnnealingLR": lambda m, o: m.CosineAnnealingLR(o, 40, eta_min=0.002),
    "CosineAnnealingWarmRestarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 6, 2, 0.001),
    "CosineAnnealingWarmRestarts even": lambda m, o: m.CosineAnnealingWarmRestarts(o, 9),
    "LambdaLR": lambda m, o: m.LambdaLR(o, [lambda t: 1.0, lambda t: 0.9**t]),
    "MultiplicativeLR": lambda m, o: m.MultiplicativeLR(o, [lambda t: 1.0, lambda t: 0.99 if t % 3 else 0.9]),
    "CyclicLR": lambda m, o: m.CyclicLR(o, 0.01, 0.3, step_size_up=9),
    "CyclicLR 2": lambda m, o: m.CyclicLR(o, [0.01, 0.02], [0.3, 0.2], 7, 12, "triangular2", base_momentum=0.7),
    "CyclicLR exp": lambda m, o: m.CyclicLR(o, 0.01, 0.3, 11, mode="exp_range", gamma=0.98, cycle_momentum=False),
    "CyclicLR own": lambda m, o: m.CyclicLR(o, 0.01, 0.3, 11, scale_fn=lambda n: 1 / n, max_momentum=[0.9, 0.95]),
    "ChainedScheduler": lambda m, o: m.ChainedScheduler(
        [m.LinearLR(o, 0.1, total_iters=10), m.ExponentialLR(o, 0.95), m.StepLR(o, 13, 0.5)]
    ),
    "OneCycleLR": lambda m, o: m.OneCycleLR(o, [0.5, 0.3], total_steps=100),
    "OneCycleLR phases": lambda m, o: m.OneCycleLR(
        o, 0.3, epochs=20, steps_per_epoch=5, pct_start=0.25, three_phase=True, anneal_strategy="linear", div_factor=9
    ),
    "OneCycleLR rate only": lambda m, o: m.OneCycleLR(o, 0.3, 100, cycle_momentum=False, final_div_factor=10.0),
    "SequentialLR": sequence,
    "ReduceLROnPlateau": lambda m, o: m.ReduceLROnPlateau(o, factor=0.5, patience=3, cooldown=2, min_lr=[0.0, 0.002]),
    "ReduceLROnPlateau max": lambda m, o: m.ReduceLROnPlateau(
        o, "max", patience=5, threshold=0.01, threshold_mode="abs", min_lr=1e-4
    ),
    "ReduceLROnPlateau max rel": lambda m, o: m.ReduceLROnPlateau(o, "max", 0.7, 4, 0.05),
}
every_schedule = pytest.mark.parametrize("name", TABLE)


def figures_of(name):
    return FIGURES if name.startswith("ReduceLROnPlateau") else None


def theirs(torch, kind, **settings):
    groups = [
        {"params": [torch.nn.Parameter(torch.ones(2))]},
        {"params": [torch.nn.Parameter(torch.ones(2))], "lr": 0.03},
    ]
    return getattr(torch.optim, kind)(groups, lr=0.5, **settings)


@every_schedule
def test_values_are_those_recorded_of_pytorch(name):
    schedule = TABLE[name](schedules, optimizer(momentum=0.9))
    expected = json.loads(FILE.read_text())["schedules"][name]
    np.testing.assert_allclose(follow(schedule, 100, figures_of(name))[::EVERY], expected, rtol=1e-9, atol=1e-16)


@every_schedule
@pytest.mark.parametrize("kind", ["SGD", "Adam"])
def test_values_are_pytorchs(name, kind):
    torch = pytest.importorskip("torch")
    settings = {"momentum": 0.9} if kind == "SGD" else {}
    schedule = TABLE[name](schedules, optimizer(getattr(optim, kind), **settings))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = follow(TABLE[name](torch.optim.lr_scheduler, theirs(torch, kind, **settings)), 100, figures_of(name))
    np.testing.assert_allclose(follow(schedule, 100, figures_of(name)), expected, rtol=1e-9, atol=1e-16)


ARGUMENTS = [
    ("StepLR", {"step_size": 3, "gamma": 0.5}, {"step_size": 5}),
    ("MultiStepLR", {"milestones": [2, 5, 6]}, {"milestones": [9], "gamma": 0.5}),
    ("ConstantLR", {"factor": 0.5, "total_iters": 6}, {"factor": 0.25}),
    ("LinearLR", {"start_factor": 0.5, "total_iters": 6}, {"end_factor": 0.5}),
    ("ExponentialLR", {"gamma": 0.9}, {"gamma": 0.5}),
    ("PolynomialLR", {"total_iters": 6, "power": 2.0}, {"total_iters": 9}),
    ("CosineAnnealingLR", {"T_max": 5, "eta_min": 0.01}, {"T_max": 9}),
    ("CosineAnnealingWarmRestarts", {"T_0": 3, "T_mult": 2}, {"T_0": 5}),
    ("OneCycleLR", {"max_lr": 1.0, "total_steps": 20, "three_phase": True}, {"max_lr": 0.5, "total_steps": 30}),
    ("CyclicLR", {"base_lr": 0.1, "max_lr": 1, "step_size_up": 3, "mode": "exp_range"}, {"base_lr": 0.2, "max_lr": 3}),
    ("ReduceLROnPlateau", {"patience": 1, "factor": 0.5}, {"patience": 3}),
]


@every_schedule
def test_state_goes_through_json_and_continues(name):
    make, figures = TABLE[name], figures_of(name)
    whole = make(schedules, optimizer(momentum=0.9))
    later = None if figures is None else figures[40:]
    expected = follow(whole, 100, figures)
    first = make(schedules, optimizer(momentum=0.9))
    assert follow(first, 40, figures) == expected[:40]
    state = json.loads(json.dumps([first.optimizer.state_dict(), first.state_dict()]))
    resumed = make(schedules, optimizer(momentum=0.1))
    resumed.optimizer.load_state_dict(state[0])
    resumed.load_state_dict(state[1])
    assert follow(resumed, 60, later) == expected[40:]


def test_values_by_hand():
    def rates(make, steps=6):
        return [rate for rate, _ in follow(make(optimizer()), steps)]

    np.testing.assert_allclose(rates(lambda o: schedules.StepLR(o, 2, 0.5)), np.array([4, 4, 2, 2, 1, 1]) * 0.0075)
    expected = 0.015 * (1 + np.cos(np.pi * np.arange(6) / 4))
    np.testing.assert_allclose(rates(lambda o: schedules.CosineAnnealingLR(o, 4)), expected, atol=1e-15)
    np.testing.assert_allclose(rates(lambda o: schedules.PolynomialLR(o, 4)), 0.03 * np.array([4, 3, 2, 1, 0, 0]) / 4)


def test_rates_written_by_hand_hold_until_the_next_step():
    schedule = schedules.ExponentialLR(optimizer(), 0.5)
    schedule.optimizer.lr = 7.0
    schedule.optimizer.step()
    assert schedule.get_last_lr() == [7.0, 7.0]
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 0.015] and schedule.base_lrs == [0.5, 0.03]


def test_a_group_can_come_later():
    schedule = schedules.ExponentialLR(optimizer(), 0.5)
    schedule.optimizer.add_param_group({"params": [Parameter(np.ones(2))], "lr": 8.0})
    schedule.optimizer.step()
    schedule.step()
    assert schedule.get_last_lr() == [0.25, 0.015, 4.0]


def test_continuing_without_a_state():
    first = schedules.StepLR(optimizer(), 3)
    follow(first, 4)
    again = schedules.StepLR(first.optimizer, 3, last_epoch=4)
    assert again.last_epoch == 5 and again.get_last_lr() == pytest.approx([0.05, 0.003])
    with pytest.raises(ValueError, match="StepLR: last_epoch=4 continues a schedule, .* no initial_lr"):
        schedules.StepLR(optimizer(), 3, last_epoch=4)


def test_a_step_too_early_is_noticed():
    schedule = schedules.StepLR(optimizer(), 3)
    with pytest.warns(UserWarning, match=r"StepLR: step\(\) before the first optimizer.step\(\) skips"):
        schedule.step()


def test_plateaus_and_nan():
    schedule = schedules.ReduceLROnPlateau(optimizer(), patience=1, factor=0.5)
    for figure in (1.0, math.nan, math.nan):
        schedule.optimizer.step()
        schedule.step(figure)
    assert schedule.get_last_lr() == [0.25, 0.015] and schedule.best == 1.0


def test_nothing_changes_when_a_function_gives_nonsense():
    schedule = schedules.LambdaLR(optimizer(), lambda t: 1.0 if t < 2 else math.nan)
    schedule.optimizer.step()
    schedule.step()
    with pytest.raises(ValueError, match="LambdaLR: the learning rate after 2 steps would be nan"):
        schedule.step()
    assert schedule.last_epoch == 1 and schedule.get_last_lr() == [0.5, 0.03]


def test_the_cycle_ends():
    schedule = schedules.OneCycleLR(optimizer(momentum=0.9), 0.3, total_steps=4)
    follow(schedule, 4)
    with pytest.raises(ValueError, match="OneCycleLR: step 5 of 4; the cycle is over"):
        schedule.step()


def test_states_are_checked():
    state = schedules.StepLR(optimizer(), 3).state_dict()
    with pytest.raises(ValueError, match="a state of StepLR does not fit ExponentialLR"):
        schedules.ExponentialLR(optimizer(), 0.5).load_state_dict(state)
    with pytest.raises(ValueError, match="a state of None does not fit ReduceLROnPlateau"):
        schedules.ReduceLROnPlateau(optimizer()).load_state_dict({})
    with pytest.raises(ValueError, match="the state has 2 groups of parameters, the optimizer has 1"):
        schedules.StepLR(optim.SGD([Parameter(np.ones(2))]), 3).load_state_dict(state)


@pytest.mark.parametrize("name, first, second", ARGUMENTS)
def test_a_state_brings_its_arguments(name, first, second):
    def made(settings):
        return getattr(schedules, name)(optimizer(momentum=0.9), **settings)

    figures = [1.0] * 9 if name == "ReduceLROnPlateau" else None
    one, other = made(first), made(second)
    follow(one, 4, figures)
    other.optimizer.load_state_dict(json.loads(json.dumps(one.optimizer.state_dict())))
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert follow(other, 5, figures) == follow(one, 5, figures)


def test_a_state_brings_the_arguments_of_parts():
    def made(gamma, size, at):
        o = optimizer()
        return schedules.SequentialLR(o, [schedules.ExponentialLR(o, gamma), schedules.StepLR(o, size)], [at])

    one, other = made(0.5, 2, 3), made(0.9, 7, 5)
    follow(one, 2)
    other.load_state_dict(json.loads(json.dumps(one.state_dict())))
    assert follow(other, 8) == follow(one, 8)
    kept = other.state_dict()
    for key, value in {"schedulers": [], "milestones": [3, 4], "optimizer": 3, "rate": 3}.items():
        with pytest.raises(ValueError, match="load_state_dict: SequentialLR"):
            other.load_state_dict({**one.state_dict(), key: value})
    parts = [one.schedulers[0].state_dict(), {**one.schedulers[1].state_dict(), "step_size": 0}]
    with pytest.raises(ValueError, match="StepLR: step_size cannot be 0"):
        other.load_state_dict({**one.state_dict(), "schedulers": parts})
    assert other.state_dict() == kept


@pytest.mark.parametrize("wrong", [{"T_0": 0}, {"T_mult": 1.5}, {"eta_min": "x"}, {"eta_min": math.nan}, {"step": 1}])
def test_arguments_of_states_are_checked(wrong):
    schedule = schedules.CosineAnnealingWarmRestarts(optimizer(), 3, 2)
    kept = schedule.state_dict()
    with pytest.raises(ValueError, match=f"CosineAnnealingWarmRestarts: {next(iter(wrong))} cannot be"):
        schedule.load_state_dict({**kept, **wrong})
    assert schedule.state_dict() == kept


BAD = [
    (lambda o: schedules.StepLR([Parameter(np.ones(2))], 3), TypeError, "StepLR: expected an Optimizer, got list"),
    (lambda o: schedules.OneCycleLR(None, 0.1, 3), TypeError, "OneCycleLR: expected an Optimizer, got NoneType"),
    (lambda o: schedules.StepLR(o, 0), ValueError, "StepLR: step_size must be an integer of at least 1, got 0"),
    (lambda o: schedules.StepLR(o, 2.5), ValueError, "StepLR: step_size must be an integer of at least 1, got 2.5"),
    (lambda o: schedules.StepLR(o, 3, gamma=-1), ValueError, "StepLR: gamma must be above 0, got -1"),
    (lambda o: schedules.MultiStepLR(o, [3, 0]), ValueError, "milestones must be integers of at least 1, got 0"),
    (lambda o: schedules.ExponentialLR(o, math.nan), ValueError, "ExponentialLR: gamma must be above 0, got nan"),
    (lambda o: schedules.LinearLR(o, 0.0), ValueError, "start_factor must be above 0 and at most 1, got 0.0"),
    (lambda o: schedules.LinearLR(o, end_factor=1.5), ValueError, "LinearLR: end_factor must be from 0 to 1, got 1.5"),
    (lambda o: schedules.ConstantLR(o, 2), ValueError, "ConstantLR: factor must be from 0 to 1, got 2"),
    (lambda o: schedules.PolynomialLR(o, 3, -1), ValueError, "PolynomialLR: power must be at least 0, got -1"),
    (lambda o: schedules.CosineAnnealingLR(o, 0), ValueError, "T_max must be an integer of at least 1, got 0"),
    (lambda o: schedules.CosineAnnealingLR(o, 3, -1), ValueError, "eta_min must be at least 0, got -1"),
    (lambda o: schedules.CosineAnnealingWarmRestarts(o, 3, 0), ValueError, "T_mult must be an integer of at least 1"),
    (lambda o: schedules.LambdaLR(o, 0.5), TypeError, "lr_lambda must be a function of the number of steps, got 0.5"),
    (lambda o: schedules.LambdaLR(o, [abs]), ValueError, "LambdaLR: expected 2 functions, one per group, got 1"),
    (lambda o: schedules.OneCycleLR(o, 0.1), ValueError, "OneCycleLR: give total_steps, or epochs and steps_per_epoch"),
    (lambda o: schedules.OneCycleLR(o, 0.1, 9, pct_start=2), ValueError, "pct_start must be from 0 to 1, got 2"),
    (lambda o: schedules.OneCycleLR(o, 0.1, 9, anneal_strategy="sin"), ValueError, "must be 'cos' or 'linear'"),
    (lambda o: schedules.OneCycleLR(o, [0.1], 9), ValueError, "max_lr: expected one number or 2, one per group, got 1"),
    (lambda o: schedules.OneCycleLR(o, -1, 9), ValueError, "max_lr must not be negative, got -1"),
    (lambda o: schedules.SequentialLR(o, [], []), ValueError, "SequentialLR: there are no schedulers"),
    (
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 3)], [3]),
        ValueError,
        "SequentialLR: 1 schedulers do not fit 1 milestones",
    ),
    (
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 3), schedules.ReduceLROnPlateau(o)], [3]),
        ValueError,
        "scheduler 1, a ReduceLROnPlateau, is no function of time",
    ),
    (
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(optimizer(), 3)], []),
        ValueError,
        "scheduler 0, a StepLR, has another optimizer",
    ),
    (
        lambda o: schedules.SequentialLR(o, [schedules.StepLR(o, 3)] * 3, [5, 3]),
        ValueError,
        "milestones must increase",
    ),
    (lambda o: schedules.ReduceLROnPlateau(o, "best"), ValueError, "mode must be 'min' or 'max', got 'best'"),
    (lambda o: schedules.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor must be above 0 and below 1, got 1.0"),
    (lambda o: schedules.ReduceLROnPlateau(o, patience=-1), ValueError, "patience must be at least 0, got -1"),
    (lambda o: schedules.ReduceLROnPlateau(o).step(), TypeError, "step needs the figure to watch"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD)
def test_bad_arguments(make, error, message):
    with pytest.raises(error, match=message):
        make(optimizer(momentum=0.9))


def test_cycles_need_momentum():
    with pytest.raises(ValueError, match="OneCycleLR: Adagrad has neither momentum nor betas: cycle_momentum=False"):
        schedules.OneCycleLR(optimizer(optim.Adagrad), 0.1, 9)


class TestAsWrittenForPyTorch:
    def test_own_schedules(self):
        class Warmup(schedules._LRScheduler):
            def __init__(self, optimizer, steps, last_epoch=-1):
                self.steps = steps
                super().__init__(optimizer, last_epoch)

            def get_lr(self):
                return [base * min(1, (self.last_epoch + 1) / self.steps) for base in self.base_lrs]

        schedule = Warmup(optimizer(), 4)
        rates = [rate for rate, _ in follow(schedule, 6)]
        np.testing.assert_allclose(rates, 0.03 * np.minimum(1, np.arange(1, 7) / 4))

        class Wrong(schedules.LRScheduler):
            def get_lr(self):
                return [0.1]

        with pytest.raises(ValueError, match="Wrong: get_lr must give 2 rates, one per group, got 1"):
            Wrong(optimizer())

    def test_times_can_be_given(self):
        schedule = schedules.CosineAnnealingWarmRestarts(optimizer(), 4, 2)
        schedule.step(2.5)
        assert schedule.last_epoch == 2
        assert schedule.get_last_lr()[0] == pytest.approx(0.5 * (1 + math.cos(math.pi * 2.5 / 4)) / 2)
        schedule.step(6.0)
        assert schedule.get_last_lr()[0] == pytest.approx(0.5 * (1 + math.cos(math.pi * 2 / 8)) / 2)

    def test_verbose_is_ignored(self):
        schedules.StepLR(optimizer(), 3, verbose=True)
        schedules.ReduceLROnPlateau(optimizer(), "min", verbose=True)

    def test_functions_are_asked_once_per_step(self):
        asked = []
        schedule = schedules.MultiplicativeLR(optimizer(), lambda t: asked.append(t) or 0.5)
        follow(schedule, 3)
        assert asked == [1, 1, 2, 2, 3, 3] and schedule.get_last_lr() == [0.5 / 8, 0.03 / 8]
        again = schedules.MultiplicativeLR(optimizer(), lambda t: 0.5)
        again.load_state_dict(schedule.state_dict())
        assert again.get_last_lr() == schedule.get_last_lr()

    def test_chains_need_schedules(self):
        o = optimizer()
        with pytest.raises(ValueError, match="there are no schedulers"):
            schedules.ChainedScheduler([])
        with pytest.raises(ValueError, match="ChainedScheduler: scheduler 1, a StepLR, has another optimizer"):
            schedules.ChainedScheduler([schedules.StepLR(o, 1), schedules.StepLR(optimizer(), 1)], optimizer=o)

    def test_cycles_check_their_arguments(self):
        for options, message in (
            ({"step_size_up": 0}, "step_size_up must be an integer of at least 1"),
            ({"mode": "square"}, "mode must be 'triangular'"),
            ({"scale_mode": "x"}, "scale_mode must be 'cycle' or 'iterations'"),
            ({"gamma": 0}, "gamma must be above 0"),
            ({}, "CyclicLR: Adagrad has neither momentum nor betas"),
        ):
            with pytest.raises(ValueError, match=message):
                schedules.CyclicLR(optimizer(optim.Adagrad), 0.1, 0.2, **options)


def test_it_shows_where_it_is():
    schedule = schedules.StepLR(optimizer(), 1)
    assert repr(schedule) == "StepLR(last_epoch=0, lr=[0.5, 0.03])"
