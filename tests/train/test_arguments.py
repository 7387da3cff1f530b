"""Invalid arguments raise errors that name the function, the argument and its value."""

import numpy as np
import pytest

import fastnn
from fastnn import functional as F
from fastnn import nn, optim
from fastnn.data import (
    DataLoader,
    KFold,
    StratifiedKFold,
    balanced_weights,
    make_blobs,
    make_circles,
    make_moons,
    make_spirals,
    split,
    train_test_split,
)
from fastnn.train import (
    Checkpoint,
    ClipGradients,
    CSVLog,
    EarlyStopping,
    JSONLog,
    Schedule,
    TensorBoardLog,
    accuracy,
    confusion_matrix,
    evaluate,
    fit,
    predict,
    top_k,
)
from fastnn.train.streams import STREAMS

X = np.random.default_rng(0).standard_normal((8, 2)).astype(np.float32)
Y = np.arange(8) % 2
BAD = {"none": None, "text": "x", "number": 2.5, "huge": 10**400, "object": object(), "list": [None],
       "ragged": [[1], [1, 2]], "texts": np.array(["a"]), "objects": np.array([None])}  # fmt: skip


def run(**options):
    model = nn.Linear(2, 2)
    given = {"model": model, "data": (X, Y), "loss": F.cross_entropy, "progress": False,
             "optimizer": optim.SGD(model.parameters(), lr=0.1), **options}  # fmt: skip
    return fit(given.pop("model"), given.pop("data"), **given)


def measured(**options):
    model = nn.Linear(2, 2)
    return evaluate(options.pop("model", model), options.pop("data", (X, Y)), **{"loss": F.cross_entropy, **options})


OPTIONAL = {"validation", "validation_split", "transform", "class_weight", "sample_weight", "schedule", "resume"}
FIT = ["model", "data", "loss", "optimizer", "epochs", "batch_size", "prefetch", "metrics", "accumulate", "callbacks",
       *sorted(OPTIONAL)]  # fmt: skip
