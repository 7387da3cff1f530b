"""Batches of items: what is stacked, what becomes a container of batches, and what is refused."""

from collections import OrderedDict, namedtuple

import numpy as np
import pytest

from fastnn import Tensor
from fastnn.data import default_collate, default_convert

Pair = namedtuple("Pair", "image label")


@pytest.mark.parametrize(
    ("items", "expected", "dtype"),
    [
        ([1, 2, 3], [1, 2, 3], "int64"),
        ([1.5, 2], [1.5, 2], "float64"),
        ([2, 1.5], [2, 1.5], "float32"),
        ([True, False], [True, False], "bool"),
        ([np.float32(1), np.float32(2)], [1, 2], "float32"),
        ([np.int16(1), np.int16(2)], [1, 2], "int16"),
        ([np.ones((2, 1), "f4"), np.zeros((2, 1), "f4")], [[[1], [1]], [[0], [0]]], "float32"),
        ([np.ones(2, ">f8"), np.zeros(2, ">f8")], [[1, 1], [0, 0]], "float64"),
        ([np.arange(4)[::-2], np.arange(2)], [[3, 1], [0, 1]], "int64"),
        ([Tensor([1.0]), Tensor([2.0])], [[1], [2]], "float32"),
        ([np.zeros((0, 3))], [[]], "float64"),
    ],
)
def test_what_is_stacked(items, expected, dtype):
    batch = default_collate(items)
    assert isinstance(batch, Tensor) and batch.dtype == dtype and batch.tolist() == expected
    assert batch.dtype.isnative


def test_containers():
    x, y = default_collate([(np.zeros(2), 1), (np.ones(2), 2)])
    assert x.shape == (2, 2) and y.tolist() == [1, 2]
    assert isinstance(default_collate([(1, 2)]), list) and isinstance(default_collate([[1, 2]]), list)
    batch = default_collate([{"a": 1, "b": "x"}, {"a": 2, "b": "y"}])
    assert batch["a"].tolist() == [1, 2] and batch["b"] == ["x", "y"]
    ordered = default_collate([OrderedDict(a=1), OrderedDict(a=2)])
    assert type(ordered) is OrderedDict and ordered["a"].tolist() == [1, 2]
    pair = default_collate([Pair(np.zeros(3), 0), Pair(np.ones(3), 1)])
    assert type(pair) is Pair and pair.image.shape == (2, 3) and pair.label.tolist() == [0, 1]
    deep = default_collate([{"a": [(1, "u")]}, {"a": [(2, "v")]}])
    assert deep["a"][0][0].tolist() == [1, 2] and deep["a"][0][1] == ["u", "v"]
    assert default_collate([b"a", b"b"]) == [b"a", b"b"] and default_collate([np.str_("a")]) == ["a"]


def test_images():
    image = pytest.importorskip("PIL.Image")
    batch = default_collate([image.new("L", (3, 2), 7), image.new("L", (3, 2), 9)])
    assert batch.shape == (2, 2, 3) and batch.dtype == np.uint8 and batch.tolist()[1][0] == [9, 9, 9]


def test_gradients_go_through():
    w = Tensor([1.0, 2.0], requires_grad=True)
    batch = default_collate([w * 2, w * 3])
    batch.sum().backward()
    assert np.asarray(w.grad).tolist() == [5, 5]


@pytest.mark.parametrize(
    ("items", "error", "message"),
    [
        ([], ValueError, "there is no item"),
        ([None], TypeError, "an item is None.*collate_fn"),
        ([object()], TypeError, "an item is object"),
        ([np.ones(2), np.ones(3)], ValueError, r"item 0 has \(2,\), item 1 has \(3,\)"),
        ([Tensor([1.0]), Tensor([[1.0]])], ValueError, r"item 0 has \(1,\), item 1 has \(1, 1\)"),
        ([(1, 2), (1,)], ValueError, r"the same length, got \[2, 1\]"),
        ([np.array([None])], TypeError, "an array of object"),
        ([1, "a"], TypeError, "cannot be made a tensor of numbers"),
        ([2**80], TypeError, "cannot be made a tensor of numbers"),
        ([1, [2]], (TypeError, ValueError), "default_collate|inhomogeneous"),
        ([1j], TypeError, "cannot be made a tensor of numbers"),
    ],
)
def test_what_cannot_be_collated(items, error, message):
    with pytest.raises(error, match=message):
        default_collate(items)


def test_single_items_are_converted():
    item = default_convert({"a": np.ones(2), "b": [np.float32(2), "x"], "c": Pair(1, np.arange(2))})
    assert isinstance(item["a"], Tensor) and isinstance(item["b"][0], Tensor) and item["b"][1] == "x"
    assert type(item["c"]) is Pair and item["c"].image == 1 and isinstance(item["c"].label, Tensor)
