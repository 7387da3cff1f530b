"""What scripts ask of any accelerator before they use one: there is none here."""

from fastnn.cuda import device_count, is_available, synchronize

__all__ = ["current_accelerator", "device_count", "is_available", "synchronize"]


def current_accelerator(check_available: bool = False) -> None:
    """Give None: there is no accelerator."""
