"""Every optimizer, a row or more each: its class, the rule of the oracle, settings. The tests of optimizers follow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import pytest

from fastnn import optim


class Row(NamedTuple):
    """A class and its settings; `rule` names the oracle, `implied` what the class adds to the settings."""

    make: Callable[..., optim.Optimizer]
    rule: str
    settings: dict[str, Any]
    implied: dict[str, Any] = {}  # noqa: RUF012

    @property
    def name(self) -> str:
        """The name of the class, here and in PyTorch."""
        return self.make.__name__  # type: ignore[attr-defined]


PENALTIES = {"weight_decay": 0.05, "l1": 0.01}
BETAS = {"betas": (0.7, 0.9), "eps": 1e-3}
DECOUPLED = {"decoupled_weight_decay": True}
ROWS = {
    "SGD": Row(optim.SGD, "sgd", {"lr": 0.1}),
    "SGD momentum": Row(optim.SGD, "sgd", {"lr": 0.1, "momentum": 0.9}),
    "SGD dampening": Row(optim.SGD, "sgd", {"lr": 0.1, "momentum": 0.9, "dampening": 0.4}),
    "SGD nesterov": Row(optim.SGD, "sgd", {"lr": 0.1, "momentum": 0.8, "nesterov": True}),
    "SGD penalties": Row(optim.SGD, "sgd", {"lr": 0.1, "momentum": 0.9, **PENALTIES, "maximize": True}),
    "Adam": Row(optim.Adam, "adam", {"lr": 0.05}),
    "Adam penalties": Row(optim.Adam, "adam", {"lr": 0.05, **BETAS, **PENALTIES, "maximize": True}),
    "Adam amsgrad": Row(optim.Adam, "adam", {"lr": 0.05, "betas": (0.8, 0.6), "amsgrad": True}),
    "AdamW": Row(optim.AdamW, "adam", {"lr": 0.05, "weight_decay": 0.3}, DECOUPLED),
    "NAdam": Row(optim.NAdam, "nadam", {"lr": 0.05, "momentum_decay": 0.01}),
    "NAdam penalties": Row(optim.NAdam, "nadam", {"lr": 0.05, **BETAS, **PENALTIES, **DECOUPLED}),
    "RAdam": Row(optim.RAdam, "radam", {"lr": 0.05}),
    "RAdam penalties": Row(optim.RAdam, "radam", {"lr": 0.05, **BETAS, **PENALTIES, **DECOUPLED}),
    "Adamax": Row(optim.Adamax, "adamax", {"lr": 0.05}),
    "Adamax penalties": Row(optim.Adamax, "adamax", {"lr": 0.05, **BETAS, **PENALTIES}),
    "RMSprop": Row(optim.RMSprop, "rmsprop", {"lr": 0.02}),
    "RMSprop momentum": Row(optim.RMSprop, "rmsprop", {"lr": 0.02, "momentum": 0.8, **PENALTIES}),
    "RMSprop centered": Row(optim.RMSprop, "rmsprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "centered": True}),
    "RMSprop both": Row(
        optim.RMSprop, "rmsprop", {"lr": 0.02, "alpha": 0.9, "eps": 1e-3, "centered": True, "momentum": 0.5}
    ),
    "Adagrad": Row(optim.Adagrad, "adagrad", {"lr": 0.1}),
    "Adagrad penalties": Row(
        optim.Adagrad, "adagrad", {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.3, **PENALTIES}
    ),
    "Adadelta": Row(optim.Adadelta, "adadelta", {"lr": 1.0, "eps": 1e-4}),
    "Adadelta penalties": Row(optim.Adadelta, "adadelta", {"lr": 0.7, "rho": 0.8, "eps": 1e-4, **PENALTIES}),
    "Rprop": Row(optim.Rprop, "rprop", {"lr": 0.02}),
    "Rprop penalties": Row(
        optim.Rprop, "rprop", {"lr": 0.02, "etas": (0.4, 1.5), "step_sizes": (0.01, 0.05), "l1": 0.01}
    ),
    "ASGD": Row(optim.ASGD, "asgd", {"lr": 0.05}),
    "ASGD penalties": Row(optim.ASGD, "asgd", {"lr": 0.05, "lambd": 0.3, "alpha": 0.5, "t0": 2, **PENALTIES}),
    "Adafactor": Row(optim.Adafactor, "adafactor", {"lr": 0.05}),
    "Adafactor options": Row(
        optim.Adafactor,
        "adafactor",
        {"lr": 0.3, "beta2_decay": -0.5, "eps": (1e-4, 0.1), "d": 1.5, "maximize": True},
    ),
    "Lion": Row(optim.Lion, "lion", {"lr": 0.02}, DECOUPLED),
    "Lion penalties": Row(optim.Lion, "lion", {"lr": 0.02, "betas": (0.7, 0.9), **PENALTIES}, DECOUPLED),
}
every_row = pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