CALLS = {
    **{f"fit {name}": (lambda bad, name=name: run(**{name: bad}), "fit|evaluate|DataLoader|train_test_split|Schedule")
       for name in FIT},
    "fit x": (lambda bad: run(data=(bad, Y)), "fit: data: x"),
    "fit y": (lambda bad: run(data=(X, bad)), "fit"),
    "fit batch x": (lambda bad: run(data=[(bad, Y)]), "fit|linear|Linear|cross_entropy"),
    "fit batch y": (lambda bad: run(data=[(X, bad)]), "fit|cross_entropy"),
    "fit batch weights": (lambda bad: run(data=[(X, Y, bad)]), "fit|cross_entropy"),
    "evaluate model": (lambda bad: measured(model=bad), "evaluate: model"),
    "evaluate data": (lambda bad: measured(data=bad), "evaluate"),
    "evaluate loss": (lambda bad: measured(loss=5 if bad is None else bad), "evaluate: loss"),
    "evaluate metrics": (lambda bad: measured(metrics=bad), "fit: (unknown )?metric"),
    "evaluate batch_size": (lambda bad: measured(batch_size=bad), "DataLoader: batch_size"),
    "predict model": (lambda bad: predict(bad, X), "predict: model"),
    "predict x": (lambda bad: predict(nn.Linear(2, 2), bad), "predict"),
    "predict batch_size": (lambda bad: predict(nn.Linear(2, 2), X, batch_size=bad), "DataLoader: batch_size"),
    "DataLoader": (lambda bad: list(DataLoader(bad)), "DataLoader|default_collate"),
    "DataLoader y": (lambda bad: DataLoader((X, bad)), "DataLoader"),
    **{f"DataLoader {name}": (lambda bad, name=name: list(DataLoader((X, Y), **{name: bad})), f"DataLoader: {name}")
       for name in ("batch_size", "weights", "prefetch", "dtype", "shuffle", "drop_last", "seed")},
    "DataLoader transform": (lambda bad: DataLoader((X, Y), transform=bad), "DataLoader: transform"),
    "accuracy output": (lambda bad: accuracy(bad, Y), "accuracy: output"),
    "accuracy target": (lambda bad: accuracy(X, bad), "accuracy"),
    "top_k output": (lambda bad: top_k(bad, Y), "top_k"),
    "top_k target": (lambda bad: top_k(X, bad), "top_k"),
    "top_k k": (lambda bad: top_k(X, Y, bad), "top_k: k"),
    "confusion_matrix": (lambda bad: confusion_matrix(bad, Y), "confusion_matrix: predicted"),
    "confusion_matrix target": (lambda bad: confusion_matrix(Y, bad), "confusion_matrix"),
    "confusion_matrix classes": (lambda bad: confusion_matrix(Y, Y, "n" if bad is None else bad), "confusion_matrix"),
    **{f"{name} {what}": (lambda bad, name=name, first=first: STREAMS[name]()(bad if first else X[:, 0],
                                                                              Y if first else bad), "")
       for name in ("f1", "roc_auc", "r2", "mse", "balanced_accuracy", "confusion_matrix")
       for what, first in (("output", True), ("target", False))},
    "split x": (lambda bad: split(bad, Y), "split"),
    "split y": (lambda bad: split(X, bad), "split"),
    "split sizes": (lambda bad: split(X, Y, bad), "split"),
    "split seed": (lambda bad: split(X, Y, seed=bad), "split: seed"),
    "train_test_split": (lambda bad: train_test_split(X, bad), "train_test_split"),
    "train_test_split size": (lambda bad: train_test_split(X, test_size=bad or "n"), "train_test_split"),
    "KFold": (lambda bad: KFold(bad), "KFold: n_splits"),
    "KFold x": (lambda bad: list(KFold(9).split(bad)), "KFold"),
    "StratifiedKFold y": (lambda bad: list(StratifiedKFold(2).split(X, bad)), "StratifiedKFold"),
    "balanced_weights": (lambda bad: balanced_weights(bad), "balanced_weights: labels"),
    "EarlyStopping patience": (lambda bad: EarlyStopping(patience=bad), "EarlyStopping: patience"),
    "EarlyStopping min_delta": (lambda bad: EarlyStopping(min_delta=bad), "EarlyStopping: min_delta"),
    "EarlyStopping mode": (lambda bad: EarlyStopping(mode=bad), "EarlyStopping: mode"),
    "Checkpoint every": (lambda bad: Checkpoint("x", every=bad), "Checkpoint: every"),
    "ClipGradients": (lambda bad: ClipGradients(bad), "ClipGradients"),
    "ClipGradients value": (lambda bad: ClipGradients(value=bad), "ClipGradients"),
    "Schedule": (lambda bad: Schedule(bad), "Schedule"),
    **{f"{each.__name__}": (lambda bad, each=each: each(5 if isinstance(bad, str) else bad), f"{each.__name__}: path")
       for each in (Checkpoint, CSVLog, JSONLog, TensorBoardLog)},
    **{f"{each.__name__}": (lambda bad, each=each: each(bad), f"{each.__name__}: n ")
       for each in (make_blobs, make_moons, make_circles, make_spirals)},
    "warmup": (lambda bad: fastnn.warmup(bad, (2, 2), progress=False), "warmup: model"),
    "warmup shape": (lambda bad: fastnn.warmup(nn.Linear(2, 2), bad, progress=False), "warmup: input_shape"),
    "summary": (lambda bad: nn.Linear(2, 2).summary(bad), "summary: input_shape"),
    "Linear": (lambda bad: nn.Linear(bad, 2), "Linear: in_features"),
    "Conv2d": (lambda bad: nn.Conv2d(2, bad, 3), "Conv2d: out_channels"),
    "BatchNorm": (lambda bad: nn.BatchNorm2d(bad), "BatchNorm2d: num_features"),
    "GroupNorm": (lambda bad: nn.GroupNorm(1, bad), "GroupNorm: num_channels"),
    "PReLU": (lambda bad: nn.PReLU(1, bad) if bad != 2.5 else nn.PReLU(bad), "PReLU"),
    "Dropout": (lambda bad: nn.Dropout(bad), "Dropout: p"),
    "ConstantPad2d": (lambda bad: nn.ConstantPad2d(1, "x" if bad == 2.5 else bad), "ConstantPad2d: value"),
    "dtype": (lambda bad: nn.Linear(2, 2, dtype="x" if bad is None else bad), "Parameter: .*dtype|Parameter: data"),
}  # fmt: skip
FINE = {  # what means something after all
    ("fit class_weight", "text"), ("fit batch_size", "huge"), ("predict batch_size", "huge"),
    ("evaluate batch_size", "huge"), ("DataLoader batch_size", "huge"), ("DataLoader prefetch", "huge"),
    ("DataLoader shuffle", "huge"), ("DataLoader drop_last", "huge"), ("DataLoader seed", "huge"),
    ("DataLoader weights", "none"), ("DataLoader", "ragged"), ("DataLoader shuffle", "none"),
    ("DataLoader batch_size", "none"), ("DataLoader dtype", "none"), ("DataLoader seed", "none"),
    ("DataLoader", "texts"),
    ("DataLoader transform", "none"), ("fit prefetch", "huge"), ("ClipGradients", "number"),
    ("ClipGradients value", "number"), ("EarlyStopping min_delta", "number"), ("split seed", "huge"),
    ("StratifiedKFold y", "texts"), ("KFold", "huge"), ("fit resume", "text"),
}  # fmt: skip
FINE |= {(f"fit {name}", "none") for name in OPTIONAL}


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("call", CALLS)
def test_bad_arguments_are_named(call, kind):
    function, message = CALLS[call]
    if (call, kind) in FINE:
        return
    with pytest.raises((TypeError, ValueError), match=f"^({message})" if message else ": "):
        function(BAD[kind])


