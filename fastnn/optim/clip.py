"""Clipping gradients: over flat memory where an optimizer keeps them there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Tensor

from .flat import Flat, leaf_of


def clip_grad_norm_(
    parameters: Iterable[Any] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> float:
    """Scale the gradients of all parameters so that their norm, taken together, is at most `max_norm`; give the norm.

    They are multiplied by max_norm / (norm + 1e-6) if that is below 1 (Pascanu et al., 2013). norm_type: 2, 1, inf or
    another positive number. Call it between `backward` and `step`. Parameters without a gradient are left alone.

    Raises RuntimeError, with nothing changed, for a norm that is NaN or infinite if `error_if_nonfinite`; ValueError
    for a negative max_norm or a norm_type that is not positive.
    """
    gradients = gradients_of("clip_grad_norm_", parameters)
    if error_if_nonfinite:
        norm = kernels.clip_grad_norm(gradients, np.inf, norm_type)
        if not np.isfinite(norm):
            raise RuntimeError(f"clip_grad_norm_: the norm of the gradients is {norm}; they were not changed")
    return float(kernels.clip_grad_norm(gradients, max_norm, norm_type))


def clip_grad_value_(parameters: Iterable[Any] | Tensor, clip_value: float, foreach: bool | None = None) -> None:
    """Limit every element of the gradients of all parameters to -clip_value .. clip_value."""
    kernels.clip_grad_value(gradients_of("clip_grad_value_", parameters), clip_value)


def gradients_of(function: str, parameters: Iterable[Any] | Tensor) -> list[np.ndarray]:
    """Give the gradients: one flat array where an optimizer keeps them together and all of them are wanted."""
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    for parameter in given:
        if not isinstance(parameter, Tensor):
            raise TypeError(f"{function}: expected parameters, got {type(parameter).__name__}")
    leaves = [leaf for leaf in map(leaf_of, given) if getattr(leaf, "grad", None) is not None]
    wanted: dict[int, int] = {}
    for leaf in leaves:
        wanted[id(leaf.owner)] = wanted.get(id(leaf.owner), 0) + 1
    made: dict[int, Any] = {}
    for leaf in leaves:
        owner = leaf.owner
        if isinstance(owner, Flat) and wanted[id(owner)] == len(owner.leaves):
            made[id(owner)] = owner.gradients
        else:
            made[id(leaf)] = leaf.grad
    return list(made.values())
