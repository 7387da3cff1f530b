"""Many elements to few: sum, mean, maximum, minimum."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastnn.tensor import Array, Gradients, Needs, Tensor, WithBackward, differentiable, unwrap, wrap

Dim = int | tuple[int, ...] | None


class Extremum(NamedTuple):
    """What `max` and `min` give along a dimension: the values, and where they were found."""

    values: Any
    indices: Any


def _restore(dy: Any, dim: Dim, keepdim: bool) -> Any:
    """Put the reduced dimensions back, with length 1."""
    return dy if dim is None or keepdim else np.expand_dims(dy, dim)


def _spread(dy: Any, dim: Dim, keepdim: bool, shape: tuple[int, ...]) -> Any:
    """Give every element that was summed the gradient of its sum: a view without memory of its own."""
    if dim is None:
        return np.ndarray(shape, dy.dtype, dy, strides=(0,) * len(shape))  # broadcast_to takes 2.3 us, this 0.3
    return np.broadcast_to(_restore(dy, dim, keepdim), shape)


@differentiable
def sum(input: Array, dim: Dim = None, keepdim: bool = False) -> WithBackward:
    """Add up all elements, or those along `dim` (one or several)."""
    y = input.sum(axis=dim, keepdims=keepdim)
    return y, lambda dy, needs: (_spread(dy, dim, keepdim, input.shape),)


@differentiable
def mean(input: Array, dim: Dim = None, keepdim: bool = False) -> WithBackward:
    """Average all elements, or those along `dim` (one or several); nan if there are none."""
    total = input.sum(axis=dim, keepdims=keepdim)
    if not input.size:
        return np.full_like(total, np.nan), lambda dy, needs: (np.zeros_like(input),)
    count = input.size // total.size  # np.mean does the same in four times the time

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (_spread(dy / dy.dtype.type(count), dim, keepdim, input.shape),)

    return total / count, backward


def _all(input: Any, y: Any) -> WithBackward:
    """Let all elements that equal the extremum share its gradient evenly."""

    def backward(dy: Array, needs: Needs) -> Gradients:
        hits = input == y
        return (hits * (dy / hits.sum(dtype=dy.dtype)),)

    return y, backward


def _along(input: Any, indices: Any, dim: int, keepdim: bool) -> WithBackward:
    """Let the first element that equals the extremum take its gradient."""
    indices = np.expand_dims(indices, dim)
    values = np.take_along_axis(input, indices, dim)

    def backward(dys: tuple[Array, ...], needs: Needs) -> Gradients:
        dx = np.zeros(input.shape, dys[0].dtype)
        np.put_along_axis(dx, indices, _restore(dys[0], dim, keepdim), dim)
        return (dx,)

    if not keepdim:
        return (values.squeeze(dim), indices.squeeze(dim)), backward
    return (values, indices), backward


@differentiable
def _max_all(input: Array) -> WithBackward:
    return _all(input, input.max())


@differentiable
def _min_all(input: Array) -> WithBackward:
    return _all(input, input.min())


@differentiable
def _max_along(input: Array, dim: int, keepdim: bool) -> WithBackward:
    return _along(input, input.argmax(dim), dim, keepdim)


@differentiable
def _min_along(input: Array, dim: int, keepdim: bool) -> WithBackward:
    return _along(input, input.argmin(dim), dim, keepdim)


def max(input: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """Give the largest element; with `dim`, (values, indices) of the largest along it.

    Equal elements: over everything they share the gradient evenly, along a dimension the first one takes it, as in
    PyTorch. NaN is larger than everything.
    """
    return _max_all(input) if dim is None else Extremum(*_max_along(input, dim, keepdim))


def min(input: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """Give the smallest element; with `dim`, (values, indices) of the smallest along it. Otherwise like `max`."""
    return _min_all(input) if dim is None else Extremum(*_min_along(input, dim, keepdim))


def argmax(input: Array, dim: int | None = None) -> Any:
    """Give the index of the largest element, counted over all elements or along `dim`. Has no gradient."""
    y = unwrap(input).argmax(dim)
    return wrap(y) if isinstance(input, Tensor) else y
