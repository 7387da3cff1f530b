"""Optimizers: they move a model's parameters into flat memory, where one kernel call updates them all."""

from .adam import Adam
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adam", "Optimizer"]
