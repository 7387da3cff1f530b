"""Schedules, monitors, logs, ends: what happens around the epochs."""

import csv
import json
import math
import struct
import threading

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.train import (
    Callback,
    Checkpoint,
    ClipGradients,
    CSVLog,
    EarlyStopping,
    JSONLog,
    LearningRateMonitor,
    Schedule,
    StopOnNaN,
    TensorBoardLog,
    fit,
    load_checkpoint,
)
from fastnn.train.event_file import _checksum

rng = np.random.default_rng(3)
Y = rng.integers(0, 3, 90)
X = (np.array([[0, 4], [4, 0], [-4, -4]])[Y] + rng.standard_normal((90, 2))).astype(np.float32)


def train(epochs=3, lr=0.1, model=None, data=(X, Y), **options):
    fastnn.manual_seed(1)
    model = model or nn.Linear(2, 3)
    return fit(model, data, loss=functional.cross_entropy, epochs=epochs, batch_size=30, validation=(X, Y),
               optimizer=optim.SGD(model.parameters(), lr=lr), progress=False, **options)  # fmt: skip


# --- learning rates


class Halve:
    """A schedule as `fastnn.optim` has them: it steps, and it can be saved."""

    def __init__(self, optimizer):
        self.optimizer, self.calls = optimizer, []

    def step(self, *figures):
        self.calls.append(figures)
        self.optimizer.lr /= 2

    def state_dict(self):
        return {"count": len(self.calls)}

    def load_state_dict(self, state):
        self.calls = [()] * state["count"]


def rates(schedule, epochs=3, **options):
    model = nn.Linear(2, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.8)
    made = schedule(optimizer)
    history = fit(model, (X, Y), loss=functional.cross_entropy, epochs=epochs, batch_size=30, optimizer=optimizer,
                  schedule=made, callbacks=[LearningRateMonitor()], progress=False, **options)  # fmt: skip
    return history["lr"], made


def test_schedules_step_by_epoch_or_by_step():
    assert rates(Halve)[0] == [0.8, 0.4, 0.2]
    assert rates(lambda optimizer: Schedule(Halve(optimizer), every="step"))[0] == [0.1, 0.0125, 0.0015625]
    lr, schedule = rates(lambda optimizer: Schedule(Halve(optimizer), monitor="loss"))
    assert lr == [0.8, 0.4, 0.2] and all(len(call) == 1 and call[0] > 0 for call in schedule.schedule.calls)


def test_functions_give_factors():
    lr, _ = rates(lambda optimizer: lambda done: 1 - done)
    np.testing.assert_allclose(lr, [0.8 * 2 / 3, 0.8 / 3, 0], atol=1e-12)


@pytest.mark.parametrize("kind", [Halve, lambda optimizer: lambda done: (1 - done) ** 2])
def test_schedules_continue_after_a_break(kind, tmp_path):
    whole, _ = rates(kind, epochs=4)
    model = nn.Linear(2, 3)
    optimizer = optim.SGD(model.parameters(), lr=0.8)

    def pull(run):
        if run.epoch == 2:
            raise RuntimeError("the plug is pulled")

    def go(callbacks, **options):
        return fit(model, (X, Y), loss=functional.cross_entropy, epochs=4, batch_size=30, optimizer=optimizer,
                   schedule=kind(optimizer), progress=False, **options,
                   callbacks=[LearningRateMonitor(), Checkpoint(tmp_path / "c"), *callbacks])  # fmt: skip

    class Pull(Callback):
        order = 9

        def on_epoch_end(self, run):
            pull(run)

    with pytest.raises(RuntimeError, match="plug"):
        go([Pull()])
    optimizer.lr = 0.8
    np.testing.assert_allclose(go([], resume=tmp_path / "c")["lr"], whole)


def test_the_schedules_of_optim():
    lr, _ = rates(lambda optimizer: optim.lr_scheduler.StepLR(optimizer, 1, 0.5))
    assert lr == [0.8, 0.4, 0.2]
    lr, schedule = rates(lambda optimizer: optim.lr_scheduler.OneCycleLR(optimizer, 0.8, total_steps=9))
    assert schedule.last_epoch == 9  # it steps with the optimizer
    assert lr[0] == pytest.approx(0.8, rel=0.2) and lr[-1] < 0.01
    lr, _ = rates(lambda optimizer: optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=10.0),
                  validation=(X, Y))  # fmt: skip
    assert lr[0] == 0.8 and lr[-1] < 0.8
    with pytest.raises(ValueError, match="no 'val_loss' to monitor, only loss.*give fit a validation set"):
        rates(optim.lr_scheduler.ReduceLROnPlateau)


