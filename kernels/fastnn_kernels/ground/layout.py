"""How arrays of shape (B, C, ...) lie in memory: channels-first or channels-last, with a batch or without."""

from __future__ import annotations

from numpy import ndarray

from .checks import check_ndim


def channels_last(x: ndarray) -> bool:
    """Return whether an array (B, C, ...) is channels-last in memory, and not channels-first as well."""
    return not x.flags.c_contiguous and places_first(x).flags.c_contiguous


def places_first(x: ndarray) -> ndarray:
    """Return an array (B, C, ...) as a view (B, ..., C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def with_batch(function: str, name: str, x: ndarray, dims: int = 2) -> tuple[ndarray, bool]:
    """Return x as (B, C, ...) with `dims` more dimensions, and whether it came with its batch and not as (C, ...)."""
    if x.ndim == dims + 2:
        return x, True
    check_ndim(function, name, x, (dims + 1, dims + 2))
    return x[None], False
