"""Losses of elements and rows against float64 and finite differences: all reductions, any layout, bad input."""

import pickle

import numpy as np
import pytest

import fastnn_kernels as kernels
from fastnn import Tensor, functional
from fastnn_kernels.ground.threads import threads
from tests.kernels.guarded import lay
from tests.kernels.loss_rows import TABLE
from tests.reference import loss as reference

rows = pytest.mark.parametrize("row", TABLE.values(), ids=TABLE)
DTYPES = pytest.mark.parametrize("dtype", [np.float32, np.float64])
REDUCTIONS = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])


def inputs(row, dtype):
    made = row.make(np.random.default_rng(3))
    return [x.astype(dtype) if x.dtype.kind == "f" else x for x in made]


def options(row, dtype):
    return {k: v.astype(dtype) if isinstance(v, np.ndarray) else v for k, v in row.options.items()}


def gradients(row, dloss, args, reduction, dtype):
    loss = getattr(kernels, row.name)
    if hasattr(loss, "backward"):
        needs = (True,) * row.operands
        return loss.backward(dloss, *args, reduction=reduction, needs=needs, **options(row, dtype))
    return (getattr(kernels, f"{row.name}_backward")(dloss, *args, reduction=reduction, **options(row, dtype)),)


@rows
@DTYPES
@REDUCTIONS
def test_values(row, reduction, dtype):
    args = inputs(row, dtype)
    loss = getattr(kernels, row.name)(*args, reduction=reduction, **options(row, dtype))
    exact = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in args]
    losses = getattr(reference, row.name)(*exact, **row.options)
    expected = reference.reduce(losses, reduction)
    assert loss.dtype == dtype and loss.shape == expected.shape
    tolerance = reference.tolerance(dtype, losses.size)
    np.testing.assert_allclose(loss, expected, rtol=tolerance, atol=tolerance * np.abs(losses).max())


@rows
@REDUCTIONS
def test_gradients(row, reduction):
    """In float64 by differences along one direction; float32 must agree with that."""
    args = inputs(row, np.float64)
    loss = getattr(kernels, row.name)
    dloss = np.random.default_rng(4).normal(size=np.shape(loss(*args, reduction=reduction, **row.options)))
    found = gradients(row, dloss, args, reduction, np.float64)
    rng, step = np.random.default_rng(5), 1e-6
    ways = [rng.normal(size=x.shape) for x in args[: row.operands]]
    ends = [
        (loss(*[x + sign * step * way for x, way in zip(args, ways, strict=False)], *args[row.operands :],
              reduction=reduction, **row.options) * dloss).sum()
        for sign in (1, -1)
    ]  # fmt: skip
    slope = sum(
        (g if g.shape == way.shape else g.sum(-1)).ravel() @ way.ravel() for g, way in zip(found, ways, strict=True)
    )
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / (2 * step), rtol=1e-6, atol=1e-8)
    single = gradients(row, dloss.astype(np.float32), inputs(row, np.float32), reduction, np.float32)
    for one, other in zip(single, found, strict=True):
        assert one.dtype == np.float32
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * np.abs(other).max())


@rows
@REDUCTIONS
def test_value_and_gradient_together(row, reduction):
    together = getattr(kernels, row.name).with_gradient
    args, given = inputs(row, np.float32), {"reduction": reduction, **options(row, np.float32)}
    loss, dx = together(*args, **given)
    np.testing.assert_array_equal(loss, getattr(kernels, row.name)(*args, **given))
    if reduction == "none":
        assert dx is None
        return
    every = gradients(row, 1.0, args, reduction, np.float32)
    np.testing.assert_array_equal(dx, every[0])
    for one, other in zip(together(*args, needs=(True,) * row.operands, **given)[1], every, strict=True):
        np.testing.assert_array_equal(one, other)


@rows
def test_layouts_and_empty_batches(row):
    args = inputs(row, np.float64)
    loss = getattr(kernels, row.name)
    expected = loss(*args, reduction="none", **row.options)
    wide = []
    for x in args:
        wide.append(np.full([2 * n for n in x.shape], 7, x.dtype)[tuple(slice(None, None, 2) for _ in x.shape)])
        wide[-1][...] = x
        wide[-1].flags.writeable = False
    np.testing.assert_array_equal(loss(*wide, reduction="none", **row.options), expected)
    if any(isinstance(v, np.ndarray) and len(v) == 7 for v in row.options.values()):
        return
    nothing = [x[:0] for x in args]
    assert loss(*nothing, reduction="none", **row.options).shape[0] == 0
    assert loss(*nothing, reduction="sum", **row.options) == 0
    assert np.isnan(loss(*nothing, **row.options))
    assert gradients(row, 1.0, nothing, "mean", np.float64)[0].shape == nothing[0].shape


