"""Normalisation kernels against float64: any layout, rows of any length, data far from 0, running statistics."""

import pickle

import numpy as np
import pytest

import fastnn_kernels as k
from fastnn_kernels.cpu.norm import plan as norm_plan
from fastnn_kernels.cpu.norm.rows import PIECE
from fastnn_kernels.ground import plans
from fastnn_kernels.ground.threads import threads
from tests.reference import norm as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
ROWS = pytest.mark.parametrize(
    "shape",
    [(7, 10), (3, 16), (40, 17), (5, 64), (9, 65), (2, 3, 1000), (3, PIECE), (2, 2 * PIECE + 3), (4, 3)],
    ids=str,
)
IMAGES = pytest.mark.parametrize("shape", [(9, 6), (3, 6, 11), (2, 6, 5, 7), (2, 6, 3, 2, 4), (3, 6, 70, 60)], ids=str)
LAYOUTS = pytest.mark.parametrize("last", [False, True], ids=["planes", "pixels"])


def draw(shape, dtype, seed=5, last=False):
    x = (np.random.default_rng(seed).normal(size=shape) * 2 + 1).astype(dtype)
    if last and x.ndim > 2:
        x = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    return x


def check(results, exact, length):
    for result, expected in zip(results, exact, strict=True):
        assert result.shape == expected.shape
        allowed = reference.tolerance(result.dtype, length) * max(1.0, np.abs(expected).max(initial=0))
        np.testing.assert_allclose(result, expected, rtol=0, atol=4 * allowed)


@DTYPES
@ROWS
@pytest.mark.parametrize("affine", [False, True])
def test_rows(shape, affine, dtype):
    x, dy, n = draw(shape, dtype), draw(shape, dtype, 6), shape[-1]
    w, b = (draw((n,), dtype, 7), draw((n,), dtype, 8)) if affine else (None, None)
    y, gradients = k.layer_norm(x, n, w, b), k.layer_norm_backward(dy, x, n, w)
    assert y.dtype == dtype and all(g.dtype == dtype for g in gradients)
    check([y, *gradients], [reference.layer_norm(x, 1, w, b), *reference.layer_norm_backward(dy, x, 1, w)], x.size)
    eps = np.finfo(dtype).eps
    exact = [
        reference.layer_norm(x, 1, w, None, eps, False), *reference.layer_norm_backward(dy, x, 1, w, eps, False)[:2]
    ]  # fmt: skip
    check([k.rms_norm(x, n, w), *k.rms_norm_backward(dy, x, n, w)], exact, x.size)


@pytest.fixture
def far(monkeypatch):
    """Have all arrays count as more than the caches hold: results go past them, and pixels are folded wider."""
    monkeypatch.setattr(norm_plan, "FAR", 1)
    plans.forget()
    yield
    plans.forget()


@DTYPES
@pytest.mark.parametrize("n", [16, 65, 128, 1000, 1024])
def test_rows_past_the_caches(far, n, dtype):
    """Rows of whole cache lines, and others, an odd number of them; the result may start anywhere."""
    x, dy, w, b = draw((7, n), dtype), draw((7, n), dtype, 6), draw((n,), dtype, 7), draw((n,), dtype, 8)
    exact = [reference.layer_norm(x, 1, w, b), *reference.layer_norm_backward(dy, x, 1, w)]
    check([k.layer_norm(x, n, w, b), *k.layer_norm_backward(dy, x, n, w)], exact, x.size)
    room = np.full(x.size + 3, np.nan, dtype)
    for start in range(4):
        k.layer_norm(x, n, w, b, out=room[start : start + x.size].reshape(x.shape))
        check([room[start : start + x.size].reshape(x.shape)], exact[:1], x.size)


@DTYPES
@LAYOUTS
@pytest.mark.parametrize(
    "shape", [(3, 16, 8, 8), (5, 8, 16, 16), (2, 64, 7, 9), (3, 1040, 2, 2), (130, 64, 3, 3)], ids=str
)
def test_batches_past_the_caches(far, shape, last, dtype):
    """Channels of whole lines, and others; more columns than are normalised together, and several blocks."""
    x, dy, w, b = (
        draw(shape, dtype, 5, last),
        draw(shape, dtype, 6, last),
        draw(shape[1:2], dtype, 7),
        draw(shape[1:2], dtype, 8),
    )
    for training in (True, False):
        given = (None, None) if training else (b, w * w)
        results = [k.batch_norm(x, *given, w, b, training), *k.batch_norm_backward(dy, x, *given, w, training)]
        exact = [reference.batch_norm(x, *given, w, b), *reference.batch_norm_backward(dy, x, *given, w)]
        check(results, exact, x.size)
    check([k.group_norm(x, 4, w, b)], [reference.group_norm(x, 4, w, b)], x.size)


