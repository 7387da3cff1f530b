"""Functions of elements that are made of others, and those of two and three operands: values, dtypes, integers."""

import itertools

import numpy as np
import pytest

from fastnn import Tensor
from fastnn import functional as F

SPECIAL = np.array(list(itertools.product([0.0, -0.0, 1, -1.5, 2.5, np.inf, -np.inf, np.nan], repeat=2))).T
PAIRS = {
    "fmax": np.fmax, "fmin": np.fmin, "copysign": np.copysign, "fmod": np.fmod, "remainder": np.remainder,
    "floor_divide": np.floor_divide, "atan2": np.arctan2, "hypot": np.hypot, "logaddexp": np.logaddexp,
    "logaddexp2": np.logaddexp2, "float_power": np.float_power,
}  # fmt: skip


@pytest.mark.parametrize("name", PAIRS)
def test_pairs(name):
    function, ufunc = getattr(F, name), PAIRS[name]
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(function(*SPECIAL), ufunc(*SPECIAL), rtol=1e-12)
        a, b = np.array([[7.5], [-3.0]]), np.array([2.0, -1.5, 0.5])
        for x, y in [(a, b), (a, 2.0), (2.5, b), (a.astype(np.float32), b.astype(np.float32)), (np.array([7, -7]), 2)]:
            result = function(Tensor(x) if isinstance(x, np.ndarray) else x, y)
            np.testing.assert_allclose(result, ufunc(x, y), rtol=1e-6)
    assert function(Tensor(np.float32([1, 2])), 2).dtype == (np.float64 if name == "float_power" else np.float32)


def test_integers_stay_integers():
    x = Tensor([7, -7, 5])
    for y in (x % 3, x // 3, F.fmod(x, 3), F.div(x, 2, rounding_mode="floor"), F.div(x, 2, rounding_mode="trunc"),
              F.add(x, x, alpha=2), F.addcmul(x, x, x, value=2), F.abs(x), F.neg(x), F.square(x), F.sign(x),
              F.floor(x), F.round(x), F.clamp(x, 0, 3), F.maximum(x, x), F.where(x > 0, x, 0)):  # fmt: skip
        assert y.dtype == np.int64
    assert F.div(x, 2, rounding_mode="trunc").tolist() == [3, -3, 2]
    assert F.div(x, 2, rounding_mode="floor").tolist() == [3, -4, 2]
    assert F.addcmul(x, x, x, value=2).tolist() == [105, 91, 55]
    for name in ("sin", "exp2", "sqrt", "atan", "reciprocal"):
        assert getattr(F, name)(x).dtype == np.float32


def test_rounded_quotients():
    a, b = SPECIAL
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(F.div(a, b, rounding_mode="trunc"), np.trunc(a / b))
        np.testing.assert_array_equal(F.div(a, b, rounding_mode="floor"), np.floor_divide(a, b))


def test_single_operands():
    x = np.array([0.0, 0.25, -1.5, 2.345, np.nan, np.inf, -np.inf])
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(F.deg2rad(x), np.deg2rad(x))
        np.testing.assert_allclose(F.rad2deg(x), np.rad2deg(x))
        np.testing.assert_allclose(F.sinc(x[:5]), np.sinc(x[:5]), rtol=1e-12)
        np.testing.assert_allclose(F.logit(x[:3]), [-np.inf, np.log(1 / 3), np.nan])
        np.testing.assert_allclose(F.heaviside(x, 0.5), np.heaviside(x, 0.5))
        np.testing.assert_allclose(F.ldexp(x, np.arange(7.0)), np.ldexp(x, np.arange(7)))
        for decimals in (0, 1, 2, -1):
            np.testing.assert_allclose(F.round(x, decimals=decimals), np.round(x, decimals))
    np.testing.assert_array_equal(F.nan_to_num(x), np.nan_to_num(x))
    np.testing.assert_array_equal(F.nan_to_num(x, 7, 8, -9)[4:], [7, 8, -9])
    assert F.nan_to_num(x.astype(np.float32)).max() == np.finfo(np.float32).max
    assert F.isposinf(x).tolist() == [False] * 5 + [True, False]
    assert F.isneginf(Tensor(x)).tolist() == [False] * 6 + [True] and F.isreal(x).all()
    t = Tensor(x)
    assert F.positive(t) is t


def test_xlogy_and_lerp():
    np.testing.assert_array_equal(
        F.xlogy(np.array([0.0, 0, 0, 2]), np.array([0.0, -1, np.nan, 0])), [0, 0, np.nan, -np.inf]
    )
    a, b = np.array([1.0, 1e30]), np.array([3.0, -1e30])
    np.testing.assert_array_equal(F.lerp(a, b, 1.0), b)
    np.testing.assert_array_equal(F.lerp(a, b, 0.0), a)
    x = Tensor([1.0, 2.0], requires_grad=True)
    F.addcdiv(x, x, x, value=3).sum().backward()
    assert x.grad.tolist() == [1, 1]


def test_powers_with_quick_ways():
    x = np.array([0.5, 2.0, 3.0])
    for e in (2, 3, 0.5, -1, 2.0, 0, 1, 4, -0.5):
        for dtype in (np.float32, np.float64):
            y = F.pow(x.astype(dtype), e)
            assert y.dtype == dtype
            np.testing.assert_allclose(y, x**e, rtol=1e-6)
    assert (Tensor([1, 2, 3]) ** 2).tolist() == [1, 4, 9]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: F.fmod(None, 1.0), "fmod: input must be"),
        (lambda: F.hypot(np.ones(2), "a"), "hypot: other must be"),
        (lambda: F.lerp(np.ones(2), np.ones(2), None), "lerp: weight must be"),
        (lambda: F.sin("a"), "sin: input must be"),
        (lambda: F.add(np.ones(2), None, alpha=2), "add: other must be"),
        (lambda: F.nan_to_num(None), "nan_to_num: input must be"),
    ],
)
def test_errors(call, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        call()
