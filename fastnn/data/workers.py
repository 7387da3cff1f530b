"""Workers of a loader: threads, or processes where they are asked for, which make batches ahead of time.

Batch number i is made by worker i modulo their number and handed out as number i, so what comes does not depend on who
is faster. Every worker has queues of its own. A task is (epoch, indices), an answer (epoch, kind, value).
"""

from __future__ import annotations

import copy
import multiprocessing
import pickle
import queue
import random as python_random
import sys
import threading
import time
import traceback
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from fastnn import random

PATIENCE = 5.0  # seconds that are waited for before looking whether the other side still lives
_here = threading.local()


@dataclass
class WorkerInfo:
    """What `get_worker_info` gives in a worker.

    Attributes
    ----------
    id : int
        Its number, from 0.
    num_workers : int
        How many there are.
    seed : int
        A seed for random numbers, another for each worker and epoch.
    dataset : data set
        The worker's copy of the data set: in a process a whole one, in a thread a shallow one (`copy.copy`).
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


def get_worker_info() -> WorkerInfo | None:
    """Give what a worker of a `DataLoader` should know about itself; None outside of workers.

    An `IterableDataset` asks it which part of the data this worker gives.
    """
    return getattr(_here, "info", None)


class RemoteTraceback(Exception):
    """The traceback of a worker process, as the cause of its error."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f'\n"""\n{self.text}"""'


Fetch = Callable[[Any, Any], Any]


def work(
    info: WorkerInfo,
    fetcher: Callable[[Any], Callable[[Any], Any]],
    setup: Callable[[int], Any] | None,
    tasks: Any,
    answers: Any,
    stop: Any,
    process: bool,
) -> None:
    """Do tasks until None comes. fetcher: (data set) -> function of indices that gives a batch, made again each epoch.

    A fetch function raises StopIteration at the end of an iterable data set.
    """
    try:
        _here.info = info
        failure = None
        try:
            if process:
                _process_begins(info.seed)
            if setup is not None:
                setup(info.id)
        except Exception as error:
            failure = _carried(error, info, process)
        fetch, current = None, -1
        while (task := _next(tasks, process)) is not None:
            epoch, seed, indices = task
            if stop.is_set():
                continue
            try:
                if failure is not None:
                    answer: Any = epoch, "error", failure
                else:
                    if epoch != current or fetch is None:
                        info.seed, current = seed, epoch
                        fetch = fetcher(info.dataset)
                    answer = epoch, "batch", fetch(indices)
                sent: Any = ForkingPickler.dumps(answer) if process else answer
            except StopIteration:
                sent = pickle.dumps((epoch, "end", None)) if process else (epoch, "end", None)
            except Exception as error:
                answer = epoch, "error", _carried(error, info, process)
                sent = pickle.dumps(answer) if process else answer
            answers.put(bytes(sent) if process else sent)
            del sent
    finally:
        _here.info = None
        if process:
            answers.cancel_join_thread() if stop.is_set() else None


def _next(tasks: Any, process: bool) -> Any:
    """Wait for a task; None where the process that gives them has died."""
    if not process:
        return tasks.get()
    parent = multiprocessing.parent_process()
    while True:
        try:
            task = tasks.get(timeout=PATIENCE)
            return None if task is None else pickle.loads(task)
        except queue.Empty:
            if parent is None or not parent.is_alive():
                return None


def _process_begins(seed: int) -> None:
    """Seed the random streams of a process: its own, Python's and NumPy's; compute in one thread."""
    import fastnn_kernels as kernels

    kernels.set_num_threads(1)
    random.manual_seed(seed)
    python_random.seed(seed)
    np.random.seed(seed % 2**32)  # noqa: NPY002  (data sets of others draw from it)


def _carried(error: Exception, info: WorkerInfo, process: bool) -> Exception:
    """Give an error as it arrives in the other thread or process: with its traceback."""
    note = f"in worker {info.id} of {info.num_workers} of the DataLoader, a {'process' if process else 'thread'}"
    if not process:
        error.add_note(note)
        return error
    text = "".join(traceback.format_exception(error))
    try:
        error.add_note(note)
        pickle.loads(pickle.dumps(error))
    except Exception:  # an error that cannot travel
        error = RuntimeError(f"DataLoader: {type(error).__name__}: {error}")
        error.add_note(note)
    return _Carried(error, text)


class _Carried(Exception):
    """An error of a worker process on its way."""

    def __init__(self, error: Exception, text: str) -> None:
        super().__init__(error, text)

    def opened(self) -> Exception:
        """Give the error, with the worker's traceback as its cause."""
        error, text = self.args
        error.__cause__ = RemoteTraceback(text)
        return error  # type: ignore[no-any-return]