@pytest.mark.parametrize("function", ["layer_norm", "rms_norm"])
def test_several_dimensions_and_one_weight_alone(function):
    x, w = draw((3, 4, 5), np.float64), draw((4, 5), np.float64, 7)
    y = getattr(k, function)(x, [4, 5], weight=w, eps=0.1)
    np.testing.assert_allclose(y, reference.layer_norm(x, 2, w, None, 0.1, function == "layer_norm"), rtol=1e-12)
    if function == "layer_norm":
        np.testing.assert_allclose(k.layer_norm(x, (4, 5), bias=w), reference.layer_norm(x, 2, None, w), rtol=1e-12)


@DTYPES
@IMAGES
@pytest.mark.parametrize("groups", [1, 2, 6])
def test_groups(shape, groups, dtype):
    x, dy, w, b = draw(shape, dtype), draw(shape, dtype, 6), draw((6,), dtype, 7), draw((6,), dtype, 8)
    if groups == 6 and len(shape) == 2:
        return  # groups of one number
    for weight, bias in ((w, b), (None, None), (w, None)):
        results = [k.group_norm(x, groups, weight, bias), *k.group_norm_backward(dy, x, groups, weight)]
        exact = [reference.group_norm(x, groups, weight, bias), *reference.group_norm_backward(dy, x, groups, weight)]
        check(results, exact, x.size)


@DTYPES
@IMAGES
@LAYOUTS
@pytest.mark.parametrize("training", [False, True])
def test_batches(shape, last, training, dtype):
    x, dy = draw(shape, dtype, 5, last), draw(shape, dtype, 6, last)
    w, b, mean, variance = (draw((6,), dtype, seed) for seed in (7, 8, 9, 10))
    variance = np.abs(variance)
    given = (None, None) if training else (mean, variance)
    ran = mean.copy(), variance.copy()
    y = k.batch_norm(x, *ran, w, b, training, 0.3)
    assert y.strides == x.strides
    gradients = k.batch_norm_backward(dy, x, mean, variance, w, training)
    exact = [reference.batch_norm(x, *given, w, b), *reference.batch_norm_backward(dy, x, *given, w)]
    check([y, *gradients], exact, x.size)
    axes = (0, *range(2, x.ndim))
    wide = x.astype(np.float64)
    momentum = 0.3 if training else 0
    after = [
        reference.running(mean, wide.mean(axes), momentum),
        reference.running(variance, wide.var(axes, ddof=1), momentum),
    ]
    check(ran, after, x.size)


@IMAGES
@pytest.mark.parametrize("use_input", [False, True])
def test_instances(shape, use_input):
    if len(shape) == 2:
        return
    x, dy, w, b, mean, variance = (draw(s, np.float64, i) for i, s in enumerate((shape, shape, (6,), (6,), (6,), (6,))))
    variance = np.abs(variance)
    ran = mean.copy(), variance.copy()
    results = [k.instance_norm(x, *ran, w, b, use_input, 0.3)]
    results += k.instance_norm_backward(dy, x, mean, variance, w, use_input)
    if use_input:
        exact = [reference.group_norm(x, 6, w, b), *reference.group_norm_backward(dy, x, 6, w)]
        axes = tuple(range(2, x.ndim))
        check(
            ran,
            [
                reference.running(mean, x.mean(axes).mean(0), 0.3),
                reference.running(variance, x.var(axes, ddof=1).mean(0), 0.3),
            ],
            x.size,
        )
    else:
        exact = [
            reference.batch_norm(x, mean, variance, w, b),
            *reference.batch_norm_backward(dy, x, mean, variance, w),
        ]
    check(results, exact, x.size)


def test_data_far_from_zero():
    """One pass over squares would lose every digit: mean 1e4 and deviation 1 leave 1e8 +- 1 to float32."""
    x = (np.random.default_rng(3).normal(size=(16, 8, 50, 50)) + 1e4).astype(np.float32)
    pixels = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1)
    half_an_ulp = np.spacing(np.float32(1e4)) / 2  # of a mean that has to be a float32
    for y, exact in [
        (k.layer_norm(x.reshape(16, -1), 20000), reference.layer_norm(x.reshape(16, -1), 1)),
        (k.group_norm(x, 2), reference.group_norm(x, 2)),
        (k.batch_norm(x, None, None, training=True), reference.batch_norm(x)),
        (k.batch_norm(pixels, None, None, training=True), reference.batch_norm(x)),
    ]:
        np.testing.assert_allclose(y, exact, rtol=1e-4, atol=4 * half_an_ulp)
        assert abs(np.asarray(y, np.float64).var() - 1) < 1e-4


