"""Softmax kernels against float64: over any dimension, in any layout, at special values."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.softmax import kernels as cpu
from fastnn_kernels.cpu.softmax.kernels import FEW, PIECE
from fastnn_kernels.cpu.vector.simd import vector_bytes
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.threads import threads
from tests.reference import softmax as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
W = vector_bytes() // 4  # float32 of a vector
SHAPES = [
    *[((rows, 10), -1) for rows in (1, 7, W, 2 * W + 1)],
    *[((3, n), 1) for n in (2, W, W + 1, FEW, FEW + 1, 2 * W + 5, 4 * W - 1, 4 * W, PIECE * W, PIECE * W + 1, 1000)],
    *[((2, 3, width), 1) for width in (2, W - 1, W, W + 1, 5 * W)],
    ((5, 17), 0),
    ((2, 3, 4, 5), 1),
    ((2, 33, 6), -2),
    ((4,), 0),
    ((3, 1), 1),
    ((1, 3), 0),
    ((0, 3), 1),
    ((3, 0), 1),
    ((2, 0, 3), 1),
    ((), -1),
]
shapes = pytest.mark.parametrize("shape, dim", SHAPES, ids=str)


def draw(shape, dtype, scale=10):
    return (scale * np.random.default_rng(5).normal(size=shape)).astype(dtype)


@DTYPES
@shapes
def test_forward(shape, dim, dtype):
    x = draw(shape, dtype)
    length = x.shape[dim] if shape else 1
    y, logs = kernels.softmax(x, dim), kernels.log_softmax(x, dim)
    assert y.dtype == logs.dtype == dtype and y.shape == logs.shape == shape
    if x.size:
        x = x.reshape(shape or 1)
        exact = reference.log_softmax(x, dim)
        error = np.abs(y.reshape(x.shape) / np.exp(exact) - 1)
        assert (error <= reference.softmax_tolerance(x, dim)).all()
        tolerance = reference.tolerance(dtype, length)
        np.testing.assert_allclose(logs.reshape(x.shape), exact, rtol=tolerance, atol=tolerance)


@DTYPES
@pytest.mark.parametrize("shape", [(2, 3, 16), (1, 40, 48), (1, 300, 16)], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_past_the_caches_it_is_the_same(name, shape, dtype, monkeypatch):
    x, run = draw(shape, dtype), getattr(kernels, name)
    near = run(x, 1)
    monkeypatch.setattr(cpu, "FAR", 0)
    plans.forget()
    try:
        for shift in (0, near.itemsize):  # only arrays that start with a cache line get streaming stores
            memory = np.zeros(near.nbytes + 128, np.uint8)
            start = -memory.ctypes.data % 64 + shift
            out = memory[start : start + near.nbytes].view(dtype).reshape(shape)
            assert np.array_equal(run(x, 1, out=out), near)
            assert not memory[:start].any() and not memory[start + near.nbytes :].any()
    finally:
        plans.forget()


@DTYPES
@pytest.mark.parametrize("shape, dim", [((3, 10), 1), ((3, 100), 1), ((10, 3), 0)], ids=str)
def test_logarithms_of_numbers_far_from_zero(shape, dim, dtype):
    x = draw(shape, dtype, 1) + dtype(4096)  # whose differences are exact
    tolerance = reference.tolerance(dtype, x.shape[dim])
    np.testing.assert_allclose(
        kernels.log_softmax(x, dim), reference.log_softmax(x, dim), rtol=tolerance, atol=tolerance
    )


@DTYPES
@shapes
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_backward(name, shape, dim, dtype):
    if not shape:
        return
    y = getattr(kernels, name)(draw(shape, dtype, 2), dim)
    dy = np.random.default_rng(6).normal(size=shape).astype(dtype)
    dx = getattr(kernels, f"{name}_backward")(dy, y, dim)
    expected = getattr(reference, f"{name}_backward")(dy, y, dim)
    assert dx.dtype == dtype
    np.testing.assert_allclose(dx, expected, rtol=1e-3, atol=8 * reference.tolerance(dtype, shape[dim]))


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_layouts_and_out(dim, rng):
    base = rng.normal(size=(6, 4, 10))
    for x in (base.transpose(2, 0, 1), base[::2, ::-1, 1::3], np.broadcast_to(base[:, :1], base.shape)):
        x.flags.writeable = False
        y = kernels.softmax(x, dim)
        np.testing.assert_allclose(y, reference.softmax(x, dim), rtol=1e-13)
        out = np.full(x.shape[::-1], np.nan).T
        assert kernels.softmax(x, dim, out=out) is out
        np.testing.assert_array_equal(out, y)


@DTYPES
@pytest.mark.parametrize("dim", [0, 1])
def test_special_values(dim, dtype):
    nan, inf = np.nan, np.inf
    x = np.array([[-inf, -inf, -inf], [-inf, 0, 0], [inf, 0, 0], [nan, 0, 0], [3e4, 0, -3e4]], dtype)
    expected = np.array([[nan] * 3, [0, 0.5, 0.5], [nan] * 3, [nan] * 3, [1, 0, 0]])
    y = kernels.softmax(x if dim else x.T.copy(), dim)
    np.testing.assert_array_equal(y if dim else y.T, expected)
    logs = kernels.log_softmax(x if dim else x.T.copy(), dim)
    logs = logs if dim else logs.T
    np.testing.assert_array_equal(np.isnan(logs), [[1] * 3, [0] * 3, [1] * 3, [1] * 3, [0] * 3])
    np.testing.assert_allclose(logs[1], [-inf, -np.log(2), -np.log(2)], rtol=1e-6)
    np.testing.assert_array_equal(logs[4], np.array([0, -3e4, -6e4]))


@pytest.mark.parametrize("dim", [0, 1])
def test_same_bits_for_any_number_of_threads(dim):
    x = draw((700, 500), np.float32)
    results = []
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            y = kernels.softmax(x, dim)
            results.append([y, kernels.log_softmax(x, dim), kernels.softmax_backward(x, y, dim)])
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_bad_arguments(rng):
    x = rng.normal(size=(2, 3))
    with pytest.raises(ValueError, match="softmax: dim must be from -2 to 1 for 2 dimensions, got 2"):
        kernels.softmax(x, 2)
    with pytest.raises(TypeError, match="log_softmax: input must be float32 or float64, got complex128"):
        kernels.log_softmax(np.ones(3, complex))
    with pytest.raises(ValueError, match=r"softmax_backward: dy has shape \(3, 2\) but y has \(2, 3\)"):
        kernels.softmax_backward(x.T, x)
    with pytest.raises(ValueError, match="softmax: out overlaps an input"):
        kernels.softmax(x, out=x)
