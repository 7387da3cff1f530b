"""Elements picked and put: values against plain loops, layouts, dtypes, and what is refused."""

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F

INDEX = np.array([[0, 2, 1], [2, 2, 0]])


def loop(x, dim, index, src, put):
    """Walk over an index along `dim` and put each element of `src` where it says."""
    y = x.copy()
    for place in np.ndindex(index.shape):
        to = (*place[:dim], index[place], *place[dim + 1 :])
        y[to] = put(y[to], src[place])
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.uint8, ">f4"])
@pytest.mark.parametrize("dim", [0, 1])
def test_gather_and_scatter(rng, dim, dtype):
    x, src = (rng.integers(0, 9, shape).astype(dtype) for shape in ((3, 3), (3, 4)))
    part = x[:2] if dim else x
    np.testing.assert_array_equal(F.gather(x, dim, INDEX), np.take_along_axis(part, INDEX, dim))
    np.testing.assert_array_equal(
        F.gather(x[::-1], dim, INDEX), np.take_along_axis(x[::-1][:2] if dim else x[::-1], INDEX, dim)
    )
    expected = loop(x, dim, INDEX, src, lambda a, b: a + b)
    y = F.scatter_add(x, dim, INDEX, src)
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == np.dtype(dtype).newbyteorder("=")
    np.testing.assert_array_equal(F.scatter(x, dim, INDEX, src, reduce="add"), expected)
    np.testing.assert_array_equal(F.scatter(x, dim, INDEX, value=7), loop(x, dim, INDEX, src, lambda a, b: 7))
    for reduce, put in (("prod", np.multiply), ("amax", max), ("amin", min), ("sum", np.add)):
        expected = loop(x, dim, INDEX, src, put)
        np.testing.assert_array_equal(F.scatter_reduce(x, dim, INDEX, src, reduce), expected)


def test_indices_may_be_tensors_of_any_integers(rng):
    x = rng.normal(size=(3, 4))
    for index in (INDEX.astype(np.int32), INDEX.astype(np.uint8), Tensor(INDEX), INDEX.tolist(), INDEX.astype(">i8")):
        np.testing.assert_array_equal(F.gather(x, 0, index), np.take_along_axis(x[:, :3], INDEX, 0))


def test_rows(rng):
    x, source, index = rng.normal(size=(4, 3)), rng.normal(size=(3, 3)), np.array([3, 0, 3])
    np.testing.assert_array_equal(F.index_select(x, 0, index), x[index])
    np.testing.assert_array_equal(F.index_select(x, -1, [2, 2]), x[:, [2, 2]])
    added, copied = x.copy(), x.copy()
    np.add.at(added, index, 2 * source)
    copied[index] = source
    np.testing.assert_allclose(F.index_add(x, 0, index, source, alpha=2), added)
    np.testing.assert_array_equal(F.index_copy(x, 0, index, source), copied)
    np.testing.assert_array_equal(F.index_fill(x, 1, [0], 5)[:, 0], [5] * 4)
    mean = F.index_reduce(x, 0, index, source, "mean", include_self=False)
    np.testing.assert_allclose(mean[3], (source[0] + source[2]) / 2)
    np.testing.assert_array_equal(mean[1:3], x[1:3])


def test_masks(rng):
    x = rng.normal(size=(2, 3)).astype(np.float32)
    mask = x > 0
    np.testing.assert_array_equal(F.masked_fill(x, mask, -np.inf), np.where(mask, -np.inf, x))
    assert F.masked_fill(x, mask, 1).dtype == np.float32
    assert F.masked_fill(x[:1], mask, 0).shape == (2, 3)
    np.testing.assert_array_equal(F.masked_select(x, mask), x[mask])
    expected = x.copy()
    expected[mask] = np.arange(9)[: mask.sum()]
    np.testing.assert_array_equal(F.masked_scatter(x, mask, np.arange(9)), expected)
    np.testing.assert_array_equal(F.nonzero(mask), np.argwhere(mask))
    assert isinstance(F.nonzero(Tensor(x), as_tuple=True)[0], Tensor)


def test_views_share_memory():
    x = np.zeros((3, 4))
    F.select(x, 0, 1)[:] = 1
    F.narrow(x, 1, 2, 2)[:] = 2
    np.testing.assert_array_equal(x, [[0, 0, 2, 2], [1, 1, 2, 2], [0, 0, 2, 2]])


