"""Optimizers: they move a model's parameters into flat memory, where one kernel call updates them all.

Schedules stand in `lr_scheduler`, as in PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from . import lr_scheduler
from .adam import Adam, Adamax, AdamW, NAdam, RAdam
from .adaptive import Adadelta, Adagrad, RMSprop
from .average import EMA
from .clip import clip_grad_norm_, clip_grad_value_
from .lbfgs import LBFGS
from .matrix import Adafactor, Muon
from .optimizer import Optimizer
from .sgd import ASGD, SGD, Lion, Rprop

if TYPE_CHECKING:
    from . import swa_utils

__all__ = [
    "ASGD",
    "EMA",
    "LBFGS",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Lion",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "SGD",
    "clip_grad_norm_",
    "clip_grad_value_",
    "lr_scheduler",
    "swa_utils",
]


def __getattr__(name: str) -> Any:
    """Import `swa_utils` when it is first asked for."""
    if name == "swa_utils":
        return import_module("fastnn.optim.swa_utils")
    raise AttributeError(f"module 'fastnn.optim' has no attribute {name!r}")
