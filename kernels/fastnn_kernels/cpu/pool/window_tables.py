"""The windows of pooling as the tables that its kernels follow.

`Windows` says which part of the input each output sees along one axis: a run of taps, cut off at the edges. Sliding
windows of any stride, padding and dilation are such, and adaptive ones, and the outputs whose windows a pixel belongs
to: the gradient's windows. Signals and images are volumes with axes of length 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy import ndarray

from .kernels import ROW

I8 = np.int64


class Windows:
    """The windows along one axis: where each starts, how many taps it has, how far apart these are.

    whole: the number of taps with those in the padding.
    """

    def __init__(self, length: int, starts, counts, dilation: int = 1, whole=None):
        self.length, self.dilation = length, dilation
        self.starts, self.counts = np.asarray(starts, I8), np.asarray(counts, I8)
        self.whole = self.counts if whole is None else np.asarray(whole, I8)
        self.span = self.starts, self.starts + (self.counts - 1) * dilation + 1

    @classmethod
    def of(cls, axis) -> Windows:
        """Return the windows along an `Axis` of a problem."""
        return cls.sliding(*axis) if axis.kernel else cls.adaptive(axis.length, axis.count)

    @classmethod
    def sliding(cls, length: int, count: int, kernel: int, stride: int, padding: int, dilation: int) -> Windows:
        """Return windows that slide by `stride`; what they see of the padding does not count as a tap."""
        first = np.arange(count, dtype=I8) * stride - padding
        skipped = np.maximum(0, -(first // dilation))
        starts = first + skipped * dilation
        counts = np.clip(-((starts - length) // dilation), 0, kernel - skipped)
        whole = np.minimum(kernel, length + padding - first)
        windows = cls(length, np.minimum(starts, length - 1), counts, dilation, whole)
        windows.span = first, first + (kernel - 1) * dilation + 1
        return windows

    @classmethod
    def adaptive(cls, length: int, count: int) -> Windows:
        """Return `count` windows of nearly equal length that cover the axis."""
        i = np.arange(count, dtype=I8)
        each, more = divmod(length, max(count, 1))  # i * length may be beyond 64 bits
        starts = i * each + i * more // max(count, 1)
        return cls(length, starts, (i + 1) * each - (-(i + 1) * more // max(count, 1)) - starts)

    def __len__(self) -> int:
        return len(self.starts)

    def transposed(self) -> Windows:
        """Return for each position of the axis the outputs whose windows reach over it."""
        position = np.arange(self.length)
        first, last = np.searchsorted(self.span[1], position, "right"), np.searchsorted(self.span[0], position, "right")
        return Windows(len(self), np.minimum(first, len(self) - 1), np.maximum(last - first, 0))

    def runs(self, size: int, merge: bool, turns: int) -> ndarray:
        """Return the table of neighbouring outputs that are computed in vectors, one row per `Run` of the kernels.

        size: numbers per pixel. With one, a run is any sequence of equal steps, and neighbouring outputs may take
        turns in up to `turns` of them; with more, it is one pixel, or with `merge` several whose windows are one pixel
        apart.
        """
        if size == 1:
            return min((self._sequences(n) for n in range(1, turns + 1)), key=lambda runs: float(_vectors(runs).sum()))
        found = []
        for first, _, count, start, step, taps in self._sequences(1)[:, :6]:
            if merge and step == 1:
                found.append((first * size, 1, count * size, start * size, 1, taps, start, first))
            else:
                found += [
                    ((first + i) * size, 1, size, (start + i * step) * size, 1, taps, start + i * step, first + i)
                    for i in range(count)
                ]
        return np.array(found, I8).reshape(-1, 8)

    def _sequences(self, turns: int) -> ndarray:
        """Cut every turns-th output into sequences of equal steps from window to window."""
        found = [np.empty((0, 8), I8)]
        for turn in range(min(turns, len(self))):
            starts, counts, whole = (a[turn::turns] for a in (self.starts, self.counts, self.whole))
            other = np.ones(len(starts), bool)  # whether a sequence starts here
            other[1:] = (counts[1:] != counts[:-1]) | (whole[1:] != whole[:-1])
            other[2:] |= (np.diff(starts, 2) != 0) & ~other[1:-1]
            first = np.flatnonzero(other)
            length = np.diff(np.append(first, len(starts)))
            step = np.where(length > 1, starts[np.minimum(first + 1, len(starts) - 1)] - starts[first], 1)
            output, start = first * turns + turn, starts[first]
            rows = output, np.full_like(first, turns), length, start, step, counts[first], start, output
            found.append(np.stack(rows, 1))
        return np.concatenate(found)


def _vectors(runs: ndarray) -> ndarray:
    """Return how many vectors the outputs of each run fill, weighted: numbers far apart take longer to gather."""
    distant, apart = (runs[:, 1] > 2) | (runs[:, 4] > 2), runs[:, 4] == 2
    return -(-runs[:, 2] // 16) * np.where(distant, 4, np.where(apart, 1.5, 1))


class Tables(NamedTuple):
    """What the kernels read, see `kernels`."""

    rows: ndarray
    runs: ndarray
    steps: ndarray


def three(axes) -> tuple[Windows, ...]:
    """Return the windows along three axes: those of a problem, and before them windows of 1 over axes of length 1."""
    return (*[Windows(1, [0], [1])] * (3 - len(axes)), *map(Windows.of, axes))


def tables(windows: tuple[Windows, ...], size: int, merge: bool, turns: int, image_width: int) -> Tables:
    """Return the tables for three axes of windows over pixels of `size` numbers.

    merge, turns: see `Windows.runs`. image_width: of the image in which indices are counted, the input of the forward.
    """
    depth, height, width = windows
    rows = np.array([[*depth.starts, *height.starts], [*depth.counts, *height.counts]], I8)
    area = height.length * width.length
    taps = depth.dilation * area, height.dilation * width.length, width.dilation
    runs = width.runs(size, merge, turns)
    down, along = depth.counts.max(initial=0) * height.counts.max(initial=0), (_vectors(runs) * runs[:, 5]).sum()
    columns = size == 1 and width.length <= ROW and down * -(-width.length // 16) + along < down * along
    steps = np.array([*(t * size for t in taps), *taps, image_width, size == 1, columns], I8)
    return Tables(rows, runs, steps)


def divisors(counts, runs: ndarray, dtype: np.dtype) -> ndarray:
    """Return what sums are divided by, per output of each axis, as the kernel takes it: the last axis by run."""
    return np.concatenate([counts[0], counts[1], counts[2][runs[:, 7]]]).astype(dtype)
