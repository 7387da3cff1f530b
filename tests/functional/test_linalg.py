"""`fastnn.linalg`: norms and products."""

from math import inf

import numpy as np
import pytest

from fastnn import Tensor, linalg
from fastnn.autograd import gradcheck

X = np.random.default_rng(0).normal(size=(2, 3, 4))


@pytest.mark.parametrize("arguments", [
    {}, {"axis": 1}, {"axis": (0, 2)}, {"ord": 1, "axis": -1}, {"ord": inf, "axis": 0}, {"ord": 3, "axis": 2},
    {"ord": "fro", "axis": (1, 2)}, {"ord": 1, "axis": (1, 2)}, {"ord": -inf, "axis": (0, 1)},
    {"ord": -1, "axis": (2, 0)},
])  # fmt: skip
@pytest.mark.parametrize("keep", [True, False])
def test_norm(arguments, keep):
    own = {{"axis": "dim"}.get(name, name): value for name, value in arguments.items()}
    expected = np.linalg.norm(X, **arguments, keepdims=keep) if arguments else np.sqrt((X**2).sum(keepdims=keep))
    np.testing.assert_allclose(linalg.norm(Tensor(X), **own, keepdim=keep), expected, rtol=1e-12)
    assert gradcheck(lambda x: linalg.norm(x, **own, keepdim=keep), Tensor(X, requires_grad=True))


def test_norm_of_a_matrix():
    np.testing.assert_allclose(linalg.norm(Tensor(X[0]), 1), np.linalg.norm(X[0], 1), rtol=1e-12)
    out = Tensor(np.empty(()))
    assert linalg.norm(Tensor(X[0], requires_grad=False), dtype=np.float64, out=out) is out
    with pytest.raises(ValueError, match="matrix_norm: ord must be 'fro', 1, -1, inf or -inf, got 2"):
        linalg.matrix_norm(Tensor(X), 2)
    with pytest.raises(ValueError, match="matrix_norm: expected matrices"):
        linalg.matrix_norm(Tensor(X[0, 0]))


def test_products():
    x = Tensor(X)
    np.testing.assert_allclose(linalg.vecdot(x, x, dim=1), (X * X).sum(1), rtol=1e-12)
    np.testing.assert_array_equal(linalg.diagonal(x), np.diagonal(X, 0, -2, -1))
    np.testing.assert_allclose(linalg.multi_dot([x[0], x[1].T]), X[0] @ X[1].T, rtol=1e-12)


def test_what_is_not_there_says_so():
    with pytest.raises(AttributeError, match=r"fastnn.linalg has no svd.*NumPy's linalg"):
        linalg.svd  # noqa: B018
