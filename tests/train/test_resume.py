"""Checkpoints of whole runs: resuming continues bit for bit, and bad states are never written."""

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.train import Checkpoint, EarlyStopping, TrainingDiverged, fit, load_checkpoint, load_weights, save_weights

rng = np.random.default_rng(3)
X = rng.standard_normal((50, 4)).astype(np.float32)
Y = (X[:, 0] * X[:, 1] > 0).astype(np.int64)
OPTIMIZERS = {
    "momentum": lambda p: optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-3),
    "adam": lambda p: optim.Adam(p, lr=0.01),
}


def net(seed):
    fastnn.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 2))


def train(model, optimizer, epochs, callbacks, **options):
    return fit(model, (X, Y), loss=functional.cross_entropy, optimizer=optimizer, epochs=epochs, batch_size=8,
               metrics=["accuracy"], validation=(X, Y), callbacks=callbacks, progress=False, **options)  # fmt: skip


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_four_epochs_are_two_and_two(tmp_path, kind):
    make, file = OPTIMIZERS[kind], tmp_path / "c.safetensors"
    straight = net(1)
    whole = train(straight, make(straight.parameters()), 4, [EarlyStopping(patience=9)])

    first = net(1)
    # Checkpoint stands first here: that it must wait for the others is its own business.
    train(first, make(first.parameters()), 2, [Checkpoint(file), EarlyStopping(patience=9)])
    second = net(77)  # other weights, other random numbers: all of it must come from the file
    resumed = train(second, make(second.parameters()), 4, [Checkpoint(file), EarlyStopping(patience=9)], resume=file)

    for column in ("loss", "accuracy", "val_loss", "val_accuracy"):
        assert resumed[column] == whole[column]
    for name, weight in straight.state_dict().items():
        assert second.state_dict()[name].numpy().tobytes() == weight.numpy().tobytes(), name
    assert load_checkpoint(file)["epoch"] == 4


def test_dropout_and_shuffling_make_the_test_above_a_real_one():
    one, two = net(1), net(1)
    train(one, OPTIMIZERS["adam"](one.parameters()), 1, [])
    fastnn.manual_seed(2)
    train(two, OPTIMIZERS["adam"](two.parameters()), 1, [])
    assert not np.array_equal(one.state_dict()["0.weight"], two.state_dict()["0.weight"])


def test_every_and_names(tmp_path):
    model = net(1)
    train(model, OPTIMIZERS["adam"](model.parameters()), 5, [Checkpoint(tmp_path / "new" / "{epoch}.st", every=2)])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["2.st", "4.st", "5.st"]


def test_only_the_best(tmp_path):
    model = net(1)
    checkpoint = Checkpoint(tmp_path / "{epoch}", monitor="val_loss")
    history = train(model, OPTIMIZERS["momentum"](model.parameters()), 6, [checkpoint])
    values = history["val_loss"]
    better = [str(i + 1) for i in range(6) if values[i] < min([np.inf, *values[:i]])]
    assert sorted(path.name for path in tmp_path.iterdir()) == better


def test_a_spoilt_state_is_never_written(tmp_path):
    """The last step of an epoch can spoil the weights without any loss having shown it yet."""
    file = tmp_path / "c.safetensors"
    model = net(1)

    def ruin(run):
        if run.epoch == 2:
            with fastnn.no_grad():
                run.model[0].weight[0, 0] = np.nan

    with pytest.raises(TrainingDiverged, match=r"0\.weight is no longer finite after epoch 2.*c\.safetensors"):
        train(model, OPTIMIZERS["adam"](model.parameters()), 4, [ruin, Checkpoint(file)])
    state = load_checkpoint(file)
    assert state["epoch"] == 1 and all(np.isfinite(weight).all() for weight in state["model"].values())


def test_divergence_keeps_the_last_good_checkpoint(tmp_path):
    file = tmp_path / "c.safetensors"
    model = net(1)

    def ruin(run):
        if run.epoch == 2:
            run.optimizer.lr = 1e25

    with pytest.raises(TrainingDiverged, match=r"the last good state is in .*c\.safetensors"):
        train(model, OPTIMIZERS["momentum"](model.parameters()), 9, [ruin, Checkpoint(file)])
    assert load_checkpoint(file)["epoch"] >= 2


def test_a_checkpoint_of_another_model_is_refused(tmp_path):
    file = tmp_path / "c.safetensors"
    model = net(1)
    train(model, OPTIMIZERS["adam"](model.parameters()), 1, [Checkpoint(file)])
    other = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 2))
    with pytest.raises(ValueError, match=r"0\.weight"):
        train(other, OPTIMIZERS["adam"](other.parameters()), 2, [], resume=file)


def test_weights_alone(tmp_path):
    model, twin, third = net(1), net(2), net(3)
    save_weights(model, tmp_path / "w.safetensors")
    load_weights(twin, tmp_path / "w.safetensors")
    train(model, OPTIMIZERS["adam"](model.parameters()), 1, [Checkpoint(tmp_path / "c.safetensors")])
    load_weights(third, tmp_path / "c.safetensors")
    for name, weight in net(1).state_dict().items():
        np.testing.assert_array_equal(twin.state_dict()[name], weight)
        np.testing.assert_array_equal(third.state_dict()[name], model.state_dict()[name])
    with pytest.raises(FileNotFoundError):
        load_weights(model, tmp_path / "nothing")
    (tmp_path / "w.safetensors").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match="damaged"):
        load_weights(model, tmp_path / "w.safetensors")
