"""Minibatches of arrays that fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastnn.random import generator as default_generator

Array = np.ndarray[Any, Any]
Transform = Callable[[Array, np.random.Generator], Array]


class Batches:
    """Go through paired arrays in minibatches; every `for` loop over it is one epoch.

    Parameters
    ----------
    x, y : arrays
        Samples and targets, paired along the first axis.
    batch_size : int
        Samples per batch; the last batch of an epoch may be smaller.
    shuffle : bool
        A new random order every epoch. Without it the batches are views of x and y and cost nothing.
    generator : numpy.random.Generator, optional
        Where the order is drawn from; fastnn's own (see `fastnn.manual_seed`) if not given.
    drop_last : bool
        Leave out the last batch if it is smaller than the others.
    transform : callable, optional
        (batch of x, generator) -> new batch of x, for instance `random_shift(2)`: every epoch sees other images.
    reuse : bool
        Hand out the same two arrays again and again, filled anew (with `shuffle`; saves the allocation). A batch is
        then valid only until the next one is drawn.

    Raises
    ------
    ValueError
        If x and y differ in length, are empty, or the batch size is not positive.

    Examples
    --------
    >>> batches = Batches(np.zeros((10, 3)), np.zeros(10), batch_size=4)
    >>> [len(x) for x, y in batches]
    [4, 4, 2]
    """

    def __init__(
        self,
        x: Array,
        y: Array,
        batch_size: int = 32,
        *,
        shuffle: bool = False,
        generator: np.random.Generator | None = None,
        drop_last: bool = False,
        transform: Transform | None = None,
        reuse: bool = False,
    ) -> None:
        x, y = np.asarray(x), np.asarray(y)
        if x.ndim == 0 or y.ndim == 0 or len(x) != len(y):
            raise ValueError(f"Batches: x and y must pair along the first axis, got shapes {x.shape} and {y.shape}")
        if len(x) == 0:
            raise ValueError(f"Batches: the data set is empty: x has shape {x.shape}, y has shape {y.shape}")
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"Batches: batch_size must be a positive integer, got {batch_size!r}")
        if drop_last and len(x) < batch_size:
            raise ValueError(f"Batches: drop_last leaves nothing of {len(x)} samples at batch_size {batch_size}")
        self.x, self.y = x, y
        self.batch_size = int(batch_size)
        self.shuffle, self.generator, self.drop_last = shuffle, generator, drop_last
        self.transform, self.reuse = transform, reuse

    @property
    def samples(self) -> int:
        """Samples in one epoch."""
        return len(self.x) - (len(self.x) % self.batch_size if self.drop_last else 0)

    def __len__(self) -> int:
        """Batches in one epoch."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Yield (x, y) batches; see `reuse` for how long they are valid."""
        generator = default_generator() if self.generator is None else self.generator
        batches = self._shuffled(generator) if self.shuffle else self._in_order()
        if self.transform is None:
            return batches
        return ((self.transform(x, generator), y) for x, y in batches)

    def _in_order(self) -> Iterator[tuple[Array, Array]]:
        for start in range(0, self.samples, self.batch_size):
            stop = min(start + self.batch_size, self.samples)
            yield self.x[start:stop], self.y[start:stop]

    def _shuffled(self, generator: np.random.Generator) -> Iterator[tuple[Array, Array]]:
        x, y = self.x, self.y
        order = generator.permutation(len(x))
        bx = by = np.empty(0)
        for start in range(0, self.samples, self.batch_size):
            chosen = order[start : min(start + self.batch_size, self.samples)]
            if not self.reuse or len(chosen) != len(bx):
                bx = np.empty((len(chosen), *x.shape[1:]), x.dtype)
                by = np.empty((len(chosen), *y.shape[1:]), y.dtype)
            # mode="clip" because "raise" makes take() fill a temporary first; the indices are in range anyway
            x.take(chosen, axis=0, out=bx, mode="clip")
            y.take(chosen, axis=0, out=by, mode="clip")
            yield bx, by