def test_gradients_of_repeated_elements_add_up_in_a_kernel():
    for index in ([0, 0, 2], np.array([0, -3, 2]), (np.array([0, 0, 2]), slice(None)), (..., [0, 0], [1, 1])):
        x = Tensor(np.zeros((3, 2), np.float32), requires_grad=True)
        y = x[index]
        y.backward(np.ones(y.shape))
        expected = np.zeros((3, 2))
        np.add.at(expected, index, 1)
        np.testing.assert_array_equal(x.grad, expected)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda x: F.gather(x, 0, [[3, 0, 0, 0]]), IndexError, "gather: index must be from 0 to 2, got 0 to 3"),
        (lambda x: F.gather(x, 0, [[-1, 0, 0, 0]]), IndexError, "gather: index must be from 0 to 2, got -1"),
        (lambda x: F.gather(x, 0, [0]), ValueError, r"gather: index of shape \(1,\) does not fit an input of shape"),
        (lambda x: F.gather(x, 1, [[0]] * 4), ValueError, r"gather: index of shape \(4, 1\)"),
        (lambda x: F.gather(x, 2, [[0]]), ValueError, "gather: dim must be from -2 to 1"),
        (lambda x: F.gather(x, 0, [[0.0]]), TypeError, "gather: index must be integers, got float64"),
        (lambda x: F.scatter_add(x, 0, [[0, 0]], np.ones((1, 1))), ValueError, r"scatter_add: src has shape \(1, 1\)"),
        (lambda x: F.scatter(x, 0, [[0]]), TypeError, "scatter: give one of src and value"),
        (lambda x: F.scatter_reduce(x, 0, [[0]], x, "max"), ValueError, "scatter_reduce: reduce must be one of sum"),
        (lambda x: F.index_select(x, 0, [[0]]), ValueError, r"index_select: index must be \(M,\)"),
        (lambda x: F.index_add(x, 0, [0, 1], x), ValueError, r"index_add: source has shape \(3, 4\), but index has 2"),
        (lambda x: F.index_fill(x, 0, [0], [1, 2]), ValueError, "index_fill: value must be a number"),
        (
            lambda x: F.index_copy(x.astype(int), 0, [0], x[:1]),
            TypeError,
            "index_copy: source of float64 cannot be put",
        ),
        (lambda x: F.select(x, 0, 3), IndexError, "select: index 3 is out of range for dim 0"),
        (lambda x: F.narrow(x, 1, 2, 3), ValueError, "narrow: start 2, length 3 do not fit dim 1"),
        (lambda x: F.masked_fill(x, x, 0), TypeError, "masked_fill: mask must be of bool, got float64"),
        (lambda x: F.masked_scatter(x, x == x, [1.0]), TypeError, "masked_scatter: source must be a tensor"),
        (lambda x: F.masked_scatter(x, x == x, x[0]), ValueError, "masked_scatter: mask holds 12 times"),
        (lambda x: F.take(x, [12]), IndexError, "take: index must be from -12 to 11"),
        (lambda x: F.take_along_dim(x, [0], 0), ValueError, r"take_along_dim: indices have shape \(1,\)"),
        (lambda x: F.nonzero([1]), TypeError, "nonzero: input must be a tensor or an array, got list"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(np.zeros((3, 4)))


def test_methods_of_tensors():
    x = Tensor(np.zeros((3, 3)))
    assert x.fill_diagonal_(2) is x
    np.testing.assert_array_equal(x, 2 * np.eye(3))
    tall = Tensor(np.zeros((5, 2)))
    np.testing.assert_array_equal(tall.fill_diagonal_(1, wrap=True).sum(1), [1, 1, 0, 1, 1])
    assert Tensor(np.arange(5)).unfold(0, 2, 2).tolist() == [[0, 1], [2, 3]]
    with pytest.raises(ValueError, match=r"fill_diagonal_: expected a matrix, .* got shape \(2, 3, 3\)"):
        Tensor(np.zeros((2, 3, 3))).fill_diagonal_(1)
    leaf = Tensor(np.ones((2, 2)), requires_grad=True)
    y = leaf * 3
    y.fill_diagonal_(0)
    y.sum().backward()
    np.testing.assert_array_equal(leaf.grad, [[0, 3], [3, 0]])
