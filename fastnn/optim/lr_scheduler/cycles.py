"""Schedules that rise and fall, and let the momentum fall and rise."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from ..optimizer import Optimizer
from .base import LRScheduler, cosine, per_group


class CyclicLR(LRScheduler):
    """Go from base_lr to max_lr in step_size_up steps and back in step_size_down, again and again (Smith, 2017).

    mode: "triangular"; "triangular2" halves the height with every cycle; "exp_range" multiplies it by gamma at every
    step. scale_fn, a function of the cycle's number from 1 or (scale_mode="iterations") of the steps, takes the place
    of the mode. cycle_momentum: momentum, or Adam's beta1, goes from max_momentum to base_momentum and back. Rates and
    momenta may be lists, one number per group. Made for a step after every batch.
    """

    every = "step"
    choices: ClassVar = {"mode": ("triangular", "triangular2", "exp_range"), "scale_mode": ("cycle", "iterations")}

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: float | Sequence[float],
        max_lr: float | Sequence[float],
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.8,
        max_momentum: float | Sequence[float] = 0.9,
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
        if not isinstance(optimizer, Optimizer):
            raise TypeError(f"CyclicLR: expected an Optimizer, got {type(optimizer).__name__}")
        step_size_down = step_size_up if step_size_down is None else step_size_down
        self._count(step_size_up=step_size_up, step_size_down=step_size_down)
        modes = "triangular", "triangular2", "exp_range"
        self._check(
            mode=(mode, mode in modes or scale_fn is not None, "'triangular', 'triangular2' or 'exp_range'"),
            scale_mode=(scale_mode, scale_mode in ("cycle", "iterations"), "'cycle' or 'iterations'"),
            gamma=(gamma, gamma > 0, "above 0"),
        )
        self.total_size = step_size_up + step_size_down
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_fn = mode, gamma, scale_fn
        self.scale_mode = "iterations" if scale_fn is None and mode == "exp_range" else scale_mode
        self._momentum = _momentum_of(self._name, optimizer, cycle_momentum)
        count = len(optimizer.param_groups)
        self.max_lrs = per_group("max_lr", max_lr, count)
        lows = per_group("base_lr", base_lr, count)
        if last_epoch == -1:
            bounds = per_group("max_momentum", max_momentum, count), per_group("base_momentum", base_momentum, count)
            for group, rate, high, low in zip(optimizer.param_groups, lows, *bounds, strict=True):
                group.update(initial_lr=rate)
                if cycle_momentum:
                    group.update(max_momentum=high, base_momentum=low)
        super().__init__(optimizer, last_epoch)

    def _height(self, t: int) -> float:
        """Give how far the rate is on its way to the top, from 0 to 1."""
        number = t // self.total_size + 1
        place = t / self.total_size - (number - 1)
        height = place / self.step_ratio if place <= self.step_ratio else (1 - place) / (1 - self.step_ratio)
        if self.scale_fn is not None:
            return height * self.scale_fn(number if self.scale_mode == "cycle" else t)
        scale = {"triangular": 1.0, "triangular2": 0.5 ** (number - 1)}.get(self.mode)
        return height * (self.gamma**t if scale is None else scale)

    def rate(self, t: int, base: float, group: int) -> float:
        """Rise and fall."""
        return base + (self.max_lrs[group] - base) * self._height(t)

    def _apply(self, t: int) -> None:
        super()._apply(t)
        for group in self.optimizer.param_groups if self._momentum else ():
            high, low = group["max_momentum"], group["base_momentum"]
            _set_momentum(group, self._momentum, high - (high - low) * self._height(t))


class OneCycleLR(LRScheduler):
    """Rise from max_lr / div_factor to max_lr and fall far below the start, in one cycle (Smith & Topin, 2019).

    Made for a step after every batch: total_steps of them, or epochs * steps_per_epoch; the rise takes pct_start of
    them. The end is max_lr / div_factor / final_div_factor. anneal_strategy: "cos" or "linear". three_phase: fall to
    the start as slowly as the rise was, then to the end. cycle_momentum: momentum, or Adam's beta1, goes from
    max_momentum to base_momentum and back. max_lr and the momenta may be lists, one number per group.

    Raises ValueError for more than total_steps steps.
    """

    every = "step"
    choices: ClassVar = {"anneal_strategy": ("cos", "linear")}

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
        verbose: Any = None,
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
        self.total_steps, self.anneal_strategy = total_steps, anneal_strategy
        self._momentum = _momentum_of(self._name, optimizer, cycle_momentum)
        self.pct_start, self.three_phase = pct_start, three_phase
        if last_epoch == -1:
            count = len(optimizer.param_groups)
            rates = per_group("max_lr", max_lr, count)
            bounds = (
                per_group("max_momentum", max_momentum, count),
                per_group("base_momentum", base_momentum, count),
            )
            for group, rate, high, low in zip(optimizer.param_groups, rates, *bounds, strict=True):
                start = rate / div_factor
                group.update(initial_lr=start, max_lr=rate, min_lr=start / final_div_factor)
                if cycle_momentum:
                    group.update(max_momentum=high, base_momentum=low)
        super().__init__(optimizer, last_epoch)

    @property
    def phases(self) -> list[tuple[float, str, str]]:
        """Ends of the phases, and what the rate and the momentum are there, as names of settings."""
        rise = float(self.pct_start * self.total_steps) - 1
        middle = [(2 * rise, "initial_lr", "max_momentum")] if self.three_phase else []
        start, top = (0.0, "initial_lr", "max_momentum"), (rise, "max_lr", "base_momentum")
        return [start, top, *middle, (self.total_steps - 1.0, "min_lr", "max_momentum")]

    def rate(self, t: int, base: float, group: int) -> float:
        """Rise and fall."""
        if t > self.total_steps:
            raise ValueError(f"OneCycleLR: step {t} of {self.total_steps}; the cycle is over")
        return self._between(t, self.optimizer.param_groups[group], 1)

    def _between(self, t: int, group: Mapping[str, Any], what: int) -> float:
        """Give the rate (1) or the momentum (2) at t, from those at the ends of its phase."""
        phases = self.phases
        number = next((i for i, phase in enumerate(phases[1:], 1) if t <= phase[0]), len(phases) - 1)
        before, after = phases[number - 1], phases[number]
        done = min(1.0, (t - before[0]) / (after[0] - before[0])) if after[0] != before[0] else 1.0
        start, end = group[before[what]], group[after[what]]  # type: ignore[index]
        return cosine(start, end, done) if self.anneal_strategy == "cos" else start + (end - start) * done

    def _apply(self, t: int) -> None:
        super()._apply(t)
        for group in self.optimizer.param_groups if self._momentum else ():
            _set_momentum(group, self._momentum, self._between(t, group, 2))


def _momentum_of(schedule: str, optimizer: Optimizer, wanted: bool) -> str | None:
    """Name the setting that is an optimizer's momentum; None if it shall stay as it is."""
    if not wanted:
        return None
    name = next((name for name in ("betas", "momentum") if name in optimizer.defaults), None)
    if name is None:
        kind = type(optimizer).__name__
        raise ValueError(f"{schedule}: {kind} has neither momentum nor betas: cycle_momentum=False")
    return name


def _set_momentum(group: dict[str, Any], name: str | None, value: float) -> None:
    if name == "betas":
        group["betas"] = (value, *group["betas"][1:])
    else:
        group["momentum"] = value
