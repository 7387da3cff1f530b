"""Adam."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fastnn_kernels as kernels

from .flat import Flat
from .optimizer import Optimizer


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015, algorithm 1): steps of about `lr` whatever the size of the gradients.

        g = gradient + weight_decay * p + l1 * sign(p)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

    Raises ValueError for negative settings and for betas outside 0 <= beta < 1.
    """

    _state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        l1: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "l1": l1})

    def _check(self, settings: dict[str, Any]) -> None:
        super()._check(settings)
        if not settings["eps"] >= 0:
            raise ValueError(f"Adam: eps must not be negative, got {settings['eps']}")
        if len(settings["betas"]) != 2 or not all(0 <= beta < 1 for beta in settings["betas"]):
            raise ValueError(f"Adam: betas must be two numbers in 0 <= beta < 1, got {settings['betas']}")

    def _update(self, flat: Flat, part: slice | None, step: int, settings: dict[str, Any]) -> None:
        buffers = flat.values, flat.gradients, flat.buffer("exp_avg"), flat.buffer("exp_avg_sq")
        if part is not None:
            buffers = buffers[0][part], buffers[1][part], buffers[2][part], buffers[3][part]
        beta1, beta2 = settings["betas"]
        kernels.adam_step(
            *buffers, step, settings["lr"], beta1, beta2, settings["eps"], settings["weight_decay"], settings["l1"]
        )
