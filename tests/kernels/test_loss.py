"""Loss kernels against float64: labels and probabilities, all reductions, any layout, bad input."""

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn_kernels.ground.threads import threads
from tests.reference import loss as reference

DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REDUCTIONS = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
SHAPES = pytest.mark.parametrize(
    "shape", [(7, 10), (33, 17), (1, 1), (5,), (3, 4, 5), (2, 3, 4, 6), (300, 129)], ids=str
)


def logits(shape, dtype):
    return (3 * np.random.default_rng(5).normal(size=shape)).astype(dtype)


def targets(shape, dtype):
    """Labels of some integer dtype, and probabilities."""
    rng = np.random.default_rng(6)
    dim = min(1, len(shape) - 1)
    rest = shape[:dim] + shape[dim + 1 :]
    probabilities = rng.uniform(size=shape)
    probabilities /= probabilities.sum(dim, keepdims=True)
    return rng.integers(shape[dim], size=rest).astype(np.uint16), probabilities.astype(dtype)


@DTYPES
@REDUCTIONS
@SHAPES
def test_cross_entropy(shape, reduction, dtype):
    x = logits(shape, dtype)
    for target in targets(shape, dtype):
        loss = kernels.cross_entropy(x, target, reduction=reduction)
        expected = reference.cross_entropy(x, target, reduction=reduction)
        assert loss.dtype == dtype and loss.shape == expected.shape
        rtol = reference.tolerance(dtype, x.size)
        np.testing.assert_allclose(loss, expected, rtol=rtol, atol=20 * np.finfo(dtype).eps)
        dloss = np.random.default_rng(7).normal(size=loss.shape).astype(dtype)
        dx = kernels.cross_entropy_backward(dloss, x, target, reduction=reduction)
        expected = reference.cross_entropy_backward(dloss, x, target, reduction)
        assert dx.dtype == dtype and dx.shape == shape
        np.testing.assert_allclose(dx, expected, rtol=rtol, atol=20 * np.finfo(dtype).eps)
        if reduction != "none":
            both = kernels.cross_entropy_with_gradient(x, target, reduction=reduction)
            gradient = kernels.cross_entropy_backward(1, x, target, reduction=reduction)
            np.testing.assert_allclose(both[0], loss, rtol=4 * np.finfo(dtype).eps)
            np.testing.assert_allclose(both[1], gradient, atol=4 * np.finfo(dtype).eps)


@DTYPES
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("shape", [(40, 10), (5, 100)], ids=str)
def test_logits_far_from_zero(shape, smoothing, dtype):
    x = logits(shape, dtype) + dtype(4096)  # whose differences are exact
    for target in targets(shape, dtype):
        loss = kernels.cross_entropy(x, target, reduction="none", label_smoothing=smoothing)
        expected = reference.cross_entropy(x, target, reduction="none", label_smoothing=smoothing)
        np.testing.assert_allclose(loss, expected, rtol=reference.tolerance(dtype, shape[1]))


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("shape", [(70, 10), (5, 33), (2, 3, 4)], ids=str)
def test_weights_smoothing_and_labels_to_ignore(shape, weighted, smoothing, reduction, dtype):
    x = logits(shape, dtype)
    weight = np.random.default_rng(9).uniform(0.2, 3, shape[1]).astype(dtype) if weighted else None
    options = {"weight": weight, "ignore_index": 1, "reduction": reduction, "label_smoothing": smoothing}
    for target in targets(shape, dtype):
        loss = kernels.cross_entropy(x, target, **options)
        rtol = reference.tolerance(dtype, x.size)
        np.testing.assert_allclose(loss, reference.cross_entropy(x, target, **options), rtol=rtol, atol=rtol)
        assert loss.dtype == dtype
        dloss = np.random.default_rng(7).normal(size=loss.shape).astype(dtype)
        dx = kernels.cross_entropy_backward(dloss, x, target, **options)
        way, step = np.random.default_rng(8).normal(size=shape), 1e-6
        ends = [(reference.cross_entropy(x + s * way, target, **options) * dloss).sum() for s in (step, -step)]
        np.testing.assert_allclose((dx * way).sum(), (ends[0] - ends[1]) / (2 * step), rtol=10 * rtol + 1e-7, atol=rtol)
        if target.dtype.kind == "u":
            assert not np.moveaxis(dx, 1, -1)[target == 1].any()
            options = {name: value for name, value in options.items() if name != "label_smoothing"}
            np.testing.assert_allclose(
                kernels.nll_loss(x, target, **options), reference.nll_loss(x, target, **options), rtol=rtol
            )
            dx = kernels.nll_loss_backward(dloss, x, target, **options)
            ends = [(reference.nll_loss(x + s * way, target, **options) * dloss).sum() for s in (1.0, -1.0)]
            np.testing.assert_allclose((dx * way).sum(), (ends[0] - ends[1]) / 2, rtol=100 * rtol, atol=rtol)
            options["label_smoothing"] = smoothing


