"""Optimizers that divide the gradient by its own size, without the momentum of Adam.

In all of them g = gradient + weight_decay * p + l1 * sign(p). All raise ValueError for negative settings, and for
`alpha` and `rho` above 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from .optimizer import Ignored, Optimizer


class RMSprop(Optimizer):
    """RMSprop (Tieleman & Hinton, 2012, lecture 6.5): divide by the root of the mean square.

        s = alpha * s + (1 - alpha) * g**2
        p = p - lr * g / (sqrt(s) + eps)

    centered: sqrt(s - a**2) in place of sqrt(s), with a = alpha * a + (1 - alpha) * g (Graves, 2013).
    momentum: v = momentum * v + g / (sqrt(s) + eps) and p = p - lr * v.
    """

    state_names = ("square_avg", "grad_avg", "momentum_buffer")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "alpha": alpha, "eps": eps, "centered": centered}
        super().__init__(params, {**settings, "weight_decay": weight_decay, "maximize": maximize, "l1": l1}, **ignored)

    def _rule(self, settings: Mapping[str, Any]) -> str:
        return f"rmsprop{'_centered' * bool(settings['centered'])}{'_momentum' * bool(settings['momentum'])}"


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan & Singer, 2011): divide by the root of the sum of all squares so far.

    s = s + g**2                                     (initial_accumulator_value at first)
    p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)
    """

    rule = "adagrad"
    state_names = ("sum",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "lr_decay": lr_decay, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(
            params, {**settings, "initial_accumulator_value": initial_accumulator_value, "l1": l1}, **ignored
        )


class Adadelta(Optimizer):
    """Adadelta (Zeiler, 2012, algorithm 1): the size of past steps sets that of the next; `lr` may stay 1.

    s = rho * s + (1 - rho) * g**2
    d = sqrt(u + eps) / sqrt(s + eps) * g
    u = rho * u + (1 - rho) * d**2
    p = p - lr * d
    """

    rule = "adadelta"
    state_names = ("square_avg", "acc_delta")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {**settings, "l1": l1}, **ignored)
