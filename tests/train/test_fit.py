"""The training loop: what it computes, records, refuses, survives."""

import _thread
import math
import signal
import sys
import threading

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.data import DataLoader
from fastnn.train import EarlyStopping, TrainingDiverged, accuracy, evaluate, fit, predict


@pytest.fixture
def spots(rng):
    """Give three spots of points in the plane, as (x, y)."""
    y = rng.integers(0, 3, 90)
    x = np.array([[0, 4], [4, 0], [-4, -4]])[y] + rng.standard_normal((90, 2))
    return x.astype(np.float32), y


def small_net(seed=0, width=8, drop=0.0, dtype=np.float32):
    fastnn.manual_seed(seed)
    return nn.Sequential(
        nn.Linear(2, width, dtype=dtype), nn.ReLU(), nn.Dropout(drop), nn.Linear(width, 3, dtype=dtype)
    )


def train(model, data, **options):
    optimizer = options.pop("optimizer", None) or optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return fit(model, data, loss=functional.cross_entropy, optimizer=optimizer, **{"progress": False, **options})


def test_it_learns_and_records(spots):
    model = small_net()
    history = train(model, spots, epochs=10, validation=spots, metrics=["accuracy", "top2"])
    assert list(history) == ["loss", "accuracy", "top2", "val_loss", "val_accuracy", "val_top2", "seconds"]
    assert len(history) == 10 and history.stopped == "finished"
    assert history["loss"][-1] < 0.1 < history["loss"][0]  # five seeds: 0.001 to 0.007, 0.91 to 1.05
    assert history["val_accuracy"][-1] > 0.97  # 1
    assert all(0 <= share <= 1 for name in ("accuracy", "top2") for share in history[name])
    assert model.training


def test_it_computes_what_a_loop_by_hand_computes(spots):
    x, y = spots
    by_hand, by_fit = small_net(), small_net()
    optimizer = optim.SGD(by_hand.parameters(), lr=0.05, momentum=0.9)
    losses = []
    fastnn.manual_seed(5)
    for _ in range(3):
        order = fastnn.random.generator().permutation(90)
        total = 0.0
        for start in range(0, 90, 32):
            chosen = order[start : start + 32]
            loss = functional.cross_entropy(by_hand(x[chosen]), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(chosen)
        losses.append(total / 90)
    fastnn.manual_seed(5)
    history = train(by_fit, spots, epochs=3)
    assert history["loss"] == losses
    for name, weight in by_hand.state_dict().items():
        np.testing.assert_array_equal(by_fit.state_dict()[name], weight)


def test_evaluate_and_predict_agree_with_the_whole_at_once(spots):
    x, y = spots
    model = small_net(drop=0.5)
    output = model.eval()(x)
    model.train()
    np.testing.assert_allclose(predict(model, x, batch_size=7), output.numpy(), rtol=1e-5, atol=1e-6)
    figures = evaluate(model, spots, loss=functional.cross_entropy, metrics=["accuracy"], batch_size=7)
    assert figures["loss"] == pytest.approx(functional.cross_entropy(output, y).item(), rel=1e-5)
    assert figures["accuracy"] == pytest.approx(accuracy(output.numpy(), y))
    assert model.training


def test_any_iterable_of_batches_will_do(spots):
    model = small_net()
    batches = [(spots[0][i : i + 10], spots[1][i : i + 10]) for i in range(0, 90, 10)]
    steps = []
    history = train(model, batches, epochs=2, validation=batches, callbacks=[lambda run: steps.append(run.step)])
    assert steps == [9, 18] and history["val_loss"][1] < history["loss"][0]
    train(model, DataLoader(spots, 30, shuffle=True, transform=lambda x, generator: x + 1), epochs=1)


def test_double_precision_data_does_not_slow_a_single_precision_model_down(spots):
    model = small_net()
    dtypes = set()

    def loss(output, target):
        dtypes.add(output.dtype)
        return functional.cross_entropy(output, target)

    fit(model, (spots[0].astype(np.float64), spots[1]), loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1),
        progress=False)  # fmt: skip
    assert dtypes == {np.dtype(np.float32)}


def test_a_data_set_smaller_than_a_batch(spots):
    model = small_net()
    history = train(model, (spots[0][:5], spots[1][:5]), epochs=2, batch_size=64)
    assert len(history) == 2


def test_callbacks_run_in_order_and_can_stop(spots):
    seen = []

    class Watch(fastnn.train.Callback):
        def on_train_begin(self, run):
            seen.append("begin")

        def on_step_end(self, run):
            seen.append(run.step)

        def on_epoch_end(self, run):
            seen.append(f"epoch {run.epoch}")
            if run.epoch == 2:
                run.stop = "enough"

        def on_train_end(self, run):
            seen.append("end")

    history = train(small_net(), spots, epochs=5, batch_size=45, callbacks=[Watch()])
    assert seen == ["begin", 1, 2, "epoch 1", 3, 4, "epoch 2", "end"]
    assert history.stopped == "enough" and len(history) == 2


