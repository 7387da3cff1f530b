"""The pool of output buffers: memory comes back, is never shared, and stays bounded."""

import multiprocessing
import os
import pickle
import random
import sys
import threading

import numpy as np
import psutil
import pytest

from fastnn_kernels.ground import memory
from fastnn_kernels.ground.memory import (
    ALIGNMENT,
    allocator,
    empty,
    empty_like,
    empty_pool,
    pool_stats,
    set_pool_limit,
    zeros,
)

F4, F8 = np.dtype(np.float32), np.dtype(np.float64)
SMALL = memory.SMALL // 4  # numbers of float32; fewer do not come from the pool
LARGE = (4 * SMALL,)


@pytest.fixture(autouse=True)
def fresh_pool():
    limit = pool_stats().limit
    empty_pool()
    yield
    empty_pool()
    set_pool_limit(limit)


def address(array):
    return array.__array_interface__["data"][0]


@pytest.mark.parametrize("shape", [(), (0,), (3, 0, 5), (7,), (SMALL - 1,), (SMALL,), (129, 257), (2, 3, 101, 97)])
@pytest.mark.parametrize("dtype", [F4, F8])
def test_empty_looks_like_numpys(shape, dtype):
    array, expected = empty(shape, dtype), np.empty(shape, dtype)
    assert array.shape == shape and array.dtype == dtype and array.strides == expected.strides
    assert array.flags.c_contiguous and array.flags.writeable and array.flags.aligned
    array.fill(1)
    assert array.sum() == array.size


@pytest.mark.parametrize("size", [SMALL, SMALL + 1, 3 * SMALL - 1, 1_000_003])
def test_large_arrays_are_aligned(size):
    for dtype in (F4, F8):
        assert address(empty((size,), dtype)) % ALIGNMENT == 0


