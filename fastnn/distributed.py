"""What scripts ask before they train in several processes: there is one."""

from __future__ import annotations

from typing import Any


def is_available() -> bool:
    """Tell that models are trained in one process."""
    return False


def is_initialized() -> bool:
    """Tell that models are trained in one process."""
    return False


def get_rank(group: Any = None) -> int:
    """Give 0, the number of the only process."""
    return 0


def get_world_size(group: Any = None) -> int:
    """Give 1, the number of processes."""
    return 1


def barrier(*ignored: Any, **named: Any) -> None:
    """Wait for no one."""


def init_process_group(*ignored: Any, **named: Any) -> None:
    """Raise RuntimeError: models are trained in one process, by all of its threads."""
    raise RuntimeError("init_process_group: fastnn trains in one process, with all cores (fastnn.set_num_threads)")


def destroy_process_group(group: Any = None) -> None:
    """Do nothing: there is no group."""
