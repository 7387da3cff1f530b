"""What hooks are taken off with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class RemovableHandle:
    """What registering a hook gives: `remove` takes the hook off, and so does the end of a ``with`` block."""

    def __init__(self, hooks: dict[Any, Any], then: Callable[[], None] | None = None) -> None:
        self._hooks, self._then = hooks, then

    def remove(self) -> None:
        """Take the hook off; a second time changes nothing."""
        if self._hooks.pop(self, None) is not None and self._then is not None:
            self._then()

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()
