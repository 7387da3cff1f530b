"""Problems of convolution in one, two or three dimensions, and the checks of all arguments.

A convolution and its transpose have the same kind of problem: for a transposed one, input and output swap roles.
"""

from __future__ import annotations

from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy import ndarray

from ..ground.checks import ADDRESSABLE, check_ndim, conv_output_size, integer, needed, padding_sides
from ..ground.operation import Layout, Operation, operation
from ..pool.windows import alone, sizes

GRADIENT_FROM_OUTPUT = ("relu", "sigmoid", "tanh", "leaky_relu")
ACTIVATIONS = (None, *GRADIENT_FROM_OUTPUT, "gelu")
ALGORITHMS = ("auto", "direct", "im2col", "pointwise", "depthwise", "winograd", "folded", "reference")


class Window(NamedTuple):
    """How a window slides, per dimension: tap k of output o reads input[o * stride + k * dilation - before]."""

    stride: tuple[int, ...]
    before: tuple[int, ...]  # zeros in front of each dimension; behind it as many as the output asks for
    dilation: tuple[int, ...]
    kernel: tuple[int, ...]
    groups: int


class Convolution(NamedTuple):
    """A convolution, transposed or not. shape: of the output, with a batch."""

    input: Layout
    weight: Layout
    bias: Layout | None
    window: Window
    shape: tuple[int, ...]
    transposed: bool
    activation: str | None
    algorithm: str
    out: Layout | None = None

    @property
    def result(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and dtype of the result."""
        return self.shape[-self.input.ndim :], self.input.dtype


class Gradient(NamedTuple):
    """The gradients of a convolution, transposed or not, from that of its output `dy`.

    input, weight, output: layouts where they are given. needs: which of the gradients of input, weight and bias.
    input_shape (with a batch), weight_shape: of these gradients.
    """

    dy: Layout
    input: Layout | None
    weight: Layout | None
    output: Layout | None
    window: Window
    transposed: bool
    activation: str | None
    needs: tuple[bool, ...]
    input_shape: tuple[int, ...]
    weight_shape: tuple[int, ...]
    out: Layout | None = None

    @property
    def result(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and dtype of the gradient, where one alone is asked for."""
        return (self.input_shape[-self.dy.ndim :] if self.needs[0] else self.weight_shape), self.dy.dtype


class BiasGradient(NamedTuple):
    """The gradient of a bias: sums of dy (B, C, H, W) over all but channels."""

    dy: Layout

    @property
    def result(self) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Return the shape and dtype of the gradient."""
        return self.dy.shape[-3:-2], self.dy.dtype


def convolution(name: str, n: int, transposed: bool = False) -> Operation:
    """Make the operation of a convolution in n dimensions."""

    def check(input, weight, bias, stride, padding, output_padding, dilation, groups, activation, algorithm):
        options = stride, padding, output_padding, dilation, groups
        window, shape = window_of(name, n, transposed, with_batch(name, "input", input, n), weight.shape, *options)
        if bias is not None and bias.shape != shape[1:2]:
            raise ValueError(
                f"{name}: bias must have shape ({shape[1]},) as weight {weight.shape} says, got {bias.shape}"
            )
        if activation not in ACTIVATIONS:
            raise ValueError(f"{name}: activation must be one of {ACTIVATIONS}, got {activation!r}")
        if algorithm not in ALGORITHMS:
            raise ValueError(f"{name}: algorithm must be one of {ALGORITHMS}, got {algorithm!r}")
        if prod(shape) >= ADDRESSABLE:
            raise ValueError(f"{name}: an output of shape {shape} does not fit into memory")
        return Convolution(input, weight, bias, window, shape, transposed, activation, algorithm)

    return operation("input weight", optional="bias", prepared="weight", name=name)(check)


def gradients(name: str, n: int, transposed: bool = False) -> Operation:
    """Make the operation of a convolution's gradients in n dimensions."""

    def check(dy, input, weight, output, activation, stride, padding, output_padding, dilation, groups, needs):
        needs, x_shape = needed(name, needs, 3), with_batch(name, "input", input, n)
        options = stride, padding, output_padding, dilation, groups
        window, shape = window_of(name, n, transposed, x_shape, weight.shape, *options)
        check_gradient(name, "dy", dy, shape, n)
        if activation is not None:
            if activation not in GRADIENT_FROM_OUTPUT:
                raise ValueError(f"{name}: the gradient of activation {activation!r} cannot be had from the output")
            if output is None:
                raise ValueError(f"{name}: the gradient of activation {activation!r} needs the output")
            check_gradient(name, "output", output, shape, n)
        arrays = dy, input, weight, output if activation else None
        return Gradient(*arrays, window, transposed, activation, needs, x_shape, weight.shape)

    return operation("dy input weight", optional="output", name=name)(check)


def with_batch(function: str, name: str, x: Layout, n: int) -> tuple[int, ...]:
    """Return the shape of (B, C, ...) or (C, ...) with n more dimensions as one with a batch."""
    check_ndim(function, name, x, (n + 1, n + 2))
    return (1, *x.shape)[-n - 2 :]


def check_gradient(function: str, name: str, dy: Layout, shape: tuple[int, ...], n: int) -> None:
    """Raise ValueError unless a gradient has the shape of its output."""
    if with_batch(function, name, dy, n) != shape:
        raise ValueError(f"{function}: {name} has shape {dy.shape}, the convolution's output has {shape}")


def window_of(
    function, n, transposed, input_shape, weight_shape, stride, padding, output_padding, dilation, groups
) -> tuple[Window, tuple[int, ...]]:
    """Check the arguments of a convolution; return its window and its output's shape (B, OC, ...)."""
    stride, dilation = sizes(function, "stride", stride, n, 1), sizes(function, "dilation", dilation, n, 1)
    if transposed:
        padding = sizes(function, "padding", padding, n, 0)
        output_padding = sizes(function, "output_padding", output_padding, n, 0)
    groups = integer(function, "groups", groups, 1)
    names = f"({'C, OC' if transposed else 'OC, C'}/groups, {', '.join(('KD', 'KH', 'KW')[-n:])})"
    if len(weight_shape) != n + 2:
        raise ValueError(f"{function}: weight must have {n + 2} dimensions {names}, got shape {weight_shape}")
    count, channels, *kernel = weight_shape
    if 0 in kernel or count == 0:
        raise ValueError(f"{function}: weight must have filters and they must not be empty, got shape {weight_shape}")
    if count % groups:
        raise ValueError(f"{function}: {count} filters (weight {weight_shape}) do not divide into groups={groups}")
    expected, ending = (count, "") if transposed else (channels * groups, f", groups={groups}")
    if input_shape[1] != expected:
        raise ValueError(
            f"{function}: input has {input_shape[1]} channels (shape {input_shape}) but weight expects {expected} "
            f"(shape {weight_shape}{ending})"
        )
    if not transposed:
        sides = padding_sides(function, alone(padding), kernel, stride, dilation)
        size = conv_output_size(function, input_shape[2:], kernel, stride, sides, dilation)
        return Window(stride, sides[::2], dilation, tuple(kernel), groups), (input_shape[0], count, *size)
    for extra, s, d in zip(output_padding, stride, dilation, strict=True):
        if extra >= max(s, d):
            raise ValueError(
                f"{function}: output_padding must be smaller than stride or dilation, got {output_padding} with "
                f"stride {stride} and dilation {dilation}"
            )
    each = zip(input_shape[2:], stride, padding, dilation, kernel, output_padding, strict=True)
    size = tuple((length - 1) * s - 2 * p + d * (k - 1) + extra + 1 for length, s, p, d, k, extra in each)
    if min(size) < 1 or 0 in input_shape[2:]:
        raise ValueError(f"{function}: nothing would come out of an input {input_shape}: the output has size {size}")
    return Window(stride, padding, dilation, tuple(kernel), groups), (input_shape[0], channels * groups, *size)


def sizes_of(function: str, name: str, shape, *counts: int) -> tuple[int, ...]:
    """Return a shape as a tuple of integers, `counts` of them. Raises TypeError or ValueError."""
    if not isinstance(shape, (tuple, list, ndarray)):
        raise TypeError(f"{function}: {name} must be a shape, got {shape!r}")
    shape = tuple(integer(function, name, n, 0) for n in shape)
    if len(shape) not in counts:
        raise ValueError(f"{function}: {name} must name {' or '.join(map(str, counts))} sizes, got {shape}")
    return shape
