"""Schedules that are one formula of the number of steps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..optimizer import Optimizer
from .base import LRScheduler, checked_milestones, cosine


class LambdaLR(LRScheduler):
    """Multiply by what a function of t gives; one function for all groups, or a list with one for each."""

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
        self.lr_lambdas: list[Any] = list(lr_lambda) if isinstance(lr_lambda, list | tuple) else [lr_lambda]
        groups = len(getattr(optimizer, "param_groups", ()))
        if isinstance(lr_lambda, list | tuple) and len(lr_lambda) != groups:
            raise ValueError(f"{self._name}: expected {groups} functions, one per group, got {len(lr_lambda)}")
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"{self._name}: lr_lambda must be a function of the number of steps, got {function!r}")
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Ask the function."""
        return float(base * self.lr_lambdas[group if len(self.lr_lambdas) > 1 else 0](t))


class MultiplicativeLR(LambdaLR):
    """Multiply at every step by what a function of t gives; one function, or a list with one for each group."""

    _products: dict[int, tuple[int, float]]  # by group: of the functions' values up to a step

    def rate(self, t: int, base: float, group: int) -> float:
        """Ask the function, once per step."""
        function = self.lr_lambdas[group if len(self.lr_lambdas) > 1 else 0]
        known = self.__dict__.setdefault("_products", {})
        start, product = known.get(group, (0, 1.0))
        if t < start:
            start, product = 0, 1.0
        for step in range(start + 1, t + 1):
            product *= function(step)
        known[group] = t, product
        return float(base * product)


class StepLR(LRScheduler):
    """Multiply by gamma every step_size steps."""

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1, verbose: Any = None
    ) -> None:
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
        self,
        optimizer: Optimizer,
        milestones: Iterable[int],
        gamma: float = 0.1,
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
        self.milestones = sorted(checked_milestones("MultiStepLR", milestones))
        self._check(gamma=(gamma, gamma > 0, "above 0"))
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Fall in stairs."""
        return base * self.gamma ** bisect_right(self.milestones, t)


class ConstantLR(LRScheduler):
    """Multiply by factor for the first total_iters steps."""

    def __init__(
        self,
        optimizer: Optimizer,
        factor: float = 1 / 3,
        total_iters: int = 5,
        last_epoch: int = -1,
        verbose: Any = None,
    ) -> None:
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
        verbose: Any = None,
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

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1, verbose: Any = None) -> None:
        self._check(gamma=(gamma, gamma > 0, "above 0"))
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Decay."""
        return base * self.gamma**t


class PolynomialLR(LRScheduler):
    """Fall to 0 in total_iters steps, as (1 - t / total_iters)**power."""

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1, verbose: Any = None
    ) -> None:
        self._count(total_iters=total_iters)
        self._check(power=(power, power >= 0, "at least 0"))
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Fall, then stay."""
        return float(base * (1 - min(t, self.total_iters) / self.total_iters) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """Fall to eta_min in T_max steps along half a cosine (Loshchilov & Hutter, 2017), and rise again after that."""

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1, verbose: Any = None
    ) -> None:
        self._count(T_max=T_max)
        self._check(eta_min=(eta_min, eta_min >= 0, "at least 0"))
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Swing between base and eta_min."""
        return cosine(base, self.eta_min, t / self.T_max)


class CosineAnnealingWarmRestarts(LRScheduler):
    """Fall to eta_min along half a cosine again and again (SGDR; Loshchilov & Hutter, 2017).

    The first time takes T_0 steps, and each further one T_mult times as many as the one before.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
        last_epoch: int = -1,
        verbose: Any = None,
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
        return cosine(base, self.eta_min, t / length)