def test_same_bits_for_any_number_of_threads():
    images, rows = draw((6, 5, 90, 80), np.float32), draw((900, 300), np.float32)
    w = draw((300,), np.float32, 7)
    pixels = draw((6, 5, 90, 80), np.float32, 5, True)
    first = None
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            results = [k.layer_norm(rows, 300, w), *k.layer_norm_backward(rows, rows, 300, w)]
            for x in (images, pixels):
                results += [k.batch_norm(x, None, None, training=True), *k.batch_norm_backward(x, x, training=True)]
        first = first or results
        for a, b in zip(results, first, strict=True):
            assert a.tobytes() == b.tobytes()


def test_layouts_and_out(rng):
    x = rng.normal(size=(6, 8, 10))
    exact = reference.layer_norm(x, 1)
    for view in (np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2]):
        view.flags.writeable = False
        out = np.full(x.shape[::-1], np.nan).T
        assert k.layer_norm(view, 10, out=out) is out
        np.testing.assert_allclose(out, exact, rtol=1e-10)
        out = np.full(x.shape[::-1], np.nan).T
        assert k.batch_norm(view, None, None, training=True, out=out) is out
        np.testing.assert_allclose(out, reference.batch_norm(x), rtol=1e-10)


def test_special_values():
    x = np.float32([[np.nan, 1, 2], [np.inf, 1, 2], [5, 5, 5]])
    y = k.layer_norm(x, 3)
    assert np.isnan(y[:2]).all()
    np.testing.assert_array_equal(y[2], [0, 0, 0])
    np.testing.assert_array_equal(k.rms_norm(np.zeros((2, 3), np.float32), 3), np.zeros((2, 3)))


def test_needs():
    x = draw((4, 6, 5), np.float32)
    assert [g is None for g in k.layer_norm_backward(x, x, 5, needs=(True, False, True))] == [False, True, False]
    assert [g is None for g in k.batch_norm_backward(x, x, training=True, needs=(True, True, False))][2]


@DTYPES
@pytest.mark.parametrize("p", [1, 2, 3.5, 0, -1.5, -np.inf, np.inf])
@pytest.mark.parametrize("dim", [0, 1, -1])
def test_unit_length(dim, p, dtype):
    x = draw((5, 17, 40), dtype)
    x[2] = 0
    with np.errstate(divide="ignore"):
        expected = reference.unit(x, p, dim)
    check([k.normalize(x, p, dim)], [expected], 40)
    assert not np.isnan(k.normalize_backward(x, x, p, dim)).any()


@DTYPES
@pytest.mark.parametrize("shape", [(2, 7, 5), (1, 3, 40, 30), (2, 6, 2, 2, 3)])
@pytest.mark.parametrize("size", [1, 2, 5, 9])
def test_local_response(size, shape, dtype):
    x = draw(shape, dtype)
    check([k.local_response_norm(x, size, 0.5)], [reference.local_response_norm(x, size, 0.5)], size)