def test_bad_schedules():
    with pytest.raises(TypeError, match="expected a schedule with step"):
        Schedule(3)
    with pytest.raises(ValueError, match="every must be 'epoch' or 'step', got 'day'"):
        Schedule(lambda done: 1, every="day")


# --- logs


def test_csv_and_json(tmp_path):
    history = train(metrics=["accuracy", "confusion_matrix"],
                    callbacks=[CSVLog(tmp_path / "new" / "log.csv"), JSONLog(tmp_path / "log.json")])  # fmt: skip
    rows = list(csv.DictReader((tmp_path / "new" / "log.csv").read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"] and "confusion_matrix" not in rows[0]
    assert [float(row["val_loss"]) for row in rows] == history["val_loss"]
    content = json.loads((tmp_path / "log.json").read_text())
    assert content["stopped"] == "finished" and content["columns"]["accuracy"] == history["accuracy"]
    assert content["columns"]["confusion_matrix"][0] == history["confusion_matrix"][0].tolist()


def test_logs_are_whole_after_an_exception(tmp_path):
    def fail(run):
        if run.epoch == 2:
            raise OSError("disk full")

    logs = [CSVLog(tmp_path / "log.csv"), JSONLog(tmp_path / "log.json"), Checkpoint(tmp_path / "c")]
    with pytest.raises(OSError, match="disk full") as caught:
        train(callbacks=[fail, *logs])
    assert len(caught.value.history) == 2 and caught.value.history.stopped == "disk full"
    assert len((tmp_path / "log.csv").read_text().splitlines()) == 3
    assert json.loads((tmp_path / "log.json").read_text())["stopped"] == "disk full"
    assert load_checkpoint(tmp_path / "c")["epoch"] == 1


def test_checksums():
    # from RFC 3720, section B.4, masked as TensorFlow's records are
    for content, crc in ((bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)):
        masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
        assert struct.unpack("<I", _checksum(content)) == (masked,)


def records(path):
    """Give the events of a file after checking its frames."""
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        assert content[8:12] == _checksum(content[:8])
        found.append(content[12 : 12 + length])
        assert content[12 + length : 16 + length] == _checksum(found[-1])
        content = content[16 + length :]
    return found


def test_tensorboard_scalars(tmp_path):
    history = train(callbacks=[TensorBoardLog(tmp_path)], metrics=["confusion_matrix"])
    (file,) = (tmp_path / "validation").iterdir()
    version, *events = records(file)
    assert file.name.startswith("events.out.tfevents.") and version.endswith(b"brain.Event:2")
    values = [struct.unpack("<f", event[-4:])[0] for event in events]
    np.testing.assert_allclose(values, history["val_loss"], rtol=1e-6)
    assert all(b"loss" in event and event[10] == epoch for epoch, event in enumerate(events, start=1))
    (file,) = (tmp_path / "training").iterdir()
    assert len(records(file)) == 1 + 2 * 3  # loss and seconds


def test_tensorboard_reads_them(tmp_path):
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = train(callbacks=[TensorBoardLog(tmp_path)])
    events = reader.EventAccumulator(str(tmp_path / "validation")).Reload()
    scalars = events.Scalars("loss")
    np.testing.assert_allclose([s.value for s in scalars], history["val_loss"], rtol=1e-6)
    assert [s.step for s in scalars] == [1, 2, 3]


# --- ends


def test_stopping_on_nan_keeps_the_last_good_weights():
    model = nn.Linear(2, 3)
    kept = []

    def ruin(run):
        kept.append(run.model.state_dict())
        if run.epoch == 2:
            run.model.bias.data[...] = np.inf

    history = train(6, model=model, callbacks=[StopOnNaN(), ruin])
    assert len(history) == 2 and history.stopped.startswith("fit: the loss became")
    for name, weight in model.state_dict().items():
        np.testing.assert_array_equal(weight, kept[1][name])


def test_stopping_on_weights_that_are_spoilt_in_silence():
    model = nn.Linear(2, 3)
    before = []

    def ruin(run):
        before.append(run.model.state_dict())
        if run.epoch == 2:
            run.model.weight.data[0, 0] = np.nan

    history = train(6, model=model, callbacks=[ruin, StopOnNaN()])
    assert "weight is no longer finite after epoch 2" in history.stopped
    np.testing.assert_array_equal(model.state_dict()["weight"], before[0]["weight"])


@pytest.mark.parametrize("prefetch", [0, 2])
def test_control_c_in_the_middle_of_an_epoch(prefetch):
    def press(x, generator):
        return x

    class Press(Callback):
        def on_step_end(self, run):
            if run.step == 5:
                raise KeyboardInterrupt

    ended = []
    history = train(4, transform=press, prefetch=prefetch, callbacks=[Press(), lambda run: ended.append(run.epoch)])
    assert len(history) == 1 and history.stopped == "interrupted in epoch 2 of 4" and ended == [1]
    assert not [thread for thread in threading.enumerate() if thread.name == "fastnn-loader"]


def test_any_exception_brings_the_history():
    def fail(run):
        if run.epoch == 2:
            raise KeyError("oops")

    with pytest.raises(KeyError) as caught:
        train(callbacks=[fail])
    assert len(caught.value.history) == 2

    bad = np.where(np.arange(90) == 77, 9, Y)
    with pytest.raises(ValueError, match="cross_entropy: .*9") as caught:
        train(data=(X, bad))
    assert len(caught.value.history) == 0 and "9" in caught.value.history.stopped


def test_learning_rates_of_groups():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 3))
    groups = [{"params": model[0].parameters(), "lr": 0.1}, {"params": model[1].parameters(), "lr": 0.2}]
    history = fit(model, (X, Y), loss=functional.cross_entropy, optimizer=optim.SGD(groups), progress=False,
                  schedule=lambda done: math.cos(math.pi / 2 * done), callbacks=[LearningRateMonitor()],
                  epochs=2, batch_size=30)  # fmt: skip
    np.testing.assert_allclose(history["lr1"], 2 * np.array(history["lr"]))
    assert history["lr"][0] == pytest.approx(0.1 * math.cos(math.pi / 4))


