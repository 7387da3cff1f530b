"""Samplers: which indices come, how often, and in which order."""

import numpy as np
import pytest

import fastnn
from fastnn.utils.data import (
    BatchSampler,
    DataLoader,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)


def generator():
    return np.random.default_rng(3)


def test_orders():
    assert list(SequentialSampler("abc")) == [0, 1, 2] and len(SequentialSampler("abc")) == 3
    sampler = RandomSampler(range(20), generator=generator())
    first, second = list(sampler), list(sampler)
    assert first != second and sorted(first) == sorted(second) == list(range(20)) and len(sampler) == 20
    assert list(RandomSampler(range(20), generator=generator())) == first
    assert all(type(i) is int for i in first)
    some = SubsetRandomSampler([5, 7, 9], generator())
    assert sorted(some) == [5, 7, 9] and len(some) == 3


def test_numbers_of_samples():
    assert len(set(RandomSampler(range(10), num_samples=4))) == 4
    many = list(RandomSampler(range(3), num_samples=8))
    assert len(many) == 8 and sorted(many[:3]) == sorted(many[3:6]) == [0, 1, 2]
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=300, generator=generator()))
    assert len(drawn) == 300 and np.bincount(drawn).min() > 70
    assert list(RandomSampler([])) == []


def test_more_samples_than_memory():
    """Some ask for 10^10 samples, and stop when they have had enough."""
    x = np.arange(5)
    for sampler in (RandomSampler(x, True, 10**10), WeightedRandomSampler(x, 10**10)):
        for data in (list(x), TensorDataset(x), x):
            batch = next(iter(DataLoader(data, 3, sampler=sampler, num_workers=1)))
            assert len(batch[0] if isinstance(batch, list) else batch) == 3
            assert len(DataLoader(data, 5, sampler=sampler)) == 2 * 10**9
        assert next(iter(sampler)) in range(5)


def test_weights():
    sampler = WeightedRandomSampler([0, 1, 3], 4000, generator=generator())
    counts = np.bincount(list(sampler), minlength=3)
    assert counts[0] == 0 and 2850 < counts[2] < 3150 and len(sampler) == 4000
    firsts = []
    for _ in range(2000):
        drawn = list(WeightedRandomSampler(np.array([1.0, 0.0, 3.0]), 2, replacement=False))
        assert sorted(drawn) == [0, 2]
        firsts.append(drawn[0])
    assert 1380 < firsts.count(2) < 1620


def test_lists_of_indices():
    assert list(BatchSampler(SequentialSampler(range(5)), 2, True)) == [[0, 1], [2, 3]]
    batches = BatchSampler(range(5), 2, False)
    assert list(batches) == list(batches) == [[0, 1], [2, 3], [4]] and len(batches) == 3
    assert len(BatchSampler(range(4), 2, True)) == 2 and list(BatchSampler([], 3, False)) == []


def test_one_seed_gives_one_order_for_arrays_and_items():
    """The fast way and the way by items draw the same."""
    x = np.arange(30)
    orders = []
    for data in (x, TensorDataset(x), list(x)):
        fastnn.manual_seed(8)
        batches = list(DataLoader(data, 7, shuffle=True))
        orders.append(np.concatenate([np.asarray(b[0] if isinstance(b, list) else b) for b in batches]))
    np.testing.assert_array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(orders[0], orders[2])


class Backwards(Sampler):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(-1, -1 - self.n, -1))

    def __len__(self):
        return self.n


@pytest.mark.parametrize("data", [np.arange(5), TensorDataset(np.arange(5)), list(range(5))])
def test_a_sampler_of_ones_own(data):
    def values(loader):
        return [np.asarray(b[0] if isinstance(b, list) else b).tolist() for b in loader]

    loader = DataLoader(data, 2, sampler=Backwards(5))
    assert values(loader) == [[4, 3], [2, 1], [0]] and len(loader) == 3
    assert values(DataLoader(data, 2, sampler=[0, 0, 1, 1, 4, 4])) == [[0, 0], [1, 1], [4, 4]]
    assert values(DataLoader(data, batch_sampler=[[0], [1, -1], []][:2])) == [[0], [1, 4]]
    ready = BatchSampler(RandomSampler(range(5), generator=generator()), 3, True)
    loader = DataLoader(data, batch_sampler=ready)
    assert loader.batch_size is None and len(loader) == 1 and len(values(loader)[0]) == 3
    weighted = DataLoader(data, 50, sampler=WeightedRandomSampler([0, 0, 1, 0, 0], 6))
    assert values(weighted) == [[2] * 6] and len(weighted) == 1 and weighted.samples == 6


@pytest.mark.parametrize("data", [np.arange(5), TensorDataset(np.arange(5)), list(range(5))])
def test_indices_that_are_not_there(data):
    for options in ({"sampler": [5]}, {"sampler": [-6]}, {"batch_sampler": [[0, 5]]}):
        with pytest.raises(IndexError):
            list(DataLoader(data, **options))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomSampler([], num_samples=0), ValueError, "RandomSampler: num_samples must be at least 1"),
        (lambda: RandomSampler([1], replacement="yes"), TypeError, "replacement must be True or False"),
        (lambda: RandomSampler([1], generator=5), TypeError, "RandomSampler: generator must be"),
        (lambda: WeightedRandomSampler([1, -1], 2), ValueError, "finite numbers"),
        (lambda: WeightedRandomSampler([[1.0]], 2), ValueError, r"got shape \(1, 1\)"),
        (lambda: WeightedRandomSampler([1, 0], 2, replacement=False), ValueError, "2 samples without"),
        (lambda: WeightedRandomSampler([1, 0], 0), ValueError, "num_samples"),
        (lambda: BatchSampler([1], 0, False), ValueError, "batch_size must be at least 1"),
        (lambda: BatchSampler([1], 1.0, False), TypeError, "batch_size must be an integer"),
        (lambda: BatchSampler([1], 1, None), TypeError, "drop_last must be True or False"),
        (lambda: list(Sampler()), NotImplementedError, "Sampler has no __iter__"),
    ],
)  # fmt: skip
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_an_endless_sampler_draws_a_part_at_a_time():
    sampler = RandomSampler(range(7), replacement=True, num_samples=10**10, generator=generator())
    first = [index for index, _ in zip(sampler, range(50), strict=False)]
    assert len(set(first)) == 7 and len(sampler) == 10**10
    loader = DataLoader(range(7), batch_size=4, sampler=sampler)
    assert next(iter(loader)).shape == (4,)
