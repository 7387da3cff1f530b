"""Many elements to few: sum, mean, variance, product, maximum, minimum.

`dim` is a dimension, several where PyTorch takes several, or None or () for all. A tensor without dimensions counts as
having one. Floats are reduced by kernels (see `fastnn_kernels.reduction` for their accuracy), other dtypes by NumPy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, Tensor, WithBackward, differentiable, is_masked, unwrap, wrap

from .arithmetic import maximum, minimum

Dim = int | tuple[int, ...] | None


class Extremum(NamedTuple):
    """What `max` and `min` give along a dimension: the values, and where they were found."""

    values: Any
    indices: Any


def _reduce(name: str, input: Any, dim: Dim, keepdim: bool = False) -> Any:
    """Call the kernel, or NumPy's function for dtypes other than float32 and float64."""
    function = getattr(kernels if input.dtype.char in "fd" else np, name)
    return function(input, axes(dim), keepdims=keepdim)


def axes(dim: Any) -> Any:
    """Give `dim` as kernels take it: () and [] mean all."""
    if type(dim) is list:
        dim = tuple(dim)
    return None if dim == () else dim


def _restore(dy: Any, dim: Any, keepdim: bool, shape: tuple[int, ...]) -> Any:
    """Put the reduced dimensions back, with length 1."""
    return dy if keepdim or not shape or axes(dim) is None else np.expand_dims(dy, dim)


def _spread(dy: Any, dim: Dim, keepdim: bool, shape: tuple[int, ...]) -> Any:
    """Give every element that was summed the gradient of its sum: a view without memory of its own."""
    if dim is None:
        return np.ndarray(shape, dy.dtype, dy, strides=(0,) * len(shape))  # broadcast_to takes 2.3 us, this 0.3
    return np.broadcast_to(_restore(dy, dim, keepdim, shape), shape)


@differentiable
def sum(input: Array, dim: Dim = None, keepdim: bool = False) -> WithBackward:
    """Add up all elements, or those along `dim` (one or several)."""
    y = _reduce("sum", input, dim, keepdim)
    return y, lambda dy, needs: (_spread(dy, dim, keepdim, input.shape),)


@differentiable
def mean(input: Array, dim: Dim = None, keepdim: bool = False) -> WithBackward:
    """Average all elements, or those along `dim` (one or several); NaN if there are none."""
    if not input.size and input.dtype.char not in "fd":  # NumPy would warn
        input = input.astype(np.float64)
    y = _reduce("mean", input, dim, keepdim)

    def backward(dy: Array, needs: Needs) -> Gradients:
        count = input.size // (y.size or 1) or 1
        return (_spread(kernels.div(dy, float(count)), dim, keepdim, input.shape),)

    return y, backward


def _centred(input: Any, y: Any, dim: Dim, correction: float) -> Any:
    """Give the distance of each element from its mean over the number of elements minus `correction`."""
    distance = kernels.sub(input, _reduce("mean", input, dim, True))
    count = input.size // (y.size or 1)
    return kernels.div(distance, float(count - correction if count > correction else 0))


def _corrected(function: str, dim: Any, unbiased: bool | None, correction: float | None) -> tuple[Any, float]:
    """Give the dimensions and the correction that `var` and `std` are asked for."""
    if isinstance(dim, bool):  # PyTorch's var(input, unbiased)
        dim, unbiased = None, dim
    if unbiased is None:
        return dim, 1 if correction is None else correction
    if correction is not None:
        raise TypeError(f"{function}: unbiased={unbiased} and correction={correction} say the same; give one of them")
    return dim, int(unbiased)


