"""Losses and their gradients."""

from . import ctc, elementwise, labels, rows
from .ctc import *  # noqa: F403
from .elementwise import *  # noqa: F403
from .labels import *  # noqa: F403
from .rows import *  # noqa: F403

__all__ = [*ctc.__all__, *elementwise.__all__, *labels.__all__, *rows.__all__]
