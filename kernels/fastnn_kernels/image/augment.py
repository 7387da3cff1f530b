"""What turns a batch of images into other images of the same things, and random numbers that need no state."""

import numpy as np

from ..cpu.dropout import CHUNK
from ..cpu.image import augment as cpu
from ..ground.checks import F4, F8, as_array, as_float_array, choice, contiguous, number, output, sizes, word
from ..ground.checks import indices as checked
from ..ground.threads import tasks
from .pad import PAD_MODES as BORDERS

GRAIN = 8192  # numbers written by a task, at least
NO_FIELD = {dtype: np.empty((1, 2, 0, 0), dtype) for dtype in (F4, F8)}
LONGEST = {F4: 1 << 24, F8: 1 << 30}  # axis of an image whose places `warp` can tell apart in that dtype


def uniform(shape, low=0.0, high=1.0, *, seed, offset=0, dtype=np.float32, out=None):
    """Return numbers drawn evenly from [low, high).

    shape (tuple of int) -> float32 or float64, of 2^24 different values. They depend on seed and offset (integers of
    0 .. 2^64 - 1) and an element's position alone (Philox 4x32-10: Salmon et al., 2011), not on the number of threads.
    0.6 ns each on one thread with AVX-512. Raises ValueError for a seed or offset out of range.
    """
    dtype = _float_type(dtype)
    if not isinstance(shape, (tuple, list, np.ndarray)):
        raise TypeError(f"uniform: shape must be a tuple of integers, got {shape!r}")
    shape = sizes("uniform", "shape", tuple(shape), len(shape), 0) if len(shape) else ()
    low, high = number("uniform", "low", low), number("uniform", "high", high)
    words = word("uniform", "seed", seed), word("uniform", "offset", offset)
    y = output("uniform", out, shape, dtype)
    target = y if y.flags.carray else output("uniform", None, y.shape, y.dtype)
    chunks = -(-y.size // CHUNK)
    cpu.uniform__philox[y.dtype](target.reshape(-1), low, high - low, *words, chunks, _tasks(chunks, CHUNK))
    if target is not y:
        y[...] = target
    return y


def noise(input, deviation, *, seed, offset=0, out=None):
    """Return input + deviation times numbers of the standard normal distribution.

    input (any shape and strides, float32 or float64) -> a contiguous array of its shape, or `out`. The numbers are
    quantiles at 2^24 even steps (Giles, 2010; error 1e-6), so none exceeds 5.5; like those of `uniform` they depend on
    seed, offset and position alone. Raises ValueError for a negative deviation and counters out of range.
    """
    x = as_float_array("noise", "input", input)
    deviation = number("noise", "deviation", deviation)
    if not 0 <= deviation < np.inf:
        raise ValueError(f"noise: deviation must be a number from 0, got {deviation}")
    words = word("noise", "seed", seed), word("noise", "offset", offset)
    y = output("noise", out, x.shape, x.dtype, x)
    target = y if y.flags.carray else output("noise", None, x.shape, x.dtype)
    chunks = -(-x.size // CHUNK)
    cpu.noise__philox[x.dtype](
        contiguous(x).reshape(-1), target.reshape(-1), deviation, *words, chunks, _tasks(chunks, CHUNK)
    )
    if target is not y:
        y[...] = target
    return y


def warp(input, matrix, field=None, size=None, *, mode="bilinear", border="constant", value=0.0, out=None):
    """Return images sampled at other places: turned, scaled, sheared, shifted, cut out, deformed, all in one go.

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
        What lies outside, as in `pad`: `value`, the image mirrored (without repeating its edge), its edge, the image
        again; scipy calls them grid-constant, mirror, nearest and grid-wrap.

    Returns
    -------
    (B, C, OH, OW), dtype of the input. Places are computed in that dtype: for float32 images of side N they are off by
    up to 2 N eps pixels. Shifts by whole pixels and flips are exact.

    Raises ValueError unless the shapes fit, for an empty image and for unknown modes.
    """
    x = as_float_array("warp", "input", input, 4)
    matrix = _numbers("warp", "matrix", matrix)
    matrix = matrix[None] if matrix.ndim == 2 else matrix
    batch, channels, height, width = x.shape
    if matrix.ndim != 3 or matrix.shape[1:] != (2, 3) or matrix.shape[0] not in (1, batch):
        raise ValueError(f"warp: matrix must be (2, 3) or ({batch}, 2, 3) for input {x.shape}, got {matrix.shape}")
    if not np.isfinite(matrix).all():
        raise ValueError("warp: matrix holds numbers that are nan or infinite")
    value = number("warp", "value", value)
    if not isinstance(mode, str) or mode not in ("bilinear", "nearest"):
        raise ValueError(f"warp: mode must be 'bilinear' or 'nearest', got {mode!r}")
    choice("warp", "border", border, BORDERS)
    if (not height or not width) and batch * channels:
        raise ValueError(f"warp: the images are empty, shape {x.shape}")
    if max(height, width) > LONGEST[x.dtype]:
        raise ValueError(f"warp: axes of {x.dtype} images must not be longer than {LONGEST[x.dtype]}, got {x.shape}")
    if field is None:
        field = NO_FIELD[x.dtype]
        oh, ow = (height, width) if size is None else sizes("warp", "size", size, 2, 0)
    else:
        field = contiguous(as_float_array("warp", "field", field, (3, 4)).astype(x.dtype, copy=False))
        field = field[None] if field.ndim == 3 else field
        oh, ow = field.shape[-2:] if size is None else sizes("warp", "size", size, 2, 0)
        if field.shape[0] not in (1, batch) or field.shape[1:] != (2, oh, ow):
            raise ValueError(f"warp: field must be ({batch}, 2, {oh}, {ow}) or (2, {oh}, {ow}), got {field.shape}")
    shape = batch, channels, oh, ow
    y = output("warp", out, shape, x.dtype, x, matrix, field)
    target = y if y.flags.carray else output("warp", None, shape, x.dtype)
    if y.size:
        if x.dtype is F4 and height * width > 1 << 31:
            raise ValueError(f"warp: images of float32 must not have more than 2**31 pixels, got shape {x.shape}")
        spans = batch * -(-oh * ow // cpu.SPAN)
        cpu.warp__taps[x.dtype](
            contiguous(x).reshape(batch, channels, -1), matrix, field.reshape(len(field), 2, -1), width, ow,
            BORDERS.index(border), mode == "nearest", value, target.reshape(batch, channels, -1), spans,
            _tasks(spans, channels * cpu.SPAN),
        )  # fmt: skip
    if target is not y:
        y[...] = target
    return y


def erase(input, boxes, value=0.0, *, out=None):
    """Return images of which a rectangle each is filled with a value (cutout: DeVries & Taylor, arXiv:1708.04552).

    input (B, C, H, W), boxes (B, 4) integers (top, left, bottom, right), ends excluded, cut off at the edges; a
    rectangle that ends before it begins is empty. Raises ValueError unless the shapes fit.
    """
    x = as_float_array("erase", "input", input, 4)
    value = number("erase", "value", value)
    boxes = as_array("erase", "boxes", boxes)
    if boxes.shape != (x.shape[0], 4) or boxes.dtype.kind not in "iu":
        raise ValueError(f"erase: boxes must be integers ({x.shape[0]}, 4), got {boxes.dtype} {boxes.shape}")
    boxes = checked("erase", "boxes", boxes, None, 1 << 63, lowest=-(1 << 63))
    y = output("erase", out, x.shape, x.dtype, x, boxes)
    boxes = boxes.clip(0, np.array([x.shape[2], x.shape[3]] * 2, np.int64))
    target = y if y.flags.carray else output("erase", None, x.shape, x.dtype)
    planes = x.shape[0] * x.shape[1]
    count = _tasks(planes, x.shape[2] * x.shape[3])
    cpu.erase__boxes[x.dtype](contiguous(x), boxes, value, target, planes, count)
    if target is not y:
        y[...] = target
    return y


def mix(input, other, weight, *, out=None):
    """Return weight[b] * input[b] + (1 - weight[b]) * input[other[b]] (mixup: Zhang et al., arXiv:1710.09412).

    input (B, ...), other (B,) integers of 0 .. B - 1, weight (B,) -> shape and dtype of the input. Raises ValueError
    unless the shapes fit and `other` is in range.
    """
    x = as_float_array("mix", "input", input)
    other, weight, count = as_array("mix", "other", other), _numbers("mix", "weight", weight), x.shape[:1]
    if x.ndim == 0 or other.shape != count or weight.shape != count or other.dtype.kind not in "iu":
        raise ValueError(
            f"mix: input {x.shape} needs other {count or '(B,)'} of integers and weight of the same shape, "
            f"got {other.dtype} {other.shape} and {weight.shape}"
        )
    if len(other) and not 0 <= other.min() <= other.max() < len(x):
        raise ValueError(f"mix: other must be in 0..{len(x) - 1}, got {other.min()}..{other.max()}")
    other, weight = checked("mix", "other", other, count, len(x)), weight.astype(x.dtype, copy=False)
    y = output("mix", out, x.shape, x.dtype, x, other, weight)
    target = y if y.flags.carray else output("mix", None, x.shape, x.dtype)
    if x.size:
        rows = contiguous(x).reshape(len(x), -1)
        cpu.mix__rows[x.dtype](rows, other, weight, target.reshape(len(x), -1), len(x), _tasks(len(x), rows.shape[1]))
    if target is not y:
        y[...] = target
    return y


def _tasks(items, each) -> int:
    return tasks(items, max(1, GRAIN // max(each, 1)))


def _float_type(dtype):
    """Return what names float32 or float64 as `F4` or `F8`."""
    wanted = None
    named = isinstance(dtype, str) and dtype in ("float32", "float64", "f4", "f8", "f", "d")
    if named or isinstance(dtype, (np.dtype, type)):
        wanted = np.dtype(dtype)
    if wanted is None or wanted not in (F4, F8):  # a dtype equals None if it is float64
        raise TypeError(f"uniform: dtype must be float32 or float64, got {dtype!r}")
    return F4 if wanted == F4 else F8


def _numbers(function: str, name: str, x):
    """Return real numbers of any kind as a contiguous array of float64."""
    array = as_array(function, name, x)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{function}: {name} must be an array of real numbers, got {array.dtype}")
    return np.array(array, F8, order="C")
