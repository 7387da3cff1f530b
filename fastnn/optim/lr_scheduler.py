"""Schedules: learning rates as functions of time, with the names, arguments and values of `torch.optim.lr_scheduler`.

    schedule = CosineAnnealingLR(optimizer, T_max=20)
    for epoch in range(20):
        ...                     # optimizer.step() for every batch
        schedule.step()         # once per epoch; OneCycleLR: once per batch

or `fit(..., schedule=schedule)`. Here a rate depends on the number of steps t and on the `initial_lr` that its group
had when the first schedule was made, and on nothing else: no error adds up, and restoring t restores the rate. What was
written into ``group["lr"]`` by hand holds until the next step. To follow one schedule by another, use `SequentialLR`.

All raise TypeError for what is no Optimizer, and ValueError or TypeError for arguments that make no sense.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

from .optimizer import Optimizer, number_of


class LRScheduler:
    """Base of schedules: subclasses define `rate`.

    last_epoch: the number of steps taken so far minus one; -1 starts anew. Other numbers continue, for which the
    groups need the `initial_lr` that their optimizer's `load_state_dict` brings back.
    """

    state_names: tuple[str, ...] = ("last_epoch",)
    every = "epoch"  # when `fit` takes a step: after every epoch or every "step" of the optimizer

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"{self._name}: expected an Optimizer, got {type(optimizer).__name__}")
        if last_epoch >= 0 and any("initial_lr" not in group for group in optimizer.param_groups):
            raise ValueError(
                f"{self._name}: last_epoch={last_epoch} continues a schedule, but the groups of the optimizer have no "
                "initial_lr: load the state of the optimizer first"
            )
        self.optimizer = optimizer
        self.last_epoch = last_epoch + 1
        self._updates = optimizer.updates
        self._apply(self.last_epoch)

    @property
    def _name(self) -> str:
        return type(self).__name__

    @property
    def base_lrs(self) -> list[float]:
        """The rates that the schedule starts from, one per group."""
        return [group.setdefault("initial_lr", group["lr"]) for group in self.optimizer.param_groups]

    def rate(self, t: int, base: float, group: int) -> float:
        """Give the learning rate after t steps of the group with this number."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """Give the current rates, one per group."""
        return [group["lr"] for group in self.optimizer.param_groups]

    def step(self) -> None:
        """Set the next rates. Call it after `optimizer.step()`: before the first of them, the first rate is lost."""
        if self.last_epoch == 0 and self.optimizer.updates == self._updates:
            warnings.warn(
                f"{self._name}: step() before the first optimizer.step() skips the first learning rate of the schedule",
                UserWarning,
                stacklevel=2,
            )
        self._apply(self.last_epoch + 1)

    def _apply(self, t: int) -> None:
        rates = [self.rate(t, base, i) for i, base in enumerate(self.base_lrs)]
        for rate in rates:
            if not (isinstance(rate, Real) and 0 <= rate < math.inf):
                raise ValueError(f"{self._name}: the learning rate after {t} steps would be {rate}")
        self.last_epoch = t
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Give all that `load_state_dict` needs: numbers only. Arguments are not kept, nor are functions."""
        state = {name: getattr(self, name) for name in self.state_names}
        return {"type": self._name, "base_lrs": self.base_lrs, **state}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Continue from what `state_dict` gave for a schedule of the same kind; the rates are set at once.

        Raises ValueError, with nothing changed, for the state of something else.
        """
        self._check_state(state_dict)
        groups = self.optimizer.param_groups
        parts = [self, *getattr(self, "schedulers", ())]
        before = [dict(vars(part)) for part in parts], [dict(group) for group in groups]
        try:
            for group, base in zip(groups, state_dict["base_lrs"], strict=True):
                group["initial_lr"] = base
            for name in self.state_names:
                setattr(self, name, state_dict[name])
            self._apply(self.last_epoch)
        except Exception as error:  # a function of the user's, or a rate that is none
            for part, values in zip(parts, before[0], strict=True):
                vars(part).update(values)
            for group, values in zip(groups, before[1], strict=True):
                group.clear()
                group.update(values)
            raise ValueError(f"load_state_dict: {self._name} cannot go on from there: {error}") from error

    def _check_state(self, state_dict: Mapping[str, Any]) -> None:
        if not isinstance(state_dict, Mapping):
            raise ValueError(f"load_state_dict: expected a dictionary, got {type(state_dict).__name__}")
        kind = state_dict.get("type")
        if not isinstance(kind, str) or kind != self._name or {"base_lrs", *self.state_names} - set(state_dict):
            raise ValueError(f"load_state_dict: a state of {str(kind)[:60]} does not fit {self._name}")
        rates = state_dict["base_lrs"]
        if not isinstance(rates, list | tuple) or not all(0 <= number_of(rate) < math.inf for rate in rates):
            raise ValueError("load_state_dict: base_lrs must be finite numbers from 0")
        given, own = len(rates), len(self.optimizer.param_groups)
        if given != own:
            raise ValueError(f"load_state_dict: the state has {given} groups of parameters, the optimizer has {own}")
        for name in self.state_names:
            value = state_dict[name]
            number = number_of(value)
            if math.isnan(number) or (name != "best" and not (0 <= number < 1 << 53 and number == int(number))):
                raise ValueError(f"load_state_dict: {self._name}: {name} cannot be {value!r:.60}")

    def _check(self, **arguments: tuple[Any, bool, str]) -> None:
        """Raise ValueError for arguments that are given as (value, whether it is good, what it must be)."""
        for name, (value, good, wanted) in arguments.items():
            if not good:
                raise ValueError(f"{self._name}: {name} must be {wanted}, got {value!r}")

    def _count(self, **arguments: Any) -> None:
        """Raise ValueError unless all arguments are integers of at least 1."""
        for name, value in arguments.items():
            good = isinstance(value, int) and not isinstance(value, bool) and value >= 1
            self._check(**{name: (value, good, "an integer of at least 1")})


class LambdaLR(LRScheduler):
    """Multiply by what a function of t gives; one function for all groups, or a list with one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas: list[Any] = list(lr_lambda) if isinstance(lr_lambda, list | tuple) else [lr_lambda]
        groups = len(getattr(optimizer, "param_groups", ()))
        if isinstance(lr_lambda, list | tuple) and len(lr_lambda) != groups:
            raise ValueError(f"LambdaLR: expected {groups} functions, one per group, got {len(lr_lambda)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"LambdaLR: lr_lambda must be a function of the number of steps, got {function!r}")
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Ask the function."""
        return float(base * self.lr_lambdas[group if len(self.lr_lambdas) > 1 else 0](t))


class StepLR(LRScheduler):
    """Multiply by gamma every step_size steps."""

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self._count(step_size=step_size)
        self._check(gamma=(gamma, gamma > 0, "above 0"))
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Fall in stairs."""
        return base * self.gamma ** (t // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiply by gamma at each of the milestones."""

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = sorted(_milestones("MultiStepLR", milestones))
        self._check(gamma=(gamma, gamma > 0, "above 0"))
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Fall in stairs."""
        return base * self.gamma ** bisect_right(self.milestones, t)


class ConstantLR(LRScheduler):
    """Multiply by factor for the first total_iters steps."""

    def __init__(self, optimizer: Optimizer, factor: float = 1 / 3, total_iters: int = 5, last_epoch: int = -1) -> None:
        self._check(factor=(factor, 0 <= factor <= 1, "from 0 to 1"))
        self._count(total_iters=total_iters)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Wait, then jump."""
        return base * (self.factor if t < self.total_iters else 1)


class LinearLR(LRScheduler):
    """Go in a straight line from start_factor to end_factor in total_iters steps: a warm-up."""

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self._check(
            start_factor=(start_factor, 0 < start_factor <= 1, "above 0 and at most 1"),
            end_factor=(end_factor, 0 <= end_factor <= 1, "from 0 to 1"),
        )
        self._count(total_iters=total_iters)
        self.start_factor, self.end_factor, self.total_iters = start_factor, end_factor, total_iters
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Rise, then stay."""
        done = min(t, self.total_iters) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * done)


class ExponentialLR(LRScheduler):
    """Multiply by gamma at every step."""

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self._check(gamma=(gamma, gamma > 0, "above 0"))
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Decay."""
        return base * self.gamma**t


class PolynomialLR(LRScheduler):
    """Fall to 0 in total_iters steps, as (1 - t / total_iters)**power."""

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self._count(total_iters=total_iters)
        self._check(power=(power, power >= 0, "at least 0"))
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Fall, then stay."""
        return float(base * (1 - min(t, self.total_iters) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """Fall to eta_min in T_max steps along half a cosine (Loshchilov & Hutter, 2017), and rise again after that."""

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self._count(T_max=T_max)
        self._check(eta_min=(eta_min, eta_min >= 0, "at least 0"))
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Swing between base and eta_min."""
        return _cosine(base, self.eta_min, t / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Fall to eta_min along half a cosine again and again (SGDR; Loshchilov & Hutter, 2017).

    The first time takes T_0 steps, and each further one T_mult times as many as the one before.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self._count(T_0=T_0, T_mult=T_mult)
        self._check(eta_min=(eta_min, eta_min >= 0, "at least 0"))
        self.T_0, self.T_mult, self.eta_min = T_0, T_mult, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Fall from base, again and again."""
        length = self.T_0
        if self.T_mult == 1:
            t %= length
        while t >= length:
            t, length = t - length, length * self.T_mult
        return _cosine(base, self.eta_min, t / length)


class OneCycleLR(LRScheduler):
    """Rise from max_lr / div_factor to max_lr and fall far below the start, in one cycle (Smith & Topin, 2019).

    Made for a step after every batch: total_steps of them, or epochs * steps_per_epoch; the rise takes pct_start of
    them. The end is max_lr / div_factor / final_div_factor. anneal_strategy: "cos" or "linear". three_phase: fall to
    the start as slowly as the rise was, then to the end. cycle_momentum: momentum, or Adam's beta1, goes from
    max_momentum to base_momentum and back. max_lr and the momenta may be lists, one number per group.

    Raises ValueError for more than total_steps steps.
    """

    every = "step"

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"OneCycleLR: expected an Optimizer, got {type(optimizer).__name__}")
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError("OneCycleLR: give total_steps, or epochs and steps_per_epoch")
            self._count(epochs=epochs, steps_per_epoch=steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        self._count(total_steps=total_steps)
        self._check(
            pct_start=(pct_start, 0 <= pct_start <= 1, "from 0 to 1"),
            anneal_strategy=(anneal_strategy, anneal_strategy in ("cos", "linear"), "'cos' or 'linear'"),
            div_factor=(div_factor, div_factor > 0, "above 0"),
            final_div_factor=(final_div_factor, final_div_factor > 0, "above 0"),
        )
        momentum = next((name for name in ("betas", "momentum") if name in optimizer.defaults), None)
        if cycle_momentum and momentum is None:
            raise ValueError(
                f"OneCycleLR: {type(optimizer).__name__} has neither momentum nor betas: cycle_momentum=False"
            )
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self.momentum = momentum if cycle_momentum else None
        # ends of the phases, and what the rate and the momentum are there, as names of settings
        rise = float(pct_start * total_steps) - 1
        middle = [(2 * rise, "initial_lr", "max_momentum")] if three_phase else []
        self.phases = [(0.0, "initial_lr", "max_momentum"), (rise, "max_lr", "base_momentum"), *middle]
        self.phases.append((total_steps - 1.0, "min_lr", "max_momentum"))
        if last_epoch == -1:
            count = len(optimizer.param_groups)
            rates = _per_group("max_lr", max_lr, count)
            bounds = (
                _per_group("max_momentum", max_momentum, count),
                _per_group("base_momentum", base_momentum, count),
            )
            for group, rate, high, low in zip(optimizer.param_groups, rates, *bounds, strict=True):
                start = rate / div_factor
                group.update(initial_lr=start, max_lr=rate, min_lr=start / final_div_factor)
                if cycle_momentum:
                    group.update(max_momentum=high, base_momentum=low)
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Rise and fall."""
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t} of {self.total_steps}; the cycle is over")
        return self._between(t, self.optimizer.param_groups[group], 1)

    def _between(self, t: int, group: Mapping[str, Any], what: int) -> float:
        """Give the rate (1) or the momentum (2) at t, from those at the ends of its phase."""
        number = next((i for i, phase in enumerate(self.phases[1:], 1) if t <= phase[0]), len(self.phases) - 1)
        before, after = self.phases[number - 1], self.phases[number]
        done = min(1.0, (t - before[0]) / (after[0] - before[0])) if after[0] != before[0] else 1.0
        start, end = group[before[what]], group[after[what]]  # type: ignore[index]
        return _cosine(start, end, done) if self.anneal_strategy == "cos" else start + (end - start) * done

    def _apply(self, t: int) -> None:
        super()._apply(t)
        for group in self.optimizer.param_groups if self.momentum else ():
            value = self._between(t, group, 2)
            group.update(betas=(value, *group["betas"][1:])) if self.momentum == "betas" else group.update(
                momentum=value
            )


class SequentialLR(LRScheduler):
    """Follow one schedule after the other: each starts anew at its milestone.

    schedulers: of the same optimizer; milestones: increasing, one fewer than schedulers.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        if not schedulers:
            raise ValueError("SequentialLR: there are no schedulers")
        for i, schedule in enumerate(schedulers):
            if isinstance(schedule, ReduceLROnPlateau) or not isinstance(schedule, LRScheduler):
                raise ValueError(f"SequentialLR: scheduler {i}, a {type(schedule).__name__}, is no function of time")
            if schedule.optimizer is not optimizer:
                raise ValueError(f"SequentialLR: scheduler {i}, a {type(schedule).__name__}, has another optimizer")
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers do not fit {len(milestones)} milestones")
        self.schedulers, self.milestones = list(schedulers), _milestones("SequentialLR", milestones)
        if self.milestones != sorted(self.milestones):
            raise ValueError(f"SequentialLR: milestones must increase, got {list(milestones)}")
        super().__init__(optimizer, last_epoch)

    def _apply(self, t: int) -> None:
        number = bisect_right(self.milestones, t)
        self.schedulers[number]._apply(t - self.milestones[number - 1] if number else t)
        self.last_epoch = t


class ReduceLROnPlateau(LRScheduler):
    """Multiply by factor when a figure, given to `step`, has not become better for more than `patience` steps.

    mode: "min" or "max" is better. What counts is a change of more than threshold: of the best so far ("rel"), or as it
    is ("abs"). cooldown: steps to wait after a reduction. Rates do not fall below min_lr (one number, or one per
    group), nor by less than eps. A figure that is NaN is no better than any.
    """

    state_names = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter")
    monitor = "val_loss"  # what `fit` gives to `step`, if its callback is not told otherwise

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        self._check(
            mode=(mode, mode in ("min", "max"), "'min' or 'max'"),
            factor=(factor, 0 < factor < 1, "above 0 and below 1"),
            patience=(patience, patience >= 0, "at least 0"),
            threshold_mode=(threshold_mode, threshold_mode in ("rel", "abs"), "'rel' or 'abs'"),
            cooldown=(cooldown, cooldown >= 0, "at least 0"),
        )
        self.mode, self.factor, self.patience, self.threshold = mode, factor, patience, threshold
        self.threshold_mode, self.cooldown, self.eps = threshold_mode, cooldown, eps
        self.best = math.inf if mode == "min" else -math.inf
        self.num_bad_epochs = self.cooldown_counter = 0
        self.min_lrs = _per_group("min_lr", min_lr, len(getattr(optimizer, "param_groups", ())))
        super().__init__(optimizer)

    def rate(self, t: int, base: float, group: int) -> float:
        """Stay: what happens, happens in `step`."""
        return self.optimizer.param_groups[group]["lr"]  # type: ignore[no-any-return]

    def step(self, metrics: Any = None) -> None:
        """Take in a figure, a number or a Tensor of one element."""
        if metrics is None:
            raise TypeError("ReduceLROnPlateau: step needs the figure to watch: step(validation_loss)")
        figure = float(metrics)
        self.last_epoch += 1
        if self._is_better(figure):
            self.best, self.num_bad_epochs = figure, 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
            for i, group in enumerate(self.optimizer.param_groups):
                lowest = self.min_lrs[i] if i < len(self.min_lrs) else self.min_lrs[-1]
                rate = max(group["lr"] * self.factor, lowest)
                if group["lr"] - rate > self.eps:
                    group["lr"] = rate

    def _is_better(self, figure: float) -> bool:
        change = self.threshold if self.mode == "max" else -self.threshold
        bar = self.best * (1 + change) if self.threshold_mode == "rel" else self.best + change
        return figure > bar if self.mode == "max" else figure < bar


def _cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * done)) / 2


def _milestones(function: str, milestones: Iterable[int]) -> list[int]:
    made = list(milestones)
    for milestone in made:
        if not isinstance(milestone, int) or isinstance(milestone, bool) or milestone < 1:
            raise ValueError(f"{function}: milestones must be integers of at least 1, got {milestone!r}")
    return made


def _per_group(name: str, value: float | Sequence[float], groups: int) -> list[float]:
    """Give one number per group, from one for all or a list."""
    made = list(value) if isinstance(value, list | tuple) else [value] * groups
    if len(made) != groups:
        raise ValueError(f"{name}: expected one number or {groups}, one per group, got {len(made)}")
    if not all(isinstance(number, int | float) and number >= 0 for number in made):
        raise ValueError(f"{name} must not be negative, got {value}")
    return made  # type: ignore[return-value]
