"""How the kernels of pooling see images ([B,] C, ...).

Channels-first images are planes, (B * C, D, H, W), channels-last ones rows of pixels, (B, D, H, W * C). Signals and
images have a depth, or a height, of 1.
"""

from collections.abc import Callable
from math import prod
from typing import Any

from numpy import ndarray

from ...ground import memory
from ...ground.checks import contiguous
from ...ground.operation import Layout
from ...ground.outputs import into
from ..move import pixels, planes


class Images:
    """Images of a layout with `dims` axes after the channels; last: whether kernels see them channels-last."""

    def __init__(self, x: Layout, dims: int, last: bool | None = None):
        self.x, self.dims, self.dtype = x, dims, x.dtype
        self.above, self.size = x.shape[:-dims], x.shape[-dims:]  # ([B,] C)
        self.batch, self.channels = (1, *self.above)[-2:]
        axes, channel = range(x.ndim), len(self.above) - 1
        self.order = (*axes[:channel], *axes[channel + 1 :], channel)  # of channels-last memory
        self.back = (*axes[:channel], x.ndim - 1, *axes[channel:-1])
        self.last = self._is_channels_last() if last is None else last

    def _is_channels_last(self) -> bool:
        ghost = self.x.ghost()
        return not ghost.flags.c_contiguous and ghost.transpose(self.order).flags.c_contiguous

    @property
    def inner(self) -> int:
        """Return how many numbers of a row make up a pixel."""
        return self.channels if self.last else 1

    def volumes(self, size) -> tuple[int, ...]:
        """Return the shape of planes (P, D, H, W) or rows of pixels (B, D, H, W * C)."""
        *above, width = (1, 1, *size)[-3:]
        if self.last:
            return self.batch, *above, width * self.channels
        return self.batch * self.channels, *above, width

    def squares(self, size) -> tuple[int, ...]:
        """Return the shape of planes (P, H, W) or pixels (B, H, W, C)."""
        return (self.batch, *size, self.channels) if self.last else (self.batch * self.channels, *size)

    def flat(self, size) -> tuple[int, ...]:
        """Return the shape of planes (P, N) or pixels (B, N, C)."""
        if self.last:
            return self.batch, prod(size), self.channels
        return self.batch * self.channels, prod(size)

    def reader(self, x: Layout, form: tuple[int, ...]) -> Callable[[ndarray], ndarray]:
        """Return what gives kernels an array of a layout as `form`, contiguous: a copy if need be."""
        order = self.order
        view = x.ghost().transpose(order) if self.last else x.ghost()
        if view.flags.c_contiguous:
            return (lambda x: x.transpose(order).reshape(form)) if self.last else (lambda x: x.reshape(form))
        if self.dims == 2 and x.dtype.kind == "f":
            relayout, batched = pixels if self.last else planes, len(self.above) == 2
            return lambda x: relayout(x if batched else x[None]).reshape(form)
        return lambda x: contiguous(x.transpose(order) if self.last else x).reshape(form)

    def new(self, size, form: tuple[int, ...], dtype: Any = None) -> Callable[[], tuple[ndarray, ndarray]]:
        """Return what allocates images of a size, in the memory layout of these, and gives them also as `form`."""
        shape, dtype, back = (*self.above, *size), dtype or self.dtype, self.back
        shape = tuple(shape[axis] for axis in self.order) if self.last else shape
        small = prod(shape) * dtype.itemsize < memory.SMALL

        def channels_first():
            y = memory.fresh(shape, dtype) if small else memory.empty(shape, dtype)
            return y, y.reshape(form)

        def channels_last():
            y = memory.empty(shape, dtype)
            return y.transpose(back), y.reshape(form)

        return channels_last if self.last else channels_first

    def writer(
        self, size, form: tuple[int, ...], compute: Callable[..., Any], out: Layout | None = None
    ) -> Callable[..., Any]:
        """Return run(out, *arguments), which calls compute(y, *arguments) with images of a size as `form`.

        New images have the memory layout of these; an `out` of another layout is copied to.
        """
        new, order, last = self.new(size, form), self.order, self.last

        def fresh(_, *arguments):
            y, memory = new()
            compute(memory, *arguments)
            return y

        def direct(out, *arguments):
            compute((out.transpose(order) if last else out).reshape(form), *arguments)
            return out

        if out is None:
            return fresh
        fits = (out.ghost().transpose(order) if last else out.ghost()).flags.c_contiguous
        return direct if fits else lambda out, *arguments: into(out, fresh(None, *arguments))
