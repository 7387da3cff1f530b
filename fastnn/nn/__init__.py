"""Layers."""

from . import init
from .container import ModuleList, Sequential
from .linear import Linear
from .module import Buffer, Module, Parameter
from .shape import Flatten

__all__ = [
    "Buffer",
    "Flatten",
    "Linear",
    "Module",
    "ModuleList",
    "Parameter",
    "Sequential",
    "init",
]
