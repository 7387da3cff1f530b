"""Element by element: + - * / ** and friends, with NumPy's broadcasting.

NumPy runs most of them, at memory speed; sums and products of arrays of one shape, exp and log are ours: their outputs
come from the pool.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.tensor import Array, Gradients, Needs, WithBackward, differentiable


def _sum(a: Any, b: Any) -> Any:
    return kernels.add(a, b) if type(a) is type(b) is np.ndarray and a.shape == b.shape else a + b


def _product(a: Any, b: Any) -> Any:
    return kernels.mul(a, b) if type(a) is type(b) is np.ndarray and a.shape == b.shape else a * b


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

    return _sum(input, other), backward


@differentiable
def sub(input: Array, other: Array) -> WithBackward:
    """Give ``input - other``."""

    def backward(dy: Array, needs: Needs) -> Gradients:
        return unbroadcast(dy, input) if needs[0] else None, unbroadcast(-dy, other) if needs[1] else None

    return input - other, backward


@differentiable
def mul(input: Array, other: Array) -> WithBackward:
    """Give ``input * other``."""

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (
            unbroadcast(_product(dy, other), input) if needs[0] else None,
            unbroadcast(_product(dy, input), other) if needs[1] else None,
        )

    return _product(input, other), backward


@differentiable
def div(input: Array, other: Array) -> WithBackward:
    """Give ``input / other``; division by zero gives inf or nan, silently."""
    with np.errstate(divide="ignore", invalid="ignore"):
        y = input / other

    def backward(dy: Array, needs: Needs) -> Gradients:
        with np.errstate(divide="ignore", invalid="ignore"):
            dx = dy / other
            return (
                unbroadcast(dx, input) if needs[0] else None,
                unbroadcast(-dx * y, other) if needs[1] else None,
            )

    return y, backward


@differentiable
def neg(input: Array) -> WithBackward:
    """Give ``-input``."""
    return -input, lambda dy, needs: (-dy,)


@differentiable
def pow(input: Array, exponent: Array) -> WithBackward:
    """Give ``input ** exponent``. Of 0 ** exponent, the gradient of the exponent is 0 (for exponent >= 0)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        y = input**exponent

    def backward(dy: Array, needs: Needs) -> Gradients:
        with np.errstate(divide="ignore", invalid="ignore"):
            dinput = dexponent = None
            if needs[0]:
                slope = input if np.ndim(exponent) == 0 and exponent == 2 else input ** (exponent - 1)
                slope = np.where(np.equal(exponent, 0), 0, exponent * slope)  # not 0 * inf at input 0
                dinput = unbroadcast(dy * slope, input)
            if needs[1]:
                slope = np.where((np.equal(input, 0)) & (np.greater_equal(exponent, 0)), 0, y * np.log(input))
                dexponent = unbroadcast(dy * slope, exponent)
            return dinput, dexponent

    return y, backward


@differentiable
def exp(input: Array) -> WithBackward:
    """Give e to the power of each element."""
    y = kernels.exp(input)
    return y, lambda dy, needs: (dy * y,)


@differentiable
def log(input: Array) -> WithBackward:
    """Give the natural logarithm of each element; -inf at 0 and nan below."""
    y = kernels.log(input)

    def backward(dy: Array, needs: Needs) -> Gradients:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (dy / input,)

    return y, backward


@differentiable
def sqrt(input: Array) -> WithBackward:
    """Give the square root of each element; nan below 0."""
    with np.errstate(invalid="ignore"):
        y = np.sqrt(input)

    def backward(dy: Array, needs: Needs) -> Gradients:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (dy / (2 * y),)

    return y, backward


@differentiable
def abs(input: Array) -> WithBackward:
    """Give the magnitude of each element; the gradient at 0 is 0."""
    return np.abs(input), lambda dy, needs: (dy * np.sign(input),)


@differentiable
def clamp(input: Array, min: Any = None, max: Any = None) -> WithBackward:
    """Limit each element to min .. max; the gradient passes where ``min <= input <= max``. NaN stays NaN."""
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be given")
    y = np.clip(input, min, max)

    def backward(dy: Array, needs: Needs) -> Gradients:
        outside = np.zeros(input.shape, bool)
        if min is not None:
            outside |= input < min
        if max is not None:
            outside |= input > max
        return (np.where(outside, dy.dtype.type(0), dy),)

    return y, backward


clip = clamp


@differentiable
def where(condition: Array, input: Array, other: Array) -> WithBackward:
    """Give `input` where `condition` holds and `other` elsewhere, all three broadcast. No gradient for `condition`."""
    y = np.where(condition, input, other)

    def backward(dy: Array, needs: Needs) -> Gradients:
        zero = dy.dtype.type(0)
        return (
            None,
            unbroadcast(np.where(condition, dy, zero), input) if needs[1] else None,
            unbroadcast(np.where(condition, zero, dy), other) if needs[2] else None,
        )

    return y, backward


def _extremum(pick: np.ufunc, input: Any, other: Any) -> WithBackward:
    y = pick(input, other)

    def backward(dy: Array, needs: Needs) -> Gradients:
        half = np.where(np.equal(input, other), dy.dtype.type(0.5), dy.dtype.type(0))
        return (
            unbroadcast(dy * np.where(half, half, y == input), input) if needs[0] else None,
            unbroadcast(dy * np.where(half, half, y == other), other) if needs[1] else None,
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
