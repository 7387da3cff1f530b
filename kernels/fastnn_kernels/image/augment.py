"""What turns a batch of images into other images of the same things, and random numbers that need no state."""

from math import prod
from typing import NamedTuple

import numpy as np

from ..ground.checks import F4, F8, check_ndim, choice, sizes
from ..ground.operation import Layout, operation
from .pad import PAD_MODES

LONGEST = {F4: 1 << 24, F8: 1 << 30}  # axis of an image whose positions `warp` can tell apart in that dtype


def uniform(shape, low=0.0, high=1.0, *, seed, offset=0, dtype=np.float32, out=None):
    """Return numbers drawn evenly from [low, high).

    shape (tuple of int) -> float32 or float64, of 2^24 different values. They depend on seed and offset (integers of
    0 .. 2^64 - 1) and an element's position alone (Philox 4x32-10: Salmon et al., 2011), not on the number of threads.
    0.6 ns each on one thread with AVX-512. Raises ValueError for a seed or offset out of range.
    """
    return _uniform.run(out, shape, low, high, seed, offset, _float_type(dtype))


def noise(input, deviation, *, seed, offset=0, out=None):
    """Return input + deviation times numbers of the standard normal distribution.

    input (any shape and strides, float32 or float64) -> a contiguous array of its shape, or `out`. The numbers are
    quantiles at 2^24 even steps (Giles, 2010; error 1e-6), so none exceeds 5.5; like those of `uniform` they depend on
    seed, offset and position alone. Raises ValueError for a negative deviation and counters out of range.
    """
    return _noise.run(out, input, deviation, seed, offset)


def warp(input, matrix, field=None, size=None, *, mode="bilinear", border="constant", value=0.0, out=None):
    """Return images sampled elsewhere: rotated, scaled, sheared, shifted, cut out, deformed, all in one go.

    The pixel of the result at (row, column) is that of the input at

        matrix[:, :2] @ (row + field[0], column + field[1]) + matrix[:, 2]

    counted in pixels from the centre of the first, as in scipy.ndimage.affine_transform.

    Parameters
    ----------
    input : (B, C, H, W), float32 or float64
    matrix : (B, 2, 3) or (2, 3), finite numbers
    field : (B, 2, OH, OW) or (2, OH, OW), optional
        Displacements, such as an elastic deformation's. What is not finite counts as outside (border "constant"), or as
        the first row or column.
    size : int or (OH, OW), optional
        Of the result; that of the input as default.
    mode : "bilinear" or "nearest"
    border : "constant", "reflect", "replicate" or "circular"
        What is outside, as in `pad`: `value`, the image mirrored (without repeating its edge), its edge, the image
        again; scipy calls them grid-constant, mirror, nearest and grid-wrap.

    Returns
    -------
    (B, C, OH, OW), dtype of the input. Positions are computed in that dtype: for float32 images of side N they are off
    by up to 2 N eps pixels. Shifts by whole pixels and flips are exact.

    Raises ValueError unless the shapes fit, for an empty image and for unknown modes.
    """
    return _warp.run(out, input, matrix, field, size, mode, border, value)


def erase(input, boxes, value=0.0, *, out=None):
    """Return images of which a rectangle each is filled with a value (cutout: DeVries & Taylor, arXiv:1708.04552).

    input (B, C, H, W), boxes (B, 4) integers (top, left, bottom, right), ends excluded, cut off at the edges; a
    rectangle that ends before it begins is empty. Raises ValueError unless the shapes fit.
    """
    return _erase.run(out, input, boxes, value)


def mix(input, other, weight, *, out=None):
    """Return weight[b] * input[b] + (1 - weight[b]) * input[other[b]] (mixup: Zhang et al., arXiv:1710.09412).

    input (B, ...), other (B,) integers of 0 .. B - 1, weight (B,) -> shape and dtype of the input. Raises ValueError
    unless the shapes fit and `other` is in range.
    """
    return _mix.run(out, input, other, weight)


class Uniform(NamedTuple):
    """Random numbers of a shape and dtype."""

    shape: tuple[int, ...]
    dtype: np.dtype

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.shape, self.dtype


class Augmented(NamedTuple):
    """An operation on images whose result is as they are."""

    input: Layout

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return self.input.shape, self.input.dtype


