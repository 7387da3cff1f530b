"""How images lie in memory. Shapes are always (B, C, H, W); the memory may hold planes or pixels.

Planes: C-contiguous. Pixels ("channels last"): the memory is a contiguous (B, H, W, C).
"""

import numpy as np
from numpy import ndarray

from ._memory import empty
from ._parallel import tasks
from ._shapes import check_ndim, check_out, contiguous, output
from .cpu import images as cpu


def channels_last(x: ndarray) -> bool:
    """Return whether images of shape (B, C, ...) lie in memory by pixels, and not by planes."""
    return not x.flags.c_contiguous and places_first(x).flags.c_contiguous


def places_first(x: ndarray) -> ndarray:
    """Return images (B, C, ...) as a view (B, ..., C)."""
    return x.transpose(0, *range(2, x.ndim), 1)


def pixels(x: ndarray) -> ndarray:
    """Return images (B, C, H, W) as a contiguous (B, H, W, C): a view if they lie so."""
    turned = x.transpose(0, 2, 3, 1)
    if turned.flags.c_contiguous or not x.flags.c_contiguous or not x.size:
        return contiguous(turned)
    return _relayout(x, x.shape[1], turned.shape)


def planes(x: ndarray) -> ndarray:
    """Return an array C-contiguous: itself if it is, fast if it holds images that lie by pixels."""
    if x.ndim != 4 or not channels_last(x) or x.dtype not in (np.float32, np.float64) or not x.size:
        return contiguous(x)
    return _relayout(x.transpose(0, 2, 3, 1), x.shape[2] * x.shape[3], x.shape)


def _relayout(x, rows, shape):
    out = empty(shape, x.dtype)
    turning(shape[0], rows, x[0].size // rows, x.dtype)(x, out)
    return out


def turning(count: int, rows: int, columns: int, dtype):
    """Return what writes the transposes of `count` matrices to memory, (x, out), both contiguous and of any shape."""
    kernel, number = cpu.relayout__blocks[dtype], tasks(count * rows * columns, 65536)
    before, after = (count, rows, columns), (count, columns, rows)

    def turn(x, out):
        kernel(x.reshape(before), 0.0, out.reshape(after), count, number)

    return turn


def image_memory(function: str, out, shape, dtype, last: bool, *inputs) -> ndarray:
    """Return what a kernel writes to: contiguous (B, C, H, W), or (B, H, W, C) if `last`; in `out` if that lies so."""
    b, c, h, w = shape
    if out is not None:
        check_out(function, out, shape, dtype, *inputs)
        memory = out.transpose(0, 2, 3, 1) if last else out
        if memory.flags.c_contiguous:
            return memory
    return output(function, None, (b, h, w, c) if last else shape, dtype)


def as_images(memory: ndarray, out, last: bool) -> ndarray:
    """Return what a kernel wrote as images (B, C, H, W), in `out` if the caller gave one."""
    images = memory.transpose(0, 3, 1, 2) if last else memory
    if out is None:
        return images
    if not np.may_share_memory(out, memory):
        out[...] = images
    return out


def with_batch(function: str, name: str, x: ndarray, dims: int = 2) -> tuple[ndarray, bool]:
    """Return x as (B, C, ...) with `dims` more dimensions, and whether it came as such and not as one (C, ...)."""
    if x.ndim == dims + 2:
        return x, True
    check_ndim(function, name, x, (dims + 1, dims + 2))
    return x[None], False


def hashable(value):
    """Return a list or an array as a tuple, all else as it is: for the keys of a cache."""
    return tuple(value) if isinstance(value, (list, ndarray)) else value
