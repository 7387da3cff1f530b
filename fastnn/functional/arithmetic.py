"""Element by element: + - * / ** and friends, with NumPy's broadcasting and PyTorch's choice of dtypes.

Kernels compute + - * /, exp and log of floats; NumPy the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable

from .promotion import alike, floating, promoted


def _computed(kernel: Callable[..., Any], name: str, a: Any, b: Any, floats: bool = False) -> Any:
    """Give what a kernel of two operands computes, in PyTorch's choice of dtype; with `floats` never integers."""
    if not alike(a, b):
        a, b = promoted(name, floats, input=a, other=b)
    return kernel(a, b)


def unbroadcast(dy: Any, like: Any) -> Any:
    """Undo the broadcasting of `like` (and its promotion): sum `dy` over the dimensions in which it was repeated."""
    shape = like.shape
    if dy.shape != shape:
        added = dy.ndim - len(shape)
        repeated = [added + i for i, length in enumerate(shape) if length == 1 and dy.shape[added + i] != 1]
        dy = kernels.sum(dy, (*range(added), *repeated), keepdims=True).reshape(shape)
    return dy if dy.dtype == like.dtype else dy.astype(like.dtype)


@differentiable
def add(input: Array, other: Array) -> WithBackward:
    """Give ``input + other``."""

    def backward(dy: Array, needs: Needs) -> Gradients:
        return unbroadcast(dy, input) if needs[0] else None, unbroadcast(dy, other) if needs[1] else None

    return _computed(kernels.add, "add", input, other), backward


@differentiable
def sub(input: Array, other: Array) -> WithBackward:
    """Give ``input - other``."""

    def backward(dy: Array, needs: Needs) -> Gradients:
        dother = unbroadcast(kernels.mul(dy, -1.0), other) if needs[1] else None
        return unbroadcast(dy, input) if needs[0] else None, dother

    return _computed(kernels.sub, "sub", input, other), backward


@differentiable
def mul(input: Array, other: Array) -> WithBackward:
    """Give ``input * other``."""

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (
            unbroadcast(_computed(kernels.mul, "mul", dy, other), input) if needs[0] else None,
            unbroadcast(_computed(kernels.mul, "mul", dy, input), other) if needs[1] else None,
        )

    return _computed(kernels.mul, "mul", input, other), backward


@differentiable
def div(input: Array, other: Array) -> WithBackward:
    """Give ``input / other``; division by zero gives inf or nan, silently."""
    a, b = (input, other) if alike(input, other) else promoted("div", True, input=input, other=other)
    with np.errstate(divide="ignore", invalid="ignore"):  # of integers and numbers, which NumPy divides
        y = kernels.div(a, b)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dx = kernels.div(dy, b)
        dother = unbroadcast(kernels.mul(kernels.mul(dx, -1.0), y), other) if needs[1] else None
        return unbroadcast(dx, input) if needs[0] else None, dother

    return y, backward


@differentiable
def neg(input: Array) -> WithBackward:
    """Give ``-input``."""
    return np.negative(input), lambda dy, needs: (kernels.mul(dy, -1.0),)


@differentiable
def pow(input: Array, exponent: Array) -> WithBackward:
    """Give ``input ** exponent``. Of 0 ** exponent, the gradient of the exponent is 0 (for exponent >= 0)."""
    x, e = (input, exponent) if alike(input, exponent) else promoted("pow", input=input, exponent=exponent)
    with np.errstate(divide="ignore", invalid="ignore"):
        y = x**e

    def backward(dy: Array, needs: Needs) -> Gradients:
        with np.errstate(divide="ignore", invalid="ignore"):
            dinput = dexponent = None
            if needs[0]:
                slope = x if np.ndim(e) == 0 and e == 2 else x ** (e - 1)
                slope = np.where(np.equal(e, 0), 0, e * slope)  # not 0 * inf at input 0
                dinput = unbroadcast(dy * slope, input)
            if needs[1]:
                slope = np.where((np.equal(x, 0)) & (np.greater_equal(e, 0)), 0, y * np.log(x))
                dexponent = unbroadcast(dy * slope, exponent)
            return dinput, dexponent

    return y, backward


