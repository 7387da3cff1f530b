"""Layers."""

from . import init
from .container import ModuleList, Sequential
from .conv import Conv2d
from .linear import Linear
from .module import Buffer, Module, Parameter
from .pool import AvgPool2d, MaxPool2d
from .shape import Flatten

__all__ = [
    "AvgPool2d",
    "Buffer",
    "Conv2d",
    "Flatten",
    "Linear",
    "MaxPool2d",
    "Module",
    "ModuleList",
    "Parameter",
    "Sequential",
    "init",
]