def test_early_stopping_goes_back_to_the_best_weights(spots):
    model = small_net()
    kept = []
    noise = (spots[0], np.random.default_rng(0).permutation(spots[1]))  # what is learned can only hurt on this
    history = train(
        model,
        spots,
        epochs=50,
        validation=noise,
        callbacks=[lambda run: kept.append(run.model.state_dict()), EarlyStopping(patience=3)],
    )
    best = int(np.argmin(history["val_loss"]))
    assert len(history) == best + 1 + 3 < 50
    assert history.stopped.startswith("early stopping: val_loss has not improved for 3 epochs; best ")
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, kept[best][name])


def test_early_stopping_starts_anew_with_every_fit(spots):
    stopping = EarlyStopping("accuracy", patience=2)
    first, second = small_net(1), small_net(2)
    train(first, spots, epochs=8, metrics=["accuracy"], callbacks=[stopping])
    train(second, spots, epochs=1, metrics=["accuracy"], callbacks=[stopping])
    assert not np.array_equal(first.state_dict()["0.weight"], second.state_dict()["0.weight"])


@pytest.mark.parametrize("prefetch", [0, 2])
def test_control_c_gives_the_history(prefetch, spots):
    def interrupt(run):
        if run.epoch == 2:
            _thread.interrupt_main()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite started in the background ignores it
    try:
        history = train(small_net(), spots, epochs=5, callbacks=[interrupt], prefetch=prefetch)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not any(thread.name == "fastnn-loader" for thread in threading.enumerate())
    assert len(history) == 2 and history.stopped == "interrupted in epoch 3 of 5"


def test_gradients_of_several_batches_make_one_step(spots):
    """The same as with large batches; the last step has what is left over, also where nobody knows how much that is."""
    spots = spots[0].astype(np.float64), spots[1]  # so that rounding, which differs, is far below the tolerance

    class Unsized:
        def __init__(self, size):
            self.size = size

        def __iter__(self):
            return (tuple(array[i : i + self.size] for array in spots) for i in range(0, 90, self.size))

    def steps(data, **options):
        model, seen = small_net(dtype=np.float64), []
        train(model, data, epochs=2, callbacks=[lambda run: seen.append(run.step)], **options)
        return seen, model.state_dict()["0.weight"]

    expected = steps(Unsized(30))
    for data in (Unsized(10), DataLoader(spots, 10)):
        count, weight = steps(data, accumulate=3)
        assert count == expected[0] == [3, 6]
        np.testing.assert_allclose(weight, expected[1], rtol=1e-5)
    count, weight = steps(DataLoader(spots, 30), accumulate=2)
    assert count == [2, 4]
    np.testing.assert_allclose(weight, steps([(spots[0][:60], spots[1][:60]), (spots[0][60:], spots[1][60:])])[1], 1e-5)
    assert steps(Unsized(30), accumulate=2)[0] == [2, 4]


def test_no_epochs_is_no_error(spots):
    assert len(train(small_net(), spots, epochs=0)) == 0


# --- progress


def test_lines_where_there_is_no_terminal(spots, capsys):
    train(small_net(), spots, epochs=2, progress=True, metrics=["accuracy"])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0].startswith("epoch 1/2") and "loss" in lines[0] and "%" in lines[1]


