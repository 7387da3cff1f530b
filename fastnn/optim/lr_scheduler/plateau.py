"""The schedule that looks at a figure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from ..optimizer import Optimizer
from .base import LRScheduler, per_group


class ReduceLROnPlateau(LRScheduler):
    """Multiply by factor when a figure, given to `step`, has not become better for more than `patience` steps.

    mode: "min" or "max" is better. What counts is a change of more than threshold: of the best so far ("rel"), or as it
    is ("abs"). cooldown: steps to wait after a reduction. Rates do not fall below min_lr (one number, or one per
    group), nor by less than eps. A figure that is NaN is no better than any.
    """

    state_names = ("last_epoch", "best", "num_bad_epochs", "cooldown_counter")
    choices: ClassVar = {"mode": ("min", "max"), "threshold_mode": ("rel", "abs")}
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
        verbose: Any = None,
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
        self.min_lrs = per_group("min_lr", min_lr, len(getattr(optimizer, "param_groups", ())))
        super().__init__(optimizer)

    def rate(self, t: int, base: float, group: int) -> float:
        """Stay: what happens, happens in `step`."""
        return self.optimizer.param_groups[group]["lr"]  # type: ignore[no-any-return]

    def step(self, metrics: Any = None, epoch: Any = None) -> None:  # type: ignore[override]
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
