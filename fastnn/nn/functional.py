"""PyTorch's place for `fastnn.functional`: the same functions."""

from fastnn import functional as _functional
from fastnn.functional import *  # noqa: F403

__all__ = _functional.__all__
