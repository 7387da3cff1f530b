"""Element by element: + - * / ** and friends, with NumPy's broadcasting and PyTorch's choice of dtypes.

Kernels compute floats; integers NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn._dtypes import get_default_dtype
from fastnn.tape import Array, Gradients, Needs, WithBackward, differentiable

from .promotion import alike, floating, promoted

__all__ = ["add", "clamp", "clip", "div", "exp", "log", "maximum", "minimum", "mul", "pow", "sub", "where"]

__all__ = ["add", "clamp", "clip", "div", "exp", "log", "maximum", "minimum", "mul", "pow", "sub", "where"]


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
def add(input: Array, other: Array, *, alpha: float = 1) -> WithBackward:
    """Give ``input + alpha * other``."""
    if alpha != 1:
        return _scaled_sum("add", input, other, alpha)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return unbroadcast(dy, input) if needs[0] else None, unbroadcast(dy, other) if needs[1] else None

    return _computed(kernels.add, "add", input, other), backward


def _scaled_sum(name: str, input: Any, other: Any, alpha: float) -> WithBackward:
    """Give ``input + alpha * other`` for "add", ``input - alpha * other`` for "sub"."""
    sign = 1.0 if name == "add" else -1.0

    def backward(dy: Array, needs: Needs) -> Gradients:
        dother = unbroadcast(kernels.mul(dy, sign * alpha), other) if needs[1] else None
        return unbroadcast(dy, input) if needs[0] else None, dother

    a, b = (input, other) if alike(input, other) else promoted(name, input=input, other=other)
    return getattr(kernels, name)(a, _computed(kernels.mul, name, b, alpha)), backward


@differentiable
def sub(input: Array, other: Array, *, alpha: float = 1) -> WithBackward:
    """Give ``input - alpha * other``."""
    if alpha != 1:
        return _scaled_sum("sub", input, other, alpha)

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
def div(input: Array, other: Array, *, rounding_mode: str | None = None) -> WithBackward:
    """Give ``input / other``; division by zero gives inf or nan, silently.

    rounding_mode: "trunc" rounds the quotient towards 0, "floor" down; integers stay integers then, and gradients are
    0. Raises ValueError for others.
    """
    if rounding_mode is not None:
        return _rounded_quotient(input, other, rounding_mode)
    a, b = (input, other) if alike(input, other) else promoted("div", True, input=input, other=other)
    y = kernels.div(a, b)

    def backward(dy: Array, needs: Needs) -> Gradients:
        dx = kernels.div(dy, b)
        dother = unbroadcast(kernels.mul(kernels.mul(dx, -1.0), y), other) if needs[1] else None
        return unbroadcast(dx, input) if needs[0] else None, dother

    return y, backward


def _rounded_quotient(input: Any, other: Any, rounding_mode: str) -> WithBackward:
    if rounding_mode not in ("trunc", "floor"):
        raise ValueError(f"div: rounding_mode must be None, 'trunc' or 'floor', got {rounding_mode!r}")
    a, b = (input, other) if alike(input, other) else promoted("div", input=input, other=other)
    if rounding_mode == "floor":
        y = kernels.floor_divide(a, b)
    elif any(isinstance(x, np.ndarray) and x.dtype.char in "fd" for x in (a, b)):
        y = kernels.trunc(kernels.div(a, b))
    else:
        y = kernels.floor_divide(kernels.sub(a, kernels.fmod(a, b)), b)

    def backward(dy: Array, needs: Needs) -> Gradients:
        zeros = np.zeros(dy.shape, dy.dtype)
        return unbroadcast(zeros, input) if needs[0] else None, unbroadcast(zeros, other) if needs[1] else None

    return y, backward


@differentiable
def pow(input: Array, exponent: Array) -> WithBackward:
    """Give ``input ** exponent``. Of 0 ** exponent, the gradient of the exponent is 0 (for exponent >= 0)."""
    power = _POWERS.get(exponent) if type(exponent) is int or type(exponent) is float else None
    if power is not None and type(input) is np.ndarray and input.dtype.char in "fd":
        return power(input)
    x, e = (input, exponent) if alike(input, exponent) else promoted("pow", input=input, exponent=exponent)
    y = kernels.pow(x, e)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (
            unbroadcast(kernels.pow_backward(dy, x, e), input) if needs[0] else None,
            unbroadcast(kernels.pow_backward_exponent(dy, x, e, y), exponent) if needs[1] else None,
        )

    return y, backward


def _square(x: Any) -> WithBackward:
    return kernels.square(x), lambda dy, needs: (kernels.square_backward(dy, x), None)


def _cube(x: Any) -> WithBackward:
    square = kernels.square(x)
    return kernels.mul(square, x), lambda dy, needs: (kernels.mul(kernels.mul(square, 3.0), dy), None)


def _root(x: Any) -> WithBackward:
    y = kernels.sqrt(x)
    return y, lambda dy, needs: (kernels.sqrt_backward(dy, y), None)


def _reciprocal(x: Any) -> WithBackward:
    y = kernels.reciprocal(x)
    return y, lambda dy, needs: (kernels.reciprocal_backward(dy, y), None)


_POWERS: dict[Any, Callable[[Any], WithBackward]] = {2: _square, 3: _cube, 0.5: _root, -1: _reciprocal}


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
def _clamp(input: Array, min: Array | None, max: Array | None) -> WithBackward:
    if min is None and max is None:
        raise ValueError("clamp: at least one of min and max must be given")
    x, low, high = input, min, max
    if not ((low is None or alike(x, low)) and (high is None or alike(x, high))):
        made = iter(promoted("clamp", input=x, **{k: v for k, v in (("min", low), ("max", high)) if v is not None}))
        x, low, high = next(made), None if low is None else next(made), None if high is None else next(made)
    if type(x) is np.ndarray and x.dtype.char in "fd":  # and not of integers, which NumPy computes
        low, high = -inf if low is None else low, inf if high is None else high
    if type(low) is type(high) is float and low == low and high == high:
        y = kernels.hardtanh(x, low, high)
    elif low is None or high is None:
        y = kernels.maximum(x, low) if high is None else kernels.minimum(x, high)
    else:
        y = kernels.clamp(x, low, high)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (
            unbroadcast(kernels.clamp_backward(dy, x, low, high), input) if needs[0] else None,
            unbroadcast(kernels.clamp_backward_min(dy, x, low, high), min) if needs[1] else None,
            unbroadcast(kernels.clamp_backward_max(dy, x, low, high), max) if needs[2] else None,
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
    if isinstance(a, float | int) and isinstance(b, float | int) and isinstance(a + b, float):
        a, b = np.array(a, get_default_dtype()), np.array(b, get_default_dtype())
    y = kernels.where(condition, a, b)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (
            None,
            unbroadcast(kernels.where(condition, dy, 0.0), input) if needs[1] else None,
            unbroadcast(kernels.where(condition, 0.0, dy), other) if needs[2] else None,
        )

    return y, backward


def _extremum(name: str, input: Any, other: Any) -> WithBackward:
    pick, backward_of_first = getattr(kernels, name), getattr(kernels, f"{name}_backward")
    a, b = (input, other) if alike(input, other) else promoted(name, input=input, other=other)

    def backward(dy: Array, needs: Needs) -> Gradients:
        return (
            unbroadcast(backward_of_first(dy, a, b), input) if needs[0] else None,
            unbroadcast(backward_of_first(dy, b, a), other) if needs[1] else None,
        )

    return pick(a, b), backward


@differentiable
def maximum(input: Array, other: Array) -> WithBackward:
    """Give the larger of each two elements, NaN if either is; equal ones share the gradient evenly."""
    return _extremum("maximum", input, other)


@differentiable
def minimum(input: Array, other: Array) -> WithBackward:
    """Give the smaller of each two elements, NaN if either is; equal ones share the gradient evenly."""
    return _extremum("minimum", input, other)