BAD = [
    (lambda x, w: k.normalize(x, np.nan), "normalize: p must be a number, got nan"),
    (lambda x, w: k.normalize(x, dim=3), "normalize: dim must be from -3 to 2"),
    (lambda x, w: k.local_response_norm(x, 0), "local_response_norm: size must be at least 1, got 0"),
    (lambda x, w: k.local_response_norm(x[0], 2), "local_response_norm: input must have at least 3 dimensions"),
    (lambda x, w: k.layer_norm(x, 4), r"layer_norm: input must end in normalized_shape \(4,\), got shape \(2, 6, 5\)"),
    (lambda x, w: k.layer_norm(x, ()), r"layer_norm: input must end in normalized_shape \(\)"),
    (lambda x, w: k.layer_norm(x, 5, w), r"layer_norm: weight must have normalized_shape \(5,\), got \(6,\)"),
    (lambda x, w: k.rms_norm(x, (2, 5)), r"rms_norm: input must end in normalized_shape \(2, 5\)"),
    (lambda x, w: k.layer_norm_backward(x[1:], x, 5), r"layer_norm_backward: dy has shape \(1, 6, 5\) but input has"),
    (lambda x, w: k.group_norm(x, 4), r"group_norm: num_groups=4 does not divide the 6 channels of shape \(2, 6, 5\)"),
    (lambda x, w: k.group_norm(x, 0), "group_norm: num_groups must be at least 1, got 0"),
    (lambda x, w: k.group_norm(w, 2), r"group_norm: input must have at least 2 dimensions \(B, C, ...\)"),
    (lambda x, w: k.group_norm(x, 2, w[1:]), r"group_norm: weight must have .* channels \(input .*\), got \(5,\)"),
    (lambda x, w: k.batch_norm(x, w[1:], w), r"batch_norm: running_mean must have shape \(6,\), got \(5,\)"),
    (lambda x, w: k.batch_norm(x, w, None), "batch_norm: running_var must be given where"),
    (lambda x, w: k.batch_norm(x, w, w, w[1:]), r"batch_norm: weight must have one number for each of the 6 channels"),
    (lambda x, w: k.batch_norm(x[:1, :, :1], None, None, training=True), "needs more than one value per channel"),
    (lambda x, w: k.instance_norm(x[..., :1]), "instance_norm: training needs more than one value per channel"),
    (lambda x, w: k.batch_norm(w, None, None), "batch_norm: input must have at least 2 dimensions"),
    (lambda x, w: k.layer_norm(x, 5, out=x), "layer_norm: out overlaps an input"),
]  # fmt: skip


@pytest.mark.parametrize("call, message", BAD, ids=[message[:40] for _, message in BAD])
def test_bad_arguments(call, message):
    with pytest.raises(ValueError, match=message):
        call(draw((2, 6, 5), np.float32), draw((6,), np.float32))


def test_bad_types():
    with pytest.raises(TypeError, match="layer_norm: input must be float32 or float64, got complex128"):
        k.layer_norm(np.ones(3, complex), 3)
    with pytest.raises(TypeError, match="batch_norm: running_mean must be an array of floats"):
        k.batch_norm(np.ones((2, 3)), [0.0] * 3, None, training=True)
    frozen = np.zeros(3)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="batch_norm: running_mean is read-only, but batch_norm changes it"):
        k.batch_norm(np.ones((2, 3)), frozen, None, training=True)


BACKWARD = {
    "layer_norm": (lambda dy, x, **more: k.layer_norm_backward(dy, x, 7, **more), (6 * 4,)),
    "rms_norm": (lambda dy, x, **more: k.rms_norm_backward(dy, x, 7, **more), (6 * 4,)),
    "group_norm": (lambda dy, x, **more: k.group_norm_backward(dy, x, 2, **more), (6 * 2,)),
    "instance_norm": (lambda dy, x, **more: k.instance_norm_backward(dy, x, **more), (6 * 4,)),
    "batch_norm": (lambda dy, x, **more: k.batch_norm_backward(dy, x, training=True, **more), (4,)),
}


@pytest.mark.parametrize("name", BACKWARD)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_given_statistics_are_checked(name, dtype, rng):
    backward, shape = BACKWARD[name]
    x, dy = (rng.standard_normal((6, 4, 7)).astype(dtype) for _ in range(2))
    expected = backward(dy, x)
    axes = {"layer_norm": -1, "rms_norm": -1, "instance_norm": -1, "batch_norm": (0, 2)}.get(name)
    rows = x.reshape(12, 14) if axes is None else x
    mean, variance = (f(rows, axis=-1 if axes is None else axes).reshape(shape) for f in (np.mean, np.var))
    if name == "rms_norm":
        mean, variance = np.zeros(shape, dtype), (x**2).mean(-1).reshape(shape)
    for given in (
        (mean, variance), [mean, variance], np.stack([mean, variance]), (mean.tolist(), variance.tolist()),
        (np.repeat(mean, 2)[::2], variance[::-1].copy()[::-1]), np.stack([mean, variance], -1).T,
        (mean.astype(">f8"), pickle.loads(pickle.dumps(variance))), np.stack([mean, variance]).astype(np.float64),
    ):  # fmt: skip
        for result, right in zip(backward(dy, x, statistics=given), expected, strict=True):
            np.testing.assert_allclose(result, right, rtol=1e-4, atol=1e-4)
            assert result.dtype == dtype
    wrong = mean[:-1], variance[:-1]
    for given, error in (
        (wrong, ValueError), (np.stack(wrong), ValueError), (np.zeros((2, 1), dtype), ValueError),
        (np.zeros(0, dtype), TypeError), (np.zeros((3, *shape), dtype), TypeError), ((mean,), TypeError),
        (3, TypeError), ((None, None), TypeError), ((mean.astype(int), variance), TypeError), (mean[0], TypeError),
    ):  # fmt: skip
        with pytest.raises(error, match=rf"{name}_backward: .*statistics"):
            backward(dy, x, statistics=given)


