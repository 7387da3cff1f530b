"""Batches of arrays: slices, or rows that one kernel gathers, without a line of Python for each sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import numpy as np

import fastnn_kernels as kernels
from fastnn.data.datasets import Paired, Subset, TensorDataset
from fastnn.tape import Tensor

Array = np.ndarray[Any, Any]
CHUNK = 1 << 20  # bytes gathered at once where batches are small: one call for many, and they are still in a cache


class Source:
    """Arrays behind a data set, and what their batches look like.

    Attributes
    ----------
    arrays : list of arrays
        Paired along the first axis.
    rows : int64 (N,) or None
        Which samples there are, in which order; None: all.
    form : callable
        (parts of a batch) -> the batch, in the form of the data set.
    shared : bool
        Whether batches may be views of the arrays.
    """

    def __init__(
        self, arrays: list[Array], rows: Array | None, form: Callable[[Any], Any], shared: bool, dtype: Any = None
    ) -> None:
        self.arrays, self.rows, self.form, self.shared, self.dtype = arrays, rows, form, shared, dtype
        self.copied = False  # set it where somebody else may still read a batch while the next is made

    def __len__(self) -> int:
        return len(self.arrays[0]) if self.rows is None else len(self.rows)

    def take(self, order: Array | None, start: int, stop: int) -> list[Array]:
        """Give the samples start .. stop of an order, of each array."""
        return [self.part(array, order, start, stop) for array in self.arrays]

    def part(self, array: Array, order: Array | None, start: int, stop: int) -> Array:
        """Give the samples start .. stop of an order, of one array."""
        rows: Array
        if order is not None:
            rows = kernels.take(array, order[start:stop], "clip")
        elif self.shared and not self.copied:
            rows = array[start:stop]
        else:
            rows = array[start:stop].copy()
        return rows.astype(self.dtype, copy=False) if self.dtype is not None and rows.dtype.kind == "f" else rows

    def fetch(self, indices: Any) -> Any:
        """Give the batch of some samples. Raises IndexError for those that are not there."""
        given = np.asarray(indices)
        count = len(self)
        if given.ndim != 1 or given.dtype.kind not in "iu":
            if given.size:
                raise TypeError(
                    f"DataLoader: a batch of indices must be integers (N,), got {given.dtype} {given.shape}"
                )
            given = np.empty(0, np.int64)
        if given.size and not (-count <= given.min() and given.max() < count):
            raise IndexError(f"DataLoader: indices {given.min()}..{given.max()} of {count} samples")
        order = self.ordered(np.where(given < 0, given + count, given))
        return self.form(self.take(order, 0, len(given)))

    def ordered(self, order: Array | None) -> Array | None:
        """Give the rows of the arrays that samples in this order are."""
        if order is None:
            return self.rows
        return order if self.rows is None else self.rows[order]

    def fitting(self, nbytes: int, batch_size: int) -> int:
        """Say how many batches of arrays of so many bytes are gathered at once."""
        return max(CHUNK * len(self.arrays[0]) // max(nbytes * batch_size, 1), 1)

    def batches(self, order: Array | None, size: int, count: int, most: int) -> Iterator[Any]:
        """Go through all arrays side by side; gather up to `most` batches at once."""
        parts = zip(
            *(chain.from_iterable(self._pieces(array, order, size, count, most)) for array in self.arrays), strict=True
        )
        return parts if self.form is tuple else map(self.form, parts)

    def _pieces(self, array: Array, order: Array | None, size: int, count: int, most: int) -> Iterator[Iterable[Array]]:
        """Gather several batches of an array at once, and give them cut."""
        step = size * min(self.fitting(array.nbytes, size), most)
        for start in range(0, count, step):
            stop = min(start + step, count)
            rows = self.part(array, order, start, stop)
            whole = (stop - start) // size
            yield rows[: whole * size].reshape(whole, size, *rows.shape[1:])
            if start + whole * size < stop:
                yield [rows[whole * size :]]
            del rows  # its memory is for the next


def source_of(dataset: Any, dtype: Any) -> Source | None:
    """Find the arrays behind a data set; None if its items must be asked for one by one."""
    if isinstance(dataset, Paired):
        return Source(dataset.arrays, None, _form(dataset), not any(dataset.tensors), dtype)
    if isinstance(dataset, TensorDataset) and type(dataset).__getitem__ is TensorDataset.__getitem__:
        if any(tensor.requires_grad for tensor in dataset.tensors):
            return None
        arrays = [tensor.numpy() for tensor in dataset.tensors]
        return Source(arrays, None, _tensors, shared=False, dtype=dtype)
    if type(dataset) is Subset:
        source = source_of(dataset.dataset, dtype)
        rows = np.asarray(dataset.indices) if source is not None else np.empty(0)
        if source is None or rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
            return None
        count = len(source)
        if rows.size and not (-count <= rows.min() and rows.max() < count):
            return None  # the item will say it
        rows = np.where(rows < 0, rows + count, rows).astype(np.int64)
        source.rows = source.ordered(rows)
        return source
    return None


def _form(dataset: Paired) -> Callable[[Any], Any]:
    if any(dataset.tensors):
        return dataset.formed
    if dataset.single:
        return _first
    return tuple if dataset.names is None else partial(_named, dataset.names)


def _first(parts: Any) -> Any:
    return parts[0]


def _tensors(parts: Any) -> list[Tensor]:
    return [Tensor(part) for part in parts]


def _named(names: list[Any], arrays: Iterable[Array]) -> dict[Any, Array]:
    return dict(zip(names, arrays, strict=True))
