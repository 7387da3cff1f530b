"""Functions of several arrays: NumPy's values, broadcasting and errors."""

import inspect
import itertools

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.arithmetic import NUMPY
from fastnn_kernels.formulas.arithmetic import FORMULAS
from tests.reference.arithmetic import TABLE

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
PAIRS = [("add", np.add), ("mul", np.multiply)]
SHAPES = {
    1: [((),), ((0, 3),), ((7,),)],
    2: [((129, 3), (3,)), ((2, 1, 5), (4, 1)), ((1100,), ()), ((3, 1, 2, 1, 3), (1, 4, 1, 2, 1)), ((9000, 1), (1, 3))],
    3: [((5, 1), (4,), ()), ((2, 600), (2, 1), (600,)), ((3, 1, 2, 1), (1, 4, 1, 2), (1,)), ((0, 2), (2,), ())],
    4: [((5, 1), (4,), (), (1, 1)), ((2, 600), (2, 1), (600,), (600,)), ((3, 1, 2, 1), (4, 1, 2), (1,), (3, 1, 1, 1))],
}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.5, -3.0, np.inf, -np.inf, np.nan]


def count_of(name):
    return len(inspect.signature(FORMULAS[name]).parameters)


def test_every_function_has_a_reference():
    assert TABLE.keys() | {"where"} == FORMULAS.keys()


@DTYPES
@pytest.mark.parametrize("name", TABLE)
def test_values(name, dtype, rng):
    count = count_of(name)
    for shapes in [((),) * count, ((0, 3),) * count, ((1009,),) * count, ((40, 50),) * count, *SHAPES[count]]:
        arrays = [rng.uniform(0.2, 3, shape).astype(dtype) for shape in shapes]
        expected = TABLE[name](*[x.astype(np.float64) for x in arrays])
        result = getattr(kernels, name)(*arrays)
        assert result.dtype == dtype and result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=20 * np.finfo(dtype).eps, atol=20 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", [n for n in TABLE if not n.startswith(("lerp", "addc")) and "backward" not in n])
def test_special_values(name):
    arrays = np.array(list(itertools.product(SPECIAL, repeat=count_of(name)))).T
    with np.errstate(all="ignore"):
        expected = TABLE[name](*arrays)
        if name == "xlogy":
            expected[(arrays[0] == 0) & ~np.isnan(arrays[1])] = 0
    result = getattr(kernels, name)(*map(np.ascontiguousarray, arrays))
    for *given, y, right in zip(*arrays, result, expected, strict=True):
        assert y == pytest.approx(right, rel=1e-14, nan_ok=True), given


@DTYPES
def test_powers_are_accurate(dtype, rng):
    limit = 87 if dtype == np.float32 else 705
    x = np.exp(rng.uniform(-limit / 2, limit / 2, 600)).astype(dtype)
    x[::3] = 1 + 10 ** rng.uniform(-6, -1, 200)
    y = (rng.uniform(-limit, limit, 600) / np.log(x.astype(np.float64))).astype(dtype)
    exact = np.array([np.longdouble(a) ** np.longdouble(b) for a, b in zip(x, y, strict=True)])
    error = np.abs(kernels.pow(x, y) - exact) / np.spacing(exact.astype(dtype))
    assert error.max() <= (1 if dtype == np.float32 else 2)
    x, y = np.array([-2.0, -2, -2, -2]), np.array([3.0, 2, 0.5, -1])
    np.testing.assert_array_equal(kernels.pow(x, y), [-8, 4, np.nan, -0.5])


@DTYPES
@pytest.mark.parametrize(("name", "ufunc"), PAIRS)
@pytest.mark.parametrize("shape", [(), (0, 3), (7,), (129, 3), (100, 331), (40, 50, 150)])
def test_same_bits_as_numpy(name, ufunc, dtype, shape, rng):
    a, b = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    if a.size > 4:
        a.flat[:4], b.flat[:4] = (np.nan, np.inf, -np.inf, 0), (1, np.inf, 2, -0.0)
    with np.errstate(invalid="ignore"):
        expected = ufunc(a, b)
    function, out = getattr(kernels, name), np.full(shape, 7, dtype)
    for result in (function(a, b), function(a, b, out=out), function(a.copy(), b, out=a)):
        np.testing.assert_array_equal(result, expected)
    assert (out.tobytes(), a.tobytes()) == (np.asarray(expected).tobytes(),) * 2


