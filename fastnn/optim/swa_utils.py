"""Averages of a model's weights along its path, under PyTorch's names.

    averaged = AveragedModel(model)                      # multi_avg_fn=get_ema_multi_avg_fn(0.999) for a moving average
    schedule = SWALR(optimizer, swa_lr=0.05)
    ...                                                  # after every epoch, or every step:
    averaged.update_parameters(model)
    ...
    update_bn(batches, averaged)                         # once, if there are batch norms

`EMA` does the same for an optimizer's flat memory, in one kernel call.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from fastnn import functional as F
from fastnn.nn import Module
from fastnn.nn.module import modes_kept, target_dtype
from fastnn.nn.norm import _BatchNorm
from fastnn.tape import Tensor, no_grad

from .lr_scheduler import LRScheduler
from .lr_scheduler.base import per_group
from .optimizer import Optimizer

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Any, Any, Any], Any]
Averages = Callable[[list[Any], list[Any], Any], None]


def get_swa_avg_fn() -> Average:
    """Give the function that updates a mean: average + (parameter - average) / (count + 1)."""

    def average(averaged: Any, current: Any, count: Any) -> Any:
        return F.add(averaged, F.mul(F.sub(current, averaged), 1 / (float(count) + 1)))

    return average


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Give the function that updates a moving average: decay * average + (1 - decay) * parameter."""
    if not 0 <= decay <= 1:
        raise ValueError(f"get_ema_avg_fn: decay must be from 0 to 1, got {decay}")

    def average(averaged: Any, current: Any, count: Any) -> Any:
        return F.add(F.mul(averaged, decay), F.mul(current, 1 - decay))

    return average


def _for_lists(function: Average) -> Averages:
    def average(averaged: list[Any], current: list[Any], count: Any) -> None:
        for one, other in zip(averaged, current, strict=True):
            one.data[...] = function(one.detach(), other.detach(), count)

    return average


def get_swa_multi_avg_fn() -> Averages:
    """Do as `get_swa_avg_fn` for lists of parameters."""
    return _for_lists(get_swa_avg_fn())


def get_ema_multi_avg_fn(decay: float = 0.999) -> Averages:
    """Do as `get_ema_avg_fn` for lists of parameters."""
    return _for_lists(get_ema_avg_fn(decay))


class AveragedModel(Module):
    """A copy of a model whose parameters are averages of those that `update_parameters` is given.

    avg_fn: ``avg_fn(average, parameter, count)`` gives the new average; multi_avg_fn: the same for lists, in place;
    the mean if neither is given. use_buffers: average buffers (of floats), too; else they are copied.
    """

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Averages | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(model, Module):
            raise TypeError(f"AveragedModel: model must be a Module, got {type(model).__name__}")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        target_dtype("AveragedModel", (device,), {})
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", np.zeros((), np.int64))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """Compute the copy."""
        return self.module(*inputs, **options)

    def update_parameters(self, model: Module) -> None:
        """Take in the parameters of a model as they are now; the first time they are copied."""
        count = int(self.n_averaged.item())  # type: ignore[attr-defined]
        own, given = self._averaged(self.module), self._averaged(model)
        if [p.shape for p in own] != [p.shape for p in given]:
            raise ValueError("update_parameters: this model has other parameters than the one it averages")
        with no_grad():
            if count == 0:
                for one, other in zip(own, given, strict=True):
                    one.data[...] = other.detach()
            elif self.multi_avg_fn is not None:
                self.multi_avg_fn(own, given, count)
            else:
                _for_lists(self.avg_fn or get_swa_avg_fn())(own, given, count)
            if not self.use_buffers:
                for one, other in zip(self.module.buffers(), model.buffers(), strict=True):
                    one.data[...] = other.detach()
            self.n_averaged += 1  # type: ignore[attr-defined]

    def _averaged(self, model: Module) -> list[Tensor]:
        buffers = [b for b in model.buffers() if b.dtype.kind == "f"] if self.use_buffers else []
        return [*model.parameters(), *buffers]


class SWALR(LRScheduler):
    """Go from the present rate to swa_lr in anneal_epochs steps, and stay there. anneal_strategy: "cos" or "linear".

    swa_lr may be a list, one number per group. The present rate is that at the first step.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: float | Sequence[float],
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        strategies = "cos", "linear"
        self._check(anneal_strategy=(anneal_strategy, anneal_strategy in strategies, "'cos' or 'linear'"))
        whole = isinstance(anneal_epochs, int) and anneal_epochs >= 0
        self._check(anneal_epochs=(anneal_epochs, whole, "an integer of at least 0"))
        self.anneal_epochs, self.anneal_strategy = anneal_epochs, anneal_strategy
        self.starts: list[float] | None = None
        groups = getattr(optimizer, "param_groups", [])
        for group, rate in zip(groups, per_group("swa_lr", swa_lr, len(groups)), strict=True):
            group["swa_lr"] = rate
        super().__init__(optimizer, last_epoch)

    def rate(self, t: int, base: float, group: int) -> float:
        """Go to swa_lr."""
        settings = self.optimizer.param_groups[group]
        if t == 0:
            return settings["lr"]  # type: ignore[no-any-return]
        if self.starts is None:
            self.starts = self.get_last_lr()
        done = min(1.0, t / max(1, self.anneal_epochs))
        if self.anneal_strategy == "cos":
            done = (1 - math.cos(math.pi * done)) / 2
        return float(self.starts[group] + (settings["swa_lr"] - self.starts[group]) * done)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Compute the running statistics of all batch norms anew, as means over the batches of a loader.

    Batches are inputs, or lists that begin with them. The modes of all layers stay as they are.
    """
    target_dtype("update_bn", (device,), {})
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    with modes_kept(model), no_grad():
        model.train()
        try:
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None
            for batch in loader:
                x = batch[0] if isinstance(batch, list | tuple) else batch
                model(x)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
