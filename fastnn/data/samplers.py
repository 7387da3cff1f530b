"""Samplers: in which order a loader takes items, and which come together in a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import chain, islice
from typing import Any, Generic, TypeVar

import numpy as np

from fastnn import random
from fastnn._checks import LARGEST, numbers, shown, whole

Array = np.ndarray[Any, Any]
T_co = TypeVar("T_co", covariant=True)
PART = 1 << 20  # indices that are drawn at once: some ask for more than would fit into memory


def numpy_generator(where: str, generator: Any) -> np.random.Generator:
    """Give NumPy's generator behind a `fastnn.Generator`, or NumPy's own; of None, that of `fastnn.manual_seed`.

    Raises TypeError for what is no generator.
    """
    try:
        return random.numpy_generator(generator)
    except TypeError:
        raise TypeError(
            f"{where}: generator must be a fastnn.Generator or a NumPy one, got {shown(generator)}"
        ) from None


class Sampler(Generic[T_co]):
    """Base of samplers: define ``__iter__``, which yields indices, and ``__len__`` if it is known."""

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[T_co]:
        """Begin an epoch."""
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


class SequentialSampler(Sampler[int]):
    """All indices in ascending order. data_source: what has the length."""

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in random order, a new one every epoch.

    Parameters
    ----------
    data_source : data set
        What has the length.
    replacement : bool
        Draw each index from all, whether it was drawn before or not.
    num_samples : int, optional
        How many to draw, the length of the data set if not given; more than that without replacement are several
        orders, one behind the other.
    generator : optional
        Where random numbers come from; else the stream that `fastnn.manual_seed` sets.

    Raises ValueError for no samples, TypeError for what is no integer.
    """

    def __init__(
        self, data_source: Sized, replacement: bool = False, num_samples: int | None = None, generator: Any = None
    ) -> None:
        if not isinstance(replacement, bool | np.bool_):
            raise TypeError(f"RandomSampler: replacement must be True or False, got {shown(replacement)}")
        if num_samples is not None:
            whole("RandomSampler", "num_samples", num_samples, 1)
        numpy_generator("RandomSampler", generator)
        self.data_source, self.replacement, self.generator = data_source, replacement, generator
        self._num_samples = num_samples

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def drawn(self, generator: np.random.Generator) -> Iterator[Array]:
        """Draw the indices of an epoch, int64 (num_samples,), part by part."""
        n, left = len(self.data_source), self.num_samples
        while n and left > 0:
            part = generator.integers(n, size=min(left, PART)) if self.replacement else generator.permutation(n)[:left]
            left -= len(part)
            yield part

    def __iter__(self) -> Iterator[int]:
        return indices_of(self, numpy_generator("RandomSampler", self.generator))

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Some indices, in random order. indices: a sequence of integers."""

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        numpy_generator("SubsetRandomSampler", generator)
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        order = numpy_generator("SubsetRandomSampler", self.generator).permutation(len(self.indices))
        return (self.indices[i] for i in order.tolist())

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn with probabilities in proportion to weights.

    Parameters
    ----------
    weights : sequence or array (N,)
        Finite numbers from 0, not all 0; they need not add up to 1.
    num_samples : int
        How many indices an epoch has.
    replacement : bool
        Whether an index may come more than once. Without it, there must be as many weights above 0.

    Raises ValueError, or TypeError, for anything else.
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: Any = None) -> None:
        where = "WeightedRandomSampler"
        self.num_samples = whole(where, "num_samples", num_samples, 1)
        if not isinstance(replacement, bool | np.bool_):
            raise TypeError(f"{where}: replacement must be True or False, got {shown(replacement)}")
        given: Array = numbers(where, "weights", weights).astype(np.float64)
        if given.ndim != 1 or not (np.isfinite(given).all() and (given >= 0).all() and given.any()):
            raise ValueError(f"{where}: weights must be finite numbers (N,) from 0, not all 0; got shape {given.shape}")
        if not replacement and np.count_nonzero(given) < num_samples:
            found = np.count_nonzero(given)
            raise ValueError(f"{where}: {num_samples} samples without replacement, but {found} weights are above 0")
        numpy_generator(where, generator)
        self.weights, self.replacement, self.generator = given, replacement, generator

    def drawn(self, generator: np.random.Generator) -> Iterator[Array]:
        """Draw the indices of an epoch, int64 (num_samples,), part by part."""
        if self.replacement:
            cumulated, left = np.cumsum(self.weights), self.num_samples
            while left:
                drawn = generator.random(min(left, PART)) * cumulated[-1]
                left -= len(drawn)
                yield np.searchsorted(cumulated, drawn, side="right")
            return
        # the first of exponential arrivals at these rates (Efraimidis & Spirakis, 2006)
        with np.errstate(divide="ignore"):
            arrival = generator.standard_exponential(len(self.weights)) / self.weights
        yield np.argsort(arrival, kind="stable")[: self.num_samples]

    def __iter__(self) -> Iterator[int]:
        return indices_of(self, numpy_generator("WeightedRandomSampler", self.generator))

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` indices from another sampler; with `drop_last` without a last, shorter one.

    Examples
    --------
    >>> list(BatchSampler(SequentialSampler(range(5)), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.batch_size = min(whole("BatchSampler", "batch_size", batch_size, 1, batch_size), LARGEST)
        if not isinstance(drop_last, bool | np.bool_):
            raise TypeError(f"BatchSampler: drop_last must be True or False, got {shown(drop_last)}")
        self.sampler, self.drop_last = sampler, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        while batch := list(islice(indices, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def __len__(self) -> int:
        count = len(self.sampler)  # type: ignore[arg-type]
        return count // self.batch_size if self.drop_last else -(-count // self.batch_size)


def order_of(sampler: Any, generator: np.random.Generator) -> Array:
    """Give the indices of an epoch of a sampler, int64 (N,); those here draw them from `generator`, or their own."""
    if not _draws(sampler):
        return np.fromiter(sampler, np.int64)
    parts = list(sampler.drawn(_generator_of(sampler, generator)))
    return np.concatenate([np.empty(0, np.int64), *parts]) if len(parts) != 1 else parts[0]


def indices_of(sampler: Any, generator: np.random.Generator) -> Iterator[Any]:
    """Go through the indices of an epoch of a sampler, as `order_of` gives them; a sampler may go on forever."""
    if not _draws(sampler):
        return iter(sampler)
    parts = sampler.drawn(_generator_of(sampler, generator))
    first = next(parts, None)  # drawn now, not when it is asked for
    return iter(()) if first is None else chain(first.tolist(), chain.from_iterable(part.tolist() for part in parts))


def _draws(sampler: Any) -> bool:
    return type(sampler).__iter__ in (RandomSampler.__iter__, WeightedRandomSampler.__iter__)


def _generator_of(sampler: Any, generator: np.random.Generator) -> np.random.Generator:
    own = sampler.generator
    return generator if own is None else numpy_generator("DataLoader", own)
