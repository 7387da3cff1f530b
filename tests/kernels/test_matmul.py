"""Matrix products against the reference: shapes cut from the tile, strides, stacks, packed operands, threads."""

import copy
import itertools
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fastnn_kernels as k
from fastnn_kernels.cpu.vector.gemm_tile import TILE_ROWS, TILE_VECTORS
from fastnn_kernels.cpu.vector.gemv_tile import ROWS as FEW
from fastnn_kernels.cpu.vector.simd import vector_bytes
from tests.reference import matmul as reference

DTYPES = (np.float32, np.float64)
THREADS = (1, 2, 3, 8, 17)
LANES = vector_bytes() // 4
# 1, and around a tile, in rows and in columns (for float32; float64 has half as many columns); a prime
ROWS = sorted({1, FEW, FEW + 1, TILE_ROWS - 1, TILE_ROWS, TILE_ROWS + 1, 37})
COLUMNS = sorted({1, LANES - 1, LANES, TILE_VECTORS * LANES - 1, TILE_VECTORS * LANES, TILE_VECTORS * LANES + 1, 89})


def normal(*shape, dtype=np.float32, seed=0):
    return np.random.default_rng((seed, *shape)).standard_normal(shape, dtype)


def close(actual, expected, dtype, reduction):
    assert actual.dtype == dtype and actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=0, atol=reference.tolerance(dtype, reduction))


LAYOUTS = {
    "plain": lambda x: x,
    "transposed": np.asfortranarray,
    "every second": lambda x: np.repeat(np.repeat(x, 2, 0), 2, 1)[::2, ::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "part of a larger one": lambda x: np.pad(x, ((1, 2), (3, 1)), constant_values=np.nan)[1:-2, 3:-1],
}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("layout_b", LAYOUTS)
@pytest.mark.parametrize("layout_a", LAYOUTS)
def test_shapes_around_the_tile_in_every_layout(dtype, layout_a, layout_b):
    for m in ROWS:
        for n in COLUMNS:
            for depth in (1, 3, 19):
                a, b = normal(m, depth, dtype=dtype), normal(depth, n, dtype=dtype)
                close(k.matmul(LAYOUTS[layout_a](a), LAYOUTS[layout_b](b)), reference.matmul(a, b), dtype, depth)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300, 700, 1500), (229, 1100, 70), (8, 2500, 1100), (3, 40, 3000), (1000, 9, 1030)])
@pytest.mark.parametrize("layout", ["plain", "transposed", "every second"])
def test_blocks_give_the_same_bits_for_any_number_of_threads(shape, dtype, layout):
    m, n, depth = shape
    a, b = normal(m, depth, dtype=dtype), normal(depth, n, dtype=dtype)
    results = []
    for threads in THREADS:
        with k.threads(threads):
            results.append(k.matmul(LAYOUTS[layout](a), LAYOUTS[layout](b)))
            results.append(k.matmul(a, k.prepare_matmul(b)))
    close(results[0], reference.matmul(a, b), dtype, depth)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize("dtype", DTYPES)
def test_few_rows_of_a_large_product(dtype):
    b = normal(2100, 3100, dtype=dtype)  # longer than the sums that are kept at once, and from beyond the caches
    for m in range(1, FEW + 1):
        a = normal(m, 2100, dtype=dtype)
        close(k.matmul(a, b), reference.matmul(a, b), dtype, 2100)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("m", [1, 2, 3, 4, 5, 7, 48])
def test_inner_products_of_long_rows(m, dtype):
    for n in (1, 5, 6, 8, 13):
        for depth in (64, 77, 8203):  # whole vectors, a rest, more than one block
            a, weight = normal(m, depth, dtype=dtype), normal(n, depth, dtype=dtype, seed=1)
            close(k.matmul(a, weight.T), reference.matmul(a, weight.T), dtype, depth)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(300, 50, 100), (90, 100, 130), (100, 64, 200), (40, 300, 100)])