class Pool:
    """The workers of one loader.

    Parameters
    ----------
    count : int
        How many workers.
    dataset, fetcher, setup
        See `work`.
    seed : int
        From which the workers' seeds are counted.
    context : multiprocessing context or None
        Makes processes; None: threads.
    """

    def __init__(
        self, count: int, dataset: Any, fetcher: Any, setup: Callable[[int], Any] | None, seed: int, context: Any
    ) -> None:
        self.process, self.epoch = context is not None, -1
        make: Any = queue.Queue if context is None else context.Queue
        self.tasks, self.answers = [make() for _ in range(count)], [make() for _ in range(count)]
        self.stop = threading.Event() if context is None else context.Event()
        self.workers: list[Any] = []
        begin = threading.Thread if context is None else context.Process
        for number in range(count):
            info = WorkerInfo(number, count, seed + number, dataset if self.process else _shallow(dataset))
            arguments = info, fetcher, setup, self.tasks[number], self.answers[number], self.stop, self.process
            worker = begin(target=work, args=arguments, name=f"fastnn-worker-{number}", daemon=True)
            worker.start()
            self.workers.append(worker)
        self.close = weakref.finalize(self, _close, self.workers, self.tasks, self.answers, self.stop, self.process)

    def run(self, indices: Iterator[Any] | None, seed: int, ahead: int, timeout: float) -> Iterator[Any]:
        """Yield the batches of an epoch.

        indices: what to fetch, batch by batch; None: whatever the workers give until all have come to their end.
        ahead: batches that each worker makes ahead. timeout: seconds to wait for one, 0 for as long as it takes.
        """
        self.epoch = epoch = self.epoch + 1
        count = len(self.workers)
        alive, pending = [True] * count, deque[int]()
        turn = 0

        def give() -> None:
            nonlocal turn
            if indices is None:
                wanted = None
                while any(alive) and not alive[turn % count]:
                    turn += 1
                if not any(alive):
                    return
            else:
                try:
                    wanted = next(indices)
                except StopIteration:
                    return
            number = turn % count
            task = epoch, seed + number, wanted
            self.tasks[number].put(bytes(ForkingPickler.dumps(task)) if self.process else task)
            pending.append(number)
            turn += 1

        for _ in range(ahead * count):
            give()
        while pending:
            number = pending.popleft()
            kind, value = self._answer(number, epoch, timeout)
            if kind == "error":
                raise value.opened() if isinstance(value, _Carried) else value
            if kind == "end":
                alive[number] = False
                give()
                continue
            give()
            yield value
            del value

    def _answer(self, number: int, epoch: int, timeout: float) -> tuple[str, Any]:
        """Wait for the next answer of a worker that belongs to this epoch."""
        until = time.monotonic() + timeout if timeout else float("inf")
        while True:
            if epoch != self.epoch:
                raise RuntimeError(
                    "DataLoader: with persistent_workers, a new loop over the loader ends the one before"
                )
            left = until - time.monotonic()
            try:
                answer = self.answers[number].get(timeout=min(max(left, 0.0), PATIENCE))
            except queue.Empty:
                if left <= PATIENCE and timeout:
                    raise RuntimeError(
                        f"DataLoader: worker {number} gave no batch within timeout={timeout:g} seconds"
                    ) from None
                worker = self.workers[number]
                if self.process and not worker.is_alive() and self.answers[number].empty():
                    raise RuntimeError(
                        f"DataLoader: worker {number} (process {worker.pid}) ended with code {worker.exitcode}"
                    ) from None
                continue
            found, kind, value = pickle.loads(answer) if self.process else answer
            if found == epoch:
                return kind, value


def _shallow(dataset: Any) -> Any:
    """Give a copy of a data set with attributes of its own; itself, if it cannot be copied."""
    with suppress(Exception):
        return copy.copy(dataset)
    return dataset


def _close(workers: list[Any], tasks: list[Any], answers: list[Any], stop: Any, process: bool) -> None:
    """End the workers: threads after what they are at, processes after a second at the latest."""
    stop.set()
    for queue_ in tasks:
        queue_.put(None)
    if sys.is_finalizing():
        return
    for worker in workers:
        if worker is not threading.current_thread():
            worker.join(1.0)
        if process and worker.is_alive():
            worker.terminate()
            worker.join(1.0)
    if process:
        for queue_ in (*tasks, *answers):
            queue_.cancel_join_thread()
            queue_.close()