class Warp(NamedTuple):
    """Images, matrices (B or 1, 2, 3) or (2, 3) and a field or None, of which images of a size are sampled."""

    input: Layout
    matrix: Layout
    field: Layout | None
    size: tuple[int, int]
    nearest: bool
    border: str

    @property
    def result(self):
        """Return the shape and dtype of the result."""
        return (*self.input.shape[:2], *self.size), self.input.dtype


@operation(numbers="low high", words="seed offset")
def _uniform(shape, low, high, seed, offset, dtype):
    if not isinstance(shape, tuple):
        raise TypeError(f"uniform: shape must be a tuple of integers, got {shape!r}")
    shape = sizes("uniform", "shape", shape, len(shape), 0) if len(shape) else ()
    return Uniform(shape, F4 if dtype == "float32" else F8)


@operation("input", numbers="deviation", words="seed offset")
def _noise(input, deviation, seed, offset):
    return Augmented(input)


@operation("input", optional="field", reals="matrix", numbers="value")
def _warp(input, matrix, field, size, mode, border, value):
    check_ndim("warp", "input", input, 4)
    batch, _, height, width = input.shape
    stack = matrix.shape if matrix.ndim != 2 else (1, *matrix.shape)
    if stack[1:] != (2, 3) or stack[0] not in (1, batch):
        raise ValueError(f"warp: matrix must be (2, 3) or ({batch}, 2, 3) for input {input.shape}, got {matrix.shape}")
    if not isinstance(mode, str) or mode not in ("bilinear", "nearest"):
        raise ValueError(f"warp: mode must be 'bilinear' or 'nearest', got {mode!r}")
    choice("warp", "border", border, PAD_MODES)
    if (not height or not width) and prod(input.shape[:2]):
        raise ValueError(f"warp: the images are empty, shape {input.shape}")
    longest = LONGEST[input.dtype]
    if max(height, width) > longest:
        raise ValueError(f"warp: axes of {input.dtype} images must not be longer than {longest}, got {input.shape}")
    if field is not None:
        check_ndim("warp", "field", field, (3, 4))
    usual = (height, width) if field is None else field.shape[-2:]
    oh, ow = usual if size is None else sizes("warp", "size", size, 2, 0)
    if field is not None:
        stack = field.shape if field.ndim == 4 else (1, *field.shape)
        if stack[0] not in (1, batch) or stack[1:] != (2, oh, ow):
            raise ValueError(f"warp: field must be ({batch}, 2, {oh}, {ow}) or (2, {oh}, {ow}), got {stack}")
    problem = Warp(input, matrix, field, (oh, ow), mode == "nearest", border)
    if input.dtype is F4 and height * width > 1 << 31 and prod(problem.result[0]):
        raise ValueError(f"warp: images of float32 must not have more than 2**31 pixels, got shape {input.shape}")
    return problem


@operation("input", integers="boxes", numbers="value")
def _erase(input, boxes, value):
    check_ndim("erase", "input", input, 4)
    if boxes.shape != (input.shape[0], 4):
        raise ValueError(f"erase: boxes must be integers ({input.shape[0]}, 4), got {boxes.dtype} {boxes.shape}")
    return Augmented(input)


@operation("input", integers="other", reals="weight")
def _mix(input, other, weight):
    count = input.shape[:1]
    if input.ndim == 0 or other.shape != count or weight.shape != count:
        raise ValueError(
            f"mix: input {input.shape} needs other {count or '(B,)'} of integers and weight of the same shape, "
            f"got {other.dtype} {other.shape} and {weight.shape}"
        )
    return Augmented(input)


def _float_type(dtype):
    """Return "float32" or "float64" for what names one of these."""
    if dtype is np.float32:
        return "float32"
    wanted = None
    named = isinstance(dtype, str) and dtype in ("float32", "float64", "f4", "f8", "f", "d")
    if named or isinstance(dtype, (np.dtype, type)):
        wanted = np.dtype(dtype)
    if wanted is None or wanted not in (F4, F8):  # a dtype equals None if it is float64
        raise TypeError(f"uniform: dtype must be float32 or float64, got {dtype!r}")
    return "float32" if wanted == F4 else "float64"
