"""Layers that put a border around signals (1d), images (2d) and volumes (3d)."""

from __future__ import annotations

from typing import Any

from fastnn import functional as F
from fastnn._checks import real
from fastnn_kernels import checks

from .module import Module


class _Pad(Module):
    """Pads the last `_axes` axes: `padding` is a number for all sides, or (left, right, top, bottom, front, back)."""

    _axes: int
    _mode = "constant"

    def __init__(self, padding: Any) -> None:
        super().__init__()
        name, count = type(self).__name__, 2 * self._axes
        sides = tuple(padding) if hasattr(padding, "__len__") else (padding,) * count
        if len(sides) != count:
            raise ValueError(f"{name}: padding must be a number or {count} of them, got {padding!r}")
        self.padding = tuple(checks.integer(name, "padding", n, -checks.INT_LIMIT) for n in sides)
        self.value = 0.0

    def forward(self, input: Any) -> Any:
        """Compute the layer."""
        return F.pad(input, self.padding, self._mode, self.value)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = real(type(self).__name__, "value", value)

    def extra_repr(self) -> str:
        """Give the arguments to show in the representation."""
        return f"padding={self.padding}, value={self.value}"


class ZeroPad1d(_Pad):
    """Put zeros around signals (..., L); padding: a number or (left, right)."""

    _axes = 1


class ZeroPad2d(_Pad):
    """Put zeros around images (..., H, W); padding: a number or (left, right, top, bottom)."""

    _axes = 2


class ZeroPad3d(_Pad):
    """Put zeros around volumes (..., D, H, W); padding: a number or six."""

    _axes = 3


class ConstantPad1d(_ConstantPad):
    """Put `value` around signals (..., L); padding: a number or (left, right)."""

    _axes = 1


class ConstantPad2d(_ConstantPad):
    """Put `value` around images (..., H, W); padding: a number or (left, right, top, bottom)."""

    _axes = 2


class ConstantPad3d(_ConstantPad):
    """Put `value` around volumes (..., D, H, W); padding: a number or six."""

    _axes = 3


class ReflectionPad1d(_Pad):
    """Put the signal mirrored at its edge around signals (..., L); padding: a number or (left, right)."""

    _axes = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """Put the image mirrored at its edge around images (..., H, W); padding: a number or (left, right, top, bottom)."""

    _axes = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """Put the volume mirrored at its edge around volumes (..., D, H, W); padding: a number or six."""

    _axes = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Put the nearest value around signals (..., L); padding: a number or (left, right)."""

    _axes = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Put the nearest value around images (..., H, W); padding: a number or (left, right, top, bottom)."""

    _axes = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """Put the nearest value around volumes (..., D, H, W); padding: a number or six."""

    _axes = 3
    _mode = "replicate"


class CircularPad1d(_Pad):
    """Put what is at the other end around signals (..., L); padding: a number or (left, right)."""

    _axes = 1
    _mode = "circular"


class CircularPad2d(_Pad):
    """Put what is at the other end around images (..., H, W); padding: a number or (left, right, top, bottom)."""

    _axes = 2
    _mode = "circular"


class CircularPad3d(_Pad):
    """Put what is at the other end around volumes (..., D, H, W); padding: a number or six."""

    _axes = 3
    _mode = "circular"
