"""Gradients on demand, operations of one's own by PyTorch's `Function`, and checks of gradients.

There are no second derivatives: `create_graph` is refused.
"""

from __future__ import annotations

from typing import Any

from fastnn._gradients import backward, grad
from fastnn.tape import Tensor, enable_grad, inference_mode, is_grad_enabled, no_grad, set_grad_enabled, wrap
from fastnn.tape import as_array as _as_array

from .function import Function
from .gradcheck import GradcheckError, gradcheck

__all__ = [
    "Function",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "inference_mode",
    "is_grad_enabled",
    "no_grad",
    "set_detect_anomaly",
    "set_grad_enabled",
]


class _IsTensor(type):
    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, Tensor)


class Variable(metaclass=_IsTensor):
    """What tensors with gradients were called once: ``Variable(data)`` gives a tensor of the same memory."""

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        """Make the tensor."""
        made = wrap(_as_array(data))
        return made.requires_grad_() if requires_grad else made


class set_detect_anomaly:
    """Do nothing: errors of the backward pass name their operation always. Also for ``with`` blocks."""

    def __init__(self, mode: bool = True, check_nan: bool = True) -> None:
        pass

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exception: object) -> None:
        pass


detect_anomaly = set_detect_anomaly