def test_inner_products_of_rows_do_not_depend_on_the_number_of_threads(shape, dtype):
    m, n, depth = shape
    a, weight = normal(m, depth, dtype=dtype), normal(n, depth, dtype=dtype)
    results = []
    for threads in THREADS:
        with k.threads(threads):
            results.append(k.matmul(a, weight.T))
    close(results[0], reference.matmul(a, weight.T), dtype, depth)
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


STACKS = [
    ((2, 3, 4, 5), (5, 6)),
    ((3, 4, 5), (3, 5, 6)),
    ((2, 1, 4, 5), (3, 5, 2)),
    ((6, 2, 3, 4, 5), (2, 1, 5, 4)),
    ((5,), (5, 3)),
    ((4, 5), (5,)),
    ((5,), (5,)),
    ((2, 3, 5), (5,)),
    ((5,), (2, 5, 3)),
    ((40, 64, 64), (40, 64, 64)),
    ((0, 5), (5, 3)),
    ((2, 0, 3), (3, 4)),
    ((3, 0), (0, 4)),
    ((2, 3, 0), (2, 0, 1)),
    ((0, 3, 4), (0, 4, 2)),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("shape_a", "shape_b"), STACKS)
def test_vectors_stacks_and_empty_sizes_as_numpy(shape_a, shape_b, dtype):
    a, b = normal(*shape_a, dtype=dtype), normal(*shape_b, dtype=dtype)
    expected = reference.matmul(a, b)
    close(k.matmul(a, b), expected, dtype, shape_a[-1])
    out = np.full(expected.shape[::-1], np.nan, dtype).T
    assert k.matmul(a, b, out=out) is out
    close(out, expected, dtype, shape_a[-1])
    swapped = np.swapaxes(np.swapaxes(a, 0, -1).copy(), 0, -1)  # the same numbers in an odd order in memory
    close(k.matmul(swapped, b), expected, dtype, shape_a[-1])


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 70), st.integers(0, 130), st.integers(0, 90), st.booleans(), st.booleans())
def test_any_shape(m, n, depth, flip_a, flip_b):
    a = normal(depth, m).T if flip_a else normal(m, depth)
    b = normal(n, depth).T if flip_b else normal(depth, n)
    close(k.matmul(a, b), reference.matmul(a, b), np.float32, depth)


def test_promotion_and_other_dtypes():
    a, b = normal(5, 7), normal(7, 3, dtype=np.float64)
    close(k.matmul(a, b), reference.matmul(a, b), np.float64, 7)
    close(k.matmul(a.astype(">f4"), b.astype(">f8")), reference.matmul(a, b), np.float64, 7)
    whole = np.arange(12).reshape(3, 4)
    for dtype in (np.int64, np.uint8, np.bool_, np.complex64, np.float16, object):
        x = whole.astype(dtype)
        result = k.matmul(x, x.T)
        assert result.dtype == np.matmul(x, x.T).dtype
        np.testing.assert_array_equal(result, np.matmul(x, x.T))
    assert k.matmul([[1.0, 2.0]], [[3.0], [4.0]]) == [[11.0]]


def test_fields_of_packed_records():
    records = np.zeros(35, [("flag", "u1"), ("x", "f4")])
    records["x"] = np.arange(35)
    a, b = records["x"].reshape(5, 7), normal(7, 6)
    close(k.matmul(a, b), reference.matmul(a.copy(), b), np.float32, 7 * 35)
    close(k.linear(b.T, a, activation="relu"), reference.linear(b.T, a.copy(), None, "relu"), np.float32, 7 * 35)


@pytest.mark.parametrize("shape", [(20, 40, 30), (2, 100, 64), (90, 200, 200)])
def test_nan_and_infinity_spread_as_ieee_says(shape):
    m, n, depth = shape
    a, b = normal(m, depth), normal(depth, n)
    a[0, 1], a[1, 0], b[2, 3], b[4, 5] = np.nan, np.inf, -np.inf, 0
    a[0, 4] = 1
    with np.errstate(invalid="ignore"):
        expected = a @ b
    np.testing.assert_array_equal(np.isnan(k.matmul(a, b)), np.isnan(expected))
    np.testing.assert_array_equal(np.isposinf(k.matmul(a, b)), np.isposinf(expected))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", [None, "relu", "leaky_relu", "sigmoid", "tanh"])