@differentiable
def var(
    input: Array,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> WithBackward:
    """Give the variance of all elements, or of those along `dim`: squares are divided by their number - `correction`.

    correction: 1 by default; 0 gives the mean square, NumPy's default. unbiased: True for 1, False for 0. NaN where
    nothing is left to divide by.
    """
    dim, correction = _corrected("var", dim, unbiased, correction)
    y = kernels.var(input, axes(dim), ddof=correction, keepdims=keepdim)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dy = _restore(dy, dim, keepdim, input.shape)
        return (kernels.mul(kernels.add(dy, dy), _centred(input, y, dim, correction)),)

    return y, backward


@differentiable
def std(
    input: Array,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> WithBackward:
    """Give the square root of `var`. Where it is 0, the gradient is 0, as in PyTorch."""
    dim, correction = _corrected("std", dim, unbiased, correction)
    y = kernels.std(input, axes(dim), ddof=correction, keepdims=keepdim)

    def backward(dy: Array, needs: Needs) -> Gradients:
        slope = kernels.div(dy, kernels.threshold(y, 0.0, 1.0))  # where y is 0, so are the distances
        return (kernels.mul(_restore(slope, dim, keepdim, input.shape), _centred(input, y, dim, correction)),)

    return y, backward


@differentiable
def prod(input: Array, dim: int | None = None, keepdim: bool = False) -> WithBackward:
    """Multiply all elements, or those along `dim`."""
    y = _reduce("prod", input, dim, keepdim)
    return y, lambda dy, needs: (kernels.prod_backward(dy, input, dim),)


def _all(input: Any, y: Any) -> WithBackward:
    """Let all elements that equal the extremum share its gradient evenly."""
    shape = (1,) * input.ndim
    return y, lambda dy, needs: (kernels.extremum_backward(dy.reshape(shape), input, y.reshape(shape)),)


def _along(name: str, input: Any, dim: int, keepdim: bool) -> WithBackward:
    """Let the first element that equals the extremum take its gradient."""
    x = input if input.ndim else input.reshape(1)
    indices = _reduce(name, x, dim, True)
    values = np.take_along_axis(x, indices, dim)

    def backward(dys: tuple[Array, ...], needs: Needs) -> Gradients:
        dx = np.zeros(x.shape, dys[0].dtype)
        np.put_along_axis(dx, indices, dys[0].reshape(indices.shape), dim)
        return (dx.reshape(input.shape),)

    if not input.ndim:
        return (values.reshape(()), indices.reshape(())), backward
    if not keepdim:
        return (values.squeeze(dim), indices.squeeze(dim)), backward
    return (values, indices), backward


@differentiable
def _max_all(input: Array) -> WithBackward:
    return _all(input, _reduce("max", input, None))


@differentiable
def _min_all(input: Array) -> WithBackward:
    return _all(input, _reduce("min", input, None))


@differentiable
def _max_along(input: Array, dim: int, keepdim: bool) -> WithBackward:
    return _along("argmax", input, dim, keepdim)


@differentiable
def _min_along(input: Array, dim: int, keepdim: bool) -> WithBackward:
    return _along("argmin", input, dim, keepdim)


def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Give the largest element; with `dim`, (values, indices) of the largest along it; of two tensors, `maximum`.

    Equal elements: over everything they share the gradient evenly, along a dimension the first one takes it, as in
    PyTorch. NaN is larger than everything.
    """
    if isinstance(dim, Tensor | np.ndarray):
        return maximum(input, dim)
    return _max_all(input) if dim is None else Extremum(*_max_along(input, dim, keepdim))


def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Give the smallest element; with `dim`, (values, indices) of the smallest along it. Otherwise like `max`."""
    if isinstance(dim, Tensor | np.ndarray):
        return minimum(input, dim)
    return _min_all(input) if dim is None else Extremum(*_min_along(input, dim, keepdim))


def _index(name: str, input: Any, dim: int | None, keepdim: bool) -> Any:
    if is_masked(input):
        raise TypeError(f"{name}: input is a masked array, whose mask would be lost; fill it first: .filled(0)")
    y = _reduce(name, unwrap(input), dim, keepdim)
    return wrap(y) if isinstance(input, Tensor) else y


def argmax(input: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """Give the index of the largest element, counted over all elements or along `dim`. Has no gradient."""
    return _index("argmax", input, dim, keepdim)


def argmin(input: Array, dim: int | None = None, keepdim: bool = False) -> Any:
    """Give the index of the smallest element, counted over all elements or along `dim`. Has no gradient."""
    return _index("argmin", input, dim, keepdim)
