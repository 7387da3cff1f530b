"""Windows over signals, images and volumes ([B,] C, ...): checks, and where the windows start and end."""

from __future__ import annotations

from math import prod
from typing import NamedTuple

from ..ground.checks import ADDRESSABLE, check_ndim, flag, integer
from ..ground.checks import sizes as sizes_of
from ..ground.operation import Layout, Operation


class Axis(NamedTuple):
    """The windows along one axis. Window i has the taps i * stride - padding + t * dilation for t < kernel.

    length: of the axis. count: of windows. An adaptive window (kernel 0) reaches from floor(i length / count) to
    ceil((i + 1) length / count).
    """

    length: int
    count: int
    kernel: int = 0
    stride: int = 1
    padding: int = 0
    dilation: int = 1


def sizes(function: str, name: str, value, count: int, minimum: int) -> tuple[int, ...]:
    """Return `count` sizes from an integer, as many of them or a tuple of one."""
    return sizes_of(function, name, alone(value), count, minimum)


def alone(value):
    """Return a tuple of one size as the size that it is, for all axes as in PyTorch, and anything else as it is."""
    return value[0] if type(value) is tuple and len(value) == 1 else value


def size_of(function: str, x: Layout, dims: int, name: str = "input") -> tuple[int, ...]:
    """Return the size of images ([B,] C, ...) without batch and channels."""
    check_ndim(function, name, x, (dims + 1, dims + 2))
    return x.shape[-dims:]


def result(x: Layout, axes: tuple[Axis, ...]) -> tuple[tuple[int, ...], object]:
    """Return shape and dtype of pooled images."""
    return (*x.shape[: -len(axes)], *[axis.count for axis in axes]), x.dtype


def check_gradient(function: str, dy: Layout, shape: tuple[int, ...], axes: tuple[Axis, ...]) -> None:
    """Raise ValueError unless dy has the shape that an input of this shape gives."""
    expected = (*shape[: -len(axes)], *[axis.count for axis in axes])
    if dy.shape != expected:
        raise ValueError(f"{function}: dy has shape {dy.shape}, an input {shape} gives {expected}")


def gradient_of(kind: str, dims: int, window, length: int, operations: dict[int, list[Operation]]) -> Operation:
    """Return the gradient's operation for `dims` and a window of `length` arguments, or one of adaptive pooling."""
    check_dims(kind, dims)
    if not isinstance(window, (tuple, list)) or len(window) not in (1, length):
        raise ValueError(f"{kind}_backward: window must be {length} arguments of the forward, or one, got {window!r}")
    return operations[dims][len(window) == 1]


def check_dims(kind: str, dims: int) -> None:
    """Raise ValueError unless dims is 1, 2 or 3."""
    if type(dims) is not int or dims not in (1, 2, 3):
        raise ValueError(f"{kind}: dims must be 1, 2 or 3, got {dims!r}")


def sliding(function: str, size, kernel_size, stride, padding, dilation, ceil_mode) -> tuple[Axis, ...]:
    """Return the axes of sliding windows over images of this size."""
    dims = len(size)
    kernel = sizes(function, "kernel_size", kernel_size, dims, 1)
    stride = kernel if stride is None else sizes(function, "stride", stride, dims, 1)
    padding = sizes(function, "padding", padding, dims, 0)
    dilation = sizes(function, "dilation", dilation, dims, 1)
    _check_not_empty(function, size)
    ceil_mode = flag(function, "ceil_mode", ceil_mode)
    axes = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = d * (k - 1) + 1
        if 2 * p > span:
            raise ValueError(
                f"{function}: padding must be at most half of the kernel, got padding {padding} for kernel {kernel}"
            )
        room = n + 2 * p - span + (s - 1) * ceil_mode
        if room < 0:
            padded = tuple(n + 2 * p for n, p in zip(size, padding, strict=True))
            raise ValueError(f"{function}: kernel {kernel} is larger than the padded input {padded}")
        count = room // s + 1
        # the last window must start inside the image or the padding on its left, as in PyTorch
        axes.append(Axis(n, count - ((count - 1) * s >= n + p), k, s, p, d))
    return tuple(axes)


def adaptive(function: str, size, output_size) -> tuple[Axis, ...]:
    """Return the axes of windows that cover images of this size; None in output_size keeps an axis."""
    wanted = output_size if isinstance(output_size, tuple) else (output_size,) * len(size)
    if len(wanted) != len(size):
        raise ValueError(f"{function}: output_size must be an integer or {len(size)} of them, got {output_size!r}")
    _check_not_empty(function, size)
    counts = [
        n if count is None else integer(function, "output_size", count, 0)
        for n, count in zip(size, wanted, strict=True)
    ]
    check_size(function, counts)
    return tuple(Axis(n, count) for n, count in zip(size, counts, strict=True))


def _check_not_empty(function, size):
    if 0 in size:
        raise ValueError(f"{function}: images must not be empty, got size {size}")


def check_size(function: str, size) -> None:
    """Raise ValueError if no memory holds an output of this size, before tables are computed for it."""
    if prod(size) >= ADDRESSABLE:
        raise ValueError(f"{function}: an output of size {tuple(size)} does not fit into memory")