@pytest.mark.parametrize("channels_last", [False, True])
def test_running_statistics_in_every_layout(channels_last, rng):
    x = rng.standard_normal((6, 4, 5)).astype(np.float32)
    x = np.ascontiguousarray(x.swapaxes(1, 2)).swapaxes(1, 2) if channels_last else x
    mean, variance = rng.standard_normal(4).astype(np.float32), rng.uniform(1, 2, 4).astype(np.float32)
    used = k.batch_norm(x, mean, variance)
    trained = mean.copy(), variance.copy()
    expected = k.batch_norm(x, *trained, training=True)
    for layout in (
        lambda v: np.repeat(v, 2)[::2], lambda v: v[::-1].copy()[::-1], lambda v: pickle.loads(pickle.dumps(v)),
        lambda v: v.astype(">f4"), lambda v: v.astype(np.float64), odd,
    ):  # fmt: skip
        np.testing.assert_allclose(k.batch_norm(x, layout(mean), layout(variance)), used, rtol=1e-6, atol=1e-6)
        running = layout(mean), layout(variance)
        np.testing.assert_array_equal(k.batch_norm(x, *running, training=True), expected)
        for result, right in zip(running, trained, strict=True):
            np.testing.assert_allclose(result, right, rtol=1e-6)
    frozen = mean.copy()
    frozen.flags.writeable = False
    np.testing.assert_array_equal(k.batch_norm(x, frozen, variance), used)
    before = variance.copy()
    for bad, error, words in (
        ((frozen, variance), ValueError, "running_mean is read-only"),
        ((mean, variance[:3]), ValueError, "running_var must have shape"),
        ((mean, mean), ValueError, "running_var overlaps"),
        ((mean, [1.0] * 4), TypeError, "running_var must be an array"),
        ((np.broadcast_to(mean[:1], 4), variance), ValueError, "running_mean is read-only"),
    ):
        with pytest.raises(error, match=f"batch_norm: {words}"):
            k.batch_norm(x, *bad, training=True)
        np.testing.assert_array_equal(variance, before)


def test_running_statistics_must_not_lie_in_out(rng):
    x, out = rng.standard_normal((2, 6, 4, 5)).astype(np.float32)
    before = out.copy()
    with pytest.raises(ValueError, match="batch_norm: running_mean overlaps out"):
        k.batch_norm(x, out[0, :, 0], np.ones(4, np.float32), training=True, out=out)
    np.testing.assert_array_equal(out, before)


def odd(v):
    """Return a copy at an odd address."""
    return np.frombuffer(bytearray(b"." + v.tobytes()), np.uint8)[1:].view(v.dtype).reshape(v.shape)


def test_invalid_numbers_are_refused(rng):
    x = rng.standard_normal((6, 4, 5)).astype(np.float32)
    for call in (
        lambda eps: k.layer_norm(x, 5, eps=eps), lambda eps: k.group_norm(x, 2, eps=eps),
        lambda eps: k.layer_norm_backward(x, x, 5, eps=eps), lambda eps: k.instance_norm(x, eps=eps),
        lambda eps: k.batch_norm(x, None, None, training=True, eps=eps), lambda eps: k.rms_norm(x, 5, eps=eps),
        lambda eps: k.batch_norm_backward(x, x, training=True, eps=eps), lambda eps: k.normalize(x, eps=eps),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=r"\w+_?norm\w*: eps must be a number, got 'a'|normalize: eps must be"):
            call("a")
        with pytest.raises(ValueError, match="eps is too large for a float"):
            call(10**400)
    for shape in (5.0, True, (5.0,), (True,), "a"):
        k.layer_norm(x, 5)
        k.layer_norm(x[:, :, :1], 1)
        with pytest.raises(TypeError, match="layer_norm: normalized_shape must be an integer"):
            k.layer_norm(x[:, :, :1] if shape in (True, (True,)) else x, shape)


