"""Norms of gradients, and clipping by them; as in `fastnn.optim`, with the norm as a Tensor."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.optim import clip
from fastnn.tape import Tensor, unwrap, wrap

clip_grad_value_ = clip.clip_grad_value_


def clip_grad_norm_(
    parameters: Iterable[Any] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale the gradients so that their norm is at most `max_norm`; give the norm. See `optim.clip_grad_norm_`."""
    norm = clip.clip_grad_norm_(parameters, float(max_norm), float(norm_type), error_if_nonfinite)
    return wrap(np.asarray(norm, np.float32))


def clip_grad_norm(*arguments: Any, **options: Any) -> Tensor:
    """Do as `clip_grad_norm_`, after a FutureWarning: an older name."""
    warnings.warn("clip_grad_norm is deprecated: write clip_grad_norm_", FutureWarning, stacklevel=2)
    return clip_grad_norm_(*arguments, **options)


def get_total_norm(
    tensors: Iterable[Any] | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Give the norm of several tensors taken together, without changing them.

    Raises RuntimeError for a norm that is NaN or infinite if `error_if_nonfinite`.
    """
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    arrays = [np.ascontiguousarray(unwrap(x)) for x in given]
    norm = kernels.clip_grad_norm([x if x.flags.writeable else x.copy() for x in arrays], np.inf, float(norm_type))
    if error_if_nonfinite and not np.isfinite(norm):
        raise RuntimeError(f"get_total_norm: the norm is {norm}")
    return wrap(np.asarray(norm, np.float32))


def clip_grads_with_norm_(
    parameters: Iterable[Any] | Tensor, max_norm: float, total_norm: Any, foreach: bool | None = None
) -> None:
    """Multiply the gradients by max_norm / (total_norm + 1e-6) if that is below 1."""
    factor = float(max_norm) / (float(total_norm) + 1e-6)
    if factor >= 1:
        return
    for gradient in clip.gradients_of("clip_grads_with_norm_", parameters):
        kernels.mul(gradient, factor, out=gradient)
