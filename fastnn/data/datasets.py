"""Data sets of items: what has a length and gives an item for an index, or an iterator of items."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Generic, TypeVar

import numpy as np

from fastnn._checks import array_of, shown
from fastnn.data.samplers import numpy_generator
from fastnn.tape import Tensor, unwrap

Array = np.ndarray[Any, Any]
T_co = TypeVar("T_co", covariant=True)


class Dataset(Generic[T_co]):
    """Base of data sets with an item for each index: define ``__getitem__`` and ``__len__``.

    A method ``__getitems__(indices)``, if there is one, gives the items of a whole batch as a list.
    """

    def __getitem__(self, index: Any) -> T_co:
        """Give the item of an index."""
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __add__(self, other: Any) -> ConcatDataset[Any]:
        """Put another data set behind this one."""
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T_co]):
    """Base of data sets that are only iterated over, from the beginning: define ``__iter__``."""

    def __iter__(self) -> Iterator[T_co]:
        """Return an iterator from the beginning."""
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def __add__(self, other: Any) -> ChainDataset[Any]:  # type: ignore[override]
        """Put another data set behind this one."""
        return ChainDataset([self, other])


class Paired(Dataset[Any]):
    """Arrays paired along the first axis; an item is one entry of each, in the form of the data.

    arrays: an array, a tuple of arrays, or a dict of arrays. Tensors among them give tensors.

    Raises ValueError if lengths differ or there is no sample, TypeError for what is no array of numbers or texts.
    """

    def __init__(self, data: Any, where: str = "DataLoader") -> None:
        named: Mapping[Any, Any] | None = data if isinstance(data, Mapping) else None
        given: Sequence[Any] = list(named.values()) if named is not None else data
        if isinstance(data, np.ndarray | Tensor):
            given = [data]
        elif not isinstance(given, tuple | list) or not given:
            what = f"an empty {type(data).__name__}" if isinstance(given, tuple | list) else type(data).__name__
            raise TypeError(f"{where}: data must be an array, or a tuple or dict of arrays, got {what}")
        self.tensors = tuple(isinstance(each, Tensor) for each in given)
        self.arrays = [array_of(where, "data", unwrap(each)) for each in given]
        self.names = None if named is None else list(named)
        self.single = isinstance(data, np.ndarray | Tensor)
        shapes = ", ".join(str(array.shape) for array in self.arrays)
        if any(array.ndim == 0 or len(array) != len(self.arrays[0]) for array in self.arrays):
            raise ValueError(f"{where}: arrays must pair along the first axis, got shapes {shapes}")
        if any(array.dtype.hasobject for array in self.arrays):
            raise TypeError(f"{where}: the data has arrays of objects (shapes {shapes}); numbers are needed")

    def formed(self, parts: Sequence[Any]) -> Any:
        """Give one array for each of the data set's, in its form."""
        if True in self.tensors:
            parts = [Tensor(p) if tensor else p for p, tensor in zip(parts, self.tensors, strict=True)]
        if self.single:
            return parts[0]
        return tuple(parts) if self.names is None else dict(zip(self.names, parts, strict=True))

    def __getitem__(self, index: Any) -> Any:
        return self.formed([array[unwrap(index)] for array in self.arrays])

    def __len__(self) -> int:
        return len(self.arrays[0])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors paired along the first axis; an item is a tuple with one entry of each.

    tensors: tensors or arrays, all of the same length, one at least. ValueError otherwise.

    Examples
    --------
    >>> data = TensorDataset(np.eye(3), np.arange(3))
    >>> len(data), data[2][1].item()
    (3, 2)
    """

    tensors: tuple[Tensor, ...]

    def __init__(self, *tensors: Any) -> None:
        made = tuple(t if isinstance(t, Tensor) else Tensor(array_of("TensorDataset", "data", t)) for t in tensors)
        if not made or any(not t.ndim or len(t) != len(made[0]) for t in made):
            shapes = ", ".join(str(tuple(t.shape)) for t in made) or "none"
            raise ValueError(f"TensorDataset: tensors must pair along the first axis, got shapes {shapes}")
        self.tensors = made

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple([tensor[index] for tensor in self.tensors])

    def __len__(self) -> int:
        return len(self.tensors[0])


class Subset(Dataset[T_co]):
    """The items of a data set at some indices.

    dataset: a data set with indices. indices: a sequence of integers, or an array (N,).
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __getitem__(self, index: Any) -> T_co:
        if isinstance(index, list):
            index = [self.indices[i] for i in index]
        else:
            index = self.indices[index]
        return self.dataset[index]  # type: ignore[no-any-return]

    def __getitems__(self, indices: Sequence[int]) -> list[T_co]:
        """Give the items of a batch."""
        return items_of(self.dataset, [self.indices[i] for i in indices])

    def __len__(self) -> int:
        return len(self.indices)


