"""Reductions against exact arithmetic: over any axes, in any layout, at special values, for any number of threads."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.cpu.vector.simd import vector_bytes
from fastnn_kernels.ground import memory, plans
from fastnn_kernels.ground.threads import threads
from tests.reference import reduction as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
NAMES = ["sum", "mean", "var", "std", "prod", "max", "min", "argmax", "argmin"]
ULPS = {"sum": 1, "mean": 1.5, "var": 3, "std": 2, "prod": 1, "max": 0, "min": 0}
W = vector_bytes() // 4  # float32 of a vector
SHAPES = [
    *[((n,), None) for n in (1, 2, W - 1, W, W + 1, 4 * W, 4 * W + 3, 100, 1000, 9000)],
    *[((3, n), 1) for n in (1, 2, 10, 31, 32, 33, 100, 300)],
    *[((n, 3), 0) for n in (1, 4, 10, 500, 2000)],
    *[((5, n), 0) for n in (W - 1, W, W + 1, 100, 257, 600)],
    *[((300, n), 0) for n in (1, 2, 5, 100)],
    *[((2, 3, 4, 5), axis) for axis in (None, 0, 1, -1, (0, 2), (1, 3), (0, 3), (1, 2), (-1, 0, 2), (0, 1, 2, 3))],
    ((3, 50, 2), 1),
    ((2, 40, 3, 33), (1, 3)),
    ((1, 7, 1), 1),
    ((7, 1), 1),
    ((4, 0), 0),
    ((0, 4), 1),
]
shapes = pytest.mark.parametrize("shape, axis", SHAPES, ids=str)


def draw(shape, dtype, near=0.5):
    """Return numbers around 1 whose sums cancel little."""
    return np.random.default_rng(5).uniform(near, 1 / near, shape).astype(dtype)


def check(name, x, axis, **options):
    result = getattr(kernels, name)(x, axis, **options)
    exact = reference.reduce(name, x, axis, **options)
    assert np.shape(result) == exact.shape
    if name.startswith("arg"):
        assert result.dtype == np.int64
        np.testing.assert_array_equal(result, exact)
        return
    assert result.dtype == x.dtype
    if exact.size:
        assert reference.ulps(result, exact).max() <= ULPS[name] + 0.5


@DTYPES
@shapes
@pytest.mark.parametrize("name", NAMES)
def test_values(name, shape, axis, dtype):
    if name.startswith("arg") and isinstance(axis, tuple):
        return
    check(name, draw(shape, dtype, 0.5 if name != "prod" else 0.99), axis)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("axis", [None, 0, 1, 2, (0, 1), (0, 2), (1, 2)])
def test_layouts(name, axis):
    if name.startswith("arg") and isinstance(axis, tuple):
        return
    base = draw((34, 3, 40), np.float32, 0.5 if name != "prod" else 0.99)
    layouts = [
        base.transpose(2, 0, 1), base[::-1], base[:, ::-1, ::-2], base[::2, 1::2, 3::7], base[:, :, :3],
        np.broadcast_to(base[:, :1], base.shape), np.broadcast_to(base[:1, :1], base.shape),
        np.asfortranarray(base), base[:, :, 5:6], base[:, :, ::3], base[3:4],
    ]  # fmt: skip
    for x in layouts:
        check(name, x, axis)


def test_unaligned_and_packed_fields_and_other_byte_orders():
    x = draw((7, 40), np.float32)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(kernels, name)(x.astype(">f4"), 1), getattr(kernels, name)(x, 1))
    records = np.zeros(100, [("byte", "u1"), ("value", "<f4")])
    records["value"] = draw(100, np.float32)
    for name in NAMES:
        check(name, records["value"], None)
        out = np.zeros((), np.int64 if name.startswith("arg") else np.float32)
        getattr(kernels, name)(records["value"], out=out)
        assert out == getattr(kernels, name)(records["value"].copy())


@DTYPES
@pytest.mark.parametrize("shape, axis", [((7, 5), 0), ((5, 70), 1), ((300, 2), 0), ((3, 4, 5), (0, 2)), ((9,), None)])
@pytest.mark.parametrize("name", NAMES)
def test_out_and_keepdims(name, shape, axis, dtype):
    if name.startswith("arg") and isinstance(axis, tuple):
        return
    x, function = draw(shape, dtype), getattr(kernels, name)
    expected = function(x, axis)
    kept = function(x, axis, keepdims=True)
    assert kept.shape == reference.shape(x, axis, True)
    np.testing.assert_array_equal(kept.reshape(np.shape(expected)), expected)
    for keepdims in (False, True):
        target = reference.shape(x, axis, keepdims)
        out = np.full(target, 7, expected.dtype)
        assert function(x, axis, keepdims=keepdims, out=out) is out
        np.testing.assert_array_equal(out.reshape(np.shape(expected)), expected)
        wide = np.full((*target, 2), 7, expected.dtype)
        function(x, axis, keepdims=keepdims, out=wide[..., 0])
        np.testing.assert_array_equal(wide[..., 0].reshape(np.shape(expected)), expected)
        assert (wide[..., 1] == 7).all()


@pytest.mark.parametrize("shape, axis", [((10**8,), None), ((2 * 10**7, 2), 0), ((2, 2 * 10**7), 1)], ids=str)
def test_many_ones(shape, axis):
    x = np.broadcast_to(np.float32(1), shape)  # no memory
    count = x.size if axis is None else shape[axis]
    assert (kernels.sum(x, axis) == count).all() and (kernels.mean(x, axis) == 1).all()
    assert (kernels.var(x[: 10**6], axis) == 0).all() and (kernels.prod(x[: 10**6], axis) == 1).all()


@DTYPES
@pytest.mark.parametrize("shape, axis", [((1 << 19,), None), ((1 << 18, 2), 0), ((1 << 17, 3), 0), ((3, 1 << 17), 1)])
def test_long_sums_of_equal_and_other_numbers(shape, axis, dtype):
    for x in (np.full(shape, 0.1, dtype), draw(shape, dtype), draw(shape, dtype) - dtype(0.7)):
        check("sum", x, axis)
        check("mean", x, axis)


@pytest.mark.parametrize(
    "shape, axis", [((1 << 18,), None), ((1 << 16, 3), 0), ((3, 1 << 16), 1), ((1 << 14, 40), 0)], ids=str
)
def test_long_products(shape, axis):
    x = draw(shape, np.float32, 0.999)
    with np.errstate(all="ignore"):
        exact = np.multiply.reduce(x.astype(np.longdouble), axis)
    assert reference.ulps(kernels.prod(x, axis), exact).max() <= 1


@DTYPES
@pytest.mark.parametrize("axis", [0, 1, None])
def test_variance_far_from_zero(axis, dtype):
    x = draw((50, 40), dtype) + dtype(1e4 if dtype is np.float32 else 1e12)
    check("var", x, axis)
    check("var", x, axis, ddof=1)
    check("std", x, axis, ddof=1)
    assert kernels.var(np.full((3, 1), 1e30, dtype), axis=1).tolist() == [0, 0, 0]


def test_variance_with_too_few_elements():
    x = np.array([1.0, 2.0])
    assert (
        np.isnan(kernels.var(x[:1], ddof=1)) and kernels.var(x, ddof=2) == np.inf and kernels.var(x, ddof=3) == np.inf
    )
    assert np.isnan(kernels.std(x[:0])) and np.isnan(kernels.var(x[:0], ddof=1))
    assert kernels.var(x, ddof=0.5) == 0.5 / 1.5


@DTYPES
@pytest.mark.parametrize(
    "shape, axis", [((100,), None), ((3, 100), 1), ((100, 3), 0), ((100, 40), 0), ((5, 6), 1)], ids=str
)
def test_special_values(shape, axis, dtype):
    nan, inf = np.nan, np.inf
    x = draw(shape, dtype)
    for place in (0, 3, -1):
        for values in ((nan,), (inf,), (-inf,), (inf, -inf), (nan, inf), (nan, -inf), (inf, inf), (-inf, -inf)):
            y = x.copy()
            line = np.moveaxis(y, 0 if axis is None else axis, 0)
            line[place], line[1] = values[0], values[-1]
            with np.errstate(invalid="ignore", over="ignore"):
                for name in ("sum", "mean", "prod", "max", "min", "argmax", "argmin", "var"):
                    expected = getattr(np, name)(y.astype(np.float64), axis=axis)
                    got = getattr(kernels, name)(y, axis)
                    np.testing.assert_allclose(got, expected, rtol=1e-5, err_msg=f"{name} {values} at {place}")


@DTYPES
def test_signs_of_zero_and_subnormal_numbers(dtype):
    zeros = np.full((2, 50), -0.0, dtype)
    tiny = np.full((2, 50), np.finfo(dtype).smallest_subnormal, dtype)
    for axis in (0, 1, None):
        assert (kernels.max(zeros, axis) == 0).all() and np.signbit(kernels.max(zeros, axis)).all()
        assert (kernels.sum(zeros, axis) == 0).all()
        np.testing.assert_array_equal(kernels.sum(tiny, axis), tiny.sum(axis))
        np.testing.assert_array_equal(kernels.max(-tiny, axis), (-tiny).max(axis))
    odd = np.full((1, 3), -1, dtype)
    odd[0, 1] = -0.0
    assert np.signbit(kernels.prod(np.full(1, -0.0, dtype))) and not np.signbit(kernels.prod(odd[:, :2]))
    assert kernels.prod(np.array([0, np.finfo(dtype).max, np.finfo(dtype).max], dtype)) == 0 or np.isnan(0.0 * np.inf)


@DTYPES
@pytest.mark.parametrize(
    "shape, axis", [((1000,), None), ((7, 300), 1), ((300, 7), 0), ((40, 300), 0), ((9, 5), 1)], ids=str
)
def test_the_first_of_equals(shape, axis, dtype):
    rng = np.random.default_rng(1)
    for classes in (1, 2, 5):
        x = rng.integers(0, classes, shape).astype(dtype)
        for name in ("argmax", "argmin"):
            np.testing.assert_array_equal(getattr(kernels, name)(x, axis), getattr(np, name)(x, axis))
        x[rng.random(shape) < 0.02] = np.nan
        for name in ("argmax", "argmin"):
            np.testing.assert_array_equal(getattr(kernels, name)(x, axis), getattr(np, name)(x, axis))
            low = np.full(shape, -np.inf if name == "argmax" else np.inf, dtype)
            assert not getattr(kernels, name)(low, axis).any()


def test_nothing():
    for shape, axis, expected in (((0, 3), 0, (3,)), ((3, 0), 1, (3,)), ((0,), None, ()), ((0, 2, 3), (0, 1), (3,))):
        x = np.zeros(shape, np.float32)
        assert (kernels.sum(x, axis) == 0).all() and (kernels.prod(x, axis) == 1).all()
        assert np.isnan(kernels.mean(x, axis)).all() and np.isnan(kernels.var(x, axis)).all()
        assert kernels.sum(x, axis).shape == kernels.mean(x, axis).shape == expected
        assert kernels.mean(x, axis).dtype == np.float32
        for name in ("max", "min"):
            with pytest.raises(ValueError, match=rf"{name}: a zero-size array of shape \({shape[0]}"):
                getattr(kernels, name)(x, axis)
        if not isinstance(axis, tuple):
            for name in ("argmax", "argmin"):
                with pytest.raises(ValueError, match=f"{name}: a zero-size array"):
                    getattr(kernels, name)(x, axis)
    x = np.zeros((0, 3), np.float32)
    for name in NAMES:
        assert getattr(kernels, name)(x, 1).shape == (0,)


def test_no_axes_and_no_dimensions():
    x = draw((3, 4), np.float64)
    for name in ("sum", "mean", "prod", "max", "min"):
        np.testing.assert_array_equal(getattr(kernels, name)(x, ()), x)
        for axis in (None, 0, -1, ()):
            assert getattr(kernels, name)(np.array(3.5), axis) == 3.5
    assert (kernels.var(x, ()) == 0).all() and kernels.argmax(np.array(3.5), -1) == 0
    assert isinstance(kernels.sum(x), np.float64) and isinstance(kernels.argmax(x), np.int64)


@DTYPES
@pytest.mark.parametrize(
    "shape, axis",
    [((300_001,), None), ((2, 150_001), 1), ((150_001, 2), 0), ((20_000, 33), 0), ((700, 500), 0), ((700, 500), 1)],
    ids=str,
)
def test_same_bits_for_any_number_of_threads(shape, axis, dtype):
    x = (np.random.default_rng(3).normal(size=shape) * 100).astype(dtype)
    for name in NAMES:
        results = []
        for count in (1, 2, 5):
            with threads(count):
                results.append(np.asarray(getattr(kernels, name)(x, axis)).tobytes())
        assert len(set(results)) == 1, name


@DTYPES
@pytest.mark.parametrize(
    "shape, axis", [((300_001,), None), ((150_001, 2), 0), ((33, 20_000), 0), ((100_000, 3), 0)], ids=str
)
def test_extremes_of_several_blocks(shape, axis, dtype):
    x = np.random.default_rng(3).integers(0, 9, shape).astype(dtype)
    for name in ("max", "min", "argmax", "argmin"):
        np.testing.assert_array_equal(getattr(kernels, name)(x, axis), getattr(np, name)(x, axis))
    x.reshape(-1)[[x.size // 2, x.size // 2 + 1]] = np.nan
    for name in ("max", "min", "argmax", "argmin"):
        np.testing.assert_array_equal(getattr(kernels, name)(x, axis), getattr(np, name)(x, axis))


def test_memory_full_of_denormals_changes_nothing():
    arrays = (draw((300, 5), np.float32), 0), (draw((300, 5), np.float32), 1), (draw(3001, np.float32), None)
    calls = [(getattr(kernels, name), x, axis) for name in NAMES for x, axis in arrays]
    before = [function(x, axis) for function, x, axis in calls]

    def full(shape, dtype):
        y = np.empty(shape, dtype)
        y.fill(1e-40 if y.dtype.kind == "f" else 7)
        return y

    with memory.allocator(full):
        for (function, x, axis), expected in zip(calls, before, strict=True):
            np.testing.assert_array_equal(function(x, axis), expected)


def test_plans_are_kept_by_all_that_they_depend_on():
    x = draw((6, 6), np.float32)
    assert kernels.sum(x, 1).shape == (6,) and kernels.sum(x, 1, keepdims=True).shape == (6, 1)
    with pytest.raises(TypeError, match="sum: axis must be an integer, several or None, got True"):
        kernels.sum(x, True)
    np.testing.assert_array_equal(kernels.sum(x.T, 0), kernels.sum(x, 1))
    assert kernels.var(x, ddof=1) != kernels.var(x)
    plans.forget()
    assert kernels.sum(x, 1).shape == (6,)


def test_bad_arguments():
    x = draw((2, 3), np.float32)
    with pytest.raises(ValueError, match="sum: axis must be from -2 to 1 for 2 dimensions, got 2"):
        kernels.sum(x, 2)
    with pytest.raises(ValueError, match=r"mean: axis \(0, -2\) has an axis twice"):
        kernels.mean(x, (0, -2))
    with pytest.raises(TypeError, match="max: axis must be an integer, several or None, got 1.0"):
        kernels.max(x, 1.0)
    with pytest.raises(TypeError, match=r"argmax: axis must be an integer or None, got \(0, 1\)"):
        kernels.argmax(x, (0, 1))
    with pytest.raises(TypeError, match="sum: x must be float32 or float64, got complex128"):
        kernels.sum(np.ones(3, complex))
    with pytest.raises(TypeError, match="sum: x must be an array, got None"):
        kernels.sum(None)
    with pytest.raises(ValueError, match=r"sum: out must have shape \(3,\), got \(2,\)"):
        kernels.sum(x, 0, out=np.zeros(2, np.float32))
    with pytest.raises(TypeError, match="argmin: out must be int64, got float32"):
        kernels.argmin(x, 0, out=np.zeros(3, np.float32))
    with pytest.raises(ValueError, match="prod: out overlaps an input"):
        kernels.prod(x, 0, out=x[0])
    with pytest.raises(TypeError, match="var: ddof must be a number, got '1'"):
        kernels.var(x, ddof="1")
    np.testing.assert_array_equal(kernels.sum(x, [0]), kernels.sum(x, 0))
    np.testing.assert_array_equal(kernels.sum(x, np.int8(1)), kernels.sum(x, 1))