@pytest.mark.parametrize("name", [name for name in NUMPY if count_of(name) == 2])
def test_numpy_does_the_rest(name, rng):
    x = rng.uniform(0.5, 2, (4, 5)).astype(np.float32)
    function, ufunc = getattr(kernels, name), NUMPY[name]
    for a, b in [
        (x, x[0]), (x, x.astype(np.float64)), (x, 2.0), (2.0, x), (x, 3), (3, x), (x, True), (x.T, x.T),
        (x, x.T.copy().T), (x[::2], x[1::2]), (np.arange(1, 4), np.arange(1, 4)), ([1, 2], [3.0, 4.0]),
        (np.float32(1), np.float32(2)), (x.astype(">f4"), x[0]), (x.astype(np.float16), x),
    ]:  # fmt: skip
        result, expected = function(a, b), ufunc(a, b)
        assert result.dtype == expected.dtype
        np.testing.assert_allclose(result, expected, rtol=1e-6)
    with pytest.raises(ValueError, match=rf"{name}: input \(4, 5\), \w+ \(5, 4\) could not be broadcast"):
        function(x, x.T)
    flat = x.reshape(-1)
    with pytest.raises(ValueError, match=f"{name}: out overlaps an input"):
        function(flat[:10], flat[10:], out=flat[5:15])


def test_where(rng):
    a, b = rng.normal(size=(2, 4, 5)).astype(np.float32)
    mask = a > 0
    for condition in (mask, mask.astype(np.uint8), mask.astype(np.int64), mask * 0.5, mask.tolist()):
        np.testing.assert_array_equal(kernels.where(condition, a, b), np.where(mask, a, b))
    for condition, x, y in [
        (mask, a, 0.0), (mask, 1.0, b), (mask[:, :1], a, b), (mask[0], a, b[:, :1]), (mask, a[0], b[:, :1]),
        (mask[::-1, ::-1], a.T.copy().T, b), (True, a, b), (mask, a.astype(np.float64), b), (mask, a[:1, :1], b[:1]),
        (mask, np.arange(5), 7), (mask, 1, 2.0), (mask[:0], a[:0], b[:0]), (mask[:, :1], a[0, 0], b[0, 0]),
    ]:  # fmt: skip
        result, expected = kernels.where(condition, x, y), np.where(condition, x, y)
        np.testing.assert_array_equal(result, expected)
        assert result.dtype == expected.dtype
    out = a.copy()
    assert kernels.where(mask, out, b, out=out) is out
    np.testing.assert_array_equal(out, np.where(mask, a, b))
    with pytest.raises(ValueError, match=r"where: condition \(4, 5\), input \(3,\), other \(4, 5\) could not be"):
        kernels.where(mask, a[0, :3], b)
    with pytest.raises(TypeError, match="where: condition must be"):
        kernels.where("a", a, b)


@DTYPES
def test_gradients_of_products_and_extrema(dtype, rng):
    x = rng.uniform(0.5, 2, (4, 3, 5)).astype(dtype)
    x[0, 0, :2] = x[1, 1, 1] = 0
    for axis in (None, 0, -1, (0, 2), ()):
        dy = rng.normal(size=np.prod(x, axis, keepdims=True).shape).astype(dtype)
        axes = tuple(range(3)) if axis is None else axis if isinstance(axis, tuple) else (axis % 3,)
        expected = np.empty(x.shape)
        for place in np.ndindex(x.shape):
            others = x.astype(np.float64)
            others[place] = 1
            at = tuple(0 if d in axes else i for d, i in enumerate(place))
            expected[place] = dy[at] * np.prod(others, axis, keepdims=True)[at]
        np.testing.assert_allclose(kernels.prod_backward(dy, x, axis), expected, rtol=50 * np.finfo(dtype).eps)
        for extreme in (np.max, np.min):
            y = extreme(x, axis, keepdims=True)
            hits = x == y
            shared = np.where(hits, dy / hits.sum(axis, keepdims=True), 0)
            np.testing.assert_allclose(kernels.extremum_backward(dy, x, y), shared, rtol=4 * np.finfo(dtype).eps)
    with pytest.raises(ValueError, match=r"prod_backward: dy must have shape \(1, 3, 5\)"):
        kernels.prod_backward(x, x, 0)
    with pytest.raises(ValueError, match=r"extremum_backward: dy \(4, 3, 5\) and y \(1, 3, 5\)"):
        kernels.extremum_backward(x, x, x[:1])
