"""warmup compiles what a model needs, and leaves no other trace."""

import os
import subprocess
import sys

import numpy as np
import pytest

import fastnn
from fastnn import functional, nn, optim
from fastnn.train.warmup import warmup

RUN = """
import sys
import numba.core.event as event
import numpy as np
import fastnn
from fastnn import functional, nn, optim
from fastnn.train.warmup import warmup

model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 10))
optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
y = np.zeros(8, int)
names = warmup(model, (8, 1, 8, 8), loss=functional.cross_entropy, target=y, optimizer=optimizer)
with event.install_recorder("numba:compile") as record:
    loss = functional.cross_entropy(model(np.ones((8, 1, 8, 8), np.float32)), y)
    loss.backward()
    optimizer.step()
print(len(names), len(record.buffer))
"""


def test_nothing_is_left_to_compile(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}

    def run():
        done = subprocess.run([sys.executable, "-c", RUN], env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return *map(int, done.stdout.split()), done.stderr

    names, later, bar = run()
    assert names >= 5 and later == 0
    assert "compiling" in bar and f"{names} kernels" in bar
    assert run()[:2] == (0, 0), "the next process finds everything on disk"


def test_the_model_is_as_before():
    fastnn.manual_seed(3)
    model = nn.Sequential(nn.Linear(20, 8), nn.Linear(8, 3))
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    x, y = np.ones((4, 20), np.float32), np.zeros(4, int)
    functional.cross_entropy(model(x), y).backward()
    optimizer.step()
    optimizer.zero_grad()
    model[0].eval()
    weights = {name: np.array(value) for name, value in model.state_dict().items()}
    state, streams = optimizer.state_dict(), fastnn.random.get_state()
    warmup(model, (4, 20), loss=functional.cross_entropy, target=y, optimizer=optimizer, progress=False)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value, weights[name])
    assert len(state["state"]) == 4
    for number, entry in optimizer.state_dict()["state"].items():
        for name, value in entry.items():
            np.testing.assert_array_equal(value, state["state"][number][name])
    assert fastnn.random.get_state() == streams
    assert all(parameter.grad is None or not np.any(parameter.grad) for parameter in model.parameters())
    assert [module.training for module in model] == [False, True]


def test_a_loss_needs_a_target():
    with pytest.raises(TypeError, match="warmup: a loss needs a target"):
        warmup(nn.Linear(2, 2), (1, 2), loss=functional.cross_entropy)
