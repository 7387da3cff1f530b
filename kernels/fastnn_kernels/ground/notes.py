"""What planners say of their choice, for whoever listens: see `explain`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

_listeners: list[Callable[[str], None]] = []


def note(text: str) -> None:
    """Say in a few words what a plan has chosen, and why."""
    for listener in _listeners:
        listener(text)


@contextlib.contextmanager
def listening(listener: Callable[[str], None]) -> Iterator[None]:
    """Let listener(text) hear all notes inside a `with` block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
