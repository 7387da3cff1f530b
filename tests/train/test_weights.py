"""Weights of classes and samples, held-out shares, transforms: what `fit` does with its data."""

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.data import DataLoader, Mixup
from fastnn.train import evaluate, fit

rng = np.random.default_rng(3)
Y = np.repeat([0, 1, 2], [60, 25, 5])
X = np.array([[0, 3], [3, 0], [-3, -3]])[Y] + rng.standard_normal(
    (90, 2)
)  # float64: what is compared may differ by rounding, and some weights are near 0


def train(data=(X, Y), epochs=2, **options):
    fastnn.manual_seed(1)
    model = nn.Linear(2, 3, dtype=np.float64)
    history = fit(model, data, loss=options.pop("loss", functional.cross_entropy), epochs=epochs, progress=False,
                  optimizer=optim.SGD(model.parameters(), lr=0.1), **{"batch_size": 30, **options})  # fmt: skip
    return model.state_dict()["weight"], history


def test_weights_of_one_change_nothing():
    plain, history = train()
    for options in ({"class_weight": np.ones(3)}, {"class_weight": {1: 1.0}}, {"sample_weight": np.full(90, 2.0)}):
        weight, weighted = train(**options)
        np.testing.assert_allclose(weight, plain, rtol=1e-5)
        np.testing.assert_allclose(weighted["loss"], history["loss"], rtol=1e-5)


def test_a_weight_of_two_is_the_sample_twice():
    twice = np.arange(90) % 7 == 0
    data = np.concatenate([X, X[twice]]), np.concatenate([Y, Y[twice]])
    expected, history = train(data, batch_size=200)
    weight, weighted = train(sample_weight=1.0 + twice, batch_size=200)
    np.testing.assert_allclose(weight, expected, rtol=1e-5)
    np.testing.assert_allclose(weighted["loss"], history["loss"], rtol=1e-5)


def test_balanced_classes_and_their_samples_multiply():
    table = 90 / (3 * np.bincount(Y))
    expected, _ = train(sample_weight=table[Y])
    for options in ({"class_weight": "balanced"}, {"class_weight": table}, {"class_weight": dict(enumerate(table))}):
        np.testing.assert_allclose(train(**options)[0], expected, rtol=1e-6)
    both, _ = train(class_weight=table, sample_weight=1 / table[Y])
    np.testing.assert_allclose(both, train()[0], rtol=1e-5)


def test_batches_bring_their_own_weights():
    weights = np.linspace(0, 2, 90)
    expected, _ = train(sample_weight=weights)
    fastnn.manual_seed(1)
    batches = DataLoader((X, Y, weights), 30, shuffle=True)
    weight, _ = train(batches, class_weight={0: 1.0})
    np.testing.assert_allclose(weight, expected, rtol=1e-5)


def test_losses_of_several_numbers_per_sample():
    target = rng.standard_normal((90, 3))
    plain, _ = train((X, target), loss=functional.mse_loss)
    weight, _ = train((X, target), loss=functional.mse_loss, sample_weight=np.full(90, 0.5))
    np.testing.assert_allclose(weight, plain, rtol=1e-5)


def test_losses_that_are_layers():
    expected, _ = train(class_weight="balanced")
    weight, _ = train(class_weight="balanced", loss=nn.CrossEntropyLoss())
    np.testing.assert_array_equal(weight, expected)


def test_validation_can_be_weighted():
    model = nn.Linear(2, 3)
    chosen = Y == 2
    part = evaluate(model, (X[chosen], Y[chosen]), loss=functional.cross_entropy)
    whole = evaluate(model, (X, Y, chosen.astype(float)), loss=functional.cross_entropy, batch_size=90)
    assert whole["loss"] == pytest.approx(part["loss"], rel=1e-5)


def test_a_share_is_held_out_by_class():
    seen = []

    def watch(output, target):
        seen.append(np.bincount(target, minlength=3))
        return 0.0

    train(validation_split=0.2, metrics={"counts": watch}, epochs=1, sample_weight=np.ones(90))
    assert sum(seen[:-1]).tolist() == [48, 20, 4] and seen[-1].tolist() == [12, 5, 1]
    _, history = train((X, X[:, :1] @ np.ones((1, 3), np.float32)), loss=functional.mse_loss, validation_split=0.5)
    assert "val_loss" in history


@pytest.mark.parametrize("prefetch", [0, 3])
def test_transforms(prefetch):
    calls = []

    def turn(x, generator):
        calls.append(len(x))
        return -x

    flipped, _ = train(transform=turn, prefetch=prefetch)
    assert calls == [30] * 6
    np.testing.assert_allclose(flipped, train((-X, Y), transform=lambda x, generator: x)[0], rtol=1e-6)
    _, history = train(transform=Mixup(0.2, classes=3), prefetch=prefetch, metrics=["accuracy"])
    assert history["accuracy"][-1] > 0.5


def test_files_larger_than_memory_are_read_in_pieces(tmp_path):
    np.save(tmp_path / "x.npy", X.astype(np.float64))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_allclose(train((mapped, Y))[0], train()[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_weight": np.ones(2)}, ValueError, r"class_weight of shape \(2,\) has no weight .* labels of 0..2"),
        ({"class_weight": "even"}, ValueError, "class_weight must be numbers or 'balanced', got 'even'"),
        ({"class_weight": {0: -1.0}}, ValueError, "class_weight must be finite numbers from 0"),
        ({"class_weight": [1, np.nan, 1]}, ValueError, "class_weight must be finite numbers from 0"),
        ({"class_weight": "balanced", "data": (X, X)}, ValueError, r"integer labels \(N,\), got float64 \(90, 2\)"),
        ({"class_weight": "balanced", "data": [(X, Y)]}, ValueError, "needs the data as arrays"),
        ({"sample_weight": np.ones(9)}, ValueError, r"sample_weight must be 90 finite numbers .* got shape \(9,\)"),
        ({"sample_weight": np.zeros(90)}, ValueError, "not all 0"),
        ({"sample_weight": np.ones(90), "data": [(X, Y)]}, ValueError, "batches can be"),
        ({"sample_weight": np.ones(90), "data": (X, Y, Y)}, ValueError, "weights need the data as .x, y., got 3 items"),
        ({"sample_weight": np.ones(90), "loss": lambda output, target: 0}, TypeError, "takes reduction='none'"),
        ({"validation_split": 1.0}, ValueError, "a share between 0 and 1, got 1.0"),
        ({"validation_split": 0.2, "validation": (X, Y)}, ValueError, "validation or validation_split, not both"),
        ({"validation_split": 0.2, "data": [(X, Y)]}, TypeError, "needs the data as arrays"),
        ({"transform": lambda x, g: x, "data": [(X, Y)]}, ValueError, "give it to the DataLoader"),
        ({"prefetch": 2, "data": [(X, Y)]}, ValueError, "give it to the DataLoader"),
    ],
)
def test_bad_input(options, error, message):
    with pytest.raises(error, match=message):
        train(**options)
