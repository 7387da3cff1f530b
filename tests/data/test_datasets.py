"""Data sets of items: what has which items, in which order, and how they are split."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor
from fastnn.utils.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Squares(Dataset[int]):
    def __init__(self, n):
        self.n = n

    def __getitem__(self, i):
        return i * i

    def __len__(self):
        return self.n


class Count(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))

    def __len__(self):
        return self.n


def test_tensors_side_by_side():
    x, y = np.arange(6.0).reshape(3, 2), np.arange(3)
    data = TensorDataset(Tensor(x), y)
    assert len(data) == 3 and all(isinstance(t, Tensor) for t in data.tensors)
    image, label = data[1]
    assert image.tolist() == [2, 3] and label.item() == 1
    assert data[1:][0].shape == (2, 2)
    for wrong in ((), (x, y[:2]), (np.float32(1),)):
        with pytest.raises(ValueError, match="TensorDataset: tensors must pair along the first axis"):
            TensorDataset(*wrong)


def test_subsets_and_sums():
    odd = Subset(Squares(10), [1, 3, 5])
    assert list(odd) == [1, 9, 25] and len(odd) == 3 and odd.__getitems__([2, 0]) == [25, 1]
    assert Subset(odd, np.array([2]))[0] == 25
    both = Squares(3) + odd
    assert isinstance(both, ConcatDataset) and both.cumulative_sizes == [3, 6]
    assert [both[i] for i in range(6)] == [0, 1, 4, 1, 9, 25] and both[-1] == 25 and both[-6] == 0
    assert ConcatDataset([[], [7], [], [8, 9]])[1] == 8
    for index in (6, -7):
        with pytest.raises(IndexError, match=f"index {index} of 6 items"):
            both[index]
    with pytest.raises(ValueError, match="no data set"):
        ConcatDataset([])
    with pytest.raises(TypeError, match="Count has no indices; ChainDataset takes it"):
        ConcatDataset([Count(2)])


def test_chains():
    chain = Count(2) + Count(3)
    assert isinstance(chain, ChainDataset) and list(chain) == list(chain) == [0, 1, 0, 1, 2] and len(chain) == 5
    with pytest.raises(TypeError, match="a part is no IterableDataset but Squares"):
        list(ChainDataset([Squares(2)]))


def test_stacks():
    assert StackDataset(Squares(3), [7, 8, 9])[2] == (4, 9)
    named = StackDataset(a=Squares(3), b=Subset(Squares(9), [8, 7, 6]))
    assert named[1] == {"a": 1, "b": 49} and len(named) == 3
    assert named.__getitems__([0, 2]) == [{"a": 0, "b": 64}, {"a": 4, "b": 36}]
    with pytest.raises(ValueError, match=r"the same length, got \[3, 2\]"):
        StackDataset(Squares(3), Squares(2))
    with pytest.raises(ValueError, match="all by name or all without"):
        StackDataset()


def test_bases_say_what_is_missing():
    with pytest.raises(NotImplementedError, match="Dataset has no __getitem__"):
        Dataset()[0]
    with pytest.raises(NotImplementedError, match="IterableDataset has no __iter__"):
        iter(IterableDataset())


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [([7, 3], [7, 3]), ([0.5, 0.25, 0.25], [6, 2, 2]), ([0.33, 0.33, 0.34], [4, 3, 3]), ([1.0], [10]),
     ([0, 10], [0, 10]), ([0.1] * 10, [1] * 10)],
)  # fmt: skip
def test_random_splits(lengths, sizes):
    parts = random_split(range(10), lengths, np.random.default_rng(0))
    assert [len(part) for part in parts] == sizes
    assert sorted(i for part in parts for i in part) == list(range(10))
    again = random_split(range(10), lengths, np.random.default_rng(0))
    assert [list(part) for part in parts] == [list(part) for part in again]


def test_random_splits_follow_the_seed():
    splits = []
    for seed in (1, 1, 2):
        fastnn.manual_seed(seed)
        splits.append([list(part) for part in random_split(range(50), [0.5, 0.5])])
    assert splits[0] == splits[1] != splits[2]


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([7, 4], ValueError, "add up to 11, not to the 10 items"),
        ([0.5, 0.6], ValueError, "add up to 1.1"),
        ([-1, 11], ValueError, "finite numbers from 0"),
        ([float("nan")], ValueError, "finite numbers from 0"),
        (["a"], TypeError, "must be numbers"),
    ],
)
def test_bad_lengths(lengths, error, message):
    with pytest.raises(error, match=message):
        random_split(range(10), lengths)
    with pytest.raises(TypeError, match="generator must be"):
        random_split(range(10), [10], generator=3)
