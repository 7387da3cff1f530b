"""Dropout. Each call draws another mask, all from `fastnn.manual_seed`. p outside 0 .. 1 raises ValueError.

``inplace=True`` as for activations: see `differentiable`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastnn_kernels as kernels
from fastnn.random import next_philox
from fastnn.tape import Array, WithBackward, differentiable

from .shaping import check_array


def _dropped(input: Array, kind: str, p: float, training: bool, *, out: Any = None) -> WithBackward:
    if not 0 <= p <= 1:
        raise ValueError(f"{kind}: p must be from 0 to 1, got {p}")
    if not training or p == 0:
        return input, lambda dy, needs: (dy,)
    seed, offset = next_philox()
    undo = getattr(kernels, f"{kind}_backward")
    return getattr(kernels, kind)(input, p, seed, offset, out=out), lambda dy, needs: (undo(dy, p, seed, offset),)


_drop: Callable[..., Any] = differentiable(in_place=True)(_dropped)


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Give input / (1 - p) with each element set to 0 with probability p; without `training`, the input."""
    return _drop(input, "dropout", p, training, inplace=inplace)


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Set elements to SELU's least value with probability p, and keep a mean of 0 and a variance of 1."""
    return _drop(input, "alpha_dropout", p, training, inplace=inplace)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False, inplace: bool = False) -> Any:
    """Do as alpha_dropout to whole channels of (B, C, ...)."""
    return _drop(input, "feature_alpha_dropout", p, training, inplace=inplace)


def dropout1d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Give input / (1 - p) with each channel of (B, C, L) or (C, L) set to 0 with probability p."""
    return _drop_channels(input, "dropout1d", (2, 3), p, training, inplace)


def dropout2d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Give input / (1 - p) with each channel of (B, C, H, W) set to 0 with probability p.

    Three dimensions are (B, C, L), as in PyTorch.
    """
    return _drop_channels(input, "dropout2d", (3, 4), p, training, inplace)


def dropout3d(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    """Give input / (1 - p) with each channel of (B, C, D, H, W) or (C, D, H, W) set to 0 with probability p."""
    return _drop_channels(input, "dropout3d", (4, 5), p, training, inplace)


def _drop_channels(input: Any, name: str, dims: tuple[int, int], p: float, training: bool, inplace: bool) -> Any:
    check_array(name, "input", input)
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p must be from 0 to 1, got {p}")
    if input.ndim not in dims:
        raise ValueError(f"{name}: input must have {dims[0]} or {dims[1]} dimensions, got shape {input.shape}")
    if input.ndim == dims[1] or name == "dropout2d":
        return _drop(input, "feature_dropout", p, training, inplace=inplace)
    batch = input[None]  # of the same memory
    y = _drop(batch, "feature_dropout", p, training, inplace=inplace)
    return input if y is batch else y[0]
