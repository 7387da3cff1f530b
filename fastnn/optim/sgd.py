"""Stochastic gradient descent, and descent by signs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for (Sutskever et al., 2013, in PyTorch's form).

        g = gradient + weight_decay * p + l1 * sign(p)
        v = momentum * v + (1 - dampening) * g          (v = g at the first step)
        p = p - lr * v                                  (nesterov: p - lr * (g + momentum * v))

    Raises ValueError for negative settings, and for nesterov without momentum or with dampening.
    """

    state_names = ("momentum_buffer",)
    counts_steps = False

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "nesterov": nesterov, "maximize": maximize, "l1": l1})

    def _check(self, settings: Mapping[str, Any]) -> None:
        super()._check(settings)
        if settings["nesterov"] and not (settings["momentum"] > 0 and settings["dampening"] == 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening = 0")

    def _rule(self, settings: Mapping[str, Any]) -> str:
        return "sgd_momentum" if settings["momentum"] else "sgd"


class Lion(Optimizer):
    """Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023, program 1): all steps have size `lr`.

        p = p - lr * weight_decay * p
        p = p - lr * sign(beta1 * m + (1 - beta1) * g)
        m = beta2 * m + (1 - beta2) * g

    g is the gradient plus l1 * sign(p). Weight decay is decoupled. The paper takes `lr` 3 to 10 times smaller than for
    AdamW, and `weight_decay` as much larger. Raises ValueError for negative settings, betas outside 0 <= beta < 1.
    """

    rule = "lion"
    state_names = ("exp_avg",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        l1: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "decoupled_weight_decay": True}
        super().__init__(params, {**settings, "maximize": maximize, "l1": l1})