def test_batches_larger_than_the_data():
    assert [len(x) for x, y in DataLoader((X, Y), 10**400)] == [8]
    assert len(run(batch_size=10**400, prefetch=10**400)["loss"]) == 1


def test_texts_may_be_split():
    names = np.array(list("abcdefgh"))
    parts = train_test_split(names, Y, test_size=2)
    assert sorted("".join([*parts[0], *parts[1]])) == list("abcdefgh")
    assert [len(part) for part in DataLoader(names, 3)] == [3, 3, 2]


MASKED = np.ma.array(X, mask=X > 0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: run(data=(MASKED, Y)), "fit: data: x is a masked array"),
        (lambda: run(validation=(X, np.ma.array(Y, mask=Y > 0))), "fit: validation: y is a masked array"),
        (lambda: predict(nn.Linear(2, 2), MASKED), "predict: x is a masked array"),
        (lambda: DataLoader((MASKED, Y)), "DataLoader: data is a masked array"),
        (lambda: train_test_split(MASKED), "train_test_split: array 0 is a masked array"),
        (lambda: run(class_weight={"0": 2.0}), "fit: class_weight must have integers as keys, got '0'"),
        (lambda: run(loss=lambda output, target: np.float32(1)), "fit: the loss must be a Tensor of one number"),
        (lambda: run(loss=lambda output, target: None), "fit: the loss must be a Tensor of one number, got NoneType"),
        (lambda: measured(loss=lambda output, target: output), r"evaluate: the loss must be .* shape \(8, 2\)"),
    ],
)
def test_what_would_be_lost_or_ignored_is_refused(call, message):
    with pytest.raises(TypeError, match=message):
        call()


@pytest.mark.parametrize("bad", [-1.0, np.nan, np.inf])
@pytest.mark.parametrize("wrap", [lambda *batch: batch, lambda *batch: [batch], lambda *batch: DataLoader(batch, 4)])
def test_weights_in_the_data_are_numbers_from_0(wrap, bad):
    weights = np.ones(8)
    weights[2] = bad
    model = nn.Linear(2, 2)
    before = model.state_dict()
    for call in (
        lambda: measured(model=model, data=wrap(X, Y, weights)),
        lambda: run(
            model=model, optimizer=optim.SGD(model.parameters(), lr=0.1), data=wrap(X, Y, weights), batch_size=8
        ),
    ):
        with pytest.raises(ValueError, match="the weights of samples must be finite numbers from 0"):
            call()
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_only_the_proportions_of_weights_count():
    weights = np.linspace(0, 1, 8)
    expected = measured(data=(X, Y, weights), model=(model := nn.Linear(2, 2)))["loss"]
    for factor in (2.0**-110, 2.0**60):
        assert measured(data=(X, Y, weights * factor), model=model)["loss"] == pytest.approx(expected, rel=1e-6)


def test_a_loss_that_is_only_looked_at_may_be_a_number():
    assert measured(loss=lambda output, target: 0.25)["loss"] == measured(loss=lambda *_: np.float32(0.25))["loss"]


def test_checkpoints_that_cannot_be_written_are_refused_before_training(tmp_path, monkeypatch):
    model = nn.Linear(2, 2)
    before = model.state_dict()
    with pytest.raises(IsADirectoryError, match="Checkpoint: path is a folder"):
        run(model=model, optimizer=optim.SGD(model.parameters(), lr=0.1), callbacks=[Checkpoint(tmp_path)])
    monkeypatch.setattr("os.access", lambda *_: False)  # root may write everywhere
    with pytest.raises(PermissionError, match="Checkpoint: the folder cannot be written to.*a.safetensors"):
        run(
            model=model,
            optimizer=optim.SGD(model.parameters(), lr=0.1),
            callbacks=[Checkpoint(tmp_path / "a.safetensors")],
        )
    assert all(np.array_equal(before[name], array) for name, array in model.state_dict().items())


def test_a_missing_folder_is_named_with_the_file_in_it(tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        fastnn.save(nn.Linear(2, 2), tmp_path / "missing" / "net")
    assert error.value.filename == str(tmp_path / "missing" / "net")
