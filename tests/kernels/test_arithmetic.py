"""Sums and products: NumPy's, to the bit and to the error."""

import numpy as np
import pytest

import fastnn_kernels as kernels

PAIRS = [("add", np.add), ("mul", np.multiply)]


@pytest.mark.parametrize(("name", "ufunc"), PAIRS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
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


@pytest.mark.parametrize(("name", "ufunc"), PAIRS)
def test_numpy_does_the_rest(name, ufunc, rng):
    x = rng.normal(size=(4, 5)).astype(np.float32)
    function = getattr(kernels, name)
    for a, b in [
        (x, x[0]), (x, x.astype(np.float64)), (x, 2.0), (2.0, x), (x.T, x.T), (x, x.T.copy().T), (x[::2], x[1::2]),
        (np.arange(3), np.arange(3)), (x > 0, x), ([1, 2], [3.0, 4.0]), (np.float32(1), np.float32(2)),
    ]:  # fmt: skip
        result, expected = function(a, b), ufunc(a, b)
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)
    with pytest.raises(ValueError, match="could not be broadcast"):
        function(x, x.T)
    flat = x.reshape(-1)
    with pytest.raises(ValueError, match=f"{name}: out overlaps an input"):
        function(flat[:10], flat[10:], out=flat[5:15])