@pytest.mark.parametrize("name", ["mse_loss", "binary_cross_entropy_with_logits", "triplet_margin_loss"])
def test_same_bits_for_any_number_of_threads(name):
    rng = np.random.default_rng(1)
    args = rng.normal(size=(3 if "triplet" in name else 2, 997, 103)).astype(np.float32)
    results = []
    for count in (1, 2, 3, 8, 17):
        with threads(count):
            loss = getattr(kernels, name)
            results.append((loss(*args), loss(*args, reduction="none"), loss.backward(1.0, *args)))
            results[-1] += loss.with_gradient(*args)
    for result in results[1:]:
        for a, b in zip(result, results[0], strict=True):
            np.testing.assert_array_equal(a, b)


def test_ends_of_the_range():
    x, t = np.float32([0, 1, 0, 1]), np.float32([0, 1, 1, 0])
    np.testing.assert_array_equal(kernels.binary_cross_entropy(x, t, reduction="none"), [0, 0, 100, 100])
    assert np.isfinite(kernels.binary_cross_entropy_backward(1.0, x, t)).all()
    x = np.float32([-1e4, 1e4, -30, 1e-8])
    losses = kernels.binary_cross_entropy_with_logits(x, np.float32([0, 0, 0, 1]), reduction="none")
    np.testing.assert_allclose(losses, [0, 1e4, np.exp(-30.0), np.log(2)], rtol=1e-6)
    assert kernels.kl_div(np.float64([-1.0]), np.float64([0.0])) == 0
    assert kernels.l1_loss_backward(1.0, np.ones(3), np.ones(3)).tolist() == [0, 0, 0]
    same = np.ones((2, 3))
    assert np.isfinite(kernels.triplet_margin_loss_backward(1.0, same, same, same, eps=0.0)).all()
    for p in (1.0, 2.0, 3.5, np.inf):  # eps must not drown in the ones: all distances are its norm
        assert kernels.triplet_margin_loss(same[0], same[0], same[0] - 1, margin=1.0, p=p) == 0
        single = np.ones((1, 3), np.float32)
        slope = kernels.triplet_margin_loss_backward(1.0, single, single, single, p=p, needs=(False, True, False))[1]
        exact = kernels.triplet_margin_loss_backward(1.0, same, same, same, p=p, needs=(False, True, False))[1] * 2
        np.testing.assert_allclose(slope[0], exact[0], rtol=1e-4)
    assert np.isfinite(kernels.cosine_embedding_loss_backward(1.0, 0 * same, same, np.array([1, -1]))).all()


def test_nan_stays_visible():
    x = np.full(20, np.nan, np.float32)
    for name in ("mse_loss", "smooth_l1_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "kl_div",
                 "hinge_loss", "soft_margin_loss", "poisson_nll_loss"):  # fmt: skip
        assert np.isnan(getattr(kernels, name)(x, np.ones(20, np.float32), reduction="none")).all(), name


def test_integers_are_targets():
    x = np.float32([0.5, -2.0])
    assert kernels.soft_margin_loss(x, np.array([1, -1])) == kernels.soft_margin_loss(x, np.float32([1, -1]))
    assert kernels.binary_cross_entropy_with_logits(x, np.array([True, False])).dtype == np.float32


def test_batchmean():
    x, t = np.log(np.full((4, 5), 0.2)), np.full((4, 5), 0.2)
    t[:, 0] += 0.1
    total = kernels.kl_div(x, t, "sum")
    assert kernels.kl_div(x, t, "batchmean") == pytest.approx(total / 4)
    np.testing.assert_allclose(kernels.kl_div_backward(1.0, x, t, "batchmean"), -t / 4)


CTC = {"input_lengths": np.array([5, 4, 3]), "target_lengths": np.array([2, 3, 0])}
WORDS = np.array([[1, 1, 0], [2, 1, 2], [0, 0, 0]])