def test_nothing_but_ignored_labels():
    x, target = np.full((3, 4), np.nan), np.full(3, -100)
    assert np.isnan(kernels.cross_entropy(x, target)) and kernels.cross_entropy(x, target, reduction="sum") == 0
    assert not kernels.cross_entropy_backward(1.0, x, target).any()


def test_huge_logits_do_not_overflow():
    x = np.float32([[1e4, 0, -1e4], [-3e38, 0, 3e38]])
    np.testing.assert_array_equal(kernels.cross_entropy(x, np.array([1, 2]), reduction="none"), [1e4, 0])
    assert np.isfinite(kernels.cross_entropy_backward(1.0, x, np.array([1, 2]))).all()


def test_nan_and_infinite_logits():
    x = np.float32([[np.nan, 0], [0, -np.inf], [0, 0], [np.inf, 0]])
    losses = kernels.cross_entropy(x, np.array([1, 1, 0, 0]), reduction="none")
    np.testing.assert_allclose(losses, [np.nan, np.inf, np.log(2), np.nan], rtol=1e-6)
    assert np.isnan(kernels.cross_entropy(x, np.array([1, 1, 0, 0])))


def test_layouts(rng):
    base = rng.normal(size=(6, 4, 10))
    labels = np.arange(20, dtype=np.int32)[::2] % 4
    for x in (
        base[0].T,
        base[::-1, ::2, 3].T[:, ::-1].T,
        np.broadcast_to(base[0, :, :1], (4, 10)).T,
        base.transpose(2, 1, 0),
    ):
        x.flags.writeable = False
        target = np.minimum(labels[: len(x)], x.shape[1] - 1)
        target = target if x.ndim == 2 else np.repeat(target[:, None], 6, 1)[:, ::-1]
        np.testing.assert_allclose(kernels.cross_entropy(x, target), reference.cross_entropy(x, target), rtol=1e-13)
        dx = kernels.cross_entropy_backward(2.0, x, target)
        np.testing.assert_allclose(dx, reference.cross_entropy_backward(2.0, x, target), rtol=1e-9, atol=1e-15)


def test_empty_batches():
    x, labels = np.empty((0, 3), np.float32), np.empty(0, int)
    assert np.isnan(kernels.cross_entropy(x, labels)) and kernels.cross_entropy(x, labels, reduction="sum") == 0
    assert kernels.cross_entropy(x, labels, reduction="none").shape == (0,)
    assert kernels.cross_entropy_backward(1.0, x, labels).shape == (0, 3)


def test_same_bits_for_any_number_of_threads():
    x, labels = logits((3000, 100), np.float32), np.arange(3000) % 100
    results = []
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            results.append(kernels.cross_entropy_with_gradient(x, labels))
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("label", [-1, 3, 2**62])
def test_labels_out_of_range(label):
    x, target = np.zeros((4, 3), np.float32), np.array([0, 2, label, 1])
    for call in (
        lambda: kernels.cross_entropy(x, target),
        lambda: kernels.cross_entropy(x, target, reduction="none"),
        lambda: kernels.cross_entropy_with_gradient(x, target),
        lambda: kernels.cross_entropy_backward(1.0, x, target),
    ):
        with pytest.raises(ValueError, match=f": label {label} is out of range for 3 classes"):
            call()


def test_bad_arguments():
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(
        ValueError, match=r"cross_entropy: target has shape \(3,\) but labels for input \(4, 3\) have \(4,\)"
    ):
        kernels.cross_entropy(x, np.zeros(3, int))
    with pytest.raises(
        ValueError, match=r"cross_entropy: target has shape \(4,\) but input has \(4, 3\); probabilities"
    ):
        kernels.cross_entropy(x, np.zeros(4))
    with pytest.raises(
        TypeError, match="cross_entropy: target must be integer labels or float probabilities, got bool"
    ):
        kernels.cross_entropy(x, np.zeros(4, bool))
    with pytest.raises(TypeError, match="cross_entropy: input must be float32 or float64, got complex128"):
        kernels.cross_entropy(np.zeros((4, 3), complex), np.zeros(4, int))
    with pytest.raises(ValueError, match="cross_entropy: reduction must be 'none', 'mean' or 'sum', got 'max'"):
        kernels.cross_entropy(x, np.zeros(4, int), reduction="max")
    with pytest.raises(ValueError, match=r"cross_entropy: weight has shape \(2,\), expected \(3,\): one for"):
        kernels.cross_entropy(x, np.zeros(4, int), np.ones(2))
    with pytest.raises(ValueError, match="cross_entropy: label_smoothing must be from 0 to 1, got 2"):
        kernels.cross_entropy(x, np.zeros(4, int), label_smoothing=2)
    with pytest.raises(ValueError, match="cross_entropy: input must have at least 1 dimension"):
        kernels.cross_entropy(np.float32(1), 0)


