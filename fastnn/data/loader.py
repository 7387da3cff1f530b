"""Minibatches of arrays, in memory or on disk."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from operator import itemgetter
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn import random
from fastnn._checks import array_of, numbers, shown, type_of

Array = np.ndarray[Any, Any]
Transform = Callable[..., Any]

CHUNK = 1 << 20  # bytes gathered at once where batches are small: one call for many, and they are still in a cache


class DataLoader:
    """Go through a data set in minibatches; every `for` loop over it is one epoch.

    Parameters
    ----------
    data : array, tuple of arrays, or dict of arrays
        Paired along the first axis; (x, y) in most cases. Batches have the same form. Arrays from
        ``np.load(path, mmap_mode="r")`` are read where a batch needs them, and may be larger than memory.
    batch_size : int
        Samples per batch.
    shuffle : bool
        A new random order every epoch. Without it (and without weights) batches are views of the data and cost nothing.
    seed : int, optional
        Which orders and which random numbers of `transform` come: they follow from the seed and the number of the epoch
        alone. Without a seed they are drawn from the stream that `fastnn.manual_seed` sets.
    drop_last : bool
        Leave out the last batch if it is smaller than the others.
    weights : array (N,) or "balanced", optional
        Draw samples with replacement, with probabilities in proportion to the weights; "balanced" gives all classes of
        the last array (integer labels) the same share. As many per epoch as there are samples.
    transform : callable, optional
        (batch of the first array, generator) -> new batch, for instance `fastnn.data.Shift(2)`: every epoch sees other
        images. One whose attribute `pairs` is true (`Mixup`) is called with the first two arrays and gives both.
    prefetch : int
        Prepare up to so many batches ahead in a thread. Worth it where a batch takes long: transforms, files. The
        batches are the same as without.
    dtype : dtype, optional
        Hand out floating-point arrays in this dtype.

    Attributes
    ----------
    epoch : int
        Epochs begun so far; set it to continue a seeded sequence elsewhere.

    Raises
    ------
    ValueError
        If arrays differ in length or are empty, the batch size is not positive, drop_last leaves nothing, or weights
        are negative, not finite or all zero.
    TypeError
        If there are no arrays, or arrays of objects.

    Examples
    --------
    >>> loader = DataLoader((np.zeros((10, 3)), np.zeros(10)), batch_size=4)
    >>> [len(x) for x, y in loader]
    [4, 4, 2]
    """

    def __init__(
        self,
        data: Any,
        batch_size: int = 32,
        *,
        shuffle: bool = False,
        seed: int | None = None,
        drop_last: bool = False,
        weights: Any = None,
        transform: Transform | None = None,
        prefetch: int = 0,
        dtype: Any = None,
    ) -> None:
        self.data = _arrays(data)
        self.arrays: list[Array] = list(self.data.values() if isinstance(self.data, dict) else self.data)
        if isinstance(data, np.ndarray):
            self._form: Callable[[Any], Any] = itemgetter(0)
        elif isinstance(self.data, dict):
            self._form = partial(_named, list(self.data))
        else:
            self._form = tuple
        count = len(self.arrays[0])
        if not _is_count(batch_size, 1):
            raise ValueError(f"DataLoader: batch_size must be a positive integer, got {shown(batch_size)}")
        if drop_last and count < batch_size:
            raise ValueError(f"DataLoader: drop_last leaves nothing of {count} samples at batch_size {batch_size}")
        batch_size = min(batch_size, max(count, 1))  # all there is; a larger number says no more
        if not _is_count(prefetch, 0):
            raise ValueError(f"DataLoader: prefetch must be a number of batches from 0, got {shown(prefetch)}")
        for name, value in (("shuffle", shuffle), ("drop_last", drop_last)):
            if not isinstance(value, bool | np.bool_ | int):
                raise TypeError(f"DataLoader: {name} must be True or False, got {shown(value)}")
        if transform is not None and not callable(transform):
            raise TypeError(f"DataLoader: transform must be a function, got {type(transform).__name__}")
        if seed is not None and not _is_count(seed, 0):
            raise ValueError(f"DataLoader: seed must be an integer from 0, got {shown(seed)}")
        if getattr(transform, "pairs", False) and len(self.arrays) < 2:
            raise ValueError("DataLoader: this transform changes targets as well, but there is only one array")
        self.batch_size, self.prefetch = int(batch_size), min(int(prefetch), 1 << 30)
        self.shuffle, self.seed, self.drop_last, self.transform = shuffle, seed, drop_last, transform
        self.dtype = None if dtype is None else type_of("DataLoader: dtype", dtype)
        self._cumulated = None if weights is None else np.cumsum(_weights(weights, self.arrays[-1]))
        self.epoch = 0

    @property
    def private(self) -> bool:
        """Whether every batch has memory of its own; else batches are views of the data."""
        return self.shuffle or self._cumulated is not None or self.prefetch > 0

    @property
    def samples(self) -> int:
        """Samples in one epoch."""
        count = len(self.arrays[0])
        return count - (count % self.batch_size if self.drop_last else 0)

    def __len__(self) -> int:
        """Batches in one epoch."""
        return -(-self.samples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch."""
        # all that is random is decided here, in the caller's thread: prefetching cannot change what comes
        generator = random.generator() if self.seed is None else np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        order = None
        if self._cumulated is not None:
            drawn = generator.random(len(self._cumulated)) * self._cumulated[-1]
            order = np.searchsorted(self._cumulated, drawn, side="right")
        elif self.shuffle:
            order = generator.permutation(len(self.arrays[0]))
        if self.transform is None:
            batches = self._batches(order)
        else:
            batches = self._transformed(self.transform, order, int(generator.integers(2**64, dtype=np.uint64)))
        if not self.prefetch:
            return batches
        together = min(self._fitting(sum(array.nbytes for array in self.arrays)), self.prefetch)
        groups = iter(lambda: list(islice(batches, together)), [])
        return chain.from_iterable(_ahead(groups, -(-self.prefetch // together)))

    def _fitting(self, nbytes: int) -> int:
        """Say how many batches of arrays of so many bytes are gathered at once, unless they are transformed."""
        if self.transform is not None:
            return 1
        return max(CHUNK * len(self.arrays[0]) // max(nbytes * self.batch_size, 1), 1)

    def _batches(self, order: Array | None) -> Iterator[Any]:
        """Go through all arrays side by side, without a line of Python for each batch."""
        parts = zip(*(chain.from_iterable(self._pieces(array, order)) for array in self.arrays), strict=True)
        return parts if self._form is tuple else map(self._form, parts)

    def _pieces(self, array: Array, order: Array | None) -> Iterator[Iterable[Array]]:
        """Gather several batches of an array at once, and give them cut."""
        size, count = self.batch_size, self.samples
        fitting = self._fitting(array.nbytes)
        step = size * (min(fitting, self.prefetch) if self.prefetch else fitting)
        for start in range(0, count, step):
            stop = min(start + step, count)
            rows = self._rows(array, order, start, stop)
            whole = (stop - start) // size
            yield rows[: whole * size].reshape(whole, size, *rows.shape[1:])
            if start + whole * size < stop:
                yield [rows[whole * size :]]
            del rows  # its memory is for the next

    def _transformed(self, transform: Transform, order: Array | None, key: int) -> Iterator[Any]:
        """Go through all arrays batch by batch."""
        size, count = self.batch_size, self.samples
        for start in range(0, count, size):
            stop = min(start + size, count)
            arrays = [self._rows(array, order, start, stop) for array in self.arrays]
            if not self.private:  # a transform may write into what it is given
                arrays = [np.array(array) for array in arrays]
            # a stream of its own for every batch: what one transform draws does not depend on what others have drawn
            generator = np.random.Generator(np.random.Philox(key=key, counter=[0, 0, start, 0]))
            if getattr(transform, "pairs", False):
                arrays[:2] = transform(*arrays[:2], generator)
            else:
                arrays[0] = transform(arrays[0], generator)
            shapes = [np.shape(array) for array in arrays]
            if any(shape[:1] != (stop - start,) for shape in shapes):
                given = ", ".join(map(str, shapes))
                raise ValueError(f"DataLoader: after transform a batch of {stop - start} samples has shapes {given}")
            yield self._form(arrays)

    def _rows(self, array: Array, order: Array | None, start: int, stop: int) -> Array:
        rows: Array
        if order is not None:
            rows = kernels.take(array, order[start:stop], "clip")
        elif self.prefetch:
            rows = array[start:stop].copy()
        else:
            rows = array[start:stop]
        return rows.astype(self.dtype, copy=False) if self.dtype is not None and rows.dtype.kind == "f" else rows


def _named(names: list[Any], arrays: Iterable[Array]) -> dict[Any, Array]:
    return dict(zip(names, arrays, strict=True))


def _ahead(items: Iterator[Any], depth: int) -> Iterator[Any]:
    """Yield what an iterator gives, worked out by a thread up to `depth` items ahead."""
    ready: queue.Queue[tuple[bool, Any]] = queue.Queue(depth)
    stop = threading.Event()

    def work() -> None:
        try:
            for item in items:
                ready.put((True, item))
                if stop.is_set():
                    return
            ready.put((False, None))
        except BaseException as error:  # whatever it is, the caller gets it
            ready.put((False, error))

    thread = threading.Thread(target=work, name="fastnn-loader", daemon=True)
    thread.start()
    try:
        while True:
            good, item = ready.get()
            if not good:
                if item is not None:
                    raise item
                return
            yield item
            del item  # else its memory could not be used again while the next is waited for
    finally:
        stop.set()
        while thread.is_alive():
            with contextlib.suppress(queue.Empty):  # it may be waiting for room to put something
                ready.get_nowait()
            thread.join(0.001)


def balanced_weights(labels: Any) -> Array:
    """Give every sample a weight so that all classes weigh the same, and the mean is 1: N / (classes * count).

    labels (N,) integers -> float64 (N,). What scikit-learn calls ``class_weight="balanced"`` (King & Zeng, 2001).
    Raises ValueError for other labels.
    """
    labels = numbers("balanced_weights", "labels", labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iub" or not len(labels):
        raise ValueError(f"balanced_weights: labels must be integers (N,), got {labels.dtype} {labels.shape}")
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    weights: Array = (len(labels) / (len(counts) * counts))[inverse]
    return weights


def _arrays(data: Any) -> dict[Any, Array] | list[Array]:
    """Give the arrays of a data set, checked."""
    named: Mapping[Any, Any] | None = data if isinstance(data, Mapping) else None
    given: Sequence[Any] = list(named.values()) if named is not None else data
    if isinstance(data, np.ndarray):
        given = [data]
    elif not isinstance(given, (tuple, list)) or not given:
        what = f"an empty {type(data).__name__}" if isinstance(given, (tuple, list)) else type(data).__name__
        raise TypeError(f"DataLoader: data must be an array, or a tuple or dict of arrays, got {what}")
    arrays = [array_of("DataLoader", "data", array) for array in given]
    shapes = ", ".join(str(array.shape) for array in arrays)
    if any(array.ndim == 0 or len(array) != len(arrays[0]) for array in arrays):
        raise ValueError(f"DataLoader: arrays must pair along the first axis, got shapes {shapes}")
    if len(arrays[0]) == 0:
        raise ValueError(f"DataLoader: the data set is empty: shapes {shapes}")
    if any(array.dtype.hasobject for array in arrays):
        raise TypeError(f"DataLoader: the data has arrays of objects (shapes {shapes}); numbers are needed")
    return arrays if named is None else dict(zip(named, arrays, strict=True))


def _weights(weights: Any, labels: Array) -> Array:
    if isinstance(weights, str):
        if weights != "balanced":
            raise ValueError(f"DataLoader: weights must be numbers or 'balanced', got {weights!r}")
        return balanced_weights(labels)
    given: Array = numbers("DataLoader", "weights", weights).astype(np.float64)
    if given.shape != (len(labels),) or not (np.isfinite(given).all() and (given >= 0).all() and given.any()):
        raise ValueError(
            f"DataLoader: weights must be {len(labels)} finite numbers from 0, not all 0; got shape {given.shape}"
        )
    return given


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and int(value) >= least