def log_probabilities(dtype=np.float64, shape=(5, 3, 3)):
    x = np.random.default_rng(8).normal(size=shape).astype(dtype)
    return kernels.log_softmax(x, -1)


@DTYPES
@REDUCTIONS
def test_ctc_loss(reduction, dtype):
    x = log_probabilities(dtype)
    losses = reference.ctc_loss(x.astype(np.float64), WORDS, **CTC)
    scaled = losses / np.maximum(CTC["target_lengths"], 1) if reduction == "mean" else losses
    loss = kernels.ctc_loss(x, WORDS, **CTC, reduction=reduction)
    assert loss.dtype == dtype
    np.testing.assert_allclose(loss, reference.reduce(scaled, reduction), rtol=100 * np.finfo(dtype).eps)
    in_a_row = np.array([1, 1, 2, 1, 2])
    np.testing.assert_array_equal(kernels.ctc_loss(x, in_a_row, **CTC, reduction=reduction), loss)
    alone = kernels.ctc_loss(x[:, 0], WORDS[0, :2], np.array(5), np.array(2), reduction="none")
    np.testing.assert_allclose(alone, losses[0], rtol=100 * np.finfo(dtype).eps)


@REDUCTIONS
def test_ctc_gradient(reduction):
    x = log_probabilities()
    dloss = np.random.default_rng(4).normal(size=np.shape(kernels.ctc_loss(x, WORDS, **CTC, reduction=reduction)))
    way, step = np.random.default_rng(5).normal(size=x.shape), 1e-6
    ends = [(kernels.ctc_loss(x + s * way, WORDS, **CTC, reduction=reduction) * dloss).sum() for s in (step, -step)]
    dx = kernels.ctc_loss_backward(dloss, x, WORDS, **CTC, reduction=reduction)
    np.testing.assert_allclose((dx * way).sum(), (ends[0] - ends[1]) / (2 * step), rtol=1e-7)
    assert not dx[4, 1].any() and not dx[3:, 2].any()  # after the ends


def test_ctc_labels_and_lengths_in_any_layout():
    x = log_probabilities()
    loss = kernels.ctc_loss(x, WORDS, **CTC)
    for layout in ("odd", "record", "reversed", "turned"):
        named = {name: lay(np.array(values, np.int64), layout) for name, values in CTC.items()}
        assert kernels.ctc_loss(x, lay(np.array(WORDS, np.int64), layout), **named) == loss


class Closed(np.ndarray):
    """An array of which NumPy's functions make nothing."""

    __array_ufunc__ = None

    def __array_function__(self, *args):
        raise AssertionError("asked of a function of NumPy")


def test_logits_of_a_class_of_its_own():
    x, labels = np.random.default_rng(3).standard_normal((5, 4)), np.arange(5) % 4
    for name, *args in (
        ("cross_entropy", x, labels), ("cross_entropy_backward", 1.0, x, labels),
        ("nll_loss", x, labels), ("nll_loss_backward", 1.0, x, labels),
        ("kl_div", x, x**2), ("multilabel_soft_margin_loss_backward", np.ones(5), x, 1.0 * (x > 0)),
    ):  # fmt: skip
        reductions = {"kl_div": "batchmean", "multilabel_soft_margin_loss_backward": "none"}
        reduction = {"reduction": reductions.get(name, "mean")}
        own = [a.view(Closed) if isinstance(a, np.ndarray) else a for a in args]
        made = getattr(kernels, name)(*own, **reduction)
        assert type(made) is not Closed
        np.testing.assert_array_equal(made, getattr(kernels, name)(*args, **reduction))


def test_ctc_without_room():
    x, short = log_probabilities(), {**CTC, "input_lengths": np.array([2, 4, 0])}  # 1 1 needs a blank between
    losses = kernels.ctc_loss(x, WORDS, **short, reduction="none")
    assert np.isinf(losses[0]) and np.isfinite(losses[1]) and losses[2] == 0
    assert kernels.ctc_loss(x, WORDS, **short, reduction="none", zero_infinity=True)[0] == 0
    dx = kernels.ctc_loss_backward(1.0, x, WORDS, **short, zero_infinity=True)
    assert np.isfinite(dx).all() and not dx[:, 0].any() and dx[:, 1].any()


