"""What scripts ask of a GPU before they use one: there is none here."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from fastnn.random import manual_seed as _manual_seed


def is_available() -> bool:
    """Tell that there is no GPU."""
    return False


def is_initialized() -> bool:
    """Tell that there is no GPU in use."""
    return False


def device_count() -> int:
    """Give 0."""
    return 0


def is_bf16_supported() -> bool:
    """Tell that nothing computes in bfloat16."""
    return False


def manual_seed(seed: int) -> None:
    """Seed the CPU's stream, the only one."""
    _manual_seed(seed)


manual_seed_all = manual_seed


def synchronize(device: Any = None) -> None:
    """Do nothing: no work is waiting anywhere."""


def empty_cache() -> None:
    """Do nothing: there is no GPU memory."""


def __getattr__(name: str) -> Any:
    if name == "amp":
        return import_module("fastnn.cuda.amp")
    raise AttributeError(f"fastnn.cuda has no {name}: fastnn computes on the CPU, and cuda.is_available() is False")