@differentiable
def exp(input: Array) -> WithBackward:
    """Give e to the power of each element."""
    y = kernels.exp(floating("exp", input))
    return y, lambda dy, needs: (kernels.mul(dy, y),)


@differentiable
def log(input: Array) -> WithBackward:
    """Give the natural logarithm of each element; -inf at 0 and nan below."""
    x = floating("log", input)
    y = kernels.log(x)

    return y, lambda dy, needs: (kernels.div(dy, x),)


@differentiable
def sqrt(input: Array) -> WithBackward:
    """Give the square root of each element; nan below 0."""
    with np.errstate(invalid="ignore"):
        y = np.sqrt(floating("sqrt", input))

    return y, lambda dy, needs: (kernels.div(dy, kernels.mul(y, 2.0)),)


@differentiable
def abs(input: Array) -> WithBackward:
    """Give the magnitude of each element; the gradient at 0 is 0."""
    return np.abs(input), lambda dy, needs: (dy * np.sign(input),)


@differentiable
def _clamp(input: Array, min: Array | None, max: Array | None) -> WithBackward:
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be given")
    x, low, high = input, min, max
    if not ((low is None or alike(x, low)) and (high is None or alike(x, high))):
        made = iter(promoted("clamp", input=x, **{k: v for k, v in (("min", low), ("max", high)) if v is not None}))
        x, low, high = next(made), None if low is None else next(made), None if high is None else next(made)
    y = np.clip(x, low, high)

    def backward(dy: Array, needs: Needs) -> Gradients:
        below = False if low is None else x < low
        above = False if high is None else x > high
        crossed = False if low is None or high is None else np.greater(low, high)
        zero = dy.dtype.type(0)
        return (
            unbroadcast(np.where(np.logical_or(below, above), zero, dy), input) if needs[0] else None,
            unbroadcast(np.where(np.logical_and(below, np.logical_not(crossed)), dy, zero), min) if needs[1] else None,
            unbroadcast(np.where(np.logical_or(above, crossed), dy, zero), max) if needs[2] else None,
        )

    return y, backward


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    """Limit each element to min .. max; the gradient passes where ``min <= input <= max``. NaN stays NaN.

    min, max: numbers, arrays or tensors that broadcast with input, or one of them None; elements beyond a limit give
    their gradient to that. Where min is above max the result is max. Raises ValueError if neither is given.
    """
    return _clamp(input, min, max)


clip = clamp


@differentiable
def where(condition: Array, input: Array, other: Array) -> WithBackward:
    """Give `input` where `condition` holds and `other` elsewhere, all three broadcast. No gradient for `condition`."""
    a, b = (input, other) if alike(input, other) else promoted("where", input=input, other=other)
    y = np.where(condition, a, b)

    def backward(dy: Array, needs: Needs) -> Gradients:
        zero = dy.dtype.type(0)
        return (
            None,
            unbroadcast(np.where(condition, dy, zero), input) if needs[1] else None,
            unbroadcast(np.where(condition, zero, dy), other) if needs[2] else None,
        )

    return y, backward


def _extremum(pick: np.ufunc, input: Any, other: Any) -> WithBackward:
    a, b = (input, other) if alike(input, other) else promoted(pick.__name__, input=input, other=other)
    y = pick(a, b)

    def backward(dy: Array, needs: Needs) -> Gradients:
        half = np.where(np.equal(a, b), dy.dtype.type(0.5), dy.dtype.type(0))
        return (
            unbroadcast(dy * np.where(half, half, y == a), input) if needs[0] else None,
            unbroadcast(dy * np.where(half, half, y == b), other) if needs[1] else None,
        )

    return y, backward


@differentiable
def maximum(input: Array, other: Array) -> WithBackward:
    """Give the larger of each two elements, NaN if either is; equal ones share the gradient evenly."""
    return _extremum(np.maximum, input, other)


@differentiable
def minimum(input: Array, other: Array) -> WithBackward:
    """Give the smaller of each two elements, NaN if either is; equal ones share the gradient evenly."""
    return _extremum(np.minimum, input, other)
