"""Minibatches of arrays, in memory or on disk, and of data sets of items."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import Any

import numpy as np

from fastnn._checks import real, shown, type_of
from fastnn.data.arguments import (
    check_counts,
    check_functions,
    check_switches,
    context_of,
    dataset_of,
    is_count,
    weighted_sampler,
    within,
)
from fastnn.data.collate import default_collate, default_convert
from fastnn.data.datasets import IterableDataset, Paired
from fastnn.data.fetching import Items, Rows, Stream, ahead, until_end
from fastnn.data.gathering import Source, source_of
from fastnn.data.samplers import (
    BatchSampler,
    RandomSampler,
    SequentialSampler,
    indices_of,
    numpy_generator,
    order_of,
)
from fastnn.data.workers import Pool

Array = np.ndarray[Any, Any]
Transform = Callable[..., Any]
MANY = 1 << 27  # indices of a sampler that would take 1 GB in one array


class DataLoader:
    """Go through a data set in minibatches; every `for` loop over it is one epoch.

    Arrays are cut, or gathered by a kernel, batch by batch; data sets of items are asked for each item, and
    `collate_fn` makes a batch of them. What goes in comes out: batches of arrays are arrays, those of tensors and of
    items are tensors.

    Parameters
    ----------
    dataset : array, tuple of arrays, dict of arrays, or data set
        Arrays are paired along the first axis; (x, y) in most cases. Batches have the same form. Arrays from
        ``np.load(path, mmap_mode="r")`` are read where a batch needs them, and may be larger than memory. A data set
        has ``__getitem__`` and ``__len__``, as lists have, or is an `IterableDataset`. A `TensorDataset`, and a
        `Subset` of one, is cut as arrays are; its batches are lists of tensors.
    batch_size : int, "auto" or None
        Samples per batch; "auto": 32 of arrays, 1 of data sets. None: items as they are, one by one.
    shuffle : bool
        A new random order every epoch. Without it (and without weights) batches of arrays are views of the data and
        cost nothing.
    sampler, batch_sampler : iterable, optional
        Gives the index of each sample, or a list of the indices of each batch; instead of `shuffle`.
    num_workers : int
        Threads (processes if `multiprocessing_context` is given) that make batches of items ahead of time. Order and
        contents of the batches are the same for any number. Arrays need none.
    collate_fn : callable, optional
        (list of items) -> batch, instead of `default_collate`.
    pin_memory, pin_memory_device, in_order
        Accepted for PyTorch's sake, and without effect.
    drop_last : bool
        Leave out the last batch if it is smaller than the others.
    timeout : float
        Seconds to wait for a batch of a worker before RuntimeError; 0: as long as it takes.
    worker_init_fn : callable, optional
        Called with the number of each worker when that begins.
    multiprocessing_context : "fork", "spawn", "forkserver" or a context of `multiprocessing`
        Make the workers processes. With "spawn" and "forkserver" the data set must be picklable.
    generator : optional
        Where random numbers come from; else the stream that `fastnn.manual_seed` sets.
    prefetch_factor : int
        Batches that each worker makes ahead, 2 by default.
    persistent_workers : bool
        Keep the workers from epoch to epoch.
    seed : int, optional
        Which orders and which random numbers of `transform` come: they follow from the seed and the number of the epoch
        alone.
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
    dataset : data set
        Arrays are in one whose items are tuples of their entries (or whatever form they have).
    sampler, batch_sampler
        Those given, or what stands for `shuffle` and `batch_size`.
    epoch : int
        Epochs begun so far; set it to continue a seeded sequence elsewhere.

    Raises
    ------
    ValueError
        If arrays differ in length or are empty, the batch size is not positive, drop_last leaves nothing of them,
        weights are negative, not finite or all zero, or arguments exclude one another.
    TypeError
        If the data is no array and no data set, or arrays of objects.

    Examples
    --------
    >>> loader = DataLoader((np.zeros((10, 3)), np.zeros(10)), batch_size=4)
    >>> [len(x) for x, y in loader]
    [4, 4, 2]
    >>> squares = DataLoader([(i, i * i) for i in range(5)], batch_size=3)
    >>> [y.tolist() for x, y in squares]
    [[0, 1, 4], [9, 16]]
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: Any = "auto",
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
        seed: int | None = None,
        weights: Any = None,
        transform: Transform | None = None,
        prefetch: int = 0,
        dtype: Any = None,
    ) -> None:
        self.dataset = dataset_of(dataset)
        plain_arrays = isinstance(self.dataset, Paired) and self.dataset is not dataset
        if isinstance(batch_size, str) and batch_size == "auto":
            batch_size = 32 if plain_arrays else 1
        elif batch_sampler is not None and batch_size != 1:
            raise ValueError("DataLoader: batch_sampler decides about batches: leave batch_size out")
        if batch_size is not None and not is_count(batch_size, 1):
            raise ValueError(f"DataLoader: batch_size must be a positive integer, got {shown(batch_size)}")
        shuffle = False if shuffle is None else shuffle
        check_switches(shuffle=shuffle, drop_last=drop_last, persistent_workers=persistent_workers)
        check_counts(prefetch=prefetch, num_workers=num_workers)
        check_functions(transform=transform, collate_fn=collate_fn, worker_init_fn=worker_init_fn)
        if prefetch_factor is not None and not is_count(prefetch_factor, 1):
            raise ValueError(f"DataLoader: prefetch_factor must be a positive integer, got {shown(prefetch_factor)}")
        if seed is not None and not is_count(seed, 0):
            raise ValueError(f"DataLoader: seed must be an integer from 0, got {shown(seed)}")
        if not real("DataLoader", "timeout", timeout) >= 0:
            raise ValueError(f"DataLoader: timeout must be a number of seconds from 0, got {shown(timeout)}")
        numpy_generator("DataLoader", generator)
        self.dtype = None if dtype is None else type_of("DataLoader: dtype", dtype)
        self.shuffle, self.drop_last, self.seed, self.generator = shuffle, drop_last, seed, generator
        self.transform, self.prefetch, self.pin_memory = transform, min(int(prefetch), 1 << 30), pin_memory
        self.num_workers, self.timeout, self.worker_init_fn = int(num_workers), timeout, worker_init_fn
        self.prefetch_factor, self.persistent_workers = prefetch_factor, persistent_workers
        self.multiprocessing_context = context_of(multiprocessing_context)
        self.batch_size: Any = None if batch_sampler is not None else batch_size
        self.collate_fn = collate_fn or (default_convert if batch_size is None else default_collate)
        self._iterable = isinstance(self.dataset, IterableDataset)
        self._check_together(sampler, batch_sampler, weights)

        source = source_of(self.dataset, self.dtype)
        if plain_arrays:
            self._check_length(len(self.dataset))
        by_batch = batch_size is not None and batch_sampler is None
        self._source = source if by_batch and collate_fn is None and worker_init_fn is None else None
        if self._source is not None and getattr(sampler, "num_samples", 0) > MANY:
            self._source = None
        if self._source is not None:
            self._source.copied = self.prefetch > 0
        self._check_transform()
        self._fetcher: Any
        if source is not None and batch_size is not None and collate_fn is None:
            self._fetcher = Rows(source)
        elif self._iterable:
            self._fetcher = Stream(self.batch_size, self.collate_fn, bool(drop_last))
        else:
            self._fetcher = Items(batch_size is not None, self.collate_fn)

        self._own_sampler = sampler is None
        if weights is not None:
            sampler = weighted_sampler(weights, self.dataset, source)
        elif sampler is None and not self._iterable:
            if batch_sampler is None and not hasattr(self.dataset, "__len__"):
                raise TypeError(f"DataLoader: a {type(self.dataset).__name__} has no __len__: give a sampler")
            sampler = RandomSampler(self.dataset) if shuffle else SequentialSampler(self.dataset)
        self.sampler: Any = sampler
        if by_batch and not self._iterable:
            batch_sampler = BatchSampler(self.sampler, int(batch_size), bool(drop_last))
        self.batch_sampler: Any = batch_sampler
        self._own_batches = by_batch
        self.epoch = 0
        self._pool: Pool | None = None

    def _check_together(self, sampler: Any, batch_sampler: Any, weights: Any) -> None:
        """Raise ValueError for arguments that exclude one another."""
        order = {"shuffle": self.shuffle, "sampler": sampler is not None, "weights": weights is not None,
                 "batch_sampler": batch_sampler is not None}  # fmt: skip
        given = [name for name, value in order.items() if value]
        if self._iterable and given:
            raise ValueError(f"DataLoader: an IterableDataset decides about the order itself: leave {given[0]} out")
        if len(given) > 1 and not given == ["shuffle", "weights"]:
            raise ValueError(f"DataLoader: {given[0]} and {given[1]} exclude one another")
        if self.drop_last and self.batch_size is None:
            raise ValueError("DataLoader: drop_last needs a batch_size")

    def _check_length(self, count: int) -> None:
        """Raise ValueError if arrays give no batch."""
        if not count:
            shapes = ", ".join(str(array.shape) for array in self.dataset.arrays)
            raise ValueError(f"DataLoader: the data set is empty: shapes {shapes}")
        if self.drop_last and self.batch_size is not None and count < self.batch_size:
            raise ValueError(
                f"DataLoader: drop_last leaves nothing of {count} samples at batch_size {shown(self.batch_size)}"
            )

    def _check_transform(self) -> None:
        """Raise ValueError for what only batches of arrays can have."""
        for name in ("transform", "dtype"):
            if getattr(self, name) is not None and self._source is None:
                raise ValueError(f"DataLoader: {name} is for arrays; items are what the data set makes of them")
        if getattr(self.transform, "pairs", False) and len(self.arrays) < 2:
            raise ValueError("DataLoader: this transform changes targets as well, but there is only one array")

    @property
    def arrays(self) -> list[Array]:
        """The arrays that batches are cut from; none where items are asked for."""
        return [] if self._source is None else self._source.arrays

    @property
    def private(self) -> bool:
        """Whether every batch has memory of its own; else batches are views of the data."""
        if self._source is None:
            return self.collate_fn is default_collate
        in_place = self._own_sampler and isinstance(self.sampler, SequentialSampler) and self._source.shared
        return not in_place or self._source.copied

    @property
    def samples(self) -> int | None:
        """Samples in one epoch; None if the data does not say."""
        if self.batch_sampler is not None and not self._own_batches:
            return None
        try:
            count = len(self.dataset if self._iterable else self.sampler)
        except TypeError:
            return None
        return count - (count % self.batch_size if self.drop_last else 0)

    def __repr__(self) -> str:
        how = "batch_sampler=..." if self.batch_size is None and self.batch_sampler else f"batch_size={self.batch_size}"
        kind = "arrays" if isinstance(self.dataset, Paired) else type(self.dataset).__name__
        return f"DataLoader({kind}, {how}, shuffle={self.shuffle})"

    def __len__(self) -> int:
        """Batches in one epoch. Raises TypeError if the data does not say."""
        if self.batch_sampler is not None and not self._own_batches:
            return int(len(self.batch_sampler))
        count = len(self.dataset if self._iterable else self.sampler)
        if self.batch_size is None:
            return int(count)
        whole, rest = divmod(count, self.batch_size)
        return int(whole + (rest > 0 and not self.drop_last))

    def __iter__(self) -> Iterator[Any]:
        """Begin an epoch."""
        # all that is random is decided here, in the caller's thread: prefetching cannot change what comes
        if self.seed is None:
            generator = numpy_generator("DataLoader", self.generator)
        else:
            generator = np.random.default_rng([self.seed, self.epoch])
        self.epoch += 1
        batches = self._fetched(generator) if self._source is None else self._gathered(self._source, generator)
        if not self.prefetch:
            return batches
        if self._source is None or self.transform is not None:
            return ahead(batches, self.prefetch)
        nbytes = sum(array.nbytes for array in self.arrays)
        together = min(self._source.fitting(nbytes, self.batch_size), self.prefetch)
        groups = iter(lambda: list(islice(batches, together)), [])
        return chain.from_iterable(ahead(groups, -(-self.prefetch // together)))

    # --- arrays

    def _gathered(self, source: Source, generator: np.random.Generator) -> Iterator[Any]:
        """Cut batches out of the arrays, or gather them."""
        order = None
        if not (self._own_sampler and isinstance(self.sampler, SequentialSampler)):
            order = within(order_of(self.sampler, generator), len(source))
        count = len(source) if order is None else len(order)
        count -= count % self.batch_size if self.drop_last else 0
        size = min(self.batch_size, max(count, 1))  # all there is; a larger number says no more
        rows = source.ordered(order)
        if self.transform is None:
            return source.batches(rows, size, count, self.prefetch or max(count, 1))
        return self._transformed(
            self.transform, source, rows, size, count, int(generator.integers(2**64, dtype=np.uint64))
        )

    def _transformed(
        self, transform: Transform, source: Source, order: Array | None, size: int, count: int, key: int
    ) -> Iterator[Any]:
        """Go through all arrays batch by batch."""
        for start in range(0, count, size):
            stop = min(start + size, count)
            arrays = source.take(order, start, stop)
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
            yield source.form(arrays)

    # --- items

    def _fetched(self, generator: np.random.Generator) -> Iterator[Any]:
        """Ask for the items, by workers if there are any."""
        if self._iterable:
            indices: Iterator[Any] | None = None
        elif not self._own_batches and self.batch_sampler is not None:
            indices = iter(self.batch_sampler)
        else:
            indices = indices_of(self.sampler, generator)
            if self.batch_size is not None:
                indices = iter(BatchSampler(indices, self.batch_size, bool(self.drop_last)))
        seed = int(generator.integers(2**62))
        if self.num_workers:
            return self._worked(indices, seed)
        fetch = self._fetcher(self.dataset)
        return until_end(fetch) if indices is None else map(fetch, indices)

    def _worked(self, indices: Iterator[Any] | None, seed: int) -> Iterator[Any]:
        """Let workers make the batches."""
        pool = self._pool
        if pool is None:
            context = self.multiprocessing_context
            pool = Pool(self.num_workers, self.dataset, self._fetcher, self.worker_init_fn, seed, context)
            self._pool = pool if self.persistent_workers else None
        try:
            yield from pool.run(indices, seed, self.prefetch_factor or 2, float(self.timeout))
        finally:
            if not self.persistent_workers:
                pool.close()

    def __class_getitem__(cls, item: Any) -> type[DataLoader]:
        """Give the class: annotations may say what its batches are."""
        return cls

    def __getstate__(self) -> dict[str, Any]:
        context = self.multiprocessing_context
        named = context if context is None else context.get_start_method()
        return {**vars(self), "_pool": None, "multiprocessing_context": named}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.multiprocessing_context = context_of(self.multiprocessing_context)