X = np.zeros((4, 3), np.float32)
SIGNS = np.ones(4, np.float32)
BAD = [
    (lambda: kernels.mse_loss(X, X[0]), ValueError, r"mse_loss: input has shape \(4, 3\) but target has \(3,\)"),
    (lambda: kernels.l1_loss(X, X, "max"), ValueError, "l1_loss: reduction must be 'none', 'mean' or 'sum', got 'max'"),
    (lambda: kernels.smooth_l1_loss(X, X, beta=-1), ValueError, "smooth_l1_loss: beta must not be negative, got -1"),
    (lambda: kernels.huber_loss(X, X, delta=0), ValueError, "huber_loss: delta must be above 0, got 0"),
    (lambda: kernels.huber_loss([["a"]], X), TypeError, "huber_loss: input must be float32 or float64"),
    (
        lambda: kernels.mse_loss_backward(X, X, X.T.copy().T[:2], "none"),
        ValueError,
        "mse_loss_backward: input has shape",
    ),
    (lambda: kernels.mse_loss_backward(X[0], X, X, "none"), ValueError, r"dloss has shape \(3,\), expected \(4, 3\)"),
    (
        lambda: kernels.binary_cross_entropy(X + 2, X),
        ValueError,
        "input must be probabilities from 0 to 1, got 2.0; for",
    ),
    (
        lambda: kernels.binary_cross_entropy(X, X - 1, None, "none"),
        ValueError,
        "target must be probabilities .* got -1.0",
    ),
    (
        lambda: kernels.binary_cross_entropy(X, X, SIGNS),
        ValueError,
        r"weight has shape \(4,\), which does not broadcast",
    ),
    (
        lambda: kernels.binary_cross_entropy_with_logits(X, X, pos_weight=SIGNS),
        ValueError,
        r"pos_weight has shape \(4,\), which does not broadcast to \(4, 3\)",
    ),
    (lambda: kernels.hinge_embedding_loss(X, X), ValueError, "hinge_embedding_loss: target must be -1 or 1, got 0.0"),
    (lambda: kernels.poisson_nll_loss(X, X, False, eps=-1), ValueError, "poisson_nll_loss: eps must not be negative"),
    (
        lambda: kernels.gaussian_nll_loss(X, X, X - 1),
        ValueError,
        "gaussian_nll_loss: var must not be negative, got -1.0",
    ),
    (lambda: kernels.gaussian_nll_loss(X, X, X[0, :2]), ValueError, r"var has shape \(2,\) but input has \(4, 3\)"),
    (lambda: kernels.gaussian_nll_loss(X, X, X, eps=0), ValueError, "gaussian_nll_loss: eps must be above 0, got 0"),
    (lambda: kernels.multilabel_soft_margin_loss(X[None], X[None]), ValueError, "input must have 1 or 2 dimensions"),
    (lambda: kernels.multi_margin_loss(X, np.array([0, 1, 3, 2])), ValueError, "label 3 is out of range for 3 classes"),
    (
        lambda: kernels.multi_margin_loss(X, np.zeros(4, int), p=3),
        ValueError,
        "multi_margin_loss: p must be 1 or 2, got 3",
    ),
    (
        lambda: kernels.multilabel_margin_loss(X, np.full((4, 3), 7)),
        ValueError,
        "label 7 is out of range for 3 classes",
    ),
    (lambda: kernels.multilabel_margin_loss(X, X), TypeError, "target must be integer labels, got float32"),
    (lambda: kernels.multilabel_margin_loss(X, np.zeros(4, int)), ValueError, r"target has shape \(4,\) but input has"),
    (lambda: kernels.cosine_embedding_loss(X, X, 0 * SIGNS), ValueError, "target must be -1 or 1, got 0.0"),
    (lambda: kernels.cosine_embedding_loss(X, X, SIGNS[:3]), ValueError, r"target has shape \(3,\), expected \(4,\)"),
    (lambda: kernels.cosine_embedding_loss(X, X[:2], SIGNS), ValueError, r"input1 has shape \(4, 3\) but input2 has"),
    (lambda: kernels.triplet_margin_loss(X, X, X, p=0), ValueError, "triplet_margin_loss: p must be above 0, got 0"),
    (lambda: kernels.triplet_margin_loss(X, X, X, margin=-1), ValueError, "margin must be above 0, got -1"),
    (lambda: kernels.one_hot([0.5]), TypeError, "one_hot: target must be integers, got float64"),
    (lambda: kernels.one_hot([0, 3], 3), ValueError, "one_hot: label 3 is out of range for 3 classes"),
    (lambda: kernels.one_hot([0, -2]), ValueError, "one_hot: label -2 is out of range for 1 classes"),
    (lambda: kernels.one_hot(np.zeros(0, int)), ValueError, "num_classes must be given if there are no labels"),
    (
        lambda: kernels.nll_loss(X, np.array([0, 1, 2, 3])),
        ValueError,
        "nll_loss: label 3 is out of range for 3 classes",
    ),
    (lambda: kernels.nll_loss(X, X), TypeError, "nll_loss: target must be integer labels"),
    (lambda: kernels.ctc_loss(log_probabilities(), WORDS + 9, **CTC), ValueError, "label 10 is out of range for 3"),
    (lambda: kernels.ctc_loss(log_probabilities(), WORDS, **CTC, blank=1), ValueError, "must not contain blank, 1"),
    (lambda: kernels.ctc_loss(log_probabilities(), WORDS, **CTC, blank=3), ValueError, "blank must be from 0 to 2"),
    (
        lambda: kernels.ctc_loss(log_probabilities(), WORDS, np.array([6, 1, 1]), CTC["target_lengths"]),
        ValueError,
        r"input_lengths must be from 0 to 5, got \[6, 1, 1\]",
    ),
    (
        lambda: kernels.ctc_loss(log_probabilities(), WORDS[:2], **CTC),
        ValueError,
        r"targets has shape \(2, 3\), expected \(3, S\)",
    ),
    (
        lambda: kernels.ctc_loss(log_probabilities(), np.array([1, 2]), **CTC),
        ValueError,
        r"target_lengths must be from 0 to 2, got \[2, 3, 0\]",
    ),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD)
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_one_hot():
    np.testing.assert_array_equal(kernels.one_hot([2, 0]), [[0, 0, 1], [1, 0, 0]])
    made = kernels.one_hot(np.array([[1], [3]], np.uint8), 5)
    assert made.shape == (2, 1, 5) and made.dtype == np.int64 and (made.argmax(-1) == [[1], [3]]).all()