class ConcatDataset(Dataset[T_co]):
    """Data sets with indices, one behind the other. ValueError for none, TypeError for an `IterableDataset`.

    Attributes
    ----------
    datasets : list
        The parts.
    cumulative_sizes : list of int
        Where each part ends.
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: there is no data set")
        for part in self.datasets:
            if isinstance(part, IterableDataset):
                raise TypeError(f"ConcatDataset: a {type(part).__name__} has no indices; ChainDataset takes it")
        self.cumulative_sizes = list(accumulate(len(part) for part in self.datasets))

    def __getitem__(self, index: int) -> T_co:
        count = len(self)
        place = index + count if index < 0 else index
        if not 0 <= place < count:
            raise IndexError(f"ConcatDataset: index {index} of {count} items")
        part = bisect_right(self.cumulative_sizes, place)
        start = self.cumulative_sizes[part - 1] if part else 0
        return self.datasets[part][place - start]  # type: ignore[no-any-return]

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]


class ChainDataset(IterableDataset[T_co]):
    """Iterable data sets in sequence. TypeError on the way for a part that is not iterable."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[T_co]:
        for part in self.datasets:
            if not isinstance(part, IterableDataset):
                raise TypeError(f"ChainDataset: a part is no IterableDataset but {type(part).__name__}")
            yield from part

    def __len__(self) -> int:
        return sum(len(part) for part in self.datasets)


class StackDataset(Dataset[Any]):
    """Data sets side by side: an item is a tuple of their items, or a dict for data sets given by name.

    ValueError if they differ in length, are none, or come with and without names.

    Examples
    --------
    >>> StackDataset(image=[10, 11], label=[0, 1])[1]
    {'image': 11, 'label': 1}
    """

    datasets: tuple[Any, ...] | dict[str, Any]

    def __init__(self, *datasets: Any, **named: Any) -> None:
        if bool(datasets) == bool(named):
            raise ValueError("StackDataset: give data sets, either all by name or all without")
        self.datasets = datasets or named
        lengths = [len(part) for part in (datasets or named.values())]
        if len(set(lengths)) > 1:
            raise ValueError(f"StackDataset: data sets must have the same length, got {lengths}")
        self._length = lengths[0]

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: part[index] for name, part in self.datasets.items()}
        return tuple([part[index] for part in self.datasets])

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """Give the items of a batch."""
        if isinstance(self.datasets, dict):
            columns = [items_of(part, indices) for part in self.datasets.values()]
            return [dict(zip(self.datasets, row, strict=True)) for row in zip(*columns, strict=True)]
        return list(zip(*[items_of(part, indices) for part in self.datasets], strict=True))

    def __len__(self) -> int:
        return self._length


def items_of(dataset: Any, indices: Sequence[Any]) -> list[Any]:
    """Give the items of some indices, by `__getitems__` where the data set has it."""
    many: Callable[[Any], Any] | None = getattr(dataset, "__getitems__", None)
    if not callable(many):
        return [dataset[i] for i in indices]
    found = many(indices)
    if len(found) != len(indices):
        raise ValueError(f"DataLoader: __getitems__ gave {len(found)} items for {len(indices)} indices")
    return list(found)


def random_split(dataset: Any, lengths: Sequence[int | float], generator: Any = None) -> list[Subset[Any]]:
    """Cut a data set into parts that share no item, in random order.

    Parameters
    ----------
    dataset : data set with a length
        What to cut.
    lengths : sequence
        Numbers of items, which add up to the length of the data set; or fractions that add up to 1: each part gets the
        whole number below its fraction, and what is left over goes to the first parts, one each.
    generator : optional
        A generator of `fastnn`, or one of NumPy; else the stream that `fastnn.manual_seed` sets.

    Returns
    -------
    list of Subset

    Raises ValueError for lengths that do not add up, or are negative.

    Examples
    --------
    >>> train, test = random_split(range(10), [0.75, 0.25])
    >>> len(train), len(test), sorted([*train, *test]) == list(range(10))
    (8, 2, True)
    """
    sizes = [unwrap(size) for size in lengths]
    if not all(isinstance(s, int | float | np.integer | np.floating) and not isinstance(s, bool) for s in sizes):
        raise TypeError(f"random_split: lengths must be numbers, got {[shown(size) for size in sizes]}")
    if any(not (size >= 0 and math.isfinite(size)) for size in sizes):
        raise ValueError(f"random_split: lengths must be finite numbers from 0, got {sizes}")
    n, total = len(dataset), sum(sizes)
    if math.isclose(total, 1) and total <= 1 + 1e-9:
        counts = [math.floor(n * size) for size in sizes]
        for part in range(n - sum(counts)):
            counts[part % len(counts)] += 1
    elif any(size % 1 for size in sizes) or total != n:
        raise ValueError(f"random_split: lengths {sizes} add up to {total}, not to the {n} items (nor to 1)")
    else:
        counts = [int(size) for size in sizes]
    order = numpy_generator("random_split", generator).permutation(n).tolist()
    ends = list(accumulate(counts))
    return [Subset(dataset, order[end - count : end]) for count, end in zip(counts, ends, strict=True)]
