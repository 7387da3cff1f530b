"""The one allocator of all outputs and workspaces. Large buffers are reused, which saves page faults.

A fresh large array costs a page fault per page at its first write, often more than the kernel that fills it (filling
40 MB: 4.2 ms fresh, 1.0 ms in memory used before). So `empty` takes larger outputs from a pool of 64-byte-aligned
buffers.

There are no finalizers. An array handed out is a view whose ``base`` is the buffer, and NumPy makes that buffer the
base of every view of a view. So the buffer's reference count says whether anything still looks at it: views,
memoryviews, other libraries that hold one of the arrays.

Small arrays come from `fresh`, which is numpy.empty. Tests replace it by `allocator` to watch all that kernels write.

The search takes no lock: whoever looks at a buffer holds a reference to it, so two threads never both see it idle.
For this the lists of buffers may only be appended to or replaced; an item taken out of a list that somebody is walking
would lower the count they see.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from sys import getrefcount
from threading import RLock
from typing import NamedTuple

import numpy as np
from numpy import empty as fresh
from numpy import ndarray

ALIGNMENT = 64  # a cache line, and the widest vector
SMALL = 1 << 16  # bytes; below, malloc returns warm memory anyway and np.empty is 3x cheaper than the search
FAR = 1 << 24  # bytes: of a larger result little would be left in a cache when it is read
CROWD = 128  # live buffers of one size; a longer list takes more than 3 us to walk, as much as the faults it saves

_buckets: dict[int, list[tuple[np.ndarray, int]]] = {}  # bytes -> [(buffer, offset of its first aligned byte)]
_lock = RLock()  # for the bookkeeping only; reentrant because a garbage collection may allocate an array in between
_bytes_held = 0
_limit = -1  # not known yet
_idle = 0  # references that `empty` counts of a buffer which no array uses; 0: not known, and nothing is pooled


class PoolStats(NamedTuple):
    """What the pool holds; see `pool_stats`."""

    buffers: int
    bytes: int
    idle_bytes: int
    limit: int


def empty(shape, dtype):
    """Uninitialised C-contiguous array like ``np.empty``; larger ones start on a 64-byte boundary in pooled memory.

    shape (tuple of int), dtype (numpy.dtype) -> array. It behaves like any array, only that ``flags.owndata`` is
    False. Measured per call: 0.2 us below 64 KiB, 0.6 us from the pool, against 0.1 to 0.5 us of ``np.empty`` plus its
    faults. Where a tenth of a microsecond counts and the size is known, `fresh` gives small arrays at once.
    """
    size = prod(shape) * dtype.itemsize
    if size < SMALL:
        return fresh(shape, dtype)
    step = size.bit_length() - 4
    size = (size + (1 << step) - 1) >> step << step  # 8 sizes per octave: at most 1/8 is wasted
    for buffer, offset in _buckets.get(size, ()):
        if getrefcount(buffer) == _idle:
            return ndarray(shape, dtype, buffer, offset)
    buffer, offset = _add(size)
    return ndarray(shape, dtype, buffer, offset)


def zeros(shape, dtype):
    """Return an array of zeros, C-contiguous."""
    array = empty(shape, dtype)
    array.fill(0)
    return array


def empty_like(x):
    """Return an uninitialised C-contiguous array of the shape and dtype of `x`."""
    return empty(x.shape, x.dtype)


@contextlib.contextmanager
def allocator(function: Callable[[tuple[int, ...], np.dtype], ndarray]) -> Iterator[None]:
    """Let `function(shape, dtype)` allocate all outputs and workspaces inside a `with` block. For tests."""
    from .entry import set_new_like  # for outputs that compiled code allocates

    global fresh, SMALL
    before = fresh, SMALL
    fresh, SMALL = function, 1 << 62
    set_new_like(function)
    try:
        yield
    finally:
        fresh, SMALL = before
        set_new_like()


def streams(y) -> bool:
    """Return whether a channels-last result is aligned and large enough for streaming stores.

    Such stores are of whole aligned vectors: a pixel must start as the result does, and be no less than its vectors.
    """
    if y.nbytes < FAR or y.strides[1] != y.itemsize or y.shape[1] * y.itemsize % ALIGNMENT:
        return False
    return not any(stride % ALIGNMENT for stride in (y.strides[0], *y.strides[2:]))


def empty_pool() -> None:
    """Give back all memory that no array uses; arrays in use keep theirs until they die."""
    global _bytes_held
    with _lock:
        _buckets.clear()
        _bytes_held = 0


def set_pool_limit(limit: int) -> None:
    """Let the pool hold at most `limit` bytes, in use and idle together; 0 turns it off.

    The default is a quarter of the memory of the machine or of its container. Outputs beyond the limit are
    ordinary arrays. Raises ValueError for a negative limit.
    """
    global _limit
    if limit < 0:
        raise ValueError(f"set_pool_limit: limit must be >= 0, got {limit}")
    with _lock:
        _limit = int(limit)
        _make_room(0)


def pool_stats() -> PoolStats:
    """Count the buffers the pool holds, their bytes, how many of these no array uses, and the limit."""
    with _lock:
        buffers = idle = 0
        for size, bucket in _buckets.items():
            buffers += len(bucket)
            for buffer, _ in bucket:
                if getrefcount(buffer) == _idle:
                    idle += size
        return PoolStats(buffers, _bytes_held, idle, _get_limit())


def _add(size):
    """Allocate a buffer of `size` bytes, and keep it in the pool if there is room for it."""
    global _bytes_held
    buffer = np.empty(size + ALIGNMENT, np.uint8)
    item = buffer, -buffer.ctypes.data % ALIGNMENT
    with _lock:
        if _idle and size <= _get_limit() and _make_room(size):
            bucket = _buckets.setdefault(size, [])
            if len(bucket) >= CROWD:  # somebody collects outputs: let go of the oldest half, it will not come back soon
                _buckets[size] = bucket = bucket[CROWD // 2 :]
                _bytes_held -= CROWD // 2 * size
            bucket.append(item)
            _bytes_held += size
    return item


def _make_room(size):
    """Drop idle buffers until `size` more bytes fit, and say whether they do. The caller holds the lock."""
    global _bytes_held
    for held_size in list(_buckets):
        if _bytes_held + size <= _limit:
            break
        kept = []
        for buffer, offset in _buckets[held_size]:
            if getrefcount(buffer) == _idle and _bytes_held + size > _limit:
                _bytes_held -= held_size
            else:
                kept.append((buffer, offset))
        if kept:
            _buckets[held_size] = kept
        else:
            del _buckets[held_size]
    return _bytes_held + size <= _limit


def _get_limit():
    """Return the limit, at the first call from the size of the machine."""
    global _limit
    if _limit < 0:
        _limit = _memory_of_machine() // 4
    return _limit


def _memory_of_machine():
    """Return the bytes of memory this process may use: the machine's or its container's."""
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 8 << 30
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            pass
    return total


def _find_idle():
    """Find out which count `empty` sees for an idle buffer: it depends on how this interpreter passes arguments.

    Tried out with `empty` itself: the memory of a dead array must come back, that of a live one must not. Without the
    GIL a count can be out of date when it is read, so nothing is pooled then.
    """
    global _idle, _limit
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return
    tracer, shape, dtype = sys.gettrace(), (SMALL,), np.dtype(np.uint8)
    sys.settrace(None)  # a debugger that holds the frames would add to the counts
    _limit = 8 * SMALL
    try:
        for _idle in (1, 2, 3):  # noqa: B007
            empty_pool()
            first = empty(shape, dtype)
            second, address = empty(shape, dtype), first.ctypes.data
            apart = second.ctypes.data != address
            del first
            if apart and empty(shape, dtype).ctypes.data == address:
                return
        _idle = 0
    finally:
        sys.settrace(tracer)
        _limit = -1
        empty_pool()


def _after_fork_in_child():
    global _lock
    _lock = RLock()


_find_idle()

if hasattr(os, "register_at_fork"):
    # the forking thread takes the lock, so that the child never inherits bookkeeping half done by another thread
    os.register_at_fork(
        before=lambda: _lock.acquire(), after_in_parent=lambda: _lock.release(), after_in_child=_after_fork_in_child
    )
