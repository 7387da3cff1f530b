"""Resampling of signals, images and volumes along all axes after the channels."""

from math import floor, inf
from typing import NamedTuple

from ..ground.checks import choice, flag, integer, integers
from ..ground.operation import Layout, operation
from ..pool.windows import check_size

LINEAR = {"linear": 3, "bilinear": 4, "trilinear": 5}
MODES = ("nearest", "nearest-exact", *LINEAR, "bicubic", "area")


def interpolate(input, size=None, scale_factor=None, mode="nearest", align_corners=False, recompute_scale_factor=False):
    """Return signals, images or volumes resampled along all axes after the channels.

    input (B, C, L), (B, C, H, W) or (B, C, D, H, W), float32 or float64 -> (B, C, *size), same dtype, channels-last in
    memory if the input is. size: a number or one per axis; or scale_factor: the result is floor(scale_factor * length)
    long. mode: "nearest" takes the pixel at floor(position), "nearest-exact" the nearest; "linear" ("bilinear",
    "trilinear" by the number of axes) weighs the two next; "bicubic" the four next, by Keys' kernel with a = -0.75;
    "area" is the mean of what a pixel covers. align_corners=True lays the centres of the corner pixels on each other,
    False the corners themselves. With recompute_scale_factor the positions follow from the sizes alone.

    All as in PyTorch. Error: a few eps of the largest value nearby (the weights are rounded from float64). Method of
    "bicubic": Keys, Cubic convolution interpolation (1981). Raises ValueError for unknown modes, sizes below 1 or
    not one of size and scale_factor; TypeError for integer input.
    """
    return _interpolate.run(None, input, size, scale_factor, mode, align_corners, recompute_scale_factor)


def interpolate_backward(
    dy, input_shape, size=None, scale_factor=None, mode="nearest", align_corners=False, recompute_scale_factor=False
):
    """Return the gradient of interpolate's input from that of its output; the other arguments as in the forward.

    dy (B, C, ...) -> input_shape. Raises ValueError unless the shapes fit together.
    """
    return _interpolate_backward.run(
        None, dy, input_shape, size, scale_factor, mode, align_corners, recompute_scale_factor
    )


class Axis(NamedTuple):
    """`count` numbers instead of `length`, which are `scale` apart where these are 1 apart."""

    length: int
    count: int
    scale: float


class Interpolation(NamedTuple):
    """Images (B, C, ...), or dy of resampled ones for a gradient, and the axes after the channels."""

    x: Layout
    axes: tuple[Axis, ...]
    mode: str
    align_corners: bool


@operation("input")
def _interpolate(input, size, scale_factor, mode, align_corners, recompute_scale_factor):
    name = "interpolate"
    _check_ndim(name, "input", input)
    axes, align_corners = _axes(name, input.shape, size, scale_factor, mode, align_corners, recompute_scale_factor)
    return Interpolation(input, axes, mode, align_corners)


@operation("dy")
def _interpolate_backward(dy, input_shape, size, scale_factor, mode, align_corners, recompute_scale_factor):
    name = "interpolate_backward"
    _check_ndim(name, "dy", dy)
    shape = integers(name, "input_shape", input_shape, 0)
    if len(shape) != dy.ndim:
        raise ValueError(f"{name}: dy has shape {dy.shape}, which does not fit an input of shape {shape}")
    axes, align_corners = _axes(name, shape, size, scale_factor, mode, align_corners, recompute_scale_factor)
    expected = (*shape[:2], *(axis.count for axis in axes))
    if dy.shape != expected:
        raise ValueError(f"{name}: dy has shape {dy.shape}, an input {shape} gives {expected}")
    return Interpolation(dy, axes, mode, align_corners)


def _check_ndim(function, name, x):
    if x.ndim not in (3, 4, 5):
        raise ValueError(f"{function}: {name} must be (B, C, L), (B, C, H, W) or (B, C, D, H, W), got shape {x.shape}")


def _axes(function, shape, size, scale_factor, mode, align_corners, recompute):
    """Return the axes, and align_corners as a bool."""
    dims = len(shape) - 2
    align_corners = flag(function, "align_corners", align_corners)
    recompute = flag(function, "recompute_scale_factor", recompute)
    choice(function, "mode", mode, MODES)
    if LINEAR.get(mode, 4 if mode == "bicubic" else dims + 2) not in (dims + 2, 3):
        raise ValueError(f"{function}: mode {mode!r} does not fit an input of shape {shape}")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"{function}: give one of size and scale_factor, got {size!r} and {scale_factor!r}")
    if align_corners and mode not in (*LINEAR, "bicubic"):
        raise ValueError(f"{function}: align_corners is for linear and bicubic modes, got mode {mode!r}")
    if recompute and size is not None:
        raise ValueError(f"{function}: recompute_scale_factor is for a scale_factor, got size {size!r}")
    wanted = size if scale_factor is None else scale_factor
    wanted = wanted if isinstance(wanted, tuple) else (wanted,) * dims
    if len(wanted) != dims:
        raise ValueError(f"{function}: size or scale_factor must be a number or {dims} of them, got {wanted!r}")
    axes = []
    for length, one in zip(shape[2:], wanted, strict=True):
        if not length:
            raise ValueError(f"{function}: images must not be empty, got shape {shape}")
        factor = None if scale_factor is None else _factor(function, one)
        count = integer(function, "size", one if factor is None else floor(length * factor), 1)
        by_sizes = factor is None or recompute
        if mode == "nearest" and dims == 2 and count in (length, 2 * length):
            by_sizes = True  # as in PyTorch, which does so for images and not for signals and volumes
        axes.append(Axis(length, count, length / count if by_sizes else 1 / factor))
    check_size(function, [axis.count for axis in axes])
    return tuple(axes), align_corners


def _factor(function, value):
    """Return a scale factor as a float; TypeError unless a number, ValueError unless positive and finite."""
    try:
        if isinstance(value, (str, bytes, bool)):  # which float() takes
            raise TypeError
        factor = float(value)
    except OverflowError:
        factor = inf
    except (TypeError, ValueError):
        raise TypeError(f"{function}: scale_factor must be a number or one per axis, got {value!r}") from None
    if not 0 < factor < inf:
        raise ValueError(f"{function}: scale_factor must be positive and finite, got {value!r}")
    return factor
