"""Losses and optimizers by name, and labels that are texts."""

import numpy as np
import pytest

import fastnn
from fastnn import functional as F
from fastnn import nn, optim
from fastnn.data import LabelEncoder
from fastnn.train import LoadError, evaluate, fit, predict, predict_labels
from fastnn.train.names import NAMES, OPTIMIZERS, SHORT, loss_of

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 2)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
TEXTS = np.array(["ant", "bee", "cat"])[Y]


def trained(y=Y, model=None, **options):
    fastnn.manual_seed(0)
    model = nn.Linear(2, 3) if model is None else model
    settings = {"loss": "cross_entropy", "optimizer": "sgd", "lr": 0.5, "epochs": 5, "progress": False, **options}
    return model, fit(model, (X, y), **settings)


def test_names_mean_what_they_say():
    fastnn.manual_seed(0)
    by_hand = nn.Linear(2, 3)
    history = fit(by_hand, (X, Y), loss=F.cross_entropy, optimizer=optim.SGD(by_hand.parameters(), lr=0.5), epochs=5,
                  progress=False)  # fmt: skip
    model, same = trained()
    assert same["loss"] == history["loss"]
    np.testing.assert_array_equal(model.weight.numpy(), by_hand.weight.numpy())
    assert (
        evaluate(model, (X, Y), loss="cross_entropy")["loss"] == evaluate(model, (X, Y), loss=F.cross_entropy)["loss"]
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer(name):
    trained(optimizer=name.upper(), lr=None, epochs=1)


def test_every_loss_has_its_name():
    assert "cross_entropy" in NAMES and "mse_loss" in NAMES and set(SHORT.values()) <= set(NAMES)
    for name in (*NAMES, *SHORT):
        assert loss_of("fit", name.upper()) is getattr(F, SHORT.get(name, name))
    assert loss_of("fit", F.l1_loss) is F.l1_loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss": "crossentropy"}, "fit: loss must be a function or one of .*cross_entropy.*, got 'crossentropy'"),
        ({"optimizer": "adamm"}, "fit: optimizer must be .*adamw.*, got 'adamm'"),
        ({"optimizer": "lbfgs"}, "got 'lbfgs'"),
        ({"optimizer": optim.SGD(nn.Linear(2, 3).parameters(), lr=0.1)}, "lr goes with the name of an optimizer"),
    ],
)
def test_other_names(options, message):
    with pytest.raises(ValueError, match=message):
        trained(**options)


@pytest.mark.parametrize("texts", [TEXTS, TEXTS.tolist(), TEXTS.astype(object)])
def test_labels_may_be_texts(texts, tmp_path):
    expected, history = trained(validation=(X, Y), metrics=["accuracy"])
    model, same = trained(texts, validation=(X, texts), metrics=["accuracy"])
    assert same["val_accuracy"] == history["val_accuracy"] and model.classes_.tolist() == ["ant", "bee", "cat"]
    figures = evaluate(model, (X, texts), loss="cross_entropy", metrics=["accuracy"])
    assert figures["accuracy"] == history["val_accuracy"][-1]
    np.testing.assert_array_equal(predict(model, X), predict(expected, X))
    np.testing.assert_array_equal(predict_labels(model, X), model.classes_[predict_labels(expected, X)])
    fastnn.save(model, tmp_path / "net")
    again = fastnn.load(tmp_path / "net")
    np.testing.assert_array_equal(predict_labels(again, X), predict_labels(model, X))


def test_splits_weights_and_more_training_of_texts():
    weights = {"ant": 2.0, "cat": 0.5}
    _, history = trained(validation_split=0.2, class_weight={0: 2.0, 2: 0.5})
    model, same = trained(TEXTS, validation_split=0.2, class_weight=weights)
    assert same["loss"] == history["loss"] and same["val_loss"] == history["val_loss"]
    fit(model, (X[Y > 0], TEXTS[Y > 0]), loss="cross_entropy", optimizer="sgd", progress=False)
    assert model.classes_.tolist() == ["ant", "bee", "cat"], "the classes of the first training stay"
    with pytest.raises(ValueError, match=r"labels that fit has not seen: \['dog'\]"):
        evaluate(model, (X, np.full(60, "dog")), loss="cross_entropy")
    with pytest.raises(ValueError, match="the model was not trained on texts"):
        evaluate(nn.Linear(2, 3), (X, TEXTS), loss="cross_entropy")


def test_labels_of_one_output():
    model = nn.Linear(2, 1)
    assert predict_labels(model, X, threshold=np.inf).tolist() == [0] * 60
    assert predict_labels(model, X, threshold=-np.inf).tolist() == [1] * 60
    with pytest.raises(ValueError, match=r"got shape \(2, 3, 4, 4\)"):
        predict_labels(nn.Conv2d(1, 3, 1), np.zeros((2, 1, 4, 4), np.float32))


def test_hostile_classes(tmp_path):
    from fastnn.train import load_checkpoint, save_checkpoint

    model, _ = trained(TEXTS, epochs=1)
    fastnn.save(model, tmp_path / "net")
    for bad in (3, [1], {"a": 1}):
        state = load_checkpoint(tmp_path / "net")
        save_checkpoint(tmp_path / "bad", {**state, "classes": bad})
        with pytest.raises(LoadError, match="classes cannot be loaded"):
            fastnn.load(tmp_path / "bad")


@pytest.mark.parametrize("y", [["b", "a", "b"], [3, 1, 3], np.array([2.5, -1]), np.array(["x", "y"], object), []])
def test_label_encoder(y):
    encoder = LabelEncoder()
    numbers = encoder.fit_transform(y)
    assert numbers.dtype == np.int64 and encoder.classes_.tolist() == sorted(set(np.asarray(y).tolist()))
    assert encoder.inverse_transform(numbers).tolist() == np.asarray(y).tolist()
    assert encoder.fit(y) is encoder
    sklearn = pytest.importorskip("sklearn.preprocessing") if len(y) else None
    if sklearn:
        np.testing.assert_array_equal(numbers, sklearn.LabelEncoder().fit_transform(y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: LabelEncoder().transform(["a"]), "call fit first"),
        (lambda: LabelEncoder().fit(["a"]).transform(["b", "a"]), r"has not seen: \['b'\]"),
        (lambda: LabelEncoder().fit([]).transform([1]), r"has not seen: \[1\]"),
        (lambda: LabelEncoder().fit(["a"]).inverse_transform([1]), r"must be in 0..0, got 1..1"),
        (lambda: LabelEncoder().fit(["a"]).inverse_transform([-1]), "must be in 0..0"),
        (lambda: LabelEncoder().fit(["a"]).inverse_transform([0.0]), "must be integers"),
        (lambda: LabelEncoder().fit([["a"]]), r"\(N,\), got <U1 \(1, 1\)"),
        (lambda: LabelEncoder().fit(np.array([None])), "texts or numbers"),
    ],
)
def test_label_encoder_misused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "crossentropy"}, "did you mean 'cross_entropy'"),
        ({"optimizer": "adamm"}, "did you mean 'adam'"),
        ({"metrics": ["acc"]}, "did you mean 'accuracy'"),
        ({"loss": "quux"}, "got 'quux'$"),
    ],
)
def test_the_nearest_name_is_proposed(settings, message):
    with pytest.raises(ValueError, match=message):
        trained(**settings)


def test_named_losses_take_output_and_target_alone():
    assert not {"one_hot", "linear_cross_entropy", "ctc_loss", "triplet_margin_loss", "gaussian_nll_loss"} & {*NAMES}
