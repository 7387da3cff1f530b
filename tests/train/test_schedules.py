"""Schedules of `optim.lr_scheduler` in `fit`: steps at the right times, and checkpoints that continue bit for bit."""

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.optim import lr_scheduler as schedules
from fastnn.train import Checkpoint, fit

rng = np.random.default_rng(0)
X = rng.standard_normal((60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)
KINDS = {
    "every step": lambda o: schedules.OneCycleLR(o, 0.1, epochs=6, steps_per_epoch=6),
    "plateau": lambda o: schedules.ReduceLROnPlateau(o, patience=0, threshold=0.5),
    "sequence": lambda o: schedules.SequentialLR(
        o, [schedules.LinearLR(o, 0.1, total_iters=2), schedules.CosineAnnealingLR(o, 4)], [2]
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_six_epochs_are_three_and_three(kind, tmp_path):
    def run(epochs, **options):
        fastnn.manual_seed(0)
        model = nn.Linear(4, 2)
        optimizer = optim.Adam(model.parameters(), lr=0.05)
        settings = {"loss": functional.cross_entropy, "batch_size": 10, "progress": False, **options}
        schedule = KINDS[kind](optimizer)
        history = fit(
            model, (X, Y), validation=(X, Y), optimizer=optimizer, epochs=epochs, schedule=schedule, **settings
        )
        return history["loss"], optimizer.lr, model.weight.numpy()

    losses, rate, weight = run(6)
    run(3, callbacks=[Checkpoint(tmp_path / "c.safetensors")])
    again, its_rate, its_weight = run(6, resume=tmp_path / "c.safetensors")
    assert again == losses and its_rate == rate < 0.01
    np.testing.assert_array_equal(its_weight, weight)


def test_a_schedule_of_another_optimizer_is_refused_before_a_checkpoint_is_loaded(tmp_path):
    model, other = nn.Linear(4, 2), nn.Linear(4, 2)
    optimizer, foreign = (optim.Adam(m.parameters(), lr=0.05) for m in (model, other))
    settings = {"loss": functional.cross_entropy, "optimizer": optimizer, "progress": False}
    fit(model, (X, Y), callbacks=[Checkpoint(tmp_path / "c")], schedule=schedules.StepLR(optimizer, 1), **settings)
    with fastnn.no_grad():
        model.weight.data[...] = 7
    stranger = schedules.StepLR(foreign, 1)
    before = stranger.state_dict()
    with pytest.raises(ValueError, match="this StepLR belongs to another optimizer"):
        fit(model, (X, Y), epochs=2, resume=tmp_path / "c", schedule=stranger, **settings)
    assert (model.weight.numpy() == 7).all() and stranger.state_dict() == before and foreign.lr == 0.05
