"""Shapes: the results are NumPy's, views stay views, and what does not fit is refused with a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, basic_indices

from fastnn import Tensor
from fastnn import functional as F

X = np.arange(24.0).reshape(2, 3, 4)


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        (lambda x: x.reshape(4, 6), X.reshape(4, 6)),
        (lambda x: x.view(-1), X.reshape(-1)),
        (lambda x: x.reshape([6, -1]), X.reshape(6, 4)),
        (lambda x: x.flatten(), X.reshape(24)),
        (lambda x: x.flatten(1), X.reshape(2, 12)),
        (lambda x: x.flatten(0, 1), X.reshape(6, 4)),
        (lambda x: x.transpose(0, 2), X.transpose(2, 1, 0)),
        (lambda x: x.permute(2, 0, 1), X.transpose(2, 0, 1)),
        (lambda x: x.permute((2, 0, 1)), X.transpose(2, 0, 1)),
        (lambda x: x.T, X.T),
        (lambda x: x[:, :1].squeeze(1), X[:, 0]),
        (lambda x: x.squeeze(0), X),
        (lambda x: x.unsqueeze(0), X[None]),
        (lambda x: x.unsqueeze(-1), X[..., None]),
        (lambda x: x[0, 0].broadcast_to((5, 4)), np.broadcast_to(X[0, 0], (5, 4))),
        (lambda x: x[:, :1].expand(2, 5, -1), np.broadcast_to(X[:, :1], (2, 5, 4))),
        (lambda x: x[0, 0].expand(3, 2, 4), np.broadcast_to(X[0, 0], (3, 2, 4))),
    ],
)
def test_views(method, expected):
    y = method(Tensor(X))
    np.testing.assert_array_equal(y.numpy(), expected)
    assert np.shares_memory(y.numpy(), X)


@given(st.data())
def test_basic_indexing_is_numpys(data):
    shape = data.draw(array_shapes(min_dims=1, max_dims=3, max_side=4))
    index = data.draw(basic_indices(shape, allow_newaxis=True))
    x = Tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)
    y = x[index]
    np.testing.assert_array_equal(y.numpy(), x.numpy()[index])
    y.sum().backward()
    expected = np.zeros(shape)
    expected[index] += 1
    np.testing.assert_array_equal(x.grad, expected)


@given(st.lists(st.integers(-5, 4), max_size=12))
def test_repeated_rows_collect_their_gradients(rows):
    x = Tensor(np.zeros((5, 2)), requires_grad=True)
    x[np.array(rows, int)].sum().backward()
    expected = np.bincount([row % 5 for row in rows], minlength=5) if rows else np.zeros(5)
    np.testing.assert_array_equal(x.grad, np.stack([expected, expected], 1))


def test_tensors_as_indices():
    x = Tensor(X, requires_grad=True)
    np.testing.assert_array_equal(x[Tensor([1, 0])].numpy(), X[[1, 0]])
    np.testing.assert_array_equal(x[:, Tensor([2, 0, 2])].numpy(), X[:, [2, 0, 2]])
    np.testing.assert_array_equal(x[x > 7].numpy(), X[X > 7])


def test_joining_and_cutting():
    parts = F.split(X, [1, 2], dim=1)
    assert [part.shape for part in parts] == [(2, 1, 4), (2, 2, 4)]
    np.testing.assert_array_equal(F.cat(parts, dim=1), X)
    np.testing.assert_array_equal(F.stack([X[0], X[1]], dim=2), np.stack([X[0], X[1]], 2))
    assert [part.shape[2] for part in F.chunk(X, 3, dim=2)] == [2, 2]  # as PyTorch: at most 3
    assert [part.shape[2] for part in Tensor(X).split(3, dim=2)] == [3, 1]


def test_joining_tensors_of_mixed_dtypes():
    a, b = Tensor(np.ones(2, np.float32), requires_grad=True), Tensor(np.ones(3), requires_grad=True)
    F.cat([a, b]).sum().backward()
    assert a.grad.dtype == np.float32 and b.grad.dtype == np.float64


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.reshape(X, 5, 5), "reshape"),
        (lambda: F.flatten(X, 2, 1), r"flatten: dimensions 2 .. 1 do not fit shape \(2, 3, 4\)"),
        (lambda: F.split(X, 0), "split: the size of the parts must be at least 1, got 0"),
        (lambda: F.split(X, [1, 2]), r"split: sections \[1, 2\] do not add up to 2"),
        (lambda: F.chunk(X, 0), "chunk: chunks must be at least 1, got 0"),
        (lambda: F.cat([]), "cat: expected at least one tensor"),
        (lambda: F.stack([]), "stack: expected at least one tensor"),
        (lambda: F.cat([X, X[0]]), "dimension"),
        (lambda: F.stack([X, X[0]]), "same shape"),
        (lambda: F.expand(X, 3, 4), "expand: sizes"),
        (lambda: F.permute(X, 0, 1), r"permute: dims \(0, 1\) are not all dimensions of shape \(2, 3, 4\), each once"),
        (lambda: F.permute(X, 0, 1, 1), r"permute: dims \(0, 1, 1\)"),
        (lambda: F.transpose(X, 0, 5), r"transpose: dimensions 0 and 5 do not fit shape \(2, 3, 4\)"),
        (lambda: F.unsqueeze(X, 9), "unsqueeze: dim must be from -4 to 3 for 3 dimensions, got 9"),
        (lambda: F.expand(X, 2, 3, 5), r"broadcast_to: shape \(2, 3, 4\) cannot be repeated to \(2, 3, 5\)"),
    ],
)
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_indices_out_of_range():
    with pytest.raises(IndexError):
        Tensor(X)[2]
    with pytest.raises(IndexError):
        Tensor(X)[[0, 5]]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda x: x.view(5, -1), r"reshape: 24 elements \(shape \(2, 3, 4\)\) do not fit shape \(5, -1\)"),
        (lambda x: x.reshape([7, 2]), r"do not fit shape \(7, 2\)"),
        (
            lambda x: F.cat([x, x[:, 1:]]),
            r"cat: tensors may differ in dimension 0 only, got shapes \(2, 3, 4\), \(2, 2",
        ),
        (lambda x: F.cat([x] * 9 + [x[0]], 1), r"cat: tensors may differ in dimension 1 only, got shapes .* \.\.\.$"),
        (lambda x: F.stack([x, x[0]]), r"stack: tensors must have the same shape, got shapes \(2, 3, 4\), \(3, 4\)"),
        (lambda x: F.cat([x], 3), "axis 3 is out of bounds"),
        (lambda x: x.item(), r"item: expected a tensor of one element, got shape \(2, 3, 4\)"),
    ],
)
def test_errors_name_the_shapes(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong(Tensor(X))
