"""Schedules made of schedules."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, checked_milestones
from .plateau import ReduceLROnPlateau


class SequentialLR(LRScheduler):
    """Follow one schedule after the other: each starts anew at its milestone.

    schedulers: of the same optimizer; milestones: increasing, one fewer than schedulers.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        schedulers: Sequence[LRScheduler],
        milestones: Sequence[int],
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
        if not schedulers:
            raise ValueError("SequentialLR: there are no schedulers")
        _check_schedulers("SequentialLR", schedulers, optimizer)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(f"SequentialLR: {len(schedulers)} schedulers do not fit {len(milestones)} milestones")
        self.schedulers, self.milestones = list(schedulers), checked_milestones("SequentialLR", milestones)
        if self.milestones != sorted(self.milestones):
            raise ValueError(f"SequentialLR: milestones must increase, got {list(milestones)}")
        super().__init__(optimizer, last_epoch)

    def _apply(self, t: int) -> None:
        number = bisect_right(self.milestones, t)
        self.schedulers[number]._apply(t - self.milestones[number - 1] if number else t)
        self.last_epoch = t


class ChainedScheduler(LRScheduler):
    """Take steps of several schedules at once: the rates are the product of their factors.

    schedulers: of the same optimizer. Where one adds to the rate instead of multiplying it (with an eta_min, say),
    PyTorch gives other rates.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers:
            raise ValueError("ChainedScheduler: there are no schedulers")
        optimizer = getattr(schedulers[0], "optimizer", None) if optimizer is None else optimizer
        _check_schedulers("ChainedScheduler", schedulers, optimizer)
        self.schedulers = list(schedulers)
        super().__init__(optimizer)  # type: ignore[arg-type]

    def rate(self, t: int, base: float, group: int) -> float:
        """Multiply the factors."""
        product = base
        for schedule in self.schedulers:
            product *= schedule.rate(t, base, group) / base if base else 0.0
        return product

    def _apply(self, t: int) -> None:
        super()._apply(t)
        for schedule in self.schedulers:
            schedule.last_epoch = t


def _check_schedulers(name: str, schedulers: Sequence[Any], optimizer: Any) -> None:
    for i, schedule in enumerate(schedulers):
        if isinstance(schedule, ReduceLROnPlateau) or not isinstance(schedule, LRScheduler):
            raise ValueError(f"{name}: scheduler {i}, a {type(schedule).__name__}, is no function of time")
        if schedule.optimizer is not optimizer:
            raise ValueError(f"{name}: scheduler {i}, a {type(schedule).__name__}, has another optimizer")