SIGNED = np.array([[1, -1, 1], [1, 1, -1], [-1, -1, 1], [1, -1, 1]])
BINARY = np.array([[1, 0, 1], [1, 1, 0], [0, 0, 1], [1, 0, 1]])
CLASSES = np.array([0, 2, 1, 1])
INTEGER_TARGETS = {
    "mse_loss": BINARY,
    "l1_loss": BINARY,
    "smooth_l1_loss": BINARY,
    "huber_loss": BINARY,
    "binary_cross_entropy": BINARY,
    "binary_cross_entropy_with_logits": BINARY,
    "kl_div": BINARY,
    "hinge_loss": SIGNED,
    "hinge_embedding_loss": SIGNED,
    "margin_ranking_loss": SIGNED,
    "soft_margin_loss": SIGNED,
    "poisson_nll_loss": BINARY + 1,
    "gaussian_nll_loss": BINARY,
    "multilabel_soft_margin_loss": BINARY,
    "cosine_embedding_loss": SIGNED[:, 0],
    "multi_margin_loss": CLASSES,
    "multilabel_margin_loss": np.array([[1, -1, 0], [0, 2, -1], [2, 1, 0], [-1, 0, 0]]),
    "cross_entropy": CLASSES,
    "nll_loss": CLASSES,
}
LABELLED = ("multi_margin_loss", "multilabel_margin_loss", "cross_entropy", "nll_loss")
MAKES = {
    **{dtype: lambda t, dtype=dtype: t.astype(dtype) for dtype in "i1 i2 i4 i8 u1 u2 u4 u8 >i2 >i8 ?".split()},
    "list": lambda t: t.tolist(),
    "tensor": lambda t: Tensor(t),
    "int8 tensor": lambda t: Tensor(t.astype(np.int8)),
    "bool tensor": lambda t: Tensor(t.astype(bool)),
    "float tensor": lambda t: Tensor(t.astype(np.float32)),
    "strided": lambda t: np.repeat(t, 2, 0)[::2],
    "unpickled": lambda t: pickle.loads(pickle.dumps(t)),
}