@pytest.mark.parametrize("shape", [(5, 40, 7), (33, 100, 70), (200, 300, 100), (2, 3, 4, 5, 6)])
def test_linear_and_its_gradients(shape, activation, dtype):
    *lead, n, depth = shape
    x, w, bias = normal(*lead, depth, dtype=dtype), normal(n, depth, dtype=dtype), normal(n, dtype=dtype, seed=1)
    for b in (None, bias):
        expected = reference.linear(x, w, b, activation)
        y = k.linear(x, w, b, activation=activation)
        close(y, expected, dtype, depth)
        close(k.linear(x, k.prepare_matmul(w), b, activation=activation), expected, dtype, depth)
        out = np.full(expected.shape, np.nan, dtype)
        assert k.linear(x, w, b, activation=activation, out=out) is out
        close(out, expected, dtype, depth)
    dy = normal(*lead, n, dtype=dtype, seed=2)
    gradients = k.linear_backward(dy, x, w, y, activation)
    for actual, wanted in zip(gradients, reference.linear_backward(dy, x, w, y, activation), strict=True):
        close(actual, wanted, dtype, max(n, int(np.prod(lead))))
    assert k.linear_backward(dy, x, w, y, activation, needs=(False, False, False)) == (None, None, None)


def test_gelu_in_linear_is_gelu_behind_linear():
    x, w = normal(9, 20), normal(33, 20)
    np.testing.assert_allclose(k.linear(x, w, activation="gelu"), k.gelu(k.linear(x, w)), rtol=1e-6)
    with pytest.raises(ValueError, match="gelu needs more than the output"):
        k.linear_backward(normal(9, 33), x, w, k.linear(x, w, activation="gelu"), "gelu")


def test_a_prepared_operand_serves_both_ways_and_is_a_copy():
    b = normal(1100, 70)
    prepared, before = k.prepare_matmul(b), b.copy()
    b[:] = 0
    a, x = normal(5, 1100), normal(6, 70)
    close(k.matmul(a, prepared), reference.matmul(a, before), np.float32, 1100)
    close(k.linear(x, prepared), reference.linear(x, before), np.float32, 70)  # unpacks, then packs the transpose
    close(k.matmul(a.reshape(1, 5, 1100), prepared), reference.matmul(a, before)[None], np.float32, 1100)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: k.matmul(normal(3, 4), normal(5, 6)), ValueError, ["(3, 4)", "(5, 6)"]),
        (lambda: k.matmul(normal(2, 3, 4), normal(3, 4, 5)), ValueError, ["(2, 3, 4)", "(3, 4, 5)"]),
        (lambda: k.matmul(np.float32(3), normal(3)), ValueError, ["()", "(3,)"]),
        (lambda: k.matmul(normal(3, 4), normal(4, 5), out=np.empty((3, 4), "f")), ValueError, ["(3, 5)", "(3, 4)"]),
        (lambda: k.matmul(normal(3, 4), normal(4, 5), out=np.empty((3, 5))), TypeError, ["float32", "float64"]),
        (lambda: k.linear(normal(3, 4), normal(5, 6)), ValueError, ["(3, 4)", "(5, 6)"]),
        (lambda: k.linear(normal(3, 4), normal(5, 4), normal(4)), ValueError, ["(4,)", "(5,)"]),
        (lambda: k.linear(normal(3, 4), normal(4)), ValueError, ["(3, 4)", "(4,)"]),
        (lambda: k.linear(np.ones((3, 4), complex), normal(5, 4)), TypeError, ["input", "complex128"]),
        (lambda: k.linear(normal(3, 4), normal(5, 4), activation="swish"), ValueError, ["swish", "relu"]),
        (lambda: k.linear_backward(normal(3, 4), normal(3, 2), normal(5, 2)), ValueError, ["(3, 4)", "(3, 5)"]),
        (lambda: k.prepare_matmul(normal(3)), ValueError, ["(3,)"]),
        (lambda: k.prepare_matmul(np.ones((2, 2), object)), TypeError, ["object"]),
        (lambda: k.matmul(normal(3, 4), k.prepare_matmul(normal(5, 6))), ValueError, ["(3, 4)", "(5, 6)"]),
        (lambda: k.matmul(normal(3, 5, dtype="d"), k.prepare_matmul(normal(5, 6))), TypeError, ["float32", "float64"]),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error) as caught:
        call()
    for word in words:
        assert word in str(caught.value)


