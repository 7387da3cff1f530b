"""What layers with a matrix or filters do in use: pack their weight once it rests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn._tape import grad_mode

from .module import Module, Parameter


class Packed(Module):
    """A layer whose weight is packed for its kernel when it is used a second time without having been written to."""

    weight: Parameter
    _prepare: Callable[..., Any]
    _prepared: tuple[int, Any] = (0, None)  # the weight's version at the last inference; packed, once it was seen twice

    def _packed(self) -> Any:
        """Return the packed weight; None while it is trained, and at its first use afterwards."""
        if self.training and grad_mode.enabled:
            return None
        if not isinstance(self.weight, Parameter):  # computed anew for every call
            return None
        version = self.weight._leaf.version
        seen, prepared = self._prepared  # as one: another thread may be here, too, and a third may write the weight
        if version != seen:
            self._prepared, prepared = (version, None), None
        elif prepared is None:
            prepared = type(self)._prepare(self.weight._data)
            self._prepared = version, prepared
        return prepared
