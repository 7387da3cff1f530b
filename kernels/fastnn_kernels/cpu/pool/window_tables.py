"""Windows over signals, images and volumes: the geometry of pooling, as the tables that its kernels follow.

An `Axis` says which part of the input each output sees along one axis: a run of taps, cut off at the edges. Sliding
windows of any stride, padding and dilation are such, and adaptive ones, and the outputs that a pixel took part in: the
gradient's windows. Signals and images are volumes with axes of length 1.
"""

from __future__ import annotations

from math import prod
from typing import NamedTuple

import numpy as np
from numpy import ndarray

from ..cpu.move import pixels, planes
from ..cpu.pool.kernels import ROW
from ..ground.checks import ADDRESSABLE, check_out, contiguous, flag, integer, output, sizes
from ..ground.layout import places_first

Windows = tuple["Axis", ...]


class Axis:
    """The windows along one axis: where each starts, how many taps it has, how far they are from each other."""

    def __init__(self, length: int, starts, counts, dilation: int = 1, whole=None):
        self.length, self.dilation = length, dilation
        self.starts, self.counts = np.asarray(starts, np.int64), np.asarray(counts, np.int64)
        self.whole = self.counts if whole is None else np.asarray(whole, np.int64)  # taps with those in the padding
        self.span = self.starts, self.starts + (self.counts - 1) * dilation + 1

    @classmethod
    def sliding(cls, length: int, kernel: int, stride: int, padding: int, dilation: int, count: int) -> Axis:
        """Make windows that slide by `stride`; what they see of the padding does not count as a tap."""
        first = np.arange(count, dtype=np.int64) * stride - padding
        skipped = np.maximum(0, -(first // dilation))
        starts = first + skipped * dilation
        counts = np.clip(-((starts - length) // dilation), 0, kernel - skipped)
        made = cls(
            length, np.minimum(starts, length - 1), counts, dilation, np.minimum(kernel, length + padding - first)
        )
        made.span = first, first + (kernel - 1) * dilation + 1
        return made

    @classmethod
    def adaptive(cls, length: int, count: int) -> Axis:
        """Make `count` windows of nearly equal length that cover the axis."""
        i = np.arange(count, dtype=np.int64)
        each, more = divmod(length, max(count, 1))  # i * length may be beyond 64 bits
        starts = i * each + i * more // max(count, 1)
        return cls(length, starts, (i + 1) * each - (-(i + 1) * more // max(count, 1)) - starts)

    def __len__(self) -> int:
        return len(self.starts)

    def transposed(self) -> Axis:
        """Return for each place of the axis the outputs whose windows lie around it."""
        places = np.arange(self.length)
        first, last = np.searchsorted(self.span[1], places, "right"), np.searchsorted(self.span[0], places, "right")
        return Axis(len(self), np.minimum(first, len(self) - 1), np.maximum(last - first, 0))

    def runs(self, size: int, merge: bool, turns: int) -> ndarray:
        """Return the table of outputs that lie side by side, as the kernels want it (`cpu/pool.py`).

        size: numbers per place. With one, a run is any sequence of equal steps, and neighbouring outputs may take
        turns in several of them; with more, it is one place, or with `merge` several whose windows are one place apart.
        """
        if size == 1:
            return min((self._sequences(n) for n in range(1, turns + 1)), key=_cost)
        rows = self._sequences(1)
        made = []
        for first, _, count, start, step, taps in rows[:, :6]:
            if merge and step == 1:
                made.append((first * size, 1, count * size, start * size, 1, taps, start, first))
            else:
                made += [
                    ((first + i) * size, 1, size, (start + i * step) * size, 1, taps, start + i * step, first + i)
                    for i in range(count)
                ]
        return np.array(made, np.int64).reshape(-1, 8)

    def _sequences(self, turns: int) -> ndarray:
        """Cut every turns-th output into sequences of equal steps from window to window."""
        found = [np.empty((0, 8), np.int64)]
        for turn in range(min(turns, len(self))):
            starts, counts, whole = (a[turn::turns] for a in (self.starts, self.counts, self.whole))
            other = np.ones(len(starts), bool)  # whether a sequence starts here
            other[1:] = (counts[1:] != counts[:-1]) | (whole[1:] != whole[:-1])
            bend = np.diff(starts, 2) != 0
            other[2:] |= bend & ~other[1:-1]
            first = np.flatnonzero(other)
            length = np.diff(np.append(first, len(starts)))
            step = np.where(length > 1, starts[np.minimum(first + 1, len(starts) - 1)] - starts[first], 1)
            places = first * turns + turn
            rows = places, np.full_like(first, turns), length, starts[first], step, counts[first], starts[first], places
            found.append(np.stack(rows, 1))
        return np.concatenate(found)


def _cost(runs):
    """Estimate what a table costs."""
    return float(_vectors(runs).sum())


def _vectors(runs):
    """Return how many vectors the outputs of each run fill, weighted: numbers far apart are slow to come by."""
    far, apart = (runs[:, 1] > 2) | (runs[:, 4] > 2), runs[:, 4] == 2
    return -(-runs[:, 2] // 16) * np.where(far, 4, np.where(apart, 1.5, 1))


class Tables(NamedTuple):
    """What the kernels in `cpu/pool.py` read: see there."""

    rows: ndarray
    runs: ndarray
    steps: ndarray


def tables(windows: Windows, size: int, merge: bool, turns: int, image_width: int) -> Tables:
    """Return the tables for three axes of windows over numbers of which `size` lie at a place.

    merge, turns: see `Axis.runs`. image_width: of the image in which places are counted, the input of the forward.
    """
    depth, height, width = windows
    rows = np.array([[*depth.starts, *height.starts], [*depth.counts, *height.counts]], np.int64)
    area = height.length * width.length
    taps = depth.dilation * area, height.dilation * width.length, width.dilation
    runs = width.runs(size, merge, turns)
    down, along = depth.counts.max(initial=0) * height.counts.max(initial=0), (_vectors(runs) * runs[:, 5]).sum()
    columns = size == 1 and width.length <= ROW and down * -(-width.length // 16) + along < down * along
    steps = np.array([*(t * size for t in taps), *taps, image_width, size == 1, columns], np.int64)
    return Tables(rows, runs, steps)


def divisors(counts, runs: ndarray, dtype: np.dtype) -> ndarray:
    """Return what sums are divided by, given per output of each axis, as the kernel wants it: the last axis by run."""
    return np.concatenate([counts[0], counts[1], counts[2][runs[:, 7]]]).astype(dtype)


def as_images(x: ndarray, last: bool) -> ndarray:
    """Return images (B, C, ...) as contiguous planes (B * C, D, H, W) or pixels (B, D, H, W * C): a copy if need be."""
    batch, channels, *size = x.shape
    *above, width = (1, 1, *size)[-3:]
    memory = laid(x, last)
    memory = places_first(memory) if last else memory
    return memory.reshape(batch, *above, width * channels) if last else memory.reshape(batch * channels, *above, width)


def laid(x: ndarray, last: bool) -> ndarray:
    """Return images (B, C, ...) that lie by planes or by pixels without gaps: a copy if need be."""
    if (places_first(x) if last else x).flags.c_contiguous:
        return x
    if x.ndim == 4 and x.dtype.kind == "f":
        return pixels(x).transpose(0, 3, 1, 2) if last else planes(x)
    if not last:
        return contiguous(x)
    return contiguous(places_first(x)).transpose(0, x.ndim - 1, *range(1, x.ndim - 1))


def result(function: str, out, shape, dtype, last: bool, *inputs) -> ndarray:
    """Return an array (B, C, ...) that lies as asked for: `out` if that does."""
    if out is not None:
        check_out(function, out, shape, dtype, *inputs)
        if (places_first(out) if last else out).flags.carray:
            return out
    if not last:
        return output(function, None, shape, dtype)
    memory = output(function, None, (shape[0], *shape[2:], shape[1]), dtype)
    return memory.transpose(0, memory.ndim - 1, *range(1, memory.ndim - 1))


def whole_shape(function: str, input_shape) -> tuple[int, ...]:
    """Return the shape of the forward's input, as a gradient is told it, as a tuple of int."""
    if not isinstance(input_shape, (tuple, list, ndarray)):
        raise TypeError(f"{function}: input_shape must be a tuple of integers, got {input_shape!r}")
    return tuple(integer(function, "input_shape", n, 0) for n in input_shape)


def sliding(function: str, dims: int, size, kernel_size, stride, padding, dilation, ceil_mode: bool) -> Windows:
    """Return the axes of sliding windows over images of this size, checked."""
    kernel = sizes(function, "kernel_size", kernel_size, dims, 1)
    stride = kernel if stride is None else sizes(function, "stride", stride, dims, 1)
    padding = sizes(function, "padding", padding, dims, 0)
    dilation = sizes(function, "dilation", dilation, dims, 1)
    if 0 in size:
        raise ValueError(f"{function}: images must not be empty, got size {size}")
    ceil_mode = flag(function, "ceil_mode", ceil_mode)
    axes = []
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = d * (k - 1) + 1
        if 2 * p > span:
            raise ValueError(
                f"{function}: padding must be at most half of the kernel, got padding {padding} for kernel {kernel}"
            )
        room = n + 2 * p - span
        if room + (s - 1) * ceil_mode < 0:
            padded = tuple(n + 2 * p for n, p in zip(size, padding, strict=True))
            raise ValueError(f"{function}: kernel {kernel} is larger than the padded input {padded}")
        count = (room + (s - 1) * ceil_mode) // s + 1
        # the last window must start inside the image or the padding on its left, as in PyTorch
        count -= (count - 1) * s >= n + p
        axes.append(Axis.sliding(n, k, s, p, d, count))
    return three(axes)


def three(axes) -> Windows:
    """Return three axes: those given, and before them windows of 1 over axes of length 1."""
    return (*[Axis(1, [0], [1])] * (3 - len(axes)), *axes)


def adaptive(function: str, size, output_size) -> Windows:
    """Return the axes of windows that cover images of this size; None in output_size keeps an axis."""
    wanted = output_size if isinstance(output_size, tuple) else (output_size,) * len(size)
    if len(wanted) != len(size):
        raise ValueError(f"{function}: output_size must be an integer or {len(size)} of them, got {output_size!r}")
    if 0 in size:
        raise ValueError(f"{function}: images must not be empty, got size {size}")
    counts = [
        n if count is None else integer(function, "output_size", count, 0)
        for n, count in zip(size, wanted, strict=True)
    ]
    check_size(function, counts)
    return three([Axis.adaptive(n, count) for n, count in zip(size, counts, strict=True)])


def check_size(function: str, size) -> None:
    """Raise ValueError if no memory holds an output of this size, before tables are made for it."""
    if prod(size) >= ADDRESSABLE:
        raise ValueError(f"{function}: an output of size {tuple(size)} does not fit into memory")