@pytest.mark.parametrize("shape", [(5, 7), (1, 7), (5, 1), (40, 70)])
@DTYPES
def test_gradients_over_both_dimensions_of_a_matrix(shape, dtype, rng):
    x, dy, weight = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
    flat = [v.reshape(1, -1) for v in (dy, x)]
    expected = k.layer_norm_backward(*flat, x.size, weight.ravel())
    results = k.layer_norm_backward(dy, x, shape, weight)
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, right.reshape(shape))
    for result, right in zip(
        k.rms_norm_backward(dy, x, shape, weight), k.rms_norm_backward(*flat, x.size, weight.ravel()), strict=True
    ):
        np.testing.assert_array_equal(result, right.reshape(shape))


def test_statistics_are_a_result(rng):
    x, out = rng.standard_normal((6, 4, 7)).astype(np.float32), np.empty((6, 4, 7), np.float32)
    running, w = (rng.standard_normal(4).astype(np.float32), np.ones(4, np.float32)), np.full(4, 2.0, np.float32)
    for norm, rows in (
        (lambda **more: k.layer_norm(x, 7, **more), x.reshape(24, 7)),
        (lambda **more: k.layer_norm(x, (4, 7), np.ones((4, 7), np.float32), **more), x.reshape(6, 28)),
        (lambda **more: k.group_norm(x, 2, **more), x.reshape(12, 14)),
        (lambda **more: k.instance_norm(x, weight=w, **more), x.reshape(24, 7)),
        (lambda **more: k.batch_norm(x, None, None, training=True, **more), x.swapaxes(0, 1).reshape(4, -1)),
    ):
        expected = norm()
        for given in ({}, {"out": out}, {"out": np.empty((7, 4, 6), np.float32).T}):
            y, statistics = norm(return_statistics=True, **given)
            assert y is given.get("out", y)
            np.testing.assert_array_equal(y, expected)
            assert statistics.shape == (2, len(rows)) and statistics.dtype == np.float32
            np.testing.assert_allclose(statistics, [rows.mean(1), rows.var(1)], rtol=1e-4, atol=1e-6)
    _, statistics = k.rms_norm(x, 7, return_statistics=True)
    np.testing.assert_allclose(statistics, [np.zeros(24), (x**2).mean(-1).ravel()], rtol=1e-5)
    for norm in (k.batch_norm, k.instance_norm):
        _, statistics = norm(x, *running, None, None, False, return_statistics=True)
        np.testing.assert_array_equal(np.stack(statistics), np.stack(running))
    for norm, shape in ((k.layer_norm, (2, 0)), (k.rms_norm, (2, 0))):
        assert norm(x[:0], 7, return_statistics=True)[1].shape == shape


def test_running_statistics_of_another_dtype_and_one_alone(rng):
    x = rng.standard_normal((6, 4, 7)).astype(np.float32)
    for norm, each in ((k.batch_norm, False), (k.instance_norm, True)):
        axes = 2 if each else (0, 2)
        moments = x.astype(float).mean(axes), x.astype(float).var(axes, ddof=1)
        means = [v.mean(0) if each else v for v in moments]
        for dtypes in ((np.float64,) * 2, (np.float16,) * 2, (np.float32, np.float64), (np.float64, np.float32)):
            running = np.zeros(4, dtypes[0]), np.ones(4, dtypes[1])
            y = norm(x, *running, None, None, True, 0.25)
            assert y.dtype == np.float32
            tolerance = 1e-3 if np.float16 in dtypes else 1e-5
            np.testing.assert_allclose(running[0], means[0] / 4, rtol=tolerance, atol=tolerance)
            np.testing.assert_allclose(running[1], 0.75 + means[1] / 4, rtol=tolerance)
            assert [r.dtype for r in running] == [*dtypes]
        for place in (0, 1):
            running = [None, None]
            running[place] = np.zeros(4, np.float32)
            norm(x, *running, None, None, True, 0.25)
            np.testing.assert_allclose(running[place], means[place] / 4, rtol=1e-5, atol=1e-6)


def test_statistics_in_use_have_the_dtype_of_the_input(rng):
    x = rng.standard_normal((6, 4, 7)).astype(np.float32)
    running = rng.standard_normal(4), rng.uniform(1, 2, 4)
    single = [r.astype(np.float32) for r in running]
    np.testing.assert_array_equal(k.batch_norm(x, *running), k.batch_norm(x, *single))
    for one, other in zip(k.batch_norm_backward(x, x, *running), k.batch_norm_backward(x, x, *single), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
