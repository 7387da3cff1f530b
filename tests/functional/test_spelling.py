"""NumPy's spellings beside PyTorch's, `out` and `dtype`: one mechanism for all functions."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor
from fastnn import functional as F

X = np.random.default_rng(0).normal(size=(2, 3, 4))

SPELLINGS = {
    "sum": (lambda x: F.sum(x, axis=1), lambda x: F.sum(x, 1)),
    "mean of a list": (lambda x: x.mean(axis=[0, 2], keepdims=True), lambda x: x.mean((0, 2), True)),
    "sum of a list": (lambda x: F.sum(x, [0, -1]), lambda x: F.sum(x, (0, 2))),
    "var": (lambda x: F.var(x, axis=0, ddof=0), lambda x: F.var(x, 0, correction=0)),
    "var, unbiased": (lambda x: x.var(dim=0, unbiased=False), lambda x: F.var(x, 0, correction=0)),
    "max": (lambda x: F.max(x, axis=2, keepdims=True).values, lambda x: F.max(x, 2, True).values),
    "softmax": (lambda x: F.softmax(x, axis=0), lambda x: F.softmax(x, 0)),
    "cat": (lambda x: F.cat([x, x], axis=2), lambda x: F.cat([x, x], 2)),
    "stack": (lambda x: F.stack([x, x], axis=2), lambda x: F.stack([x, x], 2)),
    "squeeze": (lambda x: x.unsqueeze(axis=1).squeeze(axis=1), lambda x: x),
    "method": (lambda x: x.prod(axis=-1), lambda x: x.prod(dim=-1)),
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_spellings_mean_the_same(name):
    ours, plain = SPELLINGS[name]
    x, y = Tensor(X, requires_grad=True), Tensor(X, requires_grad=True)
    a, b = ours(x), plain(y)
    np.testing.assert_array_equal(a, b)
    a.sum().backward()
    b.sum().backward()
    np.testing.assert_array_equal(x.grad, y.grad)


def test_arguments_of_binary_functions_keep_their_gradients():
    x, y = Tensor(X, requires_grad=True), Tensor(X, requires_grad=True)
    z = F.maximum(x, y, dtype=np.float64)
    z.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full(X.shape, 0.5))
    assert isinstance(F.where(X > 0, Tensor(X), 0.0, dtype=bool), Tensor)


def test_out():
    x = Tensor(X.astype(np.float32))
    for target in (fastnn.empty(2, 3), np.empty((2, 3), np.float32), np.empty((2, 3))):
        assert F.sum(x, 2, out=target) is target
        np.testing.assert_array_equal(target, F.sum(x, 2))
    target = fastnn.empty(2, 3, 4)
    assert F.add(x, x, out=target) is target and F.relu(x, out=target) is target
    np.testing.assert_array_equal(target, F.relu(x))
    with pytest.raises(ValueError, match=r"sum: out must have shape \(2, 3\), got \(3,\)"):
        F.sum(x, 2, out=fastnn.empty(3))
    with pytest.raises(TypeError, match="sum: out must hold float32, got int64"):
        F.sum(x, 2, out=fastnn.empty(2, 3, dtype=fastnn.int64))
    with pytest.raises(TypeError, match="sum: out must be a tensor or an array, got list"):
        F.sum(x, 2, out=[1])
    with pytest.raises(RuntimeError, match="sum: out= records no gradient"):
        F.sum(Tensor(X, requires_grad=True), 2, out=fastnn.empty(2, 3))


def test_dtype_converts_first():
    x = Tensor(np.full(3, 1e30, np.float32))
    assert F.prod(x, dtype=fastnn.float64).item() == pytest.approx(1e90, rel=1e-5)
    assert fastnn.tensor([True, False]).sum(dtype=fastnn.float32).dtype == np.float32
    assert F.softmax(x, dim=0, dtype=fastnn.float64).dtype == np.float64
    with pytest.raises(TypeError, match="sum: dtype must be a dtype"):
        x.sum(dtype="number")


@pytest.mark.parametrize("old, new", [
    ({"size_average": False}, "sum"),
    ({"size_average": True}, "mean"),
    ({"reduce": False}, "none"),
    ({"size_average": False, "reduce": True}, "sum"),
    ({"reduce": False, "size_average": False}, "none"),
    ({"size_average": None, "reduce": None}, "mean"),
])  # fmt: skip
def test_older_names_of_reductions(old, new):
    x, y = Tensor(X, requires_grad=True), np.ones_like(X)
    np.testing.assert_array_equal(F.mse_loss(x, y, **old), F.mse_loss(x, y, reduction=new))


def test_unknown_options_stay_errors():
    x = Tensor(X)
    with pytest.raises(TypeError, match="unexpected keyword argument 'axes'"):
        x.sum(axes=1)
    with pytest.raises(TypeError, match="unexpected keyword argument 'axis'"):
        x.sum(dim=1, axis=1)
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        F.max(x, axis=1, keep=True)
