"""Adam and its descendants: steps of about `lr`, whatever the size of the gradients.

In all of them g = gradient + weight_decay * p + l1 * sign(p), with `decoupled_weight_decay` without the second term but
p = p - lr * weight_decay * p first; t is the number of the step, from 1.
All raise ValueError for negative settings and for betas outside 0 <= beta < 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Unpack

from fastnn_kernels import nadam_momentum

from .flat import Flat
from .optimizer import Ignored, Optimizer, number_of

Betas = tuple[float, float]


class Adam(Optimizer):
    """Adam (Kingma & Ba, 2015, algorithm 1).

        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g**2
        p = p - lr * (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + eps)

    amsgrad: the largest v so far takes the place of v in the last line (Reddi et al., 2018).
    """

    state_names = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        decoupled_weight_decay: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "amsgrad": amsgrad}
        more = {"maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay, "l1": l1}
        super().__init__(params, {**settings, **more}, **ignored)

    def _rule(self, settings: Mapping[str, Any]) -> str:
        return "amsgrad" if settings["amsgrad"] else "adam"


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov & Hutter, 2019, algorithm 2): p -= lr * weight_decay * p first."""

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            maximize=maximize,
            decoupled_weight_decay=True,
            l1=l1,
            **ignored,
        )


class NAdam(Optimizer):
    """Adam with Nesterov's momentum (Dozat, 2016), the momentum rising as in its section 3.

        mu_t = beta1 * (1 - 0.96**(t * momentum_decay) / 2)
        p = p - lr * (mu_{t+1} * m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) * g / (1 - mu_1 ... mu_t))
              / (sqrt(v / (1 - beta2**t)) + eps)

    with m and v of Adam.
    """

    rule = "nadam"
    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
        }
        more = {"maximize": maximize, "decoupled_weight_decay": decoupled_weight_decay, "l1": l1}
        super().__init__(params, {**settings, **more}, **ignored)

    def _update(self, flat: Flat, part: slice | None, step: int, settings: dict[str, Any]) -> None:
        # the product of all momenta so far is history, like m: it depends on what beta1 was
        mu = nadam_momentum(step, settings["betas"][0], settings["momentum_decay"])
        product = flat.products[step] = flat.products.get(step - 1, 1.0) * mu
        if part is None:
            flat.products = {step: product}
        super()._update(flat, part, step, {**settings, "mu_product": product})

    def _state_of(self, flat: Flat, k: int) -> dict[str, Any]:
        state = super()._state_of(flat, k)
        return {"step": state["step"], "mu_product": flat.products[int(state["step"])], **state}

    def _check_state(self, kind: str, i: int, entry: Mapping[str, Any], shape: tuple[int, ...]) -> None:
        super()._check_state(kind, i, {name: x for name, x in entry.items() if name != "mu_product"}, shape)
        if "mu_product" in entry and not ("step" in entry and 0 <= number_of(entry["mu_product"]) <= 1):
            raise ValueError(f"load_state_dict: mu_product of parameter {i} must be a number from 0 to 1, with a step")

    def _take_state(self, flat: Flat, k: int, entry: Mapping[str, Any]) -> None:
        super()._take_state(flat, k, entry)
        if "mu_product" in entry:
            flat.products[int(entry["step"])] = float(entry["mu_product"])


class RAdam(Optimizer):
    """Rectified Adam (Liu et al., 2020, algorithm 2): no division by sqrt(v) while v rests on too few gradients.

        r_inf = 2 / (1 - beta2) - 1,  r = r_inf - 2 * t * beta2**t / (1 - beta2**t)
        p = p - lr * m / (1 - beta1**t)                                                   as long as r <= 5, then
        p = p - lr * m / (1 - beta1**t) * sqrt(1 - beta2**t) / (sqrt(v) + eps)
              * sqrt((r - 4) * (r - 2) * r_inf / ((r_inf - 4) * (r_inf - 2) * r))

    with m and v of Adam.
    """

    rule = "radam"
    state_names = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        super().__init__(params, {**settings, "decoupled_weight_decay": decoupled_weight_decay, "l1": l1}, **ignored)


class Adamax(Optimizer):
    """Adamax (Kingma & Ba, 2015, algorithm 2): the largest gradient, slowly forgotten, in place of the mean square.

    m = beta1 * m + (1 - beta1) * g
    u = max(beta2 * u, |g| + eps)
    p = p - lr * (m / (1 - beta1**t)) / u
    """

    rule = "adamax"
    state_names = ("exp_avg", "exp_inf")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
        l1: float = 0.0,
        **ignored: Unpack[Ignored],
    ) -> None:
        settings = {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay}
        super().__init__(params, {**settings, "maximize": maximize, "l1": l1}, **ignored)
