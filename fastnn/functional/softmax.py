"""Softmax and its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.random import next_philox
from fastnn.tape import Array, WithBackward, differentiable, unwrap

from .arithmetic import add, div
from .mathematics import neg


@differentiable
def softmax(input: Array, dim: int | None = -1, dtype: Any = None) -> WithBackward:
    """Give e^x / sum(e^x) over `dim`, computed in `dtype` if one is given.

    dim=None stands for dimension 0 of at most 1 or of 3 dimensions and for dimension 1 of others, as in PyTorch.
    """
    if dim is None or dtype is not None:
        return _asked(kernels.softmax, kernels.softmax_backward, input, dim, dtype)
    y = kernels.softmax(input, dim)
    return y, lambda dy, needs: (kernels.softmax_backward(dy, y, dim),)


@differentiable
def log_softmax(input: Array, dim: int | None = -1, dtype: Any = None) -> WithBackward:
    """Give the logarithm of softmax over `dim`, computed without its underflow; dim and dtype as there."""
    if dim is None or dtype is not None:
        return _asked(kernels.log_softmax, kernels.log_softmax_backward, input, dim, dtype)
    y = kernels.log_softmax(input, dim)
    return y, lambda dy, needs: (kernels.log_softmax_backward(dy, y, dim),)


def _asked(forward: Any, backward: Any, input: Any, dim: int | None, dtype: Any) -> WithBackward:
    x = input if dtype is None else input.astype(dtype, copy=False)
    over = dim if dim is not None else 0 if x.ndim in (0, 1, 3) else 1
    y = forward(x, over)
    return y, lambda dy, needs: (backward(dy, y, over).astype(input.dtype, copy=False),)


def softmin(input: Any, dim: int | None = -1, dtype: Any = None) -> Any:
    """Give softmax of -input: the smallest gets the largest share. dim and dtype as there."""
    return softmax(neg(input), dim, dtype)


def gumbel_softmax(
    logits: Any, tau: float = 1.0, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Any:  # fmt: skip
    """Give a random choice among `dim` as shares that add up to 1 and have gradients (Jang et al., 2017).

    The chances are softmax(logits); the smaller tau, the nearer the shares are to one 1 and zeros. hard=True: exactly
    those, with the gradients of the shares (straight through). Each call draws another choice, all from
    `fastnn.manual_seed`. `eps` is not used, as in PyTorch. Raises ValueError unless tau is positive.
    """
    if not tau > 0:
        raise ValueError(f"gumbel_softmax: tau must be positive, got {tau}")
    values = np.asarray(unwrap(logits))
    dtype = np.dtype(np.float64 if values.dtype == np.float64 else np.float32)
    seed, offset = next_philox()
    even = kernels.uniform(values.shape, 1e-30, 1.0, seed=seed, offset=offset, dtype=dtype)
    noise = -kernels.log(-kernels.log(even))
    shares = softmax(div(add(logits, noise), tau), dim)
    return _one_hot(shares, dim) if hard else shares


@differentiable
def _one_hot(shares: Array, dim: int) -> WithBackward:
    """Give 1 at the largest along `dim` and 0 elsewhere, with the gradient of the shares themselves."""
    if not shares.ndim:
        return np.ones_like(shares), lambda dy, needs: (dy,)
    y = np.zeros_like(shares)
    np.put_along_axis(y, np.expand_dims(np.argmax(shares, dim), dim), 1, dim)
    return y, lambda dy, needs: (dy,)
