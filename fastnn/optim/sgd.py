"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fastnn_kernels as kernels

from .flat import Flat
from .optimizer import Optimizer


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum if asked for; the update rule is PyTorch's.

        g = gradient + weight_decay * p + l1 * sign(p)
        v = momentum * v + (1 - dampening) * g          (v = g at the first step)
        p = p - lr * v                                  (nesterov: p - lr * (g + momentum * v))

    Raises ValueError for negative settings, and for nesterov without momentum or with dampening.
    """

    _state_names = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        l1: float = 0.0,
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "nesterov": nesterov, "l1": l1})

    def _check(self, settings: dict[str, Any]) -> None:
        super()._check(settings)
        if not settings["momentum"] >= 0:
            raise ValueError(f"SGD: momentum must not be negative, got {settings['momentum']}")
        if settings["nesterov"] and not (settings["momentum"] > 0 and settings["dampening"] == 0):
            raise ValueError("SGD: nesterov needs momentum > 0 and dampening = 0")

    def _update(self, flat: Flat, part: slice | None, step: int, settings: dict[str, Any]) -> None:
        momentum = settings["momentum"]
        values, gradients = flat.values, flat.gradients
        velocity = flat.buffer("momentum_buffer") if momentum else None
        if part is not None:
            values, gradients = values[part], gradients[part]
            velocity = None if velocity is None else velocity[part]
        kernels.sgd_step(
            values,
            gradients,
            velocity,
            settings["lr"],
            momentum,
            0.0 if step == 1 else settings["dampening"],
            settings["nesterov"],
            settings["weight_decay"],
            settings["l1"],
        )