def test_memory_of_a_dead_array_is_used_again():
    first = empty(LARGE, F4)
    where = address(first)
    second = empty(LARGE, F4)
    assert address(second) != where
    del first
    assert address(empty(LARGE, F4)) == where
    assert address(empty((2, LARGE[0] // 4), F8)) == where, "another shape and dtype of the same size"
    assert pool_stats().buffers == 2


def test_sizes_are_rounded_by_an_eighth_at_most():
    for size in (SMALL, SMALL + 1, 9 * SMALL + 1, 100_003, 2**20 + 1, 2**20 - 1):
        empty_pool()
        array = empty((size,), F4)
        assert array.nbytes <= pool_stats().bytes <= 1.125 * array.nbytes + 1


@pytest.mark.parametrize(
    "hold",
    [
        lambda a: a[3:5],
        lambda a: a.reshape(2, -1).T[1:, ::2],
        memoryview,
        lambda a: memoryview(a)[5:9],
        lambda a: a.view(np.recarray),
        lambda a: np.lib.stride_tricks.as_strided(a[7:], (3,), (8,)),
        lambda a: np.from_dlpack(a),
        lambda a: np.frombuffer(a, np.uint8, 16),
        lambda a: a.ctypes,
        lambda a: iter(a),
    ],
)
def test_whatever_looks_at_the_memory_keeps_it(hold):
    array = empty(LARGE, F4)
    where = address(array)
    holder = hold(array)
    del array
    other = empty(LARGE, F4)
    assert address(other) != where
    del holder
    assert address(empty(LARGE, F4)) == where


def test_the_pool_knows_its_idle_buffers_by_trying():
    assert memory._idle, "this interpreter has a lock, so memory can be pooled"
    before = memory._idle
    try:
        memory._idle = 0
        for _ in range(3):
            empty(LARGE, F4)
        assert pool_stats().buffers == 0, "without knowing which buffers are idle none is kept"
        memory._find_idle()
        assert memory._idle == before
    finally:
        memory._idle = before


def test_an_interpreter_without_its_lock_pools_nothing(monkeypatch):
    monkeypatch.setattr(memory, "_idle", 0)
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    memory._find_idle()
    set_pool_limit(1 << 30)
    empty(LARGE, F4)
    assert pool_stats().buffers == 0


def test_every_allocation_can_be_watched():
    seen = []

    def watched(shape, dtype):
        seen.append((shape, dtype))
        return np.full(shape, 7, dtype)

    with allocator(watched):
        small, large, like = empty((3,), F4), empty((3000, 3000), F4), empty_like(np.ones((2, 5)))
        assert not zeros((300, 300), F8).any()
    assert (small == 7).all() and (large == 7).all() and (like == 7).all()
    assert seen == [((3,), F4), ((3000, 3000), F4), ((2, 5), F8), ((300, 300), F8)]
    assert not (empty((3,), F4).base is small or len(seen) > 4)


def test_pickles_and_copies_stand_alone():
    array = empty(LARGE, F4)
    array[:] = np.arange(LARGE[0])
    saved, copied = pickle.loads(pickle.dumps(array)), array.copy()
    array.fill(-1)
    np.testing.assert_array_equal(saved, np.arange(LARGE[0]))
    np.testing.assert_array_equal(copied, saved)


def test_bound_and_eviction():
    set_pool_limit(1 << 20)
    held = [empty((50_000,), F4) for _ in range(10)]
    assert len({address(array) for array in held}) == 10
    stats = pool_stats()
    assert stats.bytes <= 1 << 20 and stats.idle_bytes == 0 and 3 <= stats.buffers <= 5
    del held
    assert pool_stats().idle_bytes == stats.bytes
    empty((200_000,), F4)
    assert pool_stats().bytes <= 1 << 20, "idle buffers of another size make room"
    empty((1 << 20,), F4)
    assert pool_stats().bytes <= 1 << 20, "larger than the whole pool: not kept"
    set_pool_limit(0)
    assert pool_stats() == (0, 0, 0, 0)
    with pytest.raises(ValueError, match="set_pool_limit: limit must be >= 0, got -1"):
        set_pool_limit(-1)


def test_collecting_outputs_does_not_make_the_lists_grow():
    held = [empty((SMALL,), F4) for _ in range(1000)]
    assert pool_stats().buffers <= memory.CROWD
    assert len({address(array) for array in held}) == 1000
    stats = pool_stats()
    assert stats.bytes == stats.buffers * held[0].nbytes


def test_resident_memory_does_not_grow():
    sizes = [SMALL, 3 * SMALL, 10 * SMALL, 100_003]

    def work(rounds):
        order = random.Random(3)
        live = []
        for _ in range(rounds):
            live.append(empty((order.choice(sizes),), F4))
            live[-1][::1024] = 1
            if len(live) > 6:
                del live[order.randrange(6)]

    work(500)
    before = psutil.Process().memory_info().rss
    work(10_000)
    assert psutil.Process().memory_info().rss - before < 4 << 20


def test_threads_never_share_memory():
    wrong = []

    def hammer(mark):
        order, live = random.Random(mark), []
        for _ in range(1500):
            array = empty((SMALL + 8 * order.randrange(3),), F4)
            array[0] = array[-1] = mark
            live.append(array)
            if len(live) > 5:
                dead = live.pop(order.randrange(5))
                if dead[0] != mark or dead[-1] != mark:
                    wrong.append(mark)
            if order.random() < 0.01:
                empty_pool()
        wrong.extend(mark for array in live if array[0] != mark or array[-1] != mark)

    set_pool_limit(30 * SMALL * 4)  # so that evictions happen all the time, too
    threads = [threading.Thread(target=hammer, args=(mark,)) for mark in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_pool_works_in_a_forked_child():
    held = empty(LARGE, F4)
    held.fill(7)
    running = True

    def allocate():
        live = []
        while running:
            live = [*live[-20:], empty((SMALL + 8 * len(live),), F4)]

    thread = threading.Thread(target=allocate)
    thread.start()
    try:
        for _ in range(20):
            child = multiprocessing.get_context("fork").Process(target=_child, args=(held,))
            child.start()
            child.join(30)
            assert child.exitcode == 0
    finally:
        running = False
        thread.join()
    assert (held == 7).all()


def _child(held):
    others = [empty(LARGE, F4) for _ in range(20)]
    for array in others:
        array.fill(1)
    pool_stats()
    empty_pool()
    assert (held == 7).all()