@pytest.mark.parametrize("make", MAKES.values(), ids=MAKES)
@pytest.mark.parametrize("name", INTEGER_TARGETS)
def test_targets_of_every_integer_kind(name, make):
    plain = INTEGER_TARGETS[name]
    target = make(plain)
    kind = np.asarray(target).dtype.kind
    if not np.array_equal(np.asarray(target).astype(float), plain) or (name in LABELLED and kind in "fb"):
        pytest.skip("holds no such numbers")
    rng = np.random.default_rng(0)
    x = rng.uniform(0.1, 0.9, (4, 3)).astype(np.float32)
    two = name in ("margin_ranking_loss", "cosine_embedding_loss")
    more = (x[::-1].copy(),) if name == "gaussian_nll_loss" else ()
    results = []
    for t in (plain if name in LABELLED else plain.astype(np.float32), target):
        given = Tensor(x, requires_grad=True)
        between = (x[:, ::-1],) if two else ()
        loss = getattr(functional, name)(given, *between, t, *more)
        loss.backward()
        assert loss.dtype == given.grad.dtype == np.float32
        results.append((loss.item(), given.grad))
        assert getattr(kernels, name)(x, *between, t, *more) == loss.item()
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1], results[1][1])


def test_labels_too_large_for_int64():
    labels = np.array([2**64 - 100, 0], np.uint64)  # -100, the usual ignore_index, if cast
    for call in (
        lambda: kernels.cross_entropy(np.ones((2, 3)), labels),
        lambda: kernels.nll_loss(np.ones((2, 3)), labels),
        lambda: kernels.multi_margin_loss(np.ones((2, 3)), labels),
    ):
        with pytest.raises(ValueError, match="label 18446744073709551516 is out of range"):
            call()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: kernels.mse_loss(np.ones(2), None), "mse_loss: target must be an array, got None"),
        (lambda: kernels.cross_entropy(np.ones((2, 3)), None), "cross_entropy: target must be an array, got None"),
        (lambda: kernels.cosine_embedding_loss(np.ones(2), np.ones(2), None), "target must be an array, got None"),
        (lambda: kernels.nll_loss(np.ones((2, 3)), np.ma.array([0, 1], mask=[0, 1])), "target is a masked array"),
        (lambda: kernels.ctc_loss(np.ones((2, 1, 3)), [[1]], None, [1]), "input_lengths must be an array, got None"),
    ],
)
def test_invalid_targets_are_named(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_the_mean_of_nothing_is_nan():
    nothing = np.ones((0, 3), np.float32)
    assert np.isnan(kernels.kl_div(nothing, nothing, "batchmean")) and np.isnan(kernels.kl_div(nothing, nothing))
    assert kernels.kl_div(np.ones((2, 0)), np.ones((2, 0)), "batchmean") == 0
    assert kernels.kl_div_backward(1.0, nothing, nothing, "batchmean").shape == (0, 3)
    assert np.isnan(kernels.nll_loss(nothing, [])) and np.isnan(kernels.cross_entropy(nothing, []))
    assert np.isnan(kernels.cross_entropy(np.ones((2, 3)), [-100, -100]))
    assert np.isnan(kernels.multilabel_soft_margin_loss(np.ones((2, 0)), np.ones((2, 0)), reduction="none")).all()
    assert np.isnan(kernels.multilabel_soft_margin_loss(np.ones((2, 0)), np.ones((2, 0)), reduction="sum"))
    assert np.isnan(kernels.ctc_loss(np.ones((4, 0, 3)), np.zeros((0, 2), int), np.zeros(0, int), np.zeros(0, int)))


def test_the_slope_of_stirlings_term():
    x, t = Tensor(np.array([1.0])), Tensor(np.array([5.0]), requires_grad=True)
    functional.poisson_nll_loss(x, t, full=True).backward()
    np.testing.assert_allclose(t.grad, np.log(5) + 0.1 - 1, rtol=1e-14)
    small = Tensor(np.array([0.0, 1.0]), requires_grad=True)
    functional.poisson_nll_loss(np.zeros(2), small, full=True, reduction="sum").backward()
    assert small.grad.tolist() == [0, 0]


def test_one_hot_of_tensors_and_lists():
    expected = [[1, 0, 0], [0, 0, 1]]
    assert functional.one_hot(np.array([0, 2])).tolist() == functional.one_hot([0, 2]).tolist() == expected
    y = functional.one_hot(Tensor([0, 2]), 3)
    assert isinstance(y, Tensor) and y.tolist() == expected and y.dtype == np.int64
