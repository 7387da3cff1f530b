"""Whether Apple's GPUs are used: no."""

from fastnn.cuda import is_available

__all__ = ["is_available", "is_built"]


def is_built() -> bool:
    """Tell that nothing here is built for them."""
    return False