def test_early_stopping_sees_streams():
    history = train(30, callbacks=[EarlyStopping("val_f1_macro", patience=2)], metrics=["f1_macro"])
    assert len(history) < 30 and history.stopped.startswith("early stopping: val_f1_macro")


# --- gradients, and ends


def test_gradients_are_clipped():
    sizes = []

    class Watch(Callback):
        def on_step_end(self, run):
            sizes.append([np.linalg.norm(np.concatenate([p.grad.ravel() for p in run.model.parameters()])),
                          max(abs(p.grad).max() for p in run.model.parameters())])  # fmt: skip

    for clip, column, limit in ((ClipGradients(0.01), 0, 0.01), (ClipGradients(value=0.02), 1, 0.02)):
        sizes.clear()
        train(callbacks=[clip, Watch()])
        assert len(sizes) == 9 and np.array(sizes)[:, column] == pytest.approx(limit, rel=1e-3)
    for options, message in (({}, "give norm, value, or both"), ({"norm": 0}, "norm must be above 0, got 0")):
        with pytest.raises(ValueError, match=message):
            ClipGradients(**options)


@pytest.mark.parametrize("method", ["on_train_begin", "on_epoch_end", "on_train_end"])
def test_all_callbacks_end_whatever_one_of_them_raises(method, tmp_path):
    class Bad(Callback):
        pass

    def fail(self, run):
        raise OSError("the disk is full")

    setattr(Bad, method, fail)
    log = JSONLog(tmp_path / "log.json")
    with pytest.raises(OSError, match="the disk is full") as caught:
        train(callbacks=[Bad(), log])
    finished = {"on_train_begin": 0, "on_epoch_end": 1, "on_train_end": 3}[method]
    assert len(caught.value.history) == finished
    assert len(json.loads(log.path.read_text())["columns"].get("loss", [])) == finished


def test_schedules_must_fit():
    model = nn.Linear(2, 3)
    theirs = optim.lr_scheduler.StepLR(optim.SGD(nn.Linear(2, 3).parameters()), 1)
    with pytest.raises(ValueError, match="this StepLR belongs to another optimizer"):
        train(model=model, schedule=theirs)
    with pytest.raises(TypeError, match="expected a schedule with step"):
        train(model=model, schedule=optim.lr_scheduler.StepLR)
