"""How a convolution of images is described to the algorithms that can compute it, and what each of them returns."""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import numpy as np

from ...ground.checks import F4, F8
from ...ground.records import fields

NO_MASK = {dtype: np.empty((0, 0, 0, 0), dtype) for dtype in (F4, F8)}


class Window(NamedTuple):
    """A window over images: strides, zeros at top and left, dilations and sizes, each by row and column.

    Padding may be negative: then windows begin inside of the image.
    """

    sh: int
    sw: int
    top: int
    left: int
    dh: int
    dw: int
    kh: int
    kw: int

    @property
    def taps(self) -> int:
        """Return the number of taps of the window."""
        return self.kh * self.kw


WINDOW = fields(Window)


class Layer(NamedTuple):
    """A convolution: its window, the shape of its output; filters and channels of one group."""

    window: Window
    shape: tuple[int, ...]
    groups: int
    filters: int
    channels: int
    dtype: np.dtype

    @property
    def pixels(self) -> int:
        """Return the number of pixels of the output."""
        return self.shape[0] * self.shape[2] * self.shape[3]


class Planned(NamedTuple):
    """How an algorithm computes a layer.

    pack: of filters (G, OC/G, C/G, KH, KW), once for a weight. compute: (x, packed, bias, y, mask) writes y; a mask,
    which has the layout of x, only where the plan is for one: x counts only where it is positive. key: what tells
    results of `pack` apart, for one algorithm.
    """

    pack: Callable[..., Any]
    compute: Callable[..., None]
    key: Hashable = None


def image_window(window) -> Window:
    """Return the last two dimensions of a `conv.problem.Window`, or its only one, as a window over images."""
    stride, before, dilation, kernel = ((*fill, *sizes)[-2:] for fill, sizes in zip(FILL, window[:4], strict=True))
    return Window(*stride, *before, *dilation, *kernel)


FILL = (1,), (0,), (1,), (1,)
