"""Values of functions that follow from others, against NumPy."""

import numpy as np
import pytest

import fastnn
from fastnn import Tensor
from fastnn import functional as F

X = np.random.default_rng(0).normal(size=(3, 5))
EMPTY = np.zeros((2, 0))


def test_values():
    x = Tensor(X)
    np.testing.assert_allclose(x.cov(), np.cov(X), rtol=1e-12)
    np.testing.assert_allclose(F.cov(X[0], correction=0), np.cov(X[0], ddof=0), rtol=1e-12)
    np.testing.assert_allclose(x.corrcoef(), np.corrcoef(X), rtol=1e-12)
    assert F.corrcoef(X[0]) == F.corrcoef(X[:1]) == 1 and F.cov(X[:1]).shape == ()
    np.testing.assert_allclose(fastnn.cross(x.T, x.T * 2 + 1), np.cross(X.T, X.T * 2 + 1), rtol=1e-12)
    np.testing.assert_allclose(fastnn.trapezoid(x), np.trapezoid(X), rtol=1e-12)
    np.testing.assert_allclose(
        fastnn.trapezoid(x, Tensor(X[0]).sort().values), np.trapezoid(X, np.sort(X[0])), rtol=1e-12
    )
    np.testing.assert_allclose(fastnn.cumulative_trapezoid(x)[:, -1], np.trapezoid(X), rtol=1e-12)
    np.testing.assert_allclose(x.clamp_min(0).clamp_max(0.5), np.clip(X, 0, 0.5), rtol=1e-12)
    np.testing.assert_allclose(fastnn.rsub(x, 1, alpha=3), 1 - 3 * X, rtol=1e-12)
    norms = np.linalg.norm(X, axis=1)
    assert np.linalg.norm(x.renorm(2, 0, 1.0), axis=1).numpy() == pytest.approx(np.minimum(norms, 1), rel=1e-6)


@pytest.mark.parametrize("invert", [False, True])
def test_isin(invert):
    y = fastnn.isin(Tensor([[1, 2], [3, 4]]), Tensor([4, 1]), invert=invert)
    assert y.tolist() == [[not invert, invert], [invert, not invert]]
    assert isinstance(F.isin(np.arange(3), [1]), np.ndarray)


def test_mode():
    x = Tensor([[1, 2, 2, 1, 0], [3, 3, 0, 0, 3]])
    values, indices = x.mode(1)
    assert values.tolist() == [1, 3] and indices.tolist() == [3, 4]
    assert x.mode(0, keepdim=True).values.shape == (1, 5) and Tensor(5).mode().values.item() == 5
    assert F.mode(EMPTY.T, 1).values.shape == (0,) and F.mode(EMPTY.T, 1, True).indices.shape == (0, 1)


def test_sign_of_booleans():
    x = np.array([True, False])
    assert F.sign(x).dtype == bool and F.sgn(Tensor(x)).tolist() == [True, False]
    assert F.heaviside(x, x).tolist() == [True, False]


def test_logit_of_integers():
    for dtype in (bool, np.uint8, np.int64):
        assert F.logit(np.ones(2, dtype)).tolist() == [np.inf, np.inf]


def test_where_of_a_condition_alone():
    rows, columns = fastnn.where(Tensor([[0, 1], [1, 0]]) > 0)
    assert rows.tolist() == [0, 1] and columns.tolist() == [1, 0]
    assert fastnn.where(Tensor([True, False]), 1.0, Tensor([2.0, 3.0])).tolist() == [1, 3]


@pytest.mark.parametrize("wrong", [
    lambda: F.cross(X, X[:, :4]), lambda: F.cross(X, X, 1), lambda: F.cross(EMPTY, EMPTY),
    lambda: F.renorm(X, 0, 0, 1.0),
    lambda: F.renorm(X, 2, 2, 1.0), lambda: F.renorm(X, 2, 0, -1.0), lambda: F.cov(X[None]), lambda: F.mode(EMPTY),
    lambda: F.mode(X, 2), lambda: F.trapezoid(X, dim=2),
])  # fmt: skip
def test_misuse(wrong):
    with pytest.raises(ValueError, match="^(cross|renorm|cov|mode|trapezoid|mul): "):
        wrong()


def test_index_select_of_a_number_takes_one_index():
    assert F.index_select(Tensor(3.0), 0, Tensor([0])).item() == 3
    for index in ([], [0, 0]):
        with pytest.raises(ValueError, match=r"index_select: index of shape \(\d,\) does not fit"):
            F.index_select(Tensor(3.0), 0, np.array(index, int))
