"""Schedules: learning rates as functions of time, with the names, arguments and values of `torch.optim.lr_scheduler`.

    schedule = CosineAnnealingLR(optimizer, T_max=20)
    for epoch in range(20):
        ...                     # optimizer.step() for every batch
        schedule.step()         # once per epoch; OneCycleLR: once per batch

or `fit(..., schedule=schedule)`. Here a rate depends on the number of steps t and on the `initial_lr` that its group
had when the first schedule was made, and on nothing else: no error adds up, and restoring t restores the rate. What was
written into ``group["lr"]`` by hand holds until the next step. To follow one schedule by another, use `SequentialLR`.

All raise TypeError for what is no Optimizer, and ValueError or TypeError for arguments that make no sense.
"""

from .base import LRScheduler
from .combined import ChainedScheduler, SequentialLR
from .cycles import CyclicLR, OneCycleLR
from .functions import (
    ConstantLR,
    CosineAnnealingLR,
    CosineAnnealingWarmRestarts,
    ExponentialLR,
    LambdaLR,
    LinearLR,
    MultiplicativeLR,
    MultiStepLR,
    PolynomialLR,
    StepLR,
)
from .plateau import ReduceLROnPlateau

_LRScheduler = LRScheduler  # its older name

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]