def test_a_bar_in_a_terminal(spots, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("fastnn.train.progress.Progress.interval", 0.0)
    train(small_net(), spots, epochs=2, progress=True, metrics=["accuracy"])
    text = capsys.readouterr().err
    assert "epoch 2/2" in text and "samples/s" in text and "loss" in text and "accuracy" in text and "%|" in text


def test_silence(spots, capsys):
    train(small_net(), spots, epochs=2, progress=False)
    captured = capsys.readouterr()
    assert captured.err == captured.out == ""


# --- divergence


def test_a_diverging_loss_stops_before_it_spoils_the_weights(spots):
    model = small_net()
    optimizer = optim.SGD(model.parameters(), lr=1e20)
    with pytest.raises(TrainingDiverged, match=r"loss became (nan|inf) in epoch 1, .*rate \(now 1e\+20"):
        train(model, spots, epochs=3, optimizer=optimizer)


def test_nan_in_the_data_is_named(spots):
    x = spots[0].copy()
    x[17, 1] = math.nan
    model = small_net()
    with pytest.raises(TrainingDiverged, match=r"the input batch \(shape \(90, 2\)\) holds 1 values that are nan"):
        train(model, (x, spots[1]), batch_size=90)
    assert all(np.isfinite(weight).all() for weight in model.state_dict().values())


def test_history_survives_divergence(spots):
    model = small_net()

    def ruin(run):
        if run.epoch == 2:
            run.optimizer.lr = 1e30

    with pytest.raises(TrainingDiverged) as caught:
        train(model, spots, epochs=9, callbacks=[ruin])
    assert 2 <= len(caught.value.history) < 9 and caught.value.history.stopped == str(caught.value)


# --- bad input

X, Y = np.zeros((6, 2), np.float32), np.zeros(6, np.int64)


@pytest.mark.parametrize(
    ("data", "options", "error", "message"),
    [
        ((X, Y[:5]), {}, ValueError, r"data: x has shape \(6, 2\) but y has shape \(5,\)"),
        ((X[:0], Y[:0]), {}, ValueError, r"data is empty: x has shape \(0, 2\), y has shape \(0,\)"),
        ((X,), {}, ValueError, "pair .x, y., got 1 items"),
        (3, {}, TypeError, "got int"),
        ((X, Y), {"validation": (X[:3], Y)}, ValueError, r"validation: x has shape \(3, 2\) but y has shape \(6,\)"),
        ((X, Y), {"validation": (X[:0], Y[:0])}, ValueError, "validation is empty"),
        ((X.astype(object), Y), {}, TypeError, r"array of objects, shape \(6, 2\)"),
        ((X, Y + 3), {}, ValueError, "cross_entropy"),
        ((X, Y - 1), {}, ValueError, "cross_entropy"),
        ((X[:, :1], Y), {}, ValueError, r"\(6, 1\)"),
        ((X, Y), {"batch_size": 0}, ValueError, "batch_size must be a positive integer, got 0"),
        ((X, Y), {"epochs": -1}, ValueError, "epochs must be an integer of at least 0, got -1"),
        ((X, Y), {"epochs": 1.5}, ValueError, "got 1.5"),
        ((X, Y), {"metrics": ["acc"]}, ValueError, "unknown metric 'acc'"),
        ((X, Y), {"metrics": ["top9"]}, ValueError, "k must be in 1..3"),
        ((X, Y), {"callbacks": [EarlyStopping]}, TypeError, "a callback must be"),
        ((X, Y), {"callbacks": [EarlyStopping()]}, ValueError, "no 'val_loss' to monitor, only loss.*validation set"),
        ((X, Y), {"callbacks": [EarlyStopping("acuracy")]}, ValueError, "no 'acuracy' to monitor"),
        ((X, Y), {"resume": "/nowhere/c.safetensors"}, FileNotFoundError, "nowhere"),
        ((X, Y), {"resume": "weights only"}, ValueError, "resume needs a file of the callback Checkpoint"),
        ((X, Y), {"accumulate": 0}, ValueError, "accumulate must be an integer of at least 1, got 0"),
        ((X, Y), {"optimizer": 3}, TypeError, "optimizer must be an optimizer such as .* got 3"),
        ((X, Y), {"optimizer": optim.SGD}, TypeError, "got the class SGD"),
        ((X, Y), {"optimizer": optim.SGD(small_net().parameters())}, ValueError, "none of the optimizer's parameters"),
        ((X, Y), {"optimizer": optim.LBFGS(small_net().parameters())}, TypeError, r"LBFGS .* step\(closure\)"),
        ([], {}, ValueError, "got 0 items"),
        (X, {}, TypeError, r"got ndarray of shape \(6, 2\)"),
        (DataLoader(X, 3), {}, TypeError, r"a batch must be .x, y. or .x, y, weights., got ndarray"),
        (DataLoader({"x": X, "y": Y}, 3), {}, TypeError, "got dict"),
        (DataLoader((X, Y, Y, Y), 3), {}, TypeError, "got tuple of 4 items"),
        ((X, Y), {"validation": DataLoader(X, 3)}, TypeError, "evaluate: a batch must be"),
        (iter([]), {}, ValueError, "gave no batches"),
    ],
)
def test_bad_input(data, options, error, message, tmp_path):
    if "weights only" in options.values():
        options = {"resume": tmp_path / "model"}
        fastnn.save(small_net(), options["resume"])
    with pytest.raises(error, match=message):
        train(small_net(), data, **options)


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (3, "loss must be a function .* got int"),
        (nn.CrossEntropyLoss, "got the class CrossEntropyLoss, not an object of it"),
        (nn.CrossEntropyLoss(reduction="none"), r"Tensor of one number, got shape \(6,\); give it reduction='mean'"),
        (lambda output, target: 1.0, "Tensor of one number, got float"),
    ],
)
def test_a_loss_must_be_a_function_that_gives_one_number(loss, message):
    model = small_net()
    with pytest.raises(TypeError, match=message):
        fit(model, (X, Y), loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"patience": 0}, "patience"), ({"min_delta": -1}, "min_delta"), ({"mode": "down"}, "mode must be")],
)
def test_bad_early_stopping(options, message):
    with pytest.raises(ValueError, match=message):
        EarlyStopping(**options)
