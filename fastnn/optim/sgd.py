"""Stochastic gradient descent, with and without averaging, and descent by signs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from .flat import Flat
from .optimizer import Ignored, Optimizer


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
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "nesterov": nesterov, "maximize": maximize, "l1": l1}, **ignored)

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
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "betas": betas, "weight_decay": weight_decay, "decoupled_weight_decay": True}
        super().__init__(params, {**settings, "maximize": maximize, "l1": l1}, **ignored)


class Rprop(Optimizer):
    """Resilient backpropagation (Riedmiller & Braun, 1993): every number has a step of its own. For whole data sets.

        s = s * etas[1] where g has kept its sign, s * etas[0] (and g = 0) where it has changed, within step_sizes
        p = p - s * sign(g)

    s starts as lr. Raises ValueError unless 0 < etas[0] < 1 < etas[1].
    """

    rule = "rprop"
    state_names = ("prev", "step_size")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
        weight_decay: float = 0.0,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize}
        super().__init__(params, {**settings, "weight_decay": weight_decay, "l1": l1}, **ignored)

    def _check(self, settings: Mapping[str, Any]) -> None:
        super()._check(settings)
        etas = settings["etas"]
        if len(etas) != 2 or not 0 < etas[0] < 1 < etas[1]:
            raise ValueError(f"Rprop: etas must be two numbers, 0 < etas[0] < 1 < etas[1], got {etas}")


class ASGD(Optimizer):
    """Averaged stochastic gradient descent (Polyak & Juditsky, 1992), with steps that become smaller.

        eta = lr / (1 + lambd * lr * (t - 1))**alpha
        p = (1 - lambd * eta) * p - eta * g
        a = a + (p - a) / max(1, t - 1 - t0)

    The averages a stand in the state as "ax"; they are p itself up to step t0.
    """

    rule = "asgd"
    state_names = ("ax",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "maximize": maximize, "l1": l1}, **ignored)

    def _state_of(self, flat: Flat, k: int) -> dict[str, Any]:
        state = super()._state_of(flat, k)
        group = next(g for g, flats in zip(self.param_groups, self._flats, strict=True) if flat in flats)
        step, lr = state["step"], group["lr"]
        state["eta"] = lr / (1 + group["lambd"] * lr * step) ** group["alpha"]  # of the next step, as PyTorch keeps it
        state["mu"] = 1 / max(1.0, step - group["t0"])
        return state

    def _check_state(self, kind: str, i: int, entry: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        super()._check_state(kind, i, {k: v for k, v in entry.items() if k not in ("eta", "mu")}, shape)
