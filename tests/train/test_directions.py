"""Every metric of fastnn knows whether small or large is good; others are told."""

import math
from functools import partial

import numpy as np
import pytest

import fastnn
from fastnn import functional as F
from fastnn import nn, optim
from fastnn.train import (
    Callback,
    Checkpoint,
    EarlyStopping,
    History,
    LearningRateMonitor,
    Schedule,
    accuracy,
    fit,
    load_checkpoint,
    top_k,
)
from fastnn.train.streams import R2, STREAMS, MeanSquaredError, Stream

rng = np.random.default_rng(0)
X = rng.standard_normal((30, 2)).astype(np.float32)
Y = rng.integers(0, 2, 30)
SMALL = {"mse", "mean_squared_error", "mae", "mean_absolute_error"}


def own(output, target):
    return 1.0


class Figures(Callback):
    """Puts figures of our own into a column."""

    order = -5

    def __init__(self, name, values):
        self.name, self.values = name, values

    def on_epoch_end(self, run):
        run.history.record(self.name, self.values[run.epoch - 1])


def train(callbacks, metrics=(), model=None, epochs=4, **options):
    fastnn.manual_seed(1)
    model = model or nn.Linear(2, 2)
    return fit(model, (X, Y), loss=F.cross_entropy, optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=epochs,
               metrics=metrics, validation=(X, Y), callbacks=callbacks, progress=False, **options)  # fmt: skip


def best_epoch(monitor, values, metrics=(), **options):
    stopping = EarlyStopping(monitor, patience=9, **options)
    train([Figures(monitor, values), stopping], metrics, epochs=len(values))
    return stopping.best_epoch


@pytest.mark.parametrize("name", sorted(set(STREAMS) - {"confusion_matrix"}) + ["top1", "top2", "loss"])
def test_every_metric_by_its_name(name):
    """The figures are put in by hand: which of them counts as the best is all that is asked."""
    values = [3.0, 1.0, 2.0, 5.0, 4.0]
    epoch = 2 if name in SMALL | {"loss"} else 4
    history = History({name: values, f"val_{name}": values})
    assert history.best(name) == history.best(f"val_{name}") == (epoch, values[epoch - 1])
    assert best_epoch(f"val_{name}", values) == epoch


@pytest.mark.parametrize(
    ("metrics", "small"),
    [
        ({"x": MeanSquaredError()}, True),
        ({"x": R2()}, False),
        ({"x": accuracy}, False),
        ({"x": partial(accuracy, threshold=0)}, False),
        ({"x": partial(top_k, k=1)}, False),
        ({"x": F.mse_loss}, True),
        ({"x": F.cross_entropy}, True),
        ({"x": nn.L1Loss()}, True),
        ({"accuracy": MeanSquaredError()}, True),
        ({"mse": R2()}, False),
    ],
)
def test_metrics_under_other_names(metrics, small):
    (name,) = metrics
    model = nn.Linear(2, 1)
    target = X[:, :1] - X[:, 1:]
    stopping = EarlyStopping(f"val_{name}", patience=9)
    values = [3.0, 1.0, 5.0]
    target = (target > 0).astype(np.float32)
    if isinstance(metrics[name], partial) and metrics[name].func is top_k or metrics[name] is F.cross_entropy:
        model, target = nn.Linear(2, 2), Y
    loss = F.cross_entropy if target.ndim == 1 else F.mse_loss
    history = fit(model, (X, target), loss=loss, optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=3,
                  validation=(X, target), metrics=metrics, progress=False,
                  callbacks=[Figures(f"val_{name}", values), stopping])  # fmt: skip
    assert stopping.best_epoch == (2 if small else 3)
    assert history.best(f"val_{name}")[0] == (2 if small else 3)


def test_functions_of_ones_own_need_a_mode():
    for callback in (EarlyStopping("val_own"), Checkpoint("nowhere/x", monitor="own")):
        with pytest.raises(
            ValueError, match=rf"{type(callback).__name__}: .* whether small or large .* mode='min' or 'max'"
        ):
            train([callback], {"own": own})
    values = [3.0, 1.0, 5.0]
    assert best_epoch("val_own", values, {"own": own}, mode="min") == 2
    assert best_epoch("val_own", values, {"own": own}, mode="max") == 3

    class Own(Stream):
        def reset(self):
            pass

        def update(self, output, target):
            pass

        def result(self):
            return 1.0

    with pytest.raises(ValueError, match="EarlyStopping: .* whether small or large values of 'val_own' are better"):
        train([EarlyStopping("val_own")], {"own": Own()})
    Own.direction = "min"
    assert best_epoch("val_own", values, {"own": Own()}) == 2
    with pytest.raises(ValueError, match="History: .* whether small or large"):
        History({"own": values}).best("own")
    assert History({"own": values}).best("own", "max") == (3, 5.0)
    with pytest.raises(ValueError, match="mode must be 'auto', 'min' or 'max', got 'low'"):
        History({"own": values}).best("own", "low")