@DTYPES
@REDUCTIONS
@pytest.mark.parametrize("shape", [(7, 10), (3, 4, 5), (5,)], ids=str)
def test_gradient_of_probabilities(shape, reduction, dtype):
    """The loss is linear in them."""
    x, (_, target) = logits(shape, dtype), targets(shape, dtype)
    dim = min(1, len(shape) - 1)
    options = {"reduction": reduction, "label_smoothing": 0.1, "weight": np.linspace(1, 2, shape[dim]).astype(dtype)}
    dloss = np.random.default_rng(7).normal(size=np.shape(kernels.cross_entropy(x, target, **options))).astype(dtype)
    dx, dtarget = kernels.cross_entropy_backward(dloss, x, target, needs=(True, True), **options)
    np.testing.assert_array_equal(dx, kernels.cross_entropy_backward(dloss, x, target, **options))
    way = np.random.default_rng(8).normal(size=shape)
    ends = [(reference.cross_entropy(x, target + s * way, **options) * dloss).sum() for s in (1, -1)]
    rtol = reference.tolerance(dtype, x.size)
    np.testing.assert_allclose((dtarget * way).sum(), (ends[0] - ends[1]) / 2, rtol=20 * rtol, atol=20 * rtol)
    if reduction != "none":
        loss, gradients = kernels.cross_entropy_with_gradient(x, target, needs=(False, True), **options)
        assert gradients[0] is None and loss == kernels.cross_entropy(x, target, **options)
        np.testing.assert_allclose(dtarget, gradients[1] * dloss, rtol=4 * np.finfo(dtype).eps)


@DTYPES
@REDUCTIONS
@SHAPES
def test_nll_loss(shape, reduction, dtype):
    x, (labels, _) = logits(shape, dtype), targets(shape, dtype)
    loss = kernels.nll_loss(x, labels, reduction=reduction)
    expected = reference.nll_loss(x, labels, reduction=reduction)
    assert loss.dtype == dtype and loss.shape == np.shape(expected)
    np.testing.assert_allclose(loss, expected, rtol=reference.tolerance(dtype, x.size), atol=20 * np.finfo(dtype).eps)
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(kernels.nll_loss(turned, labels, reduction=reduction), loss)
    dloss = np.random.default_rng(7).normal(size=loss.shape).astype(dtype)
    dx = kernels.nll_loss_backward(dloss, x, labels, reduction=reduction)
    dim = min(1, len(shape) - 1)
    scale = np.expand_dims(dloss, dim) if reduction == "none" else dloss / (labels.size if reduction == "mean" else 1)
    np.testing.assert_allclose(dx, -reference.one_hot(labels, shape) * scale, rtol=4 * np.finfo(dtype).eps)
    with pytest.raises(ValueError, match=f"nll_loss: label {shape[dim]} is out of range for {shape[dim]} classes"):
        kernels.nll_loss(x, np.full_like(labels, shape[dim]), reduction=reduction)


def test_labels_out_of_range_among_many():
    """They are found in every kernel, in every task, beside labels to ignore, and where NaN would hide them."""
    for classes in (5, 40):
        for rows in (3, 20, 30000):
            labels = np.zeros(rows, int)
            labels[rows // 2], labels[-1] = -100, classes
            x = np.full((rows, classes), np.nan, np.float32)
            for call in (
                lambda x=x, labels=labels: kernels.cross_entropy(x, labels),
                lambda x=x, labels=labels: kernels.cross_entropy(x, labels, np.ones(x.shape[1])),
                lambda x=x, labels=labels: kernels.cross_entropy_backward(1.0, x, labels),
                lambda x=x, labels=labels: kernels.nll_loss_backward(1.0, x, labels),
                lambda x=x, labels=labels: kernels.multi_margin_loss_backward(1.0, x[labels >= 0], labels[labels >= 0]),
            ):
                with pytest.raises(ValueError, match=f"label {classes} is out of range for {classes} classes"):
                    call()