def test_out_may_not_overlap_an_operand():
    a = normal(4, 4)
    with pytest.raises(ValueError, match="overlaps"):
        k.matmul(a, normal(4, 4), out=a)


def test_peak_is_a_rate_of_operations():
    assert 0 < k.peak.measure(threads=1, seconds=0.0) < float("inf")
    with pytest.raises(TypeError, match="int32"):
        k.peak.measure(np.int32)


@pytest.mark.parametrize("length", [131_072, 131_073, 1_000_003])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_long_dot_products(length, dtype):
    a = np.random.default_rng(1).integers(0, 2, length).astype(dtype)  # whole numbers: every sum is exact
    b = np.ones(length, dtype)
    expected = a.sum(dtype=np.float64)
    assert k.matmul(a, b) == expected
    assert k.matmul(a[None], b[:, None]) == expected
    assert k.matmul(a[::-1], b[::-1]) == expected
    out = np.empty((1, 1), dtype)
    assert k.matmul(a[None], b[:, None], out=out) is out and out == expected
    stack = k.matmul(np.stack([a, b])[:, None], np.stack([b, b])[:, :, None])
    np.testing.assert_array_equal(stack.ravel(), [expected, length])
    assert k.linear(a, b[None]) == expected
    assert k.matmul(a, k.prepare_matmul(b[:, None])) == expected


def unpickled(x):
    return pickle.loads(pickle.dumps(x))


@pytest.mark.parametrize("shape", [(3, 4, 5), (70, 90, 110)])
def test_unpickled_arrays_count_as_any_other(shape):
    m, n, length = shape
    a, b, bias, y = normal(m, length), normal(length, n), normal(n), normal(m, n)
    for x, w, c, z in itertools.product(*[(v, unpickled(v)) for v in (a, b, bias, y)]):
        for result in (
            k.matmul(x, w), k.linear(x, w.T, c), k.linear(x, k.prepare_matmul(w.T), c),
            k.matmul(x, unpickled(k.prepare_matmul(w))), *k.linear_backward(z, x, w.T, z, "relu"),
        ):  # fmt: skip
            assert result.dtype is np.dtype(np.float32)
        np.testing.assert_array_equal(k.matmul(x, w), k.matmul(a, b))
        np.testing.assert_array_equal(k.matmul(x, unpickled(k.prepare_matmul(w))), k.matmul(a, k.prepare_matmul(b)))
        np.testing.assert_array_equal(k.linear(x, w.T, c), k.linear(a, b.T, bias))


def test_a_prepared_operand_travels_as_its_numbers():
    b = normal(300, 70)
    prepared = k.prepare_matmul(b)
    k.matmul(normal(5, 300), prepared)
    k.linear(normal(5, 70), prepared)
    for copied in (unpickled(prepared), copy.deepcopy(prepared)):
        np.testing.assert_array_equal(copied.source(), b)
        np.testing.assert_array_equal(k.matmul(normal(5, 300), copied), k.matmul(normal(5, 300), prepared))