def test_names_that_say_it():
    values = [3.0, 1.0, 5.0]
    for name in ("perplexity", "val_perplexity", "my_loss", "rmse", "seconds", "word_error"):
        assert History({name: values}).best(name) == (2, 1.0)
    for name in ("my_accuracy", "pr_auc"):
        assert History({name: values}).best(name) == (3, 5.0)


def test_nan_is_never_the_best():
    nan = math.nan
    assert best_epoch("val_mse", [nan, 3.0, nan, 2.0, nan]) == 4
    assert best_epoch("val_r2", [nan, -3.0, nan, -4.0, nan]) == 2
    assert History({"r2": [nan, -3.0, -2.0]}).best("r2") == (3, -2.0)
    with pytest.raises(ValueError, match="no figure but nan"):
        History({"r2": [nan]}).best("r2")
    history = train([Figures("val_mse", [nan] * 4), EarlyStopping("val_mse", patience=2)])
    assert history.stopped == "early stopping: val_mse has not improved for 2 epochs; all nan"


def test_arrays_cannot_be_monitored():
    with pytest.raises(ValueError, match=r"'val_confusion_matrix' cannot be monitored.*\(2, 2\)"):
        train([EarlyStopping("val_confusion_matrix", mode="max")], ["confusion_matrix"])
    with pytest.raises(ValueError, match="holds arrays"):
        History({"m": [np.zeros(2)]}).best("m", "min")


def test_the_weights_of_the_best_epoch_are_kept():
    """A mean squared error that rises must leave the weights of the first epoch."""
    seen = []
    model = nn.Linear(2, 2)
    watch = [Figures("val_mse", [1.0, 2.0, 3.0, 4.0]), lambda run: seen.append(run.model.state_dict()["weight"]),
             EarlyStopping("val_mse", patience=2)]  # fmt: skip
    assert len(train(watch, model=model)) == 3
    np.testing.assert_array_equal(model.state_dict()["weight"], seen[0])


@pytest.mark.parametrize(("monitor", "best"), [("val_mse", [1, 3]), ("val_r2", [1, 2, 5])])
def test_checkpoints_of_the_best(monitor, best, tmp_path):
    train([Figures(monitor, [2.0, 3.0, 1.0, 2.0, 4.0]), Checkpoint(tmp_path / "{epoch}", monitor=monitor)], epochs=5)
    assert sorted(int(path.name) for path in tmp_path.iterdir()) == best


@pytest.mark.parametrize("monitor", ["val_accuracy", "val_mse"])
def test_plateaus(monitor):
    values = [1.0, 2.0, 3.0, 4.0, 5.0] if monitor == "val_accuracy" else [5.0, 4.0, 3.0, 2.0, 1.0]
    model = nn.Linear(2, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.8)

    def rates(values, **options):
        optimizer.lr = 0.8
        plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=0, **options)
        return fit(model, (X, Y), loss=F.cross_entropy, optimizer=optimizer, epochs=5, validation=(X, Y),
                   callbacks=[Figures(monitor, values), LearningRateMonitor()], progress=False,
                   schedule=Schedule(plateau, monitor=monitor))["lr"]  # fmt: skip

    assert rates(values) == [0.8] * 5
    assert rates(values[::-1]) == [0.8, 0.8, 0.4, 0.2, 0.1]
    if monitor == "val_mse":
        with pytest.raises(ValueError, match="small 'val_mse' is better, but this ReduceLROnPlateau has mode='max'"):
            rates(values, mode="max")
    else:
        assert rates(values, mode="max") == [0.8] * 5


def test_plateaus_go_on_after_a_break(tmp_path):
    values = [1.0, 2.0, 1.5, 1.5, 3.0, 1.0]

    def go(epochs, **options):
        fastnn.manual_seed(1)
        model = nn.Linear(2, 2)
        optimizer = optim.SGD(model.parameters(), lr=0.8)
        plateau = optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        return fit(model, (X, Y), loss=F.cross_entropy, optimizer=optimizer, epochs=epochs, validation=(X, Y),
                   schedule=Schedule(plateau, monitor="val_accuracy"), progress=False,
                   callbacks=[Figures("val_accuracy", values), LearningRateMonitor(), Checkpoint(tmp_path / "c")],
                   **options)["lr"]  # fmt: skip

    whole = go(6)
    assert whole == [0.8, 0.8, 0.8, 0.8, 0.4, 0.4]
    go(3)
    assert go(6, resume=tmp_path / "c") == whole


def test_two_checkpoints_know_each_others_best(tmp_path):
    """What the first one writes must hold what the second one has seen in the same epoch."""
    values = [1.0, 5.0, 3.0, 2.0]

    def go(epochs, **options):
        files = [Checkpoint(tmp_path / "last"), Checkpoint(tmp_path / "best", monitor="val_accuracy")]
        train([Figures("val_accuracy", values), *files], epochs=epochs, **options)
        return load_checkpoint(tmp_path / "best")["epoch"]

    assert go(2) == 2
    assert go(4, resume=tmp_path / "last") == 2
