"""Making batches of items: in the loop itself, in one thread ahead of it, or in the fetch functions of workers."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from fastnn.data.datasets import items_of
from fastnn.data.gathering import Source


class Items:
    """Asks a data set for the items of a batch and makes the batch; for workers, too: it can be pickled."""

    def __init__(self, batched: bool, collate: Callable[[Any], Any]) -> None:
        self.batched, self.collate = batched, collate

    def __call__(self, dataset: Any) -> Callable[[Any], Any]:
        """Give the function of indices that gives a batch."""

        def fetch(indices: Any) -> Any:
            try:
                return self.collate(items_of(dataset, indices) if self.batched else dataset[indices])
            except StopIteration as error:  # it would end the epoch
                raise RuntimeError("DataLoader: the data set raised StopIteration for an index") from error

        return fetch


class Stream:
    """Takes the next items of an iterable data set; StopIteration at its end."""

    def __init__(self, batch_size: int | None, collate: Callable[[Any], Any], drop_last: bool) -> None:
        self.batch_size, self.collate, self.drop_last = batch_size, collate, drop_last

    def __call__(self, dataset: Any) -> Callable[[Any], Any]:
        """Return to the beginning of the data set, and give the function that gives its next batch."""
        items = iter(dataset)

        def fetch(_: Any) -> Any:
            if self.batch_size is None:
                return self.collate(next(items))
            batch = list(islice(items, self.batch_size))
            if not batch or (self.drop_last and len(batch) < self.batch_size):
                raise StopIteration
            return self.collate(batch)

        return fetch


class Rows:
    """Gathers the rows of arrays whose indices a batch sampler gives."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def __call__(self, dataset: Any) -> Callable[[Any], Any]:
        """Give the function of indices that gives a batch."""
        return self.source.fetch


def until_end(fetch: Callable[[Any], Any]) -> Iterator[Any]:
    """Yield batches until there is none left."""
    while True:
        try:
            batch = fetch(None)
        except StopIteration:
            return
        yield batch


def ahead(items: Iterator[Any], depth: int) -> Iterator[Any]:
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