def test_two_threads_may_use_a_prepared_operand_first():
    a, x = normal(20, 300), normal(20, 200)
    expected = k.matmul(a, k.prepare_matmul(normal(300, 200))), k.linear(x, k.prepare_matmul(normal(300, 200)))
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(4) as pool:
            for _ in range(50):
                prepared = k.prepare_matmul(normal(300, 200))
                calls = [pool.submit(k.matmul, a, prepared), pool.submit(k.linear, x, prepared)] * 2
                for i, one in enumerate(calls):
                    np.testing.assert_array_equal(one.result(), expected[i % 2])
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("size", [4, 120])
def test_out_weight_is_checked_before_it_is_written(size):
    dy, x, w, y = (normal(size, size, seed=seed) for seed in range(4))
    expected = k.linear_backward(dy, x, w, y, "relu")[1]
    held = bytes(4 * size * size)
    for good in (np.empty_like(w), np.empty((2 * size, 2 * size), np.float32)[::2, ::-2]):
        assert k.linear_backward(dy, x, w, y, "relu", out_weight=good)[1] is good
        np.testing.assert_allclose(good, expected, rtol=1e-5, atol=1e-5)
    for bad, error, words in (
        (np.frombuffer(held, np.float32).reshape(size, size), ValueError, "out_weight is read-only"),
        (np.empty((size, size + 1), np.float32), ValueError, "out_weight must have shape"),
        (np.empty((size, size)), TypeError, "out_weight must be float32, got float64"),
        (w, ValueError, "out_weight overlaps"),
        (x.T, ValueError, "out_weight overlaps"),
        (dy[::-1], ValueError, "out_weight overlaps"),
        (y, ValueError, "out_weight overlaps"),
        (np.broadcast_to(w[:1], w.shape), ValueError, "out_weight is read-only"),
        ([[0.0]], TypeError, "out_weight must be a plain array, got list"),
    ):
        copies = [v.copy() for v in (dy, x, w, y)]
        with pytest.raises(error, match=f"linear_backward: {words}"):
            k.linear_backward(dy, x, w, y, "relu", out_weight=bad)
        for v, before in zip((dy, x, w, y), copies, strict=True):
            np.testing.assert_array_equal(v, before)
    assert held == bytes(4 * size * size)


@pytest.mark.parametrize("activation", ["silu", "softplus", "elu", "exp", "nothing", 3, ["relu"]])
def test_only_activations_that_linear_can_apply_have_gradients(activation):
    for x in (normal(3, 3), normal(120, 120)):
        with pytest.raises(ValueError, match="linear_backward: activation must be one of"):
            k.linear_backward(x, x, x, x, activation)


def test_gradients_take_every_layout():
    dy, x, w, y = normal(6, 5), normal(6, 7), normal(5, 7), normal(6, 5)
    expected = k.linear_backward(dy, x, w, y, "tanh")
    layouts = (
        lambda v: v.astype(v.dtype.newbyteorder()),
        lambda v: np.asfortranarray(v),
        lambda v: np.repeat(v[::-1], 2, axis=1)[::-1, ::2],
        lambda v: np.frombuffer(b"." + v.tobytes(), np.uint8)[1:].view(v.dtype).reshape(v.shape),
        lambda v: v.tolist(),
    )
    for layout, which in itertools.product(layouts, range(4)):
        given = [dy, x, w, y]
        given[which] = layout(given[which])
        for result, right in zip(k.linear_backward(*given, "tanh"), expected, strict=True):
            np.testing.assert_allclose(result, right, rtol=1e-5, atol=1e-5)
    with pytest.raises(ValueError, match=r"output must have shape \(6, 5\).*got \(6, 4\)"):
        k.linear_backward(dy, x, w, y[:, :4], "tanh")
    with pytest.raises(ValueError, match="needs output"):
        k.linear_backward(dy, x, w, None, "tanh")
    with pytest.raises(ValueError, match=r"input has shape \(6, 6\)"):
        k.linear_backward(dy, x[:, 1:], w)


def test_masks_and_missing_arrays_are_refused():
    x = normal(3, 3)
    masked = np.ma.masked_array(x, x > 0)
    for call in (k.matmul, k.linear):
        with pytest.raises(TypeError, match=f"{call.__name__}: .* is a masked array"):
            call(masked, x)
        with pytest.raises(TypeError, match=f"{call.__name__}: .* is a masked array"):
            call(x, masked)
        with pytest.raises(TypeError, match=f"{call.__name__}: .* must be an array, got None"):
            call(x, None)
        with pytest.raises(TypeError, match=f"{call.__name__}: .* must be an array, got None"):
            call(None, x)
    with pytest.raises(TypeError, match="linear_backward: weight must be an array, got None"):
        k.linear_backward(x, x, None)
